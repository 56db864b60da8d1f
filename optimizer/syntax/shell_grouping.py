"""Groups a flat row of commands, redirections and operators by the shell's own precedence.

Source: POSIX.1-2017, Shell Command Language, 2.10 Shell Grammar: a redirection belongs to its command, ``|`` binds
tighter than ``&&`` and ``||``, and ``;``, ``&`` and a line end close the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from optimizer.syntax.shell import Command, Compound, Pipeline, Redirect, Statement, Word

_SEPARATORS = frozenset({";", "&", "\n", ";;", ";&", ";;&"})
_LISTS = frozenset({"&&", "||"})
_PIPES = frozenset({"|", "|&"})
OPERATORS = _SEPARATORS | _LISTS | _PIPES | {"!"}


class Operator(NamedTuple):
    """A control operator and where it stands."""

    text: str
    start: int
    end: int


Leaf = Command | Compound | Redirect | Word | Operator


def group(leaves: Iterable[Leaf], text: str) -> tuple[Statement, ...]:
    """The statements that a row of leaves makes up. A word without a command is a command that nobody knows."""
    row = _Row()
    last = 0
    for leaf in leaves:
        begins = not isinstance(leaf, Operator) or leaf.text == "!"
        if begins and row.open and "\n" in text[last : leaf.start].replace("\\\n", ""):
            row.end_statement("\n")  # a line end has no node of its own
        if isinstance(leaf, Operator):
            row.operator(leaf)
        else:
            row.add(leaf)
        last = leaf.end
    row.end_statement("")
    return tuple(row.statements)


class _Row:
    """What has been read so far: whole statements, and the pipelines and commands of the one that is open."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.pipelines: list[Pipeline] = []
        self.operators: list[str] = []
        self.commands: list[Command | Compound] = []
        self.current: Command | Compound | None = None
        self.loose: list[Redirect | Word] = []
        self.negated = False
        self.start = -1

    @property
    def open(self) -> bool:
        """Whether a command has begun that a line end would close."""
        return self.current is not None or bool(self.loose)

    def operator(self, operator: Operator) -> None:
        if operator.text in _LISTS:
            self.end_pipeline()
            self.operators.append(operator.text)
        elif operator.text in _PIPES:
            self.end_command()
        elif operator.text in _SEPARATORS:
            self.end_statement(operator.text)
        else:
            if self.open:  # only in a text with an error does `!` stand behind a command
                self.end_statement(";")
            self.negated = not self.negated
            self.start = operator.start if self.start < 0 and not self.commands else self.start

    def add(self, leaf: Command | Compound | Redirect | Word) -> None:
        if isinstance(leaf, (Command, Compound)):
            if self.current is not None:
                self.end_statement(";")
            self.current = _with(leaf, self.loose) if self.loose else leaf
            self.loose = []
        elif self.current is None:
            self.loose.append(leaf)
        else:
            self.current = _with(self.current, (leaf,))

    def end_command(self) -> None:
        if self.loose:  # a redirection alone, as in `> file`, makes the file
            at = self.loose[0].start
            self.current = _with(Command((), (), (), at, at), self.loose)
            self.loose = []
        if self.current is not None:
            self.commands.append(self.current)
            self.current = None

    def end_pipeline(self) -> None:
        self.end_command()
        if self.commands:
            start = self.commands[0].start if self.start < 0 else self.start
            self.pipelines.append(Pipeline(tuple(self.commands), self.negated, start, self.commands[-1].end))
            self.commands = []
        self.negated, self.start = False, -1

    def end_statement(self, terminator: str) -> None:
        self.end_pipeline()
        if self.pipelines:
            start, end = self.pipelines[0].start, self.pipelines[-1].end
            operators = tuple(self.operators[: len(self.pipelines) - 1])
            self.statements.append(Statement(tuple(self.pipelines), operators, terminator, start, end))
            self.pipelines = []
        self.operators = []


def _with(command: Command | Compound, more: Iterable[Redirect | Word]) -> Command | Compound:
    """A command with redirections, and with the words that stand between or behind them."""
    redirects = (*command.redirects, *(leaf for leaf in more if isinstance(leaf, Redirect)))
    words = tuple(leaf for leaf in more if isinstance(leaf, Word))
    start, end = min(command.start, *(leaf.start for leaf in more)), max(command.end, *(leaf.end for leaf in more))
    if isinstance(command, Compound):
        return replace(command, redirects=redirects, start=start, end=end)
    return replace(command, words=(*command.words, *words), redirects=redirects, start=start, end=end)
