"""The lossless tree of a Dockerfile: a frozen list of nodes.

``Dockerfile.text`` is the nodes' texts one behind the other; there is no other place where bytes live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from optimizer.syntax.nodes import Blank, Comment, Directive, Instruction, Node


class Problem(Struct, frozen=True):
    """Something wrong in a Dockerfile, said as BuildKit says it. Line and column count from 1."""

    line: int
    column: int
    message: str


class Dockerfile(Struct, frozen=True, dict=True):
    """A whole Dockerfile: its nodes in order. ``bom`` is the byte order mark, or empty."""

    nodes: tuple[Node, ...]
    escape: str = "\\"
    bom: str = ""

    @cached_property
    def text(self) -> str:
        """The source, every byte of it."""
        return self.bom + "".join(node.text for node in self.nodes)

    @cached_property
    def newline(self) -> str:
        """The line end that most lines have, ``\\n`` when there is none."""
        crlf = self.text.count("\r\n")
        return "\r\n" if crlf * 2 > self.text.count("\n") else "\n"

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """The indices in ``nodes`` of the instructions, in order."""
        return tuple(i for i, node in enumerate(self.nodes) if isinstance(node, Instruction))

    def instruction(self, position: int) -> Instruction:
        """The instruction at an index of ``nodes``; TypeError when another node stands there."""
        node = self.nodes[position]
        if not isinstance(node, Instruction):
            raise TypeError(f"no instruction at {position}")
        return node

    @cached_property
    def _lines(self) -> tuple[int, ...]:
        lines, line = [], 1
        for node in self.nodes:
            lines.append(line)
            line += node.text.count("\n")
        return (*lines, line)

    def line(self, position: int) -> int:
        """The line, from 1, on which the node at an index of ``nodes`` begins."""
        return self._lines[position]

    def last_line(self, position: int) -> int:
        """The line, from 1, on which that node ends."""
        return max(self._lines[position], self._lines[position] + self.nodes[position].text.rstrip("\n").count("\n"))

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What BuildKit would reject, in order of lines; empty for a Dockerfile that it takes."""
        from optimizer.syntax.problems import find_problems

        return find_problems(self)

    def replaced(self, start: int, end: int, nodes: Iterable[Node]) -> Dockerfile:
        """The Dockerfile with ``nodes[start:end]`` replaced; a missing line end before a new neighbour is supplied."""
        first, tail = max(start - 1, 0), self.nodes[end:]
        window = (*self.nodes[first:start], *nodes, *tail[:1])  # no node in front of it or behind it has another neighbour now
        new = tuple(_with_line_ends(window, self.newline))
        return Dockerfile((*self.nodes[:first], *new, *tail[1:]), self.escape, self.bom)


def _with_line_ends(nodes: Sequence[Node], newline: str) -> Iterator[Node]:
    for i, node in enumerate(nodes):
        if i + 1 < len(nodes) and not node.text.endswith("\n"):
            match node:
                case Instruction():
                    node = Instruction(node.text + newline, node.escape)
                case Comment():
                    node = Comment(node.text + newline)
                case Blank():
                    node = Blank(node.text + newline)
                case Directive():
                    node = Directive(node.text + newline, node.name, node.value)
        yield node
