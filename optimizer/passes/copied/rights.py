"""The chmod and chown commands of a RUN, and what they make of a mode."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from optimizer.model import State
from optimizer.passes.runs.readable import ReadableRun
from optimizer.syntax.shell import Command, Word

_OPTIONS = frozenset({"-R", "--recursive", "-v", "--verbose", "-c", "--changes", "-f", "--silent", "--quiet", "-Rf", "-fR", "-Rv", "-vR"})
_DEEP = frozenset({"-R", "--recursive", "-Rf", "-fR", "-Rv", "-vR"})
_VARIABLES = re.compile(r"[\w./${}:-]+")
_CLAUSE = re.compile(r"([ugoa]*)([-+=])([rwxXst]*)")
_UMASK = 0o022  # of a RUN: the builder's, which BuildKit sets so
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111}
_CLASSES = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}


class Rights(Struct, frozen=True):
    """One chmod or chown.

    Args:
        at: Its index in the list of ``&&``.
        command: The command.
        value: The mode or the owner.
        operands: The words of its files.
        paths: Their absolute paths.
        deep: Whether it goes for all that they hold.
    """

    at: int
    command: Command
    value: Word
    operands: tuple[Word, ...]
    paths: tuple[str, ...]
    deep: bool


def rights_of(state: State, run: ReadableRun, program: str) -> Iterator[Rights]:
    """The calls of ``chmod`` or ``chown`` in a RUN that is one list of ``&&`` in one folder; state: that before the RUN."""
    for at, pipeline in enumerate(run.script.chain or ()):
        command = pipeline.commands[0]
        if not isinstance(command, Command) or len(pipeline.commands) > 1 or pipeline.negated:
            continue
        if command.name in ("cd", "umask", "set", "exit", "exec", "shopt", "alias", "export"):
            return
        if command.name != program or command.redirects or command.assignments:
            continue
        options = [w for w in command.words[1:] if w.text.startswith("-")]
        words = [w for w in command.words[1:] if not w.text.startswith("-")]
        if len(words) < 2 or not all(w.text in _OPTIONS for w in options) or any(w.glob for w in words):
            continue
        paths = [_path(state, word) for word in words[1:]]
        known = tuple(path for path in paths if path is not None)
        if len(known) == len(paths):
            yield Rights(at, command, words[0], tuple(words[1:]), known, any(w.text in _DEEP for w in options))


def _path(state: State, word: Word) -> str | None:
    """The absolute path that a word of a RUN names; variables are those of ENV and ARG."""
    if word.value is not None:
        return state.path(word.value) if "~" not in word.value and "$" not in word.value else None
    return state.path(word.text) if _VARIABLES.fullmatch(word.text) else None


def mode_after(change: str, mode: int) -> int | None:
    """The mode that ``chmod`` gives to a regular file, None where it cannot be told.

    Args:
        change: The mode of the command line, in digits or letters. Source: POSIX, "chmod", extended description.
        mode: The permissions of the file before, up to 0o7777.
    """
    if re.fullmatch(r"[0-7]{3,4}", change):
        return int(change, 8)
    for clause in change.split(","):
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            return None
        who, operator, letters = found.groups()
        classes = 0
        for letter in who or "a":
            classes |= _CLASSES[letter]
        bits = 0
        for letter in letters:
            if letter in "st":
                return None
            bits |= 0o111 if letter == "X" and mode & 0o111 else _BITS.get(letter, 0)
        bits &= classes & 0o777
        if not who:
            bits &= ~_UMASK
        if operator == "+":
            mode |= bits
        elif operator == "-":
            mode &= ~bits
        else:
            mode = (mode & ~(classes & 0o777)) | bits
    return mode
