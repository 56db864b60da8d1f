"""How the container of a stage starts that compiles its program: the program, what else runs, and whether a shell must be there."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping

from msgspec import Struct

from optimizer.model import Model, Stage
from optimizer.model.entries import SYSTEM_PATH, search_path
from optimizer.model.launch import SHELLS
from optimizer.model.paths import context_path, image_path
from optimizer.model.start import healthcheck_of, start_of
from optimizer.model.started import Started
from optimizer.passes.split.shared import Refused
from optimizer.syntax import Instruction


class Starting(Struct, frozen=True):
    """How the container starts.

    Args:
        made: The programs started that the build makes, absolute paths.
        relocated: Those found through a folder of PATH that only the build image has.
        programs: Names of other programs.
        shell: Whether something needs ``/bin/sh``.
        replaced: Shell forms that are one plain command, as exec forms, by position.
        scripts: Shell scripts of the context that run, absolute paths in the image; those that the stage copies last left out.
        files: Files of the context that are named among the arguments, absolute paths in the image.
    """

    made: tuple[str, ...]
    relocated: tuple[str, ...]
    programs: frozenset[str]
    shell: bool
    replaced: Mapping[int, Instruction]
    scripts: tuple[str, ...]
    files: tuple[str, ...]


def starting(model: Model, stage: Stage, outputs: Iterable[str]) -> Starting:
    """Read CMD, ENTRYPOINT and HEALTHCHECK of a stage whose build makes programs at these paths.

    Raises:
        Refused: What starts is not known, or is none of them.
    """
    start = start_of(model, stage)
    if start is None:
        raise Refused("neither CMD nor ENTRYPOINT says which program runs", stage.position)
    place = model.last(stage, "ENTRYPOINT") or model.last(stage, "CMD") or stage.position
    health = healthcheck_of(model, stage)
    unknown = (*start.unknown, *(health.unknown if health is not None else ()))
    if unknown:
        raise Refused(f"what starts is not known: {unknown[0]}", place)
    shell, replaced = _shell_forms(model, stage)
    known = tuple(outputs)
    made: dict[str, None] = {}
    relocated: dict[str, None] = {}
    programs: set[str] = set()
    files: dict[str, None] = {}
    own = {*map(posixpath.basename, start.scripts), *start.renamed}
    for command in (*start.commands, *(health.commands if health is not None else ())):
        found = _made(model, stage, command, known)
        if found is None:
            if command.name in SHELLS:
                shell = True
            elif command.name is not None and posixpath.basename(command.name) not in own:
                programs.add(command.name)
            elif command.name is not None:
                shell = True
        else:
            made[found] = None
            if "/" not in (command.words[0] or "") and posixpath.dirname(found) not in SYSTEM_PATH:
                relocated[found] = None
        files.update(dict.fromkeys(_named_files(model, stage, command)))
    scripts = tuple(place for script in start.scripts for place in _script_place(model, stage, script))
    main = start.commands[-1] if start.commands else None
    if main is None or not made:
        raise Refused(f"the program that starts, {main or 'a shell'}, is not one that the build is seen to make", place)
    return Starting(tuple(made), tuple(relocated), frozenset(programs), shell or bool(start.scripts), replaced, scripts, tuple(files))


def _script_place(model: Model, stage: Stage, script: str) -> tuple[str, ...]:
    """Where a script of the context lies in a stage; nowhere where the stage copies it behind its last RUN, as it will go on to do."""
    last = max((p for p in stage.positions if model.file.instruction(p).keyword == "RUN"), default=stage.position)
    places, before = image_path(model, stage, script), image_path(model, stage, script, last + 1)
    return () if set(places) - set(before) else places[:1]


def _made(model: Model, stage: Stage, command: Started, outputs: tuple[str, ...]) -> str | None:
    """The program of the build that a command starts."""
    word = command.words[0] if command.words else None
    if word is None:
        return None
    if "/" in word:
        path = posixpath.normpath(posixpath.join(command.folder or "/", word))
        return path if path in outputs else None
    return next((o for folder in search_path(model, stage) for o in outputs if o == posixpath.join(folder, word)), None)


def _named_files(model: Model, stage: Stage, command: Started) -> list[str]:
    """The files of the context among a command's arguments, as paths of the image."""
    found = []
    for word in command.words[1:]:
        for text in {word, word.partition("=")[2]} - {""} if word is not None else ():
            path = posixpath.normpath(posixpath.join(command.folder or "/", text))
            if path != "/" and not text.startswith("-") and context_path(model, stage, path) not in (None, "."):
                found.append(path)
    return found


def _shell_forms(model: Model, stage: Stage) -> tuple[bool, dict[int, Instruction]]:
    """Whether a shell form stays one, and the exec forms of those that are one plain command."""
    shell, replaced = False, dict[int, Instruction]()
    entry = model.last(stage, "ENTRYPOINT")
    for keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
        position = model.last(stage, keyword)
        if position is None:
            continue
        node = model.file.instruction(position)
        if node.json is not None or node.script is None or (keyword == "HEALTHCHECK" and node.value.strip().upper() == "NONE"):
            continue
        form = exec_form(node)
        # In shell form ENTRYPOINT takes no notice of CMD, in exec form it would.
        alone = keyword != "ENTRYPOINT" or model.last(stage, "CMD") is None
        if form is not None and alone and not (keyword == "CMD" and entry is not None):
            replaced[position] = form
        else:
            shell = True
    return shell, replaced


def exec_form(node: Instruction) -> Instruction | None:
    """A CMD, ENTRYPOINT or HEALTHCHECK in shell form as exec form; None unless it is one command whose words are all known."""
    script = node.script
    chain = script.chain if script is not None else None
    if chain is None or len(chain) != 1 or chain[0].negated or len(chain[0].commands) != 1:
        return None
    commands = script.commands if script is not None else ()
    if len(commands) != 1 or commands[0] is not chain[0].commands[0] or commands[0].assignments or commands[0].redirects:
        return None
    words = [(word.value, word.glob) for word in commands[0].words]
    values = [value for value, _ in words if value is not None]
    if len(values) != len(words) or any(glob for _, glob in words) or not values:
        return None
    values = values[1:] if values[0] == "exec" else values
    if not values or values[0] in ("cd", "set", "ulimit", "umask", ".", "source", "eval"):
        return None
    text = node.command_text
    return node.edited((text.source(0), text.source_end(len(text.text)), json.dumps(values, ensure_ascii=False)))
