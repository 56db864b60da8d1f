"""Whether a script of package.json can be started without the package manager, and as what."""

from __future__ import annotations

import json
import posixpath
import re

from optimizer.context.javascript import plug_and_play
from optimizer.context.javascript_source import SOURCES
from optimizer.knowledge.debian import package_of
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.launch import LANGUAGES, unwrap
from optimizer.model.script_program import ScriptProgram, script_program
from optimizer.model.start import healthcheck_of
from optimizer.passes.base import Change
from optimizer.passes.runs.shells import posix_shell, reads_startup_files
from optimizer.passes.split.node_commands import BINS, project_install
from optimizer.passes.split.started import exec_form
from optimizer.passes.text import has_inner_comments, instruction_like
from optimizer.syntax import Node

# What npm and its like tell a script of its package, its settings and where it was started.
_VARIABLES = re.compile(r"\bnpm_(package|config|lifecycle|node|execpath|command)|\bINIT_CWD\b")
# Settings that change how scripts are run.
_SETTINGS = re.compile(r"^\s*(node-options|script-shell|shell-emulator|scripts-prepend-node-path|prefix)\b", re.MULTILINE)
_EDITS = re.compile(r"package\.json|\bp?npm\s+(pkg|init|version|set-script)\b")
# Instructions that another variable may change.
_SEES_VARIABLES = frozenset({"RUN", "COPY", "ADD", "WORKDIR", "ENV", "ARG", "USER", "VOLUME", "EXPOSE", "LABEL"})
_SETS = re.compile(r"\b(npm_config_|npm\s+(config\s+)?set\s+)(node[-_]options|script[-_]shell)", re.IGNORECASE)


def started(model: Model, stage: Stage, position: int, entry: int | None) -> Change | str | None:
    """The change of a CMD or ENTRYPOINT, why there is none, or None where it runs no script of package.json.

    Args:
        model: The facts, with the context at hand.
        stage: The final stage.
        position: Its CMD or ENTRYPOINT.
        entry: The position of the ENTRYPOINT that applies.
    """
    node, state = model.file.instruction(position), model.before(position)
    form = node if node.json is not None else exec_form(node)
    if form is None or not form.json or (node.json is None and not posix_shell(state)):
        return None
    found = script_program(model, stage, form.json)
    if found is None or isinstance(found, str):
        return found
    if node.json is None and reads_startup_files(state):
        return "the shell reads files of its own before it starts the package manager"
    moved = found.folder != model.behind(stage).workdir
    reason = _handed_on(model, stage, form.json, entry if entry != position else None) or _needs_manager(model, stage, found)
    reason = reason or (_tied_to_folder(model, stage, position) if moved else None)
    if reason is not None:
        return reason
    inner = unwrap(found.words)
    if inner and inner[0] != "node" and "/" not in (inner[0] or "/"):
        return f"it starts {inner[0]}, which only npm's PATH may find"
    program = _program(model, stage, found)
    if program is None:
        return f"where {found.words[0]} lies is not known"
    words = json.dumps([program, *found.words[1:]], ensure_ascii=False)
    text = form.command_text
    new = form.edited((text.source(0), text.source_end(len(text.text)), words))
    if has_inner_comments(node):
        return None
    env = model.behind(stage).env
    variables = {name: value for name, value in found.variables.items() if env.get(name) != value}
    nodes: list[Node] = [new]
    if moved:
        nodes.insert(0, instruction_like(model.file, node, "WORKDIR", _quoted(found.folder)))
    file = model.file
    if variables:
        pairs = " ".join(f"{name}={_quoted(value)}" for name, value in variables.items())
        setting = instruction_like(file, node, "ENV", pairs)
        below = max((p for p in stage.positions if p > position and file.instruction(p).keyword in _SEES_VARIABLES), default=None)
        if below is None:
            nodes.insert(0, setting)
        else:  # an install or a build must not see what only the program is told
            file = file.replaced(below + 1, below + 1, [setting])
    file = file.replaced(position, position + 1, nodes)
    manifest = posixpath.normpath(posixpath.join(found.package.folder, "package.json"))
    evidence = (f"the script {found.script} of {manifest} is this one program", "the sources read nothing that npm tells its scripts")
    return Change(f"start {program} without {form.json[0]}", file, (position,), evidence)


def _quoted(value: str) -> str:
    return value if re.fullmatch(r"[\w./:=,@+-]+", value) else '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'


def _handed_on(model: Model, stage: Stage, words: tuple[str, ...], entry: int | None) -> str | None:
    """Why another program than before could come to see the command."""
    if entry is not None:
        first = model.file.instruction(entry).json
        same = first is not None and unwrap((*first, *words)) == words
        return None if same else "the ENTRYPOINT may look at the command"
    image = stage.image
    if image is None or not (image.family == "node" or image.entrypoint == ()):
        return "what the base image does with the command is not known"
    return None


def _needs_manager(model: Model, stage: Stage, found: ScriptProgram) -> str | None:
    """Why the program may need the package manager that starts it."""
    assert model.context is not None
    context, folder = model.context, found.package.folder
    nodes = [model.file.instruction(p) for p in model.file.positions]
    if any(_EDITS.search(node.value) for node in nodes if node.keyword == "RUN"):
        return "the build edits package.json"
    if any(_SETS.search(node.value) for node in nodes):
        return "npm is told how to run scripts"
    around = dict.fromkeys((folder, "."))
    if plug_and_play(context, found.package):
        return "Yarn tells Node where packages are"
    if any(_SETTINGS.search(context.read_text(posixpath.join(at, ".npmrc")) or "") for at in around):
        return ".npmrc has settings for scripts"
    if _VARIABLES.search(found.package.scripts[found.script]):
        return "the script reads a variable that npm sets"
    reads = next((f for f in context.files() if f.endswith(SOURCES) and _VARIABLES.search(context.read_text(f) or "")), None)
    if reads is not None:
        return f"{reads} reads a variable that npm sets"
    application = application_of(model, stage)
    return _own_path(stage, application) if application is not None else "what starts is not known"


def _tied_to_folder(model: Model, stage: Stage, position: int) -> str | None:
    """Why the program of a workspace's member cannot start in a working directory of its own, as the script does."""
    later = [model.file.instruction(p) for p in stage.positions if p > position]
    if any(node.keyword in ("RUN", "COPY", "ADD", "WORKDIR", "VOLUME") for node in later):
        return "instructions behind the command stand in another folder than the script runs in"
    health = healthcheck_of(model, stage)
    if health is not None and not set(health.programs) <= {"curl", "wget"}:
        return "HEALTHCHECK runs in another folder than the script does"
    return None


def _own_path(stage: Stage, application: Application) -> str | None:
    """Why the program may start others that are found through npm's PATH alone."""
    unknown = application.unknown_about("program")
    if unknown:
        return f"which programs it starts is not known: {unknown[0]}"
    others = {p for p in application.programs if "/" not in p} - set(application.start.programs)
    for program in sorted(others - {"node", "npm", "npx", "sh", "bash"}):
        if stage.image is None or (not stage.image.has(program) and package_of(program) is None):
            return f"it starts {program}, which only npm's PATH may find"
    return None


def _program(model: Model, stage: Stage, found: ScriptProgram) -> str | None:
    """How the image names the program without npm's PATH; None when that is not known."""
    name = found.words[0]
    packages = {**found.package.dependencies, **found.package.dev_dependencies, **found.package.optional_dependencies}
    if name == "node":
        return None if "node" in packages else name
    if "/" in name:
        return name
    if LANGUAGES.get(name) != "node" or BINS.get(name, name) not in packages or found.package.workspaces:
        return None
    here = [p for p in model.file.positions if project_install(model.file.instruction(p)) and model.before(p).workdir == found.folder]
    return f"node_modules/.bin/{name}" if here else None
