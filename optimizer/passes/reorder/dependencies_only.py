"""Poetry and uv installs of a project's dependencies apart from the project, whose sources change with every edit."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from optimizer.ecosystems import Call, read_call
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.copied_files import CannotTell
from optimizer.model.copies import stage_copies
from optimizer.model.installs.needs import read_toml, table
from optimizer.model.paths import image_path
from optimizer.model.reads import reads
from optimizer.passes.base import Change
from optimizer.passes.split.python_managers import project_folder
from optimizer.passes.split.steps import FILE_COMMANDS
from optimizer.passes.text import instruction_like
from optimizer.syntax import Dockerfile, Instruction

_OPTIONS = {"poetry": ("--no-root", ("install", "sync")), "uv": ("--no-install-project", ("sync",))}
_METADATA = re.compile(r"importlib[._]metadata|pkg_resources|\bfrom importlib import metadata")
_HARMLESS = FILE_COMMANDS | {"python", "python3", "apt-get", "apt", "cd", "set", "export", "pip", "pip3", "uv", "poetry"}


def dependencies_only(model: Model, stage: Stage) -> Iterator[Change]:
    """Tell Poetry or uv to leave out the project, where its source is what runs and nothing asks for its installation.

    Where something does, the project is installed by a RUN of its own behind that. An install that reads the manifests alone can
    stand above the source.
    """
    for position in stage.positions:
        node = model.file.instruction(position)
        script = node.script if node.keyword == "RUN" else None
        text = node.shell_text
        if script is None or text is None or not script.understood:
            continue
        for call in (read_call(command) for command in script.commands):
            option, verbs = _OPTIONS.get(call.ecosystem, ("", ())) if call is not None else ("", ())
            if call is None or call.verb is None or call.verb.value not in verbs or call.options & {option, "--directory", "--project"}:
                continue
            if not _installs_project(model, stage, position, call):
                continue
            application = application_of(model, stage) if stage is model.final else None
            end = text.source_end(call.verb.end)
            alone = node.edited((end, end, f" {option}"))
            file = model.file.replaced(position, position + 1, [alone])
            if application is None or not runs_in_place(model, stage, application):
                changed = _in_two_steps(model, stage, position, call, alone)
                if changed is not None:
                    why = (f"{option} leaves out the project, which alone is left to the second install",)
                    yield Change("install what the project depends on before the project", changed, (position,), why)
                continue
            entries = ", ".join(application.start.entries)
            evidence = (f"the container starts {entries} from the copied source", "nothing asks for the installed project or its commands")
            yield Change(f"install what the project depends on, not the project ({option})", file, (position,), evidence)


def _in_two_steps(model: Model, stage: Stage, position: int, call: Call, alone: Instruction) -> Dockerfile | None:
    """The file with an install of the dependencies in front of that of the project; None where the first reads more than manifests."""
    node = model.file.instruction(position)
    script = node.script
    ends = script is not None and script.chain is not None and script.commands[-1] == call.command
    earlier = "\n".join(model.file.instruction(p).value for p in stage.positions if p < position)
    if not ends or script is None or any(option in earlier for option, _ in _OPTIONS.values()):
        return None
    first = call.command.words[0]
    second = instruction_like(model.file, node, "RUN", script.text[first.start : call.command.end])
    file = model.file.replaced(position, position + 1, [alone, second])
    copies = [copy for copy in stage_copies(model, stage) if copy.position < position]
    try:
        reads(Model(file, model.context, model.target, model.runtime), position, copies)
    except CannotTell:
        return None
    return file


def _installs_project(model: Model, stage: Stage, position: int, call: Call) -> bool:
    """Whether the call installs the project, from a manifest that is copied with more than itself."""
    copies = [copy for copy in stage_copies(model, stage) if copy.position < position]
    folder = project_folder(model, model.before(position), copies)
    data = read_toml(model.context, posixpath.normpath(posixpath.join(folder, "pyproject.toml"))) if model.context and folder else None
    if data is None or model.context is None:
        return False
    poetry = table(data, "tool", "poetry")
    asks = {"plugins"} & set(poetry) or "entry-points" in table(data, "project") or "gui-scripts" in table(data, "project")
    packaged = poetry.get("package-mode", True) is not False if call.ecosystem == "poetry" else "build-system" in data
    sources = (f for copy in copies for f in model.context.files() if f.endswith(".py") and copy.image_of(model, f))
    return packaged and not asks and next(sources, None) is not None


def runs_in_place(model: Model, stage: Stage, application: Application) -> bool:
    """Whether a Python program finds its own modules in the folder it is started in, so that nothing of it need be installed."""
    context, start, workdir = model.context, application.start, model.behind(stage).workdir
    if context is None or workdir is None or application.language != "python" or not start.entries or start.installed or start.unknown:
        return False
    if application.unknown_about("module") or any(_METADATA.search(context.read_text(f) or "") for f in application.files):
        return False
    scripts = {word for command in start.commands for word in command.words if word is not None and word.endswith(".py")}
    for entry in start.entries:
        places = [posixpath.relpath(p, workdir) for p in image_path(model, stage, entry)]
        if not places or any(p.startswith(("..", "src/")) or ("/" in p and scripts & {p, f"./{p}"}) for p in places):
            return False
    for position in stage.positions:
        node = model.file.instruction(position)
        commands = node.script.commands if node.keyword == "RUN" and node.script is not None else ()
        if any(command.name not in _HARMLESS for command in commands):
            return False
    return True
