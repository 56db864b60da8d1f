"""Installs of a project by pip or uv, each behind an install of what the project depends on."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from optimizer.context.python_declared import Declared, declared_dependencies
from optimizer.context.requirements import requirement_files
from optimizer.ecosystems import Action, Call, read_call
from optimizer.ecosystems.pip import project_name
from optimizer.knowledge.pythons import python_version
from optimizer.model import Model, Stage
from optimizer.model.copied_files import CannotTell
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.local_folders import is_local
from optimizer.model.model import mounts
from optimizer.model.reads import reads
from optimizer.passes.base import Change, Refusal
from optimizer.passes.reorder.manifest_copy import copy_of
from optimizer.passes.split.python_steps import RUNTIME_ONLY
from optimizer.passes.split.steps import Step, changes_shell, steps_of
from optimizer.passes.text import comments_above, quote_names, run_of
from optimizer.syntax import Blank, Comment, Instruction, Node

_LIST = "/tmp/requirements.txt"
# Options that do to the dependencies what they do to the project, and lead to no file.
_OPTIONS = frozenset({
    "--no-cache-dir", "--no-cache", "-n", "-e", "--editable", "-U", "--upgrade", "-q", "--quiet", "-v", "--verbose", "--no-compile",
    "--pre", "--no-warn-script-location", "--disable-pip-version-check", "--root-user-action", "--no-input", "--prefer-binary", "--system",
    "--no-build-isolation", "-i", "--index-url", "--extra-index-url", "--trusted-host", "--timeout", "--retries", "--progress-bar",
    "--break-system-packages", "--user", "--no-python-version-warning", "--compile-bytecode",
})  # fmt: skip
# Variables that lead pip to files, or to a place where it does not find again what it has installed.
_LEADING = (
    "PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "PIP_TARGET", "PIP_PREFIX", "PIP_NO_DEPS", "PIP_NO_INDEX",
    "PYTHONPATH", "UV_CONSTRAINT", "UV_FIND_LINKS", "UV_CONFIG_FILE", "UV_OVERRIDE",
)  # fmt: skip
_HARMLESS = frozenset({"WORKDIR", "LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "STOPSIGNAL", "HEALTHCHECK", "MAINTAINER"})


class _Install(Struct, frozen=True):
    """The install of a project.

    Args:
        position: Its RUN.
        steps: The RUN's commands; the one at ``at`` installs.
        at: See ``steps``.
        call: What that does.
        word: The argument that names the project, as the shell hands it over.
        place: The project's folder in the image.
        copies: The instructions that copied files before.
    """

    position: int
    steps: tuple[Step, ...]
    at: int
    call: Call
    word: str
    place: str
    copies: tuple[CopyFacts, ...]


def dependencies_first(model: Model, stage: Stage, position: int) -> Iterator[Change | Refusal]:
    """Put an install of the dependencies in front of the sources that a RUN installs; a refusal where that might change the result."""
    install = _install_at(model, stage, position)
    if install is None:
        return
    assert model.context is not None
    sources = [c for c in install.copies if c.destination is None or not c.plain or _brings(model, c, install.place)]
    if not sources:
        return
    start = sources[0].position
    manifests = {f"{install.place}/{name}" for name in ("pyproject.toml", "setup.cfg", "setup.py")}
    files = {image: (c, file) for c in install.copies for image in manifests if (file := c.context_of(model, image)) is not None}
    if not files:
        return
    folder = posixpath.dirname(next(iter(files.values()))[1])
    extras = re.findall(r"[\w.-]+", install.word.partition("[")[2])
    declared = declared_dependencies(model.context, folder, extras)
    if isinstance(declared, Declared):
        if not declared.names or _installed_above(model, stage, start, declared.names):
            return
        reason = _reason(model, stage, install, declared, start)
        found = next(((copy, image) for image, (copy, file) in files.items() if file == declared.manifest), None)
        if declared.beside and (found is None or found[0].position < start or not _together(model, found[0], declared)):
            found = None
        if reason is None and found is not None:
            yield _change(model, install, declared, found, start)
            return
        declared = reason or "its manifest is not among the files that are copied"
    yield Refusal(f"what the project depends on is not installed before its sources: {declared}", position)


def _together(model: Model, copy: CopyFacts, declared: Declared) -> bool:
    """Whether the files that a manifest reads lie in its folder, and come by the same instruction."""
    same = all(posixpath.dirname(file) == posixpath.dirname(declared.manifest) for file in declared.beside)
    return same and all(copy.image_of(model, file) is not None for file in declared.beside)


def _install_at(model: Model, stage: Stage, position: int) -> _Install | None:
    """The install of a project from one folder that a RUN makes, None when it makes none."""
    node = model.file.instruction(position)
    steps = steps_of(node) if node.keyword == "RUN" else None
    for at, step in enumerate(steps or ()):
        call = step.call
        if call is None or call.ecosystem not in ("pip", "uv") or call.action is not Action.INSTALL or "--no-deps" in call.options:
            continue
        local = [package for package in call.packages if is_local(package)]
        place = model.before(position).path(local[0].partition("[")[0]) if len(local) == 1 and local[0].startswith((".", "/")) else None
        if steps is None or place is None or "://" in local[0]:
            continue
        copies = tuple(c for c in stage_copies(model, stage) if c.position < position)
        return _Install(position, steps, at, call, local[0], place, copies)
    return None


def _brings(model: Model, copy: CopyFacts, place: str) -> bool:
    """Whether an instruction brings more of a project than its manifest and what is read beside it."""
    assert model.context is not None
    landed = [(f, image) for f in model.context.files() if (image := copy.image_of(model, f)) is not None]
    return any(f.endswith((".py", ".pyx", ".c", ".rs")) and not f.endswith("setup.py") and i.startswith(f"{place}/") for f, i in landed)


def _installed_above(model: Model, stage: Stage, start: int, names: Sequence[str]) -> bool:
    """Whether what is installed above a position names all of these packages, or cannot be told."""
    assert model.context is not None
    found: set[str] = set()
    for position in stage.positions:
        node = model.file.instruction(position)
        if position >= start or node.keyword != "RUN" or node.script is None:
            continue
        copies = [c for c in stage_copies(model, stage) if c.position < position]
        for call in (read_call(command) for command in node.script.commands):
            if call is None or call.ecosystem not in ("pip", "uv", "poetry", "pipenv") or call.action is not Action.INSTALL:
                continue
            if any(map(is_local, call.packages)):
                return True
            found |= {project_name(package) for package in call.packages}
            for manifest in call.manifests:
                path = model.before(position).path(manifest)
                file = next((f for c in copies if path is not None and (f := c.context_of(model, path)) is not None), None)
                if file is None or not file.endswith((".txt", ".in")):
                    return True  # such as pyproject.toml, which uv reads
                found |= {r.name for r in requirement_files(model.context, file).packages if r.name is not None}
    return set(names) <= found


def _reason(model: Model, stage: Stage, install: _Install, declared: Declared, start: int) -> str | None:
    """Why the dependencies cannot be installed apart from the project; None when they can."""
    state, call = model.before(install.position), install.call
    if not call.complete or call.prefix or call.manifests or call.options - _OPTIONS:
        return "the install has options or arguments that lead it to files or folders"
    if any(mount.type == "bind" for mount in mounts(model.file.instruction(install.position))):
        return "the install mounts files"
    if state.shell[0].rpartition("/")[2] not in ("sh", "bash", "dash", "ash"):
        return "its shell is not one whose text can be written"
    if call.ecosystem == "uv" and model.context is not None and "tool.uv" in (model.context.read_text(declared.manifest) or ""):
        return f"{declared.manifest} may tell uv where the project's packages lie"
    variable = next((name for name in _LEADING if name in state.env or name in state.args), None)
    if variable is not None:
        return f"{variable} may lead it to files or folders"
    if changes_shell(install.steps) or any(step.command.redirects or step.command.assignments for step in install.steps[: install.at + 1]):
        return "its RUN changes the shell that installs"
    if install.at:
        try:
            before = reads(model, install.position, install.copies, install.steps[install.at - 1].command.end)
        except CannotTell as error:
            return f"the commands in front of it may read the sources: {error}"
        if before.files:
            return "the commands in front of it read what is copied"
    version = python_version(stage.image) if stage.image is not None else None
    if call.ecosystem == "pip" and declared.since and version is None:
        return "which Python the image has is not known"
    if call.ecosystem == "pip" and declared.since and int((version or "").partition(".")[2]) < declared.since:
        return f"only Python 3.{declared.since} and later can list what {declared.manifest} names"
    if not declared.program and (install.call.ecosystem != "pip" or model.before(start).workdir != state.workdir):
        return f"{declared.manifest} installs them where its folder is entered"
    for position in stage.positions:
        node = model.file.instruction(position)
        local = node.keyword in ("COPY", "ADD") and node.flag("from") is None
        later = node.keyword in _HARMLESS or (node.keyword in ("ENV", "ARG") and all(RUNTIME_ONLY.match(pair.name) for pair in node.pairs))
        if start < position < install.position and not local and not later:
            return f"line {model.file.line(position)} stands between the sources and the install"
    return None


def _change(model: Model, install: _Install, declared: Declared, brought: tuple[CopyFacts, str], start: int) -> Change:
    file, node = model.file, model.file.instruction(install.position)
    copy, image = brought
    top = comments_above(file, start)
    spaced = any(isinstance(file.nodes[i], Blank) for i in range(start + 1, install.position))
    own = copy.position >= start
    folder = posixpath.dirname(image)
    files = [(f, posixpath.join(folder, posixpath.relpath(f, posixpath.dirname(declared.manifest) or "."))) for f in declared.beside]
    new: list[Node] = [copy_of(model, copy, folder, [(declared.manifest, image), *files], copy.position)] if own else []
    new += [_first_run(model, install, declared, image, model.before(start).workdir)]
    new += [Blank(file.newline)] if spaced or isinstance(file.nodes[top], Comment) else []
    rest = list(file.nodes[top : install.position])
    second = _second_run(install, node)
    names = quote_names(declared.names)
    how = "and computes nothing" if declared.program else "and takes the packages that it finds"
    evidence = (f"{declared.manifest} names {names}, {how}", "the install of the project stays, and finds them there")
    return Change(
        f"install what {declared.manifest} names before the sources are copied",
        file.replaced(top, install.position + 1, [*new, *rest, second]),
        (start, install.position),
        evidence,
    )


def _first_run(model: Model, install: _Install, declared: Declared, image: str, workdir: str | None) -> Instruction:
    """The RUN that installs the dependencies in a working folder, and does before what the RUN that it comes from did."""
    node = model.file.instruction(install.position)
    assert node.script is not None
    manifest = posixpath.basename(image) if workdir == install.place else image
    command, edits = install.call.command, []
    for index, word in enumerate(command.words):
        if word.value == install.word or (word.value or "").endswith(f"={install.word}"):
            behind = command.words[index - 1].value in ("-e", "--editable")
            edits.append((command.words[index - 1].start if behind else word.start, word.end))
    start, end = edits[0]
    source = node.script.text
    if not declared.program:
        return run_of(model.file, node, [step.text for step in install.steps[: install.at + 1]])
    given = manifest if install.call.ecosystem == "uv" else _LIST
    extras = re.findall(r"[\w.-]+", install.word.partition("[")[2]) if install.call.ecosystem == "uv" else []
    taken = "".join(f" --extra {extra}" for extra in extras)
    commands = [step.text for step in install.steps[: install.at]]
    if install.call.ecosystem == "pip":
        program = command.words[0].value or ""
        python = program if re.fullmatch(r"python[\d.]*", program) else "python3" if program == "pip3" else "python"
        commands.append(f"{python} -c '{declared.program.format(manifest)}' > {_LIST}")
    commands.append(re.sub(r"\s+", " ", f"{source[command.start : start]}-r {given}{taken}{source[end : command.end]}"))
    return run_of(model.file, node, commands)


def _second_run(install: _Install, node: Instruction) -> Instruction:
    """The RUN that installs the project, without what the first one does already."""
    text = node.shell_text
    assert text is not None
    if not install.at:
        return node
    head = node.text[: node.rest.source(0)]
    return Instruction(head + node.text[text.source(install.call.command.start) :], node.escape)
