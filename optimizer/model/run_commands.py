"""The commands of a RUN, with those of the project's scripts that it starts in their place."""

from __future__ import annotations

import posixpath

from optimizer.ecosystems import read_call
from optimizer.model.called_script import called_script
from optimizer.model.model import Model, Stage
from optimizer.syntax.shell import Command, Script

_DEPTH = 3  # of scripts that start scripts


def run_commands(model: Model, stage: Stage, position: int) -> tuple[Command, ...]:
    """The simple commands of a RUN, wherever they stand; none where it is in exec form or not understood.

    A command stays where it is one of a package manager or a build tool, and where the script that it starts is not in the build
    context or not understood. The offsets of a script's commands are those in the script.
    """
    kept: dict[int, tuple[Command, ...]] = model.__dict__.setdefault("_run_commands", {})
    if position not in kept:
        node = model.file.instruction(position)
        script = node.script if node.keyword == "RUN" else None
        found = _commands(model, stage, script, model.before(position).workdir, position, 0) if script is not None else []
        kept[position] = tuple(found)
    return kept[position]


def _commands(model: Model, stage: Stage, script: Script, cwd: str | None, position: int, depth: int) -> list[Command]:
    found: list[Command] = []
    for command in script.commands if script.understood else ():
        if command.name == "cd" and len(command.words) > 1:
            target = command.words[1].value
            cwd = posixpath.normpath(posixpath.join(cwd, target)) if cwd is not None and target is not None else None
        follows = bool(command.words) and depth < _DEPTH and read_call(command) is None
        called = called_script(model, stage, command.argv, cwd, position) if follows else None
        if called is None or not called.script.understood:
            found.append(command)
        else:
            found += _commands(model, stage, called.script, cwd, position, depth + 1)
    return found
