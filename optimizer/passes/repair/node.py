"""The repairs of a Node program whose packages or package.json are in another stage, or that its image cannot start."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator

from msgspec import Struct

from optimizer.context.javascript import PackageJson, package_json
from optimizer.context.javascript_source import BUILTIN
from optimizer.model import Model, Stage
from optimizer.model.application import application_of
from optimizer.model.launch import MANAGERS
from optimizer.model.paths import context_path, origin_of, placements
from optimizer.model.script_program import ScriptProgram, script_program
from optimizer.model.start import start_of
from optimizer.passes.base import Change, Refusal
from optimizer.passes.repair.node_output import missing_output
from optimizer.passes.split.node_commands import project_install
from optimizer.passes.split.started import exec_form
from optimizer.passes.split.steps import FILE_COMMANDS, steps_of
from optimizer.passes.text import instruction_like, quote_names
from optimizer.syntax import Comment, Instruction
from optimizer.syntax.shell import parse_script

_DISTROLESS = "distroless-nodejs"
# Build tools that leave the packages a source imports outside of what they write.
_LEAVES_OUT = frozenset({"tsc", "tsc-alias", "babel", "swc"})
_PREPARES = frozenset({"rimraf", "rm", "echo", "mkdir", "cp", "copyfiles", "cpx", "eslint", "prettier", "del-cli", "npm", "yarn", "pnpm"})
_ESM = re.compile(r"^\s*import\s.+from\s|^\s*import\s*['\"]|^\s*export\s", re.MULTILINE)


def repairs(model: Model, stage: Stage) -> Iterator[Change | Refusal]:
    """What the final stage of a multi-stage build of Node lacks to start, one repair at a time."""
    builders = [b for i in sorted(model.dependencies[stage.index]) if (b := _builder(model, model.stages[i])) is not None]
    if stage.image is not None and stage.image.family == _DISTROLESS:
        change = _command(model, stage)
        if change is not None:
            yield change
            return
    output = missing_output(model, stage)
    if output is not None:
        yield output
        return
    if len(builders) != 1 or not _only_copies(model, stage):
        return
    found = _package_file(model, stage, builders[0]) or _packages(model, stage, builders[0])
    if found is not None:
        yield found


class _Builder(Struct, frozen=True):
    """The stage that installs: the folder of the image it does so in, and the package.json there."""

    stage: Stage
    folder: str
    package: PackageJson

    @property
    def name(self) -> str:
        """How a COPY names it."""
        return self.stage.name or str(self.stage.index)


def _builder(model: Model, stage: Stage) -> _Builder | None:
    installs = [p for p in stage.positions if project_install(model.file.instruction(p)) is not None]
    assert model.context is not None
    if len(installs) != 1 or "cd " in model.file.instruction(installs[0]).value:
        return None
    folder = model.before(installs[0]).workdir
    manifest = context_path(model, stage, posixpath.join(folder, "package.json")) if folder is not None else None
    package = package_json(model.context, posixpath.dirname(manifest) or ".") if manifest is not None else None
    return _Builder(stage, folder, package) if folder is not None and package is not None else None


def _only_copies(model: Model, stage: Stage) -> bool:
    """Whether a stage does nothing that could bring packages but copy."""
    for position in stage.positions:
        node = model.file.instruction(position)
        steps = steps_of(node) if node.keyword == "RUN" else ()
        if steps is None or any(s.call is not None and s.call.ecosystem != "apt" for s in steps):
            return False
        if any(s.call is None and s.program not in FILE_COMMANDS for s in steps):
            return False
        if node.keyword in ("COPY", "ADD") and placements(model, position) is None:
            return False
    return True


def _provided(model: Model, stage: Stage, builder: _Builder, path: str) -> bool:
    """Whether a COPY may bring something to a path of the image."""
    for position in stage.positions:
        if model.file.instruction(position).keyword not in ("COPY", "ADD"):
            continue
        for one in placements(model, position) or ():
            if one.source is None and (path == one.target or path.startswith(f"{one.target.rstrip('/')}/")):
                return True
            inside = one.inside(path)
            if inside is None:
                continue
            if one.stage == builder.stage.index:
                installed = posixpath.normpath(posixpath.join(builder.folder, "node_modules"))
                if inside == installed or context_path(model, builder.stage, inside) is not None:
                    return True
            elif one.stage is not None or (model.context is not None and model.context.exists(inside)):
                return True
    return False


def _command(model: Model, stage: Stage) -> Change | None:
    """The CMD of a distroless image, whose entry point is Node itself, as Node's arguments."""
    position = model.last(stage, "CMD")
    if position is None or model.last(stage, "ENTRYPOINT") is not None:
        return None
    node = model.file.instruction(position)
    form = node if node.json is not None else exec_form(node)
    words = form.json if form is not None else None
    if form is None or not words:
        return None
    name = words[0].rpartition("/")[2]
    arguments = words[1:] if name in ("node", "nodejs") else _of_script(model, stage, words) if name in MANAGERS else None
    if not arguments:
        return None
    text = form.command_text
    new = form.edited((text.source(0), text.source_end(len(text.text)), json.dumps(list(arguments), ensure_ascii=False)))
    file = model.file.replaced(position, position + 1, [new])
    evidence = f"the entry point of {stage.reference} is Node itself, and the image has neither a shell nor {name}"
    if name in ("node", "nodejs"):
        evidence = f"the entry point of {stage.reference} is Node itself, which takes {words[0]} for the program to run"
    return Change("start the program with the image's own Node", file, (position,), (evidence,))


def _of_script(model: Model, stage: Stage, words: tuple[str, ...]) -> tuple[str, ...] | None:
    """What follows ``node`` in the script of package.json that a command runs, where it is one plain command."""
    found = script_program(model, stage, words)
    here = isinstance(found, ScriptProgram) and found.folder == model.behind(stage).workdir and not found.variables
    plain = here and isinstance(found, ScriptProgram) and found.words[0] == "node" and len(found.words) > 1
    return found.words[1:] if isinstance(found, ScriptProgram) and plain else None


def _package_file(model: Model, stage: Stage, builder: _Builder) -> Change | None:
    """Bring package.json where the command or the kind of the modules needs it."""
    start = start_of(model, stage)
    workdir = model.behind(stage).workdir
    if start is None or workdir is None:
        return None
    managers = [c.name for c in start.commands if c.name in MANAGERS]
    if managers:
        beside, reason = workdir, f"the container starts with {managers[0]}, which reads package.json"
    else:
        application = application_of(model, stage)
        entry = next((e for e in start.entries), None)
        if application is None or entry is None or builder.package.type != "module":
            return None
        if not _is_esm(model, application.files, builder, entry):
            return None
        place = _entry_place(model, stage, entry)
        if place is None or not place.endswith(".js"):
            return None
        if any(_provided(model, stage, builder, posixpath.join(at, "package.json")) for at in _around(place)):
            return None
        beside = _project_folder(model, stage, builder, place)
        reason = "the program is an ES module, which Node tells by package.json"
    path = posixpath.join(beside, "package.json")
    if _provided(model, stage, builder, path):
        return None
    return _bring(model, stage, builder, f"{builder.folder.rstrip('/')}/package.json", path, "package.json", reason)


def _is_esm(model: Model, files: tuple[str, ...], builder: _Builder, entry: str) -> bool:
    """Whether what runs is written as ES modules, and is so still when it is built."""
    context = model.context
    assert context is not None
    if not any(_ESM.search(context.read_text(f) or "") for f in files):
        return False
    if not entry.startswith("/"):
        return True
    scripts = " ".join(builder.package.scripts.values())
    settings = context.read_text(posixpath.normpath(posixpath.join(builder.package.folder, "tsconfig.json"))) or ""
    compiled = re.search(r'"module"\s*:\s*"(es|node)', settings, re.IGNORECASE) is not None and "tsc" in scripts
    return compiled or re.search(r"--format[= ]esm\b", scripts) is not None


def _packages(model: Model, stage: Stage, builder: _Builder) -> Change | None:
    """Bring node_modules where the program imports packages and nothing brings them."""
    application = application_of(model, stage)
    if application is None or application.language != "node" or not application.start.entries:
        return None
    known = {*builder.package.dependencies, *builder.package.optional_dependencies}
    modules = [m for m in application.modules if m not in BUILTIN and m in known]
    entry = application.start.entries[0]
    place = _entry_place(model, stage, entry)
    if not modules or place is None or (entry.startswith("/") and not _leaves_packages_out(builder.package)):
        return None
    if any(_provided(model, stage, builder, posixpath.join(at, "node_modules")) for at in _around(place)):
        return None
    one, other = builder.stage.image, stage.image
    if one is None or other is None or one.libc != other.libc or one.family != "node":
        return None
    target = posixpath.join(_project_folder(model, stage, builder, place), "node_modules")
    reason = f"the program imports {quote_names(modules)}, which only stage {builder.name} installs"
    return _bring(model, stage, builder, f"{builder.folder.rstrip('/')}/node_modules", target, "node_modules", reason)


def _leaves_packages_out(package: PackageJson) -> bool:
    """Whether what the build writes still imports the packages that its sources do."""
    for name, text in package.scripts.items():
        if "build" not in name and "compile" not in name:
            continue
        for command in parse_script(text).commands:
            words = [w.value or "" for w in command.words]
            while words[:1] in (["npx"], ["cross-env"]):
                words = words[1:]
            program = words[0] if words else ""
            esbuild = program == "esbuild" and ("--packages=external" in words or "--bundle" not in words)
            if program not in _LEAVES_OUT | _PREPARES and not esbuild and not (program == "nest" and "--webpack" not in words):
                return False
    return True


def _entry_place(model: Model, stage: Stage, entry: str) -> str | None:
    """Where the program's file lies in the image."""
    if entry.startswith("/"):
        return entry
    from optimizer.model.paths import image_path

    found = image_path(model, stage, entry)
    return found[-1] if found else None


def _around(path: str) -> list[str]:
    """The folders around a file, the nearest first."""
    found, folder = [], posixpath.dirname(path)
    while folder != "/":
        found.append(folder)
        folder = posixpath.dirname(folder)
    return [*found, "/"]


def _project_folder(model: Model, stage: Stage, builder: _Builder, place: str) -> str:
    """The folder of the runtime stage that stands for the one in which packages are installed."""
    _, origin = origin_of(model, stage, place)
    below = posixpath.relpath(origin, builder.folder)
    if not below.startswith("..") and place.endswith(f"/{below}"):
        return place[: -len(below) - 1] or "/"
    return posixpath.dirname(place)


def _bring(model: Model, stage: Stage, builder: _Builder, source: str, target: str, what: str, reason: str) -> Change | None:
    copies = [p for p in stage.positions if model.file.instruction(p).flag("from") is not None]
    if not copies:
        return None
    position = copies[0]
    workdir = model.before(position).workdir
    shown = f"./{posixpath.relpath(target, workdir)}" if workdir not in (None, "/") and target.startswith(f"{workdir}/") else target
    owner = model.file.instruction(position).flag("chown")
    flags = f"--from={builder.name} " + (f"--chown={owner} " if owner is not None else "")
    new: Instruction = instruction_like(model.file, model.file.instruction(position), "COPY", f"{flags}{source} {shown}")
    place = position
    while isinstance(model.file.nodes[place - 1], Comment):
        place -= 1
    file = model.file.replaced(place, place, [new])
    return Change(f"copy {what} that stage {builder.name} has into the stage that runs", file, (position,), (reason,))
