"""Shell text as a small frozen tree of statements, pipelines and commands, with offsets into the text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache

from msgspec import Struct


class Word(Struct, frozen=True):
    """One word of a command.

    Args:
        text: As written.
        value: What it stands for with quotes taken off; None when it holds an expansion, so that only running tells
            (braces included: bash expands ``{a,b}``, other shells do not).
        start, end: Offsets in the script.
        glob: Whether an unquoted pattern character makes the shell look for files.
        substitutions: The statements of the command and process substitutions in it.
    """

    text: str
    value: str | None
    start: int
    end: int
    glob: bool = False
    substitutions: tuple[Statement, ...] = ()


class Redirect(Struct, frozen=True):
    """A redirection: operator (``>``, ``>>``, ``<``, ``>&``, ``<<``…), file descriptor as written, target.

    The target of a heredoc is its body; ``start`` and ``end`` are those of its marker.
    """

    operator: str
    descriptor: str
    target: Word | None
    start: int
    end: int


class Command(Struct, frozen=True):
    """A simple command: assignments before it, words (the first is its name), redirections.

    ``words`` is empty for a line of assignments only. ``export``, ``local``, ``unset``, ``[`` and ``[[`` are commands
    as well, with that name as first word.
    """

    words: tuple[Word, ...]
    assignments: tuple[tuple[str, Word | None], ...]
    redirects: tuple[Redirect, ...]
    start: int
    end: int

    @property
    def name(self) -> str | None:
        """The command's name without its folder, None when there is none or only running tells."""
        if not self.words or self.words[0].value is None:
            return None
        return self.words[0].value.rpartition("/")[2]

    @property
    def argv(self) -> tuple[str | None, ...]:
        """The values of its words, None for each that only running tells."""
        return tuple(word.value for word in self.words)


class Compound(Struct, frozen=True):
    """A construct that holds statements: ``kind`` is if, for, while, case, subshell, group, function or arithmetic."""

    kind: str
    statements: tuple[Statement, ...]
    redirects: tuple[Redirect, ...]
    start: int
    end: int


class Pipeline(Struct, frozen=True):
    """Commands joined by ``|``, possibly negated by ``!``."""

    commands: tuple[Command | Compound, ...]
    negated: bool
    start: int
    end: int


class Statement(Struct, frozen=True):
    """Pipelines joined by ``operators`` (``&&`` and ``||``, one fewer than pipelines); ``terminator`` is what ended it."""

    pipelines: tuple[Pipeline, ...]
    operators: tuple[str, ...]
    terminator: str
    start: int
    end: int


class Script(Struct, frozen=True, dict=True):
    """A whole shell text. ``understood`` is False when it holds a syntax error: then nothing may be concluded from it."""

    text: str
    statements: tuple[Statement, ...]
    understood: bool
    commented: bool = False

    @property
    def chain(self) -> tuple[Pipeline, ...] | None:
        """The pipelines of a script that is one list of ``&&`` and nothing else, else None."""
        if not self.understood or len(self.statements) != 1:
            return None
        (only,) = self.statements
        return only.pipelines if set(only.operators) <= {"&&"} and only.terminator in ("", ";", "\n") else None

    def walk(self) -> tuple[tuple[Command, tuple[str, ...]], ...]:
        """Every simple command in order of the text, each with what encloses it, outermost first.

        Enclosures: ``&&`` ``||`` (not the list's first), ``|`` (part of a pipeline), ``!``, ``&`` (in background),
        ``$(`` (a substitution) and the kinds of ``Compound``. A command stands behind those that it substitutes.
        """
        return self._walked

    @cached_property
    def _walked(self) -> tuple[tuple[Command, tuple[str, ...]], ...]:
        return tuple(_walk(self.statements, ()))

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """Every simple command in order of the text, wherever it stands."""
        return tuple(command for command, _ in self.walk())


def _walk(statements: tuple[Statement, ...], enclosing: tuple[str, ...]) -> Iterator[tuple[Command, tuple[str, ...]]]:
    for statement in statements:
        outer = (*enclosing, "&") if statement.terminator == "&" else enclosing
        for i, pipeline in enumerate(statement.pipelines):
            within = (*outer, statement.operators[i - 1]) if i else outer
            if pipeline.negated:
                within = (*within, "!")
            if len(pipeline.commands) > 1:
                within = (*within, "|")
            for command in pipeline.commands:
                if isinstance(command, Command):
                    for word in command.words:
                        if word.substitutions:
                            yield from _walk(word.substitutions, (*within, "$("))
                    for _, value in command.assignments:
                        if value and value.substitutions:
                            yield from _walk(value.substitutions, (*within, "$("))
                else:
                    yield from _walk(command.statements, (*within, command.kind))
                for redirect in command.redirects:
                    if redirect.target and redirect.target.substitutions:
                        yield from _walk(redirect.target.substitutions, (*within, "$("))
                if isinstance(command, Command):
                    yield command, within


@lru_cache(maxsize=4096)
def parse_script(text: str) -> Script:
    """Parse shell text.

    Never fails: a text with a syntax error comes back with ``understood`` False.

    Args:
        text: What the shell is given, continuations joined or not.

    Example:
        >>> [command.name for command in parse_script("cd /src && make -j4 | tee log").commands]
        ['cd', 'make', 'tee']
    """
    from optimizer.syntax.shell_reader import read_script

    return read_script(text)
