"""Shared libraries of the project's own that a program links, and that a multi-stage build leaves behind."""

from __future__ import annotations

import posixpath

from optimizer.model import Model, Stage
from optimizer.model.compiled_program import CompiledProgram, builds_of
from optimizer.model.paths import origin_of
from optimizer.passes.base import Change
from optimizer.passes.repair.files import brings
from optimizer.passes.split.compiled import copy_line, is_below
from optimizer.passes.split.linked import own_library
from optimizer.passes.split.shared import line
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction


def own_libraries(model: Model, stage: Stage, builder: Stage, programs: list[CompiledProgram]) -> Change | None:
    """Copy the libraries that the programs link and that nothing brings where they run.

    One that was installed is found through the linker's cache, or in /usr/lib where no shell can write that; one that stays where it
    was made, by the path that is written into the program.

    Args:
        model: The facts, with the context at hand.
        stage: The stage that runs the programs.
        builder: The stage that compiles them.
        programs: The programs.
    """
    build, image = builds_of(model, builder).native, stage.image
    copies = [p for p in stage.positions for program in programs if brings(model, p, program.path)]
    if build is None or builder.name is None or image is None or not copies:
        return None
    made = [one for program in programs if (one := build.program(origin_of(model, stage, program.path)[1])) is not None]
    found: dict[str, str] = {}
    for name in dict.fromkeys(name for one in made if not one.static for name in one.libraries):
        paths = [path for path in own_library(build, name) if ".so" in posixpath.basename(path)]
        places = [path for path in paths if path in build.installed] or paths
        names = {posixpath.basename(path) for path in places}
        if len(places) == 1 and not any(brings(model, p, path) or names & _named(model, p) for p in stage.positions for path in paths):
            found[places[0]] = posixpath.basename(places[0])
    if not found:
        return None
    cached = any(is_below(path, "/usr") or is_below(path, "/lib") for path in found)
    bare = cached and not image.shell
    targets = {path: f"/usr/lib/{name}" if bare else path.partition("*")[0] for path, name in found.items()}
    new: list[Instruction] = [copy_line(model, stage, builder.name, path, target) for path, target in targets.items()]
    later = any("ldconfig" in model.file.instruction(p).value for p in stage.positions if p >= copies[0])
    new += [line(model, stage, "RUN", "ldconfig")] if cached and not bare and not later else []
    file = model.file.replaced(copies[0], copies[0], new)
    told = quote_names(tuple(found.values()))
    return Change(f"copy {told}, which the program links", file, (copies[0],), (f"nothing brings {told} to the stage that runs",))


def _named(model: Model, position: int) -> set[str]:
    """The last parts of the words of an instruction."""
    node = model.file.instruction(position)
    return {posixpath.basename(word) for word in node.words} if node.keyword in ("COPY", "ADD") else set()
