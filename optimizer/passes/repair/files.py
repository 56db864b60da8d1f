"""Files of the project that a compiled program reads, and that a multi-stage build leaves behind."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from optimizer.context.native import native_sources
from optimizer.context.places import Place
from optimizer.model import Model, Stage
from optimizer.model.compiled_program import CompiledProgram, builds_of, commands_of, native_settings
from optimizer.model.paths import context_path, is_folder, placements
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import copy_line
from optimizer.passes.text import quote_names

_SETTINGS = (
    r"/(\.[^/]+|[^/]*(config|setting|secret|credential|cert)[^/]*"
    r"|[^/]+\.(conf|cfg|ini|toml|ya?ml|json|properties|env|pem|key|crt|db|sqlite3?|log|pid))(/|$)"
)


def left_behind(model: Model, stage: Stage, builder: Stage, programs: list[CompiledProgram]) -> Change | None:
    """Copy what the programs read by name: it is where they are compiled, and nothing brings it where they run.

    Args:
        model: The facts, with the context at hand.
        stage: The stage that runs the programs.
        builder: The stage that compiles them.
        programs: The programs.
    """
    here, there = model.behind(stage).workdir, model.behind(builder).workdir
    position = next((p for p in stage.positions for program in programs if brings(model, p, program.path)), None)
    if position is None or builder.name is None or here is None or there is None:
        return None
    found: dict[str, str] = {}
    for place in _read(model, programs):
        source, target = (
            (place.path, place.path) if place.kind == "absolute" else (posixpath.join(there, place.path), posixpath.join(here, place.path))
        )
        source, target = posixpath.normpath(source), posixpath.normpath(target)
        brought = any(brings(model, p, target) for p in stage.positions) or is_folder(model, stage, target, len(model.file.nodes))
        if _comes_along(model, builder, source) and not brought:
            found[target] = source
    outer = {target: source for target, source in found.items() if not any(target.startswith(f"{other}/") for other in found)}
    if not outer:
        return None
    copies = [copy_line(model, stage, builder.name, source, target) for target, source in outer.items()]
    file = model.file.replaced(position, position, copies)
    names = quote_names(tuple(outer))
    return Change(f"copy {names}, which the program reads", file, (position,), (f"nothing brings {names} to the stage that runs",))


def _read(model: Model, programs: Iterable[CompiledProgram]) -> tuple[Place, ...]:
    """The files and folders that programs read by names that their source tells, those compiled into a Go program left out."""
    found: list[Place] = []
    for program in programs:
        module = program.module
        if module is not None:
            found += [
                p
                for p in module.read
                if not any(p.path == e or p.path.startswith(f"{e}/") or e.startswith(f"{p.path}/") for e in module.embeds)
            ]
        elif model.context is not None:
            found += native_sources(
                model.context, program.sources, commands_of(model, program.stage), native_settings(model, program.stage)
            ).read
    written = {p.path for program in programs if program.module is not None for p in program.module.written}
    return tuple(p for p in dict.fromkeys(found) if p.path not in (".", "/") and p.path not in written)


def _comes_along(model: Model, builder: Stage, path: str) -> bool:
    """Whether a path of the stage that compiles is data of the project, there or where its build installs it.

    Settings in the project are left out: they are those of its authors as a rule, and the program may do without or be given its own.
    """
    build = builds_of(model, builder).native
    if build is not None and path in build.installed:
        return True
    return context_path(model, builder, path) not in (None, ".") and re.search(_SETTINGS, path, re.IGNORECASE) is None


def brings(model: Model, position: int, path: str) -> bool:
    """Whether an instruction may bring a path to its stage: it is copied, lies below what is copied, or holds it."""
    node = model.file.instruction(position)
    if node.keyword == "RUN":
        return path in node.text or posixpath.basename(path) in node.text
    if node.keyword not in ("COPY", "ADD"):
        return False
    found = placements(model, position)
    return found is None or any(
        placement.source is None
        or placement.inside(path) is not None
        or placement.target == path
        or placement.target.startswith(f"{path}/")
        for placement in found
    )
