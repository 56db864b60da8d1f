"""Programs that are started through another: ``python -m poetry``, ``php composer.phar``, ``sh gradlew``."""

from __future__ import annotations

import re
from collections.abc import Callable

from optimizer.ecosystems.base import Action, Arguments, Call, Words
from optimizer.syntax.shell import Command, Word

PYTHON = r"python(\d+(\.\d+)?)?"
_PYTHON = re.compile(PYTHON + "$")
_SHELL = re.compile(r"(ba|da|a)?sh$")


def behind(words: Words, program: str) -> tuple[Word, ...] | None:
    """The words behind a program that is called by its name or path, None when it is another.

    Args:
        words: The command without what only changes who runs it.
        program: A regular expression for the whole name.
    """
    return words.words[1:] if words.program is not None and re.fullmatch(program, words.program) else None


def behind_module(words: Words, module: str) -> tuple[Word, ...] | None:
    """The words behind ``python -m module``, None for anything else."""
    if words.program is None or not _PYTHON.match(words.program):
        return None
    values = [w.value for w in words.words[1:]]
    at = values.index("-m") if "-m" in values else -1
    if at < 0 or values[at + 1 : at + 2] != [module] or not all(v is not None and v.startswith("-") for v in values[:at]):
        return None
    return words.words[at + 3 :]


def behind_script(words: Words, script: str, interpreter: str = _SHELL.pattern) -> tuple[Word, ...] | None:
    """The words behind a script that an interpreter is given as its first operand, None for anything else.

    Args:
        words: The command without what only changes who runs it.
        script: A regular expression for the whole name of the script.
        interpreter: One for the interpreter's.
    """
    if words.program is None or not re.match(interpreter, words.program):
        return None
    at = next((i for i, w in enumerate(words.words[1:], 1) if w.value is None or not w.value.startswith("-")), None)
    name = None if at is None else words.words[at].value
    if any(w.value is not None and re.fullmatch(r"-[a-z]*c", w.value) for w in words.words[1:at]):
        return None  # a text to run, not a file
    if at is None or name is None or not re.fullmatch(script, name.rpartition("/")[2]):
        return None
    return words.words[at + 1 :]


def call_of(name: str, command: Command, words: Words, found: Arguments, action: Callable[[Arguments], Action]) -> Call:
    """A call whose packages are the operands behind its verb."""
    packages = tuple(w.value or w.text for w in found.operands)
    return Call(name, action(found), command, found.verb, packages, (), found.names, found.complete, words.prefix)
