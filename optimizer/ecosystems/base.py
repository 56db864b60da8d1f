"""What a package manager's command does, in terms that every pass shares."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import ClassVar

from msgspec import Struct

from optimizer.ecosystems.conda_run import PROGRAMS, behind_run
from optimizer.syntax.shell import Command, Word

_WRAPPERS_WITHOUT_OPTIONS = frozenset({"time", "command", "nice", "exec", "eatmydata"})


class Action(Enum):
    """What a call does to the image."""

    UPDATE = "fetches the package index"
    INSTALL = "installs packages"
    REMOVE = "removes packages"
    CLEAN = "empties a cache"
    BUILD = "builds the project"
    OTHER = "anything else"


class Call(Struct, frozen=True):
    """One call of a package manager.

    Args:
        ecosystem: The name of the ecosystem that read it.
        action: What it does.
        command: The command as it stands in the script.
        verb: The word that names the action (``install``), None when there is none (``yarn`` alone).
        packages: Names given on the command line, without versions; what cannot be known is not listed.
        manifests: Files named on the command line, as written (``-r requirements.txt``).
        options: Options given, without values.
        complete: False when an argument is known only when the command runs.
        prefix: The words in front of the program that run it as another user (``sudo``) or in an environment (``conda run``), as written.
    """

    ecosystem: str
    action: Action
    command: Command
    verb: Word | None = None
    packages: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    options: frozenset[str] = frozenset()
    complete: bool = True
    prefix: str = ""


class Cache(Struct, frozen=True):
    """What a package manager leaves behind that nothing needs at run time.

    Args:
        folders: Where it lies; ``~`` is the home of the user that installs.
        filled_by: The actions that fill it.
        clean: The command that empties it, to be run in the same layer; empty when an option does better.
        option: The option of the call that keeps it from being filled; empty when there is none.
        variables: Environment variables that decide where it lies or whether it is used.
    """

    folders: tuple[str, ...]
    filled_by: frozenset[Action]
    clean: str = ""
    option: str = ""
    variables: frozenset[str] = frozenset()


class Words(Struct, frozen=True):
    """A command's words with what only changes who runs it (``sudo``, ``env A=b``, ``conda run``) taken off the front."""

    words: tuple[Word, ...]
    prefix: str

    @property
    def program(self) -> str | None:
        """The program's name without its folder, None when only running tells."""
        return None if not self.words or self.words[0].value is None else self.words[0].value.rpartition("/")[2]


def unwrapped(command: Command) -> Words:
    """Take ``sudo``, ``env`` and the like off a command."""
    words = command.words
    prefix = ""
    while words:
        name = words[0].value
        if name in ("sudo", "doas", "gosu", "su-exec"):
            skip = 1
            while skip < len(words) and words[skip].text.startswith("-"):
                skip += 2 if words[skip].text in ("-u", "-g", "-h", "-p") else 1
            if name in ("gosu", "su-exec"):
                skip += 1
            prefix = " ".join(w.text for w in words[:skip]) + " "
            words = words[skip:]
        elif name == "env":
            skip = 1
            while skip < len(words) and "=" in words[skip].text:
                skip += 1
            if skip < len(words) and words[skip].text.startswith("-"):
                break
            words = words[skip:]
        elif name in PROGRAMS and (behind := behind_run([w.value for w in words])) is not None:
            prefix += " ".join(w.text for w in words[: behind[1]]) + " "
            words = words[behind[1] :]
        elif name in _WRAPPERS_WITHOUT_OPTIONS and len(words) > 1 and not words[1].text.startswith("-"):
            words = words[1:]
        else:
            break
    return Words(words, prefix)


def asks_version(words: Sequence[str | None]) -> bool:
    """Whether a command asks a program for its version, and nothing else; words: their values."""
    return len(words) == 2 and words[1] in ("--version", "-version", "-V", "-v", "version")


class Arguments(Struct, frozen=True):
    """The words behind a program, sorted out: options with their values, and the rest."""

    verb: Word | None
    options: tuple[tuple[str, str | None], ...]
    operands: tuple[Word, ...]
    complete: bool

    @property
    def names(self) -> frozenset[str]:
        """The names of the options."""
        return frozenset(name for name, _ in self.options)

    def values(self, *names: str) -> tuple[str, ...]:
        """The values given to any of these options."""
        return tuple(value for name, value in self.options if name in names and value is not None)


def read_arguments(words: tuple[Word, ...], verbs: frozenset[str], valued: frozenset[str] = frozenset()) -> Arguments:
    """Sort out the words behind a program.

    Args:
        words: The words behind the program's name.
        verbs: The words that name an action; the first operand is taken for one when it is among them.
        valued: Options that take the next word as their value.
    """
    verb: Word | None = None
    options: list[tuple[str, str | None]] = []
    operands: list[Word] = []
    complete = True
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        value = word.value
        if value is None:
            # An expansion in the middle of a word (`pkg=$VERSION`) hides a version; one at its start hides a name.
            complete = complete and not word.text.lstrip("\"'").startswith(("$", "`"))
            operands.append(word)
        elif value.startswith("-") and value != "-":
            name, sign, given = value.partition("=")
            if not sign and name in valued and position < len(words):
                following = words[position]
                given, sign = following.value or following.text, "="
                complete = complete and following.value is not None
                position += 1
            options.append((name, given if sign else None))
        elif verb is None and not operands and value in verbs:
            verb = word
        else:
            operands.append(word)
    return Arguments(verb, tuple(options), tuple(operands), complete)


class Ecosystem(ABC):
    """One package manager or language: how its commands are read and what they leave."""

    name: ClassVar[str]
    programs: ClassVar[re.Pattern[str]]
    """Matches the names of its programs."""
    caches: ClassVar[tuple[Cache, ...]] = ()

    @abstractmethod
    def read(self, command: Command) -> Call | None:
        """What a command does, None when it is not one of this ecosystem's."""
