"""Split a stage that makes an environment with conda: it is copied, to the same place, onto a slim image without conda."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

from msgspec.structs import replace

from optimizer.ecosystems.conda_run import entered, shell_inside
from optimizer.knowledge.conda_packages import GRAPHICAL, LIBRARIES, sets_nothing
from optimizer.knowledge.debian import build_only
from optimizer.knowledge.debian import programs as debian_programs
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.python_packages import python_package
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.paths import search_path
from optimizer.passes.base import Change
from optimizer.passes.split.conda_steps import Environment, sort_conda
from optimizer.passes.split.python import as_root, gap, is_configuration, speaks_ssh
from optimizer.passes.split.python_copies import sort_copies
from optimizer.passes.split.python_managers import without_manager
from optimizer.passes.split.python_system import system_packages
from optimizer.passes.split.shared import (
    Refused,
    SystemPackages,
    apt_install,
    body_nodes,
    from_line,
    install_options,
    line,
    no_twin,
    reference_text,
    spaced,
    stage_name,
    with_certificates,
    with_lead,
)
from optimizer.passes.text import quote_names
from optimizer.syntax import Blank, Instruction, Node

_STARTING = ("CMD", "ENTRYPOINT", "HEALTHCHECK")
_CONDA = re.compile(r"\b(micromamba|mamba|conda)(?=\s+[a-z-])|\bactivate\b|/profile\.d/conda\.sh|\.bashrc|/opt/conda(?!/envs/)")
_ACTIVATION = 'for script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do [ ! -e "$script" ] || . "$script"; done; exec "$@"'


def split_conda(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a project whose packages conda installs into an environment.

    Returns:
        The change, None when the stage makes no environment.

    Raises:
        Refused: It makes one, and evidence does not reach.
    """
    image = stage.image
    if image is None or stage.base is not None or image.package_manager != "apt" or model.context is None:
        return None
    found = sort_conda(model, stage)
    if found is None:
        return None
    runtime, reference = _runtime_base(model, stage, image)
    application = application_of(model, stage)
    if application is None or application.language != "python":
        raise Refused("no program of the build context is recognised in CMD or ENTRYPOINT", stage.position)
    if not found.plan.requirements and not any(name in ("python", "pip") or python_package(name) is not None for name in found.packages):
        raise Refused("nothing tells that the environment has a Python of its own", stage.position)
    activated = _enters(model, stage, found)
    hooks = activated and not sets_nothing(found.packages)
    if hooks and found.plan.commands and not all(step.program in ("mkdir", "chmod", "chown") for _, step in found.plan.commands):
        raise Refused("a command behind the install may need what entering the environment sets", found.plan.commands[0][0])
    sort_copies(model, stage, found.plan, application)
    _check_paths(model, stage, found, application)
    system = _system_packages(model, stage, found, application, runtime)
    return _change(model, stage, found, system, runtime, reference, activated, hooks)


def _runtime_base(model: Model, stage: Stage, image: BaseImage) -> tuple[BaseImage, str]:
    for twin in runtime_twins(image):
        found, text = lookup(twin), reference_text(model, stage, image, twin)
        if found is not None and text is not None:
            return found, text
    raise Refused(no_twin(stage, "C library"), stage.position)


def _enters(model: Model, stage: Stage, found: Environment) -> bool:
    """Whether the program's start enters the environment; otherwise PATH or the program's own path leads to it.

    Raises:
        Refused: It runs in another one, or that is not known.
    """
    entering = False
    for position in filter(None, (model.last(stage, keyword) for keyword in ("ENTRYPOINT", "CMD"))):
        node, state = model.file.instruction(position), model.before(position)
        shell = entered(state.shell) if node.json is None else None
        words = [tuple(node.json)] if node.json is not None else [c.argv for c in node.script.commands] if node.script is not None else []
        for name, _ in (where for where in (shell, *map(entered, words)) if where is not None):
            if name is None or not found.is_meant(state, name):
                raise Refused("the program runs in another environment than the one that is made", position)
            entering = True
    on_path = f"{found.prefix}/bin" in search_path(model, stage)
    position = model.last(stage, "CMD") or model.last(stage, "ENTRYPOINT") or stage.position
    named = any(
        f"{found.prefix}/bin/" in model.file.instruction(p).value for p in stage.positions if model.file.instruction(p).keyword in _STARTING
    )
    if not entering and not on_path and not named:
        raise Refused("the program runs with conda's own Python, not in the environment that is made", position)
    return entering


def _check_paths(model: Model, stage: Stage, found: Environment, application: Application) -> None:
    """Nothing may need conda, or anything in its folder but the environment.

    Raises:
        Refused: Something does.
    """
    assert model.context is not None
    allowed = re.compile(rf"{re.escape(found.prefix)}(?![\w-])")
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword not in (*_STARTING, "ENV", "ARG", "LABEL"):
            continue
        text = "" if _only_enters(node) else (_started(node) or node).value
        if node.keyword == "ENV":
            text = " ".join(pair.value or "" for pair in node.pairs if pair.name not in ("PATH", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"))
        if node.keyword != "LABEL" and (named := _CONDA.search(allowed.sub("", text))) is not None:
            raise Refused(f"it names {named[0]}, which stays in the build stage", position)
    configuration = (file for file in model.context.files() if is_configuration(file) and file not in found.plan.manifests)
    for file in dict.fromkeys([*application.start.scripts, *configuration, *application.files]):
        if (named := _CONDA.search(allowed.sub("", _without_comments(model.context.read_text(file) or "")))) is not None and not _elsewhere(
            file
        ):
            raise Refused(f"{file} names {named[0]}, which stays in the build stage", stage.position)


def _elsewhere(file: str) -> bool:
    """Whether a file is for a machine that builds and tests, not for the image."""
    return (
        file.startswith((".github/", ".gitlab", ".circleci/", ".travis", ".readthedocs", ".devcontainer/", "docs/"))
        or "environment" in file
    )


def _without_comments(text: str) -> str:
    return re.sub(r"(?m)^\s*#.*$", "", text)


def _system_packages(model: Model, stage: Stage, found: Environment, application: Application, runtime: BaseImage) -> SystemPackages:
    """The Debian packages that the runtime stage needs: not those that the environment has of its own."""
    brought = {*found.packages, *(program for package in found.packages for program in debian_programs(package) or ())}
    own = replace(application, programs=tuple(p for p in application.programs if p not in brought and entered((p, "run")) is None))
    system = system_packages(model, found.plan, own, runtime, stage)
    names = [*found.packages, *(r.name for r in found.plan.requirements if r.name)]
    shown = LIBRARIES if any(GRAPHICAL.match(name) for name in names) else ()
    return replace(system, kept=tuple(dict.fromkeys((*system.kept, *shown))))


def _change(
    model: Model, stage: Stage, found: Environment, system: SystemPackages, runtime: BaseImage, reference: str, activated: bool, hooks: bool
) -> Change:
    file, plan = model.file, found.plan
    name, written = stage_name(model), file.instruction(stage.position).value.split()[0]
    packages = [plan.system.written.get(p, p) for p in with_certificates(system.kept, stage.image, runtime)]
    application = application_of(model, stage)
    alone = {"git"} if application is not None and not speaks_ssh(model, application) else ()
    install = [apt_install(model, stage, packages, install_options(packages, plan.system.options, alone))] if packages else []
    copied = [line(model, stage, "COPY", f"--from={name} {found.prefix} {found.prefix}")]
    variables = _variables(model, stage, found, activated)
    copied += [line(model, stage, "ENV", " ".join(variables))] if variables else []
    if plan.editable:
        source = model.before(plan.project[-1]).workdir
        copied.append(line(model, stage, "COPY", f"--from={name} {source} {source}"))
    started = {p: changed for p in stage.positions if (changed := _started(file.instruction(p))) is not None}
    starting: dict[int, list[Node]] = {p: [node] for p, node in started.items()}
    starting |= _shells(model, stage, plan.runtime)
    starting |= {p: [] for p in stage.positions if _only_enters(file.instruction(p))}
    before = list(stage.image.entrypoint or ()) if stage.image is not None and model.last(stage, "ENTRYPOINT") is None else []
    words = [*before, *(("/bin/bash", "-c", _ACTIVATION, "--") if hooks else ())]
    starting |= _entry_point(model, stage, started, words) if words else {}
    replaced: dict[int, list[Node]] = {**{p: [] for p in plan.system.positions}, **plan.runtime, **starting}
    place = plan.pip[-1] if plan.editable else plan.pip[0]
    replaced[place] = [*install, *copied, *replaced.get(place, [])]
    end = next((s.position for s in model.stages if s.position > stage.position), len(file.nodes))
    nodes = [*_build_stage(model, stage, found, name, written), Blank(file.newline)]
    nodes += [from_line(model, stage, reference, stage.name), *gap(file, stage), *body_nodes(file, stage, end, replaced)]
    entries = quote_names(application.start.entries) if application is not None else ""
    evidence = [
        f"the container starts {entries or 'a package'} in {found.prefix}, which names its own place",
        "the environment brings its own Python and libraries, and nothing starts conda",
    ]
    if activated and not hooks:
        evidence.append("no package of the environment has settings that entering it would make")
    if hooks:
        evidence.append("packages may bring settings that entering the environment makes, so the entry point still does")
    if system.kept:
        evidence.append(f"the program needs {quote_names(system.kept)} when it runs")
    touched = (stage.position, *plan.pip, *plan.system.positions)
    summary = f"make the environment in a build stage and run on {reference}"
    return Change(summary, file.replaced(stage.position, end, nodes), touched, tuple(evidence))


def _variables(model: Model, stage: Stage, found: Environment, activated: bool) -> list[str]:
    """The variables that the image with conda set, or that entering the environment did, where the stage does not set them itself."""
    image, own = stage.image, model.behind(stage).env
    given: dict[str, str] = {}
    if f"{found.prefix}/bin" not in search_path(model, stage):
        given["PATH"] = f"{found.prefix}/bin:$PATH"
    if activated:
        given |= {"CONDA_PREFIX": found.prefix, "CONDA_DEFAULT_ENV": found.name, **found.variables}
    given |= {name: value for name, value in (image.env if image is not None else {}).items() if name in ("LANG", "LC_ALL")}
    strange = next((name for name, value in found.variables.items() if re.search(r"[\"'\\$\n]", value)), None)
    if activated and strange is not None:
        raise Refused(f"the variable {strange} of the environment is not plain text", stage.position)
    quoted = {name: value if name == "PATH" or value == shlex.quote(value) else f'"{value}"' for name, value in given.items()}
    return [f"{name}={value}" for name, value in quoted.items() if name == "PATH" or name not in own]


def _started(node: Instruction) -> Instruction | None:
    """An instruction that starts the program through ``conda run``, without that."""
    return without_manager(node) if node.keyword in _STARTING else None


def _only_enters(node: Instruction) -> bool:
    """Whether an ENTRYPOINT only enters the environment for CMD."""
    words = node.json if node.keyword == "ENTRYPOINT" else None
    return words is not None and (found := entered(words)) is not None and found[1] == len(words)


def _shells(model: Model, stage: Stage, runtime: Mapping[int, list[Node]]) -> dict[int, list[Node]]:
    """A SHELL that enters the environment as the shell inside of it, and gone where nothing behind it asks for a shell."""
    found: dict[int, list[Node]] = {}
    for position in stage.positions:
        node = model.file.instruction(position)
        words = node.json if node.keyword == "SHELL" else None
        if words is not None and (inside := shell_inside(words)) != tuple(words):
            behind = (n for p in stage.positions if p > position for n in runtime.get(p, [model.file.instruction(p)]))
            asked = any(isinstance(n, Instruction) and n.keyword in ("RUN", *_STARTING) and n.json is None for n in behind)
            start = node.rest.source(0)
            found[position] = [node.edited((start, len(node.text.rstrip()), json.dumps(list(inside))))] if asked else []
    return found


def _entry_point(model: Model, stage: Stage, started: Mapping[int, Instruction], words: list[str]) -> dict[int, list[Node]]:
    """An ENTRYPOINT that starts with some words, before it becomes the program."""
    entry, command = model.last(stage, "ENTRYPOINT"), model.last(stage, "CMD")
    if entry is None and command is not None:
        new = line(model, stage, "ENTRYPOINT", json.dumps(words))
        return {command: [new, started.get(command, model.file.instruction(command))]}
    if entry is None:
        return {}
    node = started.get(entry, model.file.instruction(entry))
    behind = [] if _only_enters(node) else list(node.json) if node.json is not None else ["/bin/sh", "-c", node.value]
    start = node.rest.source(0)
    return {entry: [node.edited((start, len(node.text.rstrip()), json.dumps([*words, *behind], ensure_ascii=False)))]}


def _build_stage(model: Model, stage: Stage, found: Environment, name: str, written: str) -> list[Node]:
    file, plan = model.file, found.plan
    fetched = {r.vcs for r in plan.requirements if r.vcs} & set(plan.system.written)
    needed = fetched or any(build_only(package, "apt") for package in plan.system.written)
    build: list[Node] = [from_line(model, stage, written, name), *gap(file, stage)]
    head = len(build)
    for position in sorted({*plan.build, *(plan.system.positions if needed else ())}):
        node = file.instruction(position)
        nodes = with_lead(file, position)
        if node.keyword in ("COPY", "ADD"):
            nodes[-1] = as_root(node)
        build.extend(spaced(file, position, nodes) if len(build) > head else nodes)
    return build
