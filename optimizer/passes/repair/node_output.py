"""The repair of a Node program whose file another stage builds, and no COPY brings."""

from __future__ import annotations

import posixpath

from optimizer.context.javascript import package_json
from optimizer.context.javascript_build import build_outputs
from optimizer.ecosystems import Action
from optimizer.model import Model, Stage
from optimizer.model.paths import context_path, placements
from optimizer.model.start import start_of
from optimizer.passes.base import Change
from optimizer.passes.split.node_steps import Plan, sort_instructions
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import steps_of
from optimizer.passes.text import instruction_like

_MAKES_NOTHING = frozenset({"mkdir", "rm", "chmod", "chown", "useradd", "groupadd", "adduser", "addgroup", "npm", "corepack"})


def missing_output(model: Model, stage: Stage) -> Change | None:
    """Bring what a build in another stage writes, where the program lies in it and nothing else can make it.

    Args:
        model: The facts, with the context at hand.
        stage: The final stage, of an image of Node.
    """
    start, workdir = start_of(model, stage), model.behind(stage).workdir
    built = [e for e in start.entries if e.startswith("/")] if start is not None and start.language == "node" else []
    if len(built) != 1 or workdir is None or not _lacks(model, stage, built[0]):
        return None
    (entry,) = built
    found = {
        (other.name or str(other.index), posixpath.normpath(posixpath.join(build_folder, path)), target)
        for other in model.stages[: stage.index]
        if _same_system(other, stage)
        for build_folder, path in _outputs(model, other)
        if f"{entry}/".startswith(f"{(target := posixpath.normpath(posixpath.join(workdir, path)))}/")
    }
    steps = [p for p in stage.positions if model.file.instruction(p).keyword in ("COPY", "ADD", "RUN", "WORKDIR")]
    if len(found) != 1 or not steps:
        return None
    ((name, source, target),) = found
    position = steps[-1]
    shown = f"./{posixpath.relpath(target, workdir)}" if target.startswith(f"{workdir.rstrip('/')}/") else target
    owner = model.behind(stage).user
    flags = f"--from={name} " + (f"--chown={owner} " if owner not in (None, "root", "0") and model.before(position).user == owner else "")
    new = instruction_like(model.file, model.file.instruction(position), "COPY", f"{flags}{source} {shown}")
    reason = f"the container starts {entry}, which only the build in stage {name} makes"
    what = posixpath.basename(source)
    file = model.file.replaced(position + 1, position + 1, [new])
    return Change(f"copy {what} that stage {name} builds into the stage that runs", file, (position,), (reason,))


def _lacks(model: Model, stage: Stage, path: str) -> bool:
    """Whether no instruction of a stage can bring or make a file."""
    assert model.context is not None
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword in ("COPY", "ADD"):
            found = placements(model, position)
            if found is None:
                return False
            for one in found:
                inside = one.inside(path)
                around = one.target == path or path.startswith(f"{one.target.rstrip('/')}/")
                if (one.source is None or one.foreign) and around:
                    return False
                if inside is not None and (one.stage is not None or model.context.exists(inside)):
                    return False
        elif node.keyword == "RUN":
            for step in steps_of(node) or (None,):
                installs = step is not None and step.call is not None and step.call.action in (Action.INSTALL, Action.UPDATE, Action.CLEAN)
                plain = step is not None and step.call is None and step.program in _MAKES_NOTHING
                if step is None or not (installs or plain or step.cleans):
                    return False
    manifest = context_path(model, stage, posixpath.join(model.behind(stage).workdir or "/", "package.json"))
    package = package_json(model.context, posixpath.dirname(manifest) or ".") if manifest is not None else None
    return package is not None and not package.install_scripts


def _same_system(other: Stage, stage: Stage) -> bool:
    """Whether what a stage builds runs in another one: both have the same Node."""
    return other.image is not None and stage.image is not None and other.image.version == stage.image.version


def _outputs(model: Model, stage: Stage) -> list[tuple[str, str]]:
    """What the builds of a stage write: the folder of the image that each runs in, and a path relative to it."""
    assert model.context is not None
    found = []
    for build in _plan(model, stage).builds:
        outputs = build_outputs(model.context, build.root, build.script, build.command)
        found += [(build.folder, path) for path in outputs.paths if outputs.unknown is None]
    return found


def _plan(model: Model, stage: Stage) -> Plan:
    """The plan of a stage, on what the stages that it starts from install; an empty one where it is not known."""
    below = _plan(model, model.stages[stage.base]).installs if stage.base is not None else []
    try:
        return sort_instructions(model, stage, below)
    except Refused:
        return Plan()
