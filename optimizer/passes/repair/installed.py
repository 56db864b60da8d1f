"""Where a build stage puts Python packages, which ones, and where they arrive in the stage that runs."""

from __future__ import annotations

import posixpath
import re
from enum import Enum

from msgspec import Struct

from optimizer.context.python_projects import MANIFESTS, console_scripts, project_requirements
from optimizer.context.requirements import requirement_files
from optimizer.ecosystems import Action, Call, read_call
from optimizer.ecosystems.pip import activated, project_name
from optimizer.knowledge.python_packages import python_package
from optimizer.model import Model, Stage
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.paths import placements, search_path
from optimizer.model.state import State
from optimizer.passes.base import Refusal
from optimizer.passes.split.python_exports import exported_names
from optimizer.passes.split.python_managers import (
    MANAGERS,
    check_python,
    environment,
    installs_manager,
    packages,
    project_folder,
)
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import steps_of
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command

USER_BASE = "/root/.local"
_ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PYTHONUSERBASE")


class Kind(Enum):
    """How packages are installed."""

    SYSTEM = "beside the interpreter"
    USER = "with --user"
    ENVIRONMENT = "in a virtual environment"
    TARGET = "with --target"
    PREFIX = "with --prefix"


class Installed(Struct, frozen=True):
    """What a build stage installs.

    Args:
        builder: The stage.
        kind, folder: How, and the folder (absolute, in the build stage) that holds it.
        names: The packages, normalised.
        scripts: The commands of the projects among them.
        positions: The RUN instructions that install.
    """

    builder: Stage
    kind: Kind
    folder: str
    names: frozenset[str]
    scripts: frozenset[str]
    positions: tuple[int, ...]


def pip_calls(node: Instruction) -> list[Call]:
    """The calls of pip in a RUN that install."""
    script = node.script if node.keyword == "RUN" else None
    if script is None or not script.understood:
        return []
    calls = [read_call(command) for command in script.commands]
    return [c for c in calls if c is not None and c.ecosystem == "pip" and c.action is Action.INSTALL]


def manager_calls(node: Instruction) -> list[Call]:
    """The calls of Poetry, uv and Pipenv in a RUN that install."""
    script = node.script if node.keyword == "RUN" and any(name in node.text for name in MANAGERS) else None
    if script is None or not script.understood:
        return []
    calls = [read_call(command) for command in script.commands]
    return [c for c in calls if c is not None and c.ecosystem in MANAGERS and c.action is Action.INSTALL]


def installed_by(model: Model, builder: Stage) -> Installed | Refusal:
    """What a stage installs with pip, Poetry, uv or Pipenv, or why that is not known."""
    names: set[str] = set()
    scripts: set[str] = set()
    places: set[tuple[Kind, str]] = set()
    positions = tuple(p for p in builder.positions if pip_calls(model.file.instruction(p)) or manager_calls(model.file.instruction(p)))
    for position in positions:
        state = model.before(position)
        copies = [c for c in stage_copies(model, builder) if c.position < position]
        for call in pip_calls(model.file.instruction(position)):
            if not installs_manager(call):
                places.add(_place(model, builder, position, call))
            for name, more in (_packages(model, state, copies, word) for word in call.packages):
                if name is None:
                    return Refusal("not repaired: what pip installs is not known: it installs a project that is not read", position)
                names |= name
                scripts |= more
            for manifest in call.manifests:
                path = state.path(manifest)
                file = next((f for c in reversed(copies) if path is not None and (f := c.context_of(model, path)) is not None), None)
                exported = exported_names(model, builder, path) if file is None and path is not None else None
                if exported is not None:
                    names |= set(exported)
                    continue
                found = requirement_files(model.context, file) if file is not None and model.context is not None else None
                if found is None or found.problems or any(r.name is None for r in found.packages):
                    return Refusal(f"not repaired: what pip installs is not known: {manifest} is not read whole", position)
                names |= {r.name for r in found.packages if r.name}
        for call in manager_calls(model.file.instruction(position)):
            managed = _managed(model, builder, position, call, copies)
            if isinstance(managed, str):
                return Refusal(f"not repaired: {managed}", position)
            folder, found_names, found_scripts = managed
            places.add((Kind.ENVIRONMENT, folder))
            names |= found_names
            scripts |= found_scripts
    if len(places) != 1:
        return Refusal("not repaired: packages are installed in more than one place", positions[0])
    ((kind, folder),) = places
    if not folder:
        return Refusal("not repaired: the place that packages are installed in is computed", positions[0])
    return Installed(builder, kind, folder, frozenset(names), frozenset(scripts), positions)


def _managed(
    model: Model, builder: Stage, position: int, call: Call, copies: list[CopyFacts]
) -> tuple[str, frozenset[str], frozenset[str]] | str:
    """The environment that a manager makes, the packages in it and the commands of the project; or why they are not known."""
    state = model.before(position)
    runs = "\n".join(model.file.instruction(p).value for p in builder.positions if model.file.instruction(p).keyword == "RUN")
    try:
        folder = environment(call, state, runs)
        if folder is None:
            return f"where {call.ecosystem} installs to is not known"
        project = project_folder(model, state, copies)
        if project is not None and call.ecosystem == "uv":
            check_python(model, builder, project)
        names = frozenset(packages(model, call, state, copies))
    except Refused as refused:
        return str(refused)
    context = model.context
    return folder, names, frozenset(console_scripts(context, project)) if context is not None and project is not None else frozenset()


def _packages(model: Model, state: State, copies: list[CopyFacts], word: str) -> tuple[set[str] | None, set[str]]:
    """The packages that a word of ``pip install`` names, and the commands of a project among them; None when not known."""
    if not re.match(r"[./]|file:", word):
        return {project_name(word)}, set()
    place = state.path(re.sub(r"\[.*", "", word))
    context = model.context
    for file in context.files() if context is not None and place is not None else ():
        folder, name = posixpath.split(file)
        if context is None or place is None or name not in MANIFESTS:
            continue
        if any(c.image_of(model, file) == posixpath.join(place, name) for c in copies):
            needed = project_requirements(context, folder or ".")
            return (None if needed is None else set(needed)), set(console_scripts(context, folder or "."))
    return None, set()


def _place(model: Model, builder: Stage, position: int, call: Call) -> tuple[Kind, str]:
    """Where a call installs to; an empty folder where that is computed."""
    state = model.before(position)
    given = {name: _value(call.command, *options) for name, options in _OPTIONS.items()}
    if any(name in state.env or name in state.args for name in _ELSEWHERE):
        return Kind.TARGET, ""
    for kind, value in ((Kind.TARGET, given["target"]), (Kind.PREFIX, given["prefix"])):
        if value is not None:
            return kind, state.path(value) or ""
    if "--user" in call.options:
        return Kind.USER, USER_BASE
    program = call.command.words[0].value or ""
    program = state.path(program) or "" if "/" in program else program
    script = model.file.instruction(position).script
    before = [c for c in script.commands if c.start < call.command.start] if script is not None else []
    entered = [state.path(place) for c in before if (place := activated(c)) is not None]
    for folder in environments(model, builder, position):
        if "/" not in program and entered[-1:] == [folder]:
            return Kind.ENVIRONMENT, folder
        if program.startswith(f"{folder}/bin/") or f"{folder}/bin" in search_path(model, builder, position):
            return Kind.ENVIRONMENT, folder
    return (Kind.SYSTEM, "/usr/local" if program.startswith("/usr/") or (program and "/" not in program) else "")


_OPTIONS = {"target": ("-t", "--target"), "prefix": ("--prefix",)}


def _value(command: Command, *names: str) -> str | None:
    """The value of an option, as written; an unknown one is returned with its variables."""
    for index, word in enumerate(command.words):
        text = word.value or word.text
        if text in names and index + 1 < len(command.words):
            following = command.words[index + 1]
            return following.value or following.text
        for name in names:
            if text.startswith(f"{name}="):
                return text[len(name) + 1 :]
    return None


def environments(model: Model, stage: Stage, before: int | None = None) -> tuple[str, ...]:
    """The virtual environments that RUN instructions of a stage make, absolute paths."""
    found: dict[str, None] = {}
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword != "RUN" or (before is not None and position > before):
            continue
        state = model.before(position)
        for step in steps_of(node) or ():
            words = [word.value or state.expand(word.text) or "" for word in step.command.words]
            operands = [word for word in words[1:] if not word.startswith("-")]
            if re.fullmatch(r"python[\d.]*", step.program or "") and words[1:3] == ["-m", "venv"]:
                operands = operands[1:]
            elif words[:2] == ["uv", "venv"]:
                operands = operands[1:] or [".venv"]
            elif words[:2] == ["uv", "sync"]:
                operands = [state.env.get("UV_PROJECT_ENVIRONMENT") or ".venv"]
            elif step.program != "virtualenv":
                continue
            path = state.path(operands[-1]) if operands else None
            if path is not None:
                found[path] = None
    return tuple(found)


def arrival(model: Model, stage: Stage, builder: Stage, path: str) -> tuple[int, str] | None:
    """The COPY of a stage that brings a path of the build stage, and where it lies then; None when nothing brings it."""
    for position in reversed(stage.positions):
        if model.file.instruction(position).keyword == "COPY":
            for placement in placements(model, position) or ():
                target = placement.outside(path) if placement.stage == builder.index else None
                if target is not None:
                    return position, target
    return None


def compiled(names: frozenset[str]) -> tuple[str, ...]:
    """The packages that are known to hold compiled code."""
    return tuple(sorted(n for n in names if (package := python_package(n)) is not None and package.build_packages))
