"""Which files of the project a compiled program takes along: those that its source names, and folders that the build makes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from optimizer.ecosystems import asks_version, read_call
from optimizer.model import Model, Stage
from optimizer.model.paths import context_path, image_path
from optimizer.model.run_commands import run_commands
from optimizer.passes.split.compiled import data_files, in_system, is_below
from optimizer.passes.split.steps import TELLING


def present_data(model: Model, stage: Stage, last: int, not_data: re.Pattern[str]) -> tuple[str, ...]:
    """The data files that a stage has behind its instruction at `last`, as paths of the image.

    Args:
        model: Facts of the Dockerfile, with the context at hand.
        stage: The stage.
        last: Index of the last instruction that counts.
        not_data: Matches the context paths of sources and build files of the language.
    """
    found = []
    for path in data_files(model, stage):
        inside = context_path(model, stage, path, last + 1)
        if inside is not None and not not_data.search(inside):
            found.append(path)
    return tuple(found)


def in_folders(model: Model, stage: Stage, paths: Iterable[str], data: tuple[str, ...], last: int) -> tuple[str, ...]:
    """Files in the outermost folders that hold nothing but data, which stand for all that is in them."""
    assert model.context is not None
    known = set(data)
    others = [p for f in model.context.files() for p in image_path(model, stage, f, last + 1) if p not in known]
    workdir = model.behind(stage).workdir or "/"
    found = []
    for path in paths:
        parts = posixpath.relpath(path, workdir).split("/")[:-1] if is_below(path, workdir) and workdir != "/" else []
        folders = [posixpath.join(workdir, *parts[: i + 1]) for i in range(len(parts))]
        found.append(next((f for f in folders if not any(is_below(o, f) for o in others)), path))
    return tuple(dict.fromkeys(found))


def made_folders(model: Model, stage: Stage, last: int, compilers: frozenset[str]) -> tuple[str, ...]:
    """The folders of the project's own that ``mkdir`` makes up to an instruction, and that stay.

    Args:
        model: Facts of the Dockerfile.
        stage: The stage.
        last: Index of the last instruction that counts.
        compilers: Names of commands whose words name folders of what they make, which are no folders of data.
    """
    found: dict[str, None] = {}
    workdir = model.behind(stage).workdir
    for position in (p for p in stage.positions if p <= last):
        for command in run_commands(model, stage, position):
            paths = [model.before(position).path(w) for w in command.argv[1:] if w and not w.startswith("-")]
            if command.name == "mkdir":
                own = [p for p in paths if p is not None and p not in ("/", workdir) and not in_system(p) and not is_below(p, "/root")]
                found.update(dict.fromkeys(own))
            elif command.name in compilers or command.name in ("rm", "rmdir", "mv"):
                found = {f: None for f in found if not any(p is None or is_below(f, p) for p in paths)}
    return tuple(found)


def strange_command(model: Model, stage: Stage, last: int, known: frozenset[str]) -> str | None:
    """A command up to an instruction whose effect on files is not followed, None when there is none."""
    for position in (p for p in stage.positions if p <= last):
        for command in run_commands(model, stage, position):
            if command.words and command.name not in known | TELLING and read_call(command) is None and not asks_version(command.argv):
                return command.name or command.words[0].text
    return None
