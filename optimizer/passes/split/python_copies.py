"""Which files of the context a Python stage copies to build, which to run, and which to do both."""

from __future__ import annotations

import posixpath

from optimizer.context.python_source import python_evidence
from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.passes.split.python_plan import Plan


def sort_copies(model: Model, stage: Stage, plan: Plan, application: Application) -> None:
    """Note in the plan which COPY the build stage needs, and which the runtime stage can do without."""
    copies = stage_copies(model, stage)
    if plan.project:
        from_packages = not plan.editable and plan.manager is None and _runs_from_packages(model, application)
        for copy in copies:
            if copy.position < plan.project[-1]:
                plan.build.append(copy.position)
                if plan.editable or from_packages or _left(model, copy, copies) == set():
                    plan.runtime[copy.position] = []
    plan.build += [copy.position for copy in copies if plan.checks and copy.position < plan.checks[-1]]
    rest = tuple(copy for copy in copies if not plan.project or copy.position > plan.project[-1])
    _sort_manifests(model, plan, application, rest)
    plan.build = sorted(set(plan.build))


def _sort_manifests(model: Model, plan: Plan, application: Application, copies: tuple[CopyFacts, ...]) -> None:
    """A COPY of what pip reads builds; it stays in the runtime stage when it brings what no later COPY does and the program may read."""
    assert model.context is not None
    needed = set(plan.manifests)
    for copy in copies:
        if not plan.pip or copy.position > plan.pip[-1] or not any(copy.image_of(model, file) for file in needed):
            continue
        plan.build.append(copy.position)
        left = _left(model, copy, copies)
        if left is not None and left <= needed and not any(_is_named(model, plan, application, f) for f in left):
            plan.runtime[copy.position] = []


def _left(model: Model, copy: CopyFacts, copies: tuple[CopyFacts, ...]) -> set[str] | None:
    """The files that an instruction brings to places where no later one brings them again; None when it brings none that is known."""
    assert model.context is not None
    files = {f for source in copy.sources for match in model.context.match(source) for f in _files(model, match)}
    places = {file: place for file in files if (place := copy.image_of(model, file))}
    again = [c for c in copies if c.position > copy.position]
    left = {file for file, place in places.items() if not any(c.image_of(model, file) == place for c in again)}
    return left if places and copy.plain else None


def _is_named(model: Model, plan: Plan, application: Application, file: str) -> bool:
    """Whether the program, a start script or a later command names a file, or may read it under a computed name."""
    assert model.context is not None
    name = posixpath.basename(file)
    if application.unknown_about("read", "program", "module") or any(name in step.text for _, step in plan.commands):
        return True
    readers = (*application.files, *application.start.scripts, *application.start.entries)
    started = (word or "" for command in application.start.commands for word in command.words)
    return any(name in word for word in started) or any(name in (model.context.read_text(f) or "") for f in readers)


def _runs_from_packages(model: Model, application: Application) -> bool:
    """Whether the program runs from where pip installed it, and reads nothing beside its source."""
    assert model.context is not None
    start = application.start
    entries = [file for file in start.entries if file.endswith(".py")]
    installed = set(start.installed) >= {command.name for command in start.commands}
    if not entries or start.scripts or not (installed or all(file.startswith("src/") for file in entries)):
        return False
    if model.behind(model.final).env.get("PYTHONPATH") or application.unknown_about("read", "program", "module", "write"):
        return False
    evidence = python_evidence(model.context, entries)
    return not any(place.kind == "cwd" for place in (*evidence.read, *evidence.written))


def _files(model: Model, path: str) -> tuple[str, ...]:
    assert model.context is not None
    return model.context.under(path) if path == "." or model.context.is_dir(path) else (path,)
