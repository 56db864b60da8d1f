"""Drop blank lines inside an instruction."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import on_one_line
from optimizer.syntax import Instruction


class DropBlankContinuations(Pass):
    """Drop blank lines inside an instruction.

    What it does
        Takes out the blank lines between a line that goes on and the line that it goes on with.

    Why
        The builder warns of them and says that they will become errors. To a reader the instruction seems to end there.

    When it refuses
        Never: text of heredocs is not part of those lines.

    Safety
        Safe: the builder leaves them out.
    """

    name = "drop-blank-continuations"
    alters = frozenset()
    mends = ("NoEmptyContinuation",)
    examples = (
        Rewrites("FROM debian:bookworm\nRUN mkdir /a && \\\n\n    mkdir /b\n", "FROM debian:bookworm\nRUN mkdir /a && \\\n    mkdir /b\n"),
        Keeps("FROM debian:bookworm\nRUN <<END\nmkdir /a\n\nmkdir /b\nEND\n", because="the line is part of a heredoc"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for position in model.file.positions:
            node = model.file.instruction(position)
            if on_one_line(node):
                continue
            new = _without_blanks(node)
            if new != node.text:
                file = model.file.replaced(position, position + 1, [Instruction(new, node.escape)])
                evidence = ("the builder skips such lines, with a warning",)
                yield Change("drop blank lines inside an instruction", file, (position,), evidence)


def _without_blanks(node: Instruction) -> str:
    """The text of an instruction without the blank lines that something of its own follows."""
    head, bodies = node.text[: node.head_end], node.text[node.head_end :]
    lines = head.split("\n")  # not at other line ends, which the builder does not know
    last = max((i for i, line in enumerate(lines) if line.strip()), default=0)
    return "\n".join(line for i, line in enumerate(lines) if line.strip() or i == 0 or i > last) + bodies
