"""Requirements that another stage writes out of a lock file: ``poetry export``, ``uv export``, ``pipenv requirements``."""

from __future__ import annotations

import posixpath
import re

from optimizer.context.python_locks import locked_packages
from optimizer.ecosystems import Call
from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.model.paths import origin_of
from optimizer.passes.split.python_managers import project_folder
from optimizer.passes.split.steps import Step, steps_of

_VERBS = {"poetry": "export", "uv": "export", "pipenv": "requirements"}
_OUTPUT = ("-o", "--output", "--output-file")


def exported(model: Model, stage: Stage, calls: list[Call], position: int) -> dict[str, tuple[str, ...]] | None:
    """The packages behind each requirements file of calls of pip, by its path in the image.

    None unless every file comes from another stage that writes it out of a lock file of the build context, and nothing else is read.
    """
    state = model.before(position)
    found: dict[str, tuple[str, ...]] = {}
    for call in calls:
        if any(re.match(r"[./]|file:", package) for package in call.packages) or call.options & {"-c", "--constraint", "-e", "--editable"}:
            return None
        for manifest in call.manifests:
            path = state.path(manifest)
            names = exported_names(model, stage, path) if path is not None else None
            if path is None or names is None:
                return None
            found[path] = names
    return found or None


def exported_names(model: Model, stage: Stage, path: str) -> tuple[str, ...] | None:
    """The packages of a requirements file at a path of a stage, which another stage exports; None when that is not seen."""
    origin, place = origin_of(model, stage, path)
    if origin.index == stage.index or model.context is None:
        return None
    nodes = [(p, node) for p in origin.positions if (node := model.file.instruction(p)).keyword == "RUN"]
    naming = [(p, node) for p, node in nodes if posixpath.basename(place) in node.text]
    steps = [(p, step) for p, node in naming for step in steps_of(node) or () if posixpath.basename(place) in step.text]
    if len(steps) != 1 or any(steps_of(node) is None for _, node in naming):
        return None  # something else may change it
    ((position, step),) = steps
    state, manager = model.before(position), step.program or ""
    if [word.value for word in step.command.words[1:2]] != [_VERBS.get(manager)] or state.path(_output(step) or "") != place:
        return None
    folder = project_folder(model, state, [c for c in stage_copies(model, origin) if c.position < position])
    return locked_packages(model.context, folder, manager) if folder is not None else None


def _output(step: Step) -> str | None:
    """The file that an export writes to."""
    words = [word.value or "" for word in step.command.words]
    for index, word in enumerate(words):
        name, sign, value = word.partition("=")
        if name in _OUTPUT:
            return value if sign else next(iter(words[index + 1 :]), None)
    targets = [r.target.value for r in step.command.redirects if r.operator == ">" and r.target is not None]
    return targets[0] if len(targets) == 1 else None
