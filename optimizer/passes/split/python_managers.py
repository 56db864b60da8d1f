"""Poetry, uv and Pipenv in a stage that is to be split: where their environment lies, and how the program starts without them."""

from __future__ import annotations

import json
import posixpath
import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from optimizer.context.python_locks import locked_packages
from optimizer.ecosystems import Action, Call, unwrapped
from optimizer.ecosystems.conda_run import behind_run
from optimizer.ecosystems.pip import project_name
from optimizer.knowledge.pythons import python_version
from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.copies import CopyFacts
from optimizer.model.installs.needs import read_toml, table
from optimizer.model.state import State
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import Step
from optimizer.syntax import Instruction

MANAGERS = ("poetry", "uv", "pipenv")
_TOOLS = frozenset({*MANAGERS, "poetry-core", "poetry-plugin-export", "pip", "setuptools", "wheel", "virtualenv", "build"})
_INSTALLING = {"poetry": ("install", "sync"), "uv": ("sync", "install"), "pipenv": ("install", "sync")}
_SETTING = {"poetry": ("config", "self"), "uv": ("venv",), "pipenv": ()}
_RUN_OPTIONS = frozenset({"--frozen", "--no-sync", "--locked", "--no-dev", "--no-cache", "--offline", "-q", "--quiet"})
_IN_PROJECT = {"poetry": "POETRY_VIRTUALENVS_IN_PROJECT", "pipenv": "PIPENV_VENV_IN_PROJECT"}


def manager_of(calls: list[Call]) -> str | None:
    """The manager that installs the packages of a stage, None when pip alone does."""
    return next((call.ecosystem for call in calls if call.ecosystem in MANAGERS), None)


def installs_manager(call: Call | None) -> bool:
    """Whether a call of pip installs nothing but a manager, or renews what builds packages."""
    return call is not None and call.ecosystem == "pip" and not call.manifests and {project_name(p) for p in call.packages} <= _TOOLS


def environment(call: Call, state: State, stage_text: str) -> str | None:
    """The environment that a manager makes by itself in the folder of the project, None when it takes the one that is active.

    Args:
        call: A call that installs, or ``uv venv``.
        state: The state before it.
        stage_text: The text of the stage's RUN instructions, in which Poetry may be configured.

    Raises:
        Refused: The call does something else than to install what the project declares.
    """
    name, verb = call.ecosystem, call.verb.value if call.verb else None
    if verb not in (*_INSTALLING[name], *_SETTING[name]) or (call.packages and name == "pipenv"):
        raise Refused(f"`{name} {verb or ''}`".rstrip() + " may do more than install what the project declares", -1)
    place = state.workdir
    if place is None or call.options & {"--directory", "-C", "--project", "-P", "--python", "-p", "--target", "--prefix"}:
        raise Refused(f"where {name} installs to is computed or given by an option", -1)
    if name == "uv":
        if verb == "venv":
            return state.path(call.packages[0]) if call.packages else posixpath.join(place, ".venv")
        if "pip" in [word.value for word in unwrapped(call.command).words[:2]]:
            return None
        return state.path(state.env.get("UV_PROJECT_ENVIRONMENT") or ".venv")
    set_so = f"{state.env.get(_IN_PROJECT[name], '')}".lower() in ("1", "true", "yes")
    configured = name == "poetry" and re.search(r"virtualenvs\.in-project[\s=]+true", stage_text) is not None
    return posixpath.join(place, ".venv") if set_so or configured else None


def packages(model: Model, call: Call, state: State, copies: list[CopyFacts]) -> tuple[str, ...]:
    """The packages that a call installs by lock file.

    Raises:
        Refused: They are not known, or another Python than the image's may be used.
    """
    assert model.context is not None
    folder = project_folder(model, state, copies)
    names = locked_packages(model.context, folder, call.ecosystem) if folder is not None else None
    if names is None or folder is None:
        raise Refused(f"what {call.ecosystem} installs is not known: no lock file that can be read lies where it runs", -1)
    if any(file.startswith(posixpath.normpath(posixpath.join(folder, ".venv")) + "/") for file in model.context.files()):
        raise Refused("the build context holds an environment that would be copied over the one that is installed", -1)
    return names


def project_folder(model: Model, state: State, copies: list[CopyFacts]) -> str | None:
    """The folder of the context whose manifest lies where a manager runs."""
    assert model.context is not None
    for name in ("pyproject.toml", "Pipfile"):
        path = state.path(name)
        file = next((f for c in reversed(copies) if path is not None and (f := c.context_of(model, path)) is not None), None)
        if file is not None:
            return posixpath.dirname(file) or "."
    return None


def check_python(model: Model, stage: Stage, folder: str) -> None:
    """uv takes the image's Python unless the project asks for another, which it downloads.

    Raises:
        Refused: It may do so.
    """
    assert model.context is not None
    minor = python_version(stage.image) if stage.image is not None else None
    pinned = (model.context.read_text(posixpath.normpath(posixpath.join(folder, ".python-version"))) or "").strip()
    data = read_toml(model.context, posixpath.normpath(posixpath.join(folder, "pyproject.toml"))) or {}
    wanted = table(data, "project").get("requires-python", "")
    try:
        fits = minor is not None and SpecifierSet(str(wanted)).contains(f"{minor}.99")
    except InvalidSpecifier:
        fits = False
    if minor is None or not fits or (pinned and not f"{pinned}.".startswith(f"{minor}.")):
        raise Refused("uv may use another Python than the image's", stage.position)


def without_system(node: Instruction, steps: tuple[Step, ...]) -> Instruction:
    """``uv pip install --system`` without the option, so that it installs into the active environment."""
    text = node.shell_text
    assert text is not None
    edits = [
        (text.source_end(word.start - 1), text.source_end(word.end), "")
        for step in steps
        if step.call is not None and step.call.ecosystem == "uv" and step.call.action is Action.INSTALL
        for word in step.command.words
        if word.value == "--system"
    ]
    return node.edited(*edits) if edits else node


def without_manager(node: Instruction) -> Instruction | None:
    """A CMD, ENTRYPOINT or HEALTHCHECK that runs its program through a manager, without that; None when it does not.

    Raises:
        Refused: What the manager does besides is not known.
    """
    words = node.json
    if words is not None:
        kept = _behind_run(words)
        if kept is None:
            return None
        text = node.command_text if node.keyword == "HEALTHCHECK" else None
        start = text.source(0) if text is not None else node.rest.source(0)
        return node.edited((start, len(node.text.rstrip()), json.dumps(list(kept), ensure_ascii=False)))
    script, text = node.script, node.shell_text
    edits = []
    for command in script.commands if script is not None and text is not None else ():
        values = tuple(word.value or word.text for word in command.words)
        start = 1 if values[:1] == ("exec",) else 0
        kept = _behind_run(values[start:])
        if kept is not None and text is not None:
            if kept != values[len(values) - len(kept) :]:
                raise Refused(f"`{' '.join(values)}` starts a program in a way that is not known", -1)
            behind = command.words[len(values) - len(kept)]
            edits.append((text.source(command.words[start].start), text.source(behind.start), ""))
    return node.edited(*edits) if edits else None


def _behind_run(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """The command that ``poetry run`` and its like run, None for any other command."""
    if (found := behind_run(words)) is not None:
        return words[found[1] :]
    if len(words) < 3 or words[0] not in MANAGERS or words[1] != "run":
        return None
    rest = words[2:]
    while rest and rest[0].startswith("-"):
        if rest[0] not in _RUN_OPTIONS:
            raise Refused(f"what `{words[0]} run {rest[0]}` does is not known", -1)
        rest = rest[1:]
    if not rest:
        return None
    return ("python", *rest) if rest[0].endswith(".py") and words[0] == "uv" else rest


def check_start(model: Model, stage: Stage, application: Application) -> None:
    """Nothing but CMD, ENTRYPOINT and HEALTHCHECK may start a manager, which the runtime stage has not.

    Raises:
        Refused: Something does.
    """
    named = [
        file for file in application.start.scripts if model.context is not None and _names_manager(model.context.read_text(file) or "")
    ]
    if named:
        raise Refused(f"{named[0]} starts a package manager, which would stay in the build stage", stage.position)
    own = {name for name in application.programs if name in MANAGERS} - set(application.start.programs)
    if own:
        raise Refused(f"the program starts {own.pop()}, which would stay in the build stage", stage.position)


def _names_manager(text: str) -> bool:
    return re.search(rf"\b({'|'.join(MANAGERS)})\s+[a-z]", text) is not None
