"""Offsets of a text as positions of the language server protocol, and the smallest edits between two texts."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from lsprotocol.types import Position, PositionEncodingKind, Range, TextEdit

from optimizer.engine import diff

_LINE_END = re.compile(r"\r\n|\n|\r")
_UNITS: dict[str, Callable[[str], int]] = {
    PositionEncodingKind.Utf8: lambda text: len(text.encode("utf-8", "surrogatepass")),
    PositionEncodingKind.Utf16: lambda text: sum(2 if ord(c) > 0xFFFF else 1 for c in text),
    PositionEncodingKind.Utf32: len,
}


class Positions:
    """The positions of one text.

    Args:
        text: The text.
        encoding: What the client counts characters in: ``utf-8``, ``utf-16`` or ``utf-32``.
    """

    def __init__(self, text: str, encoding: str = PositionEncodingKind.Utf16) -> None:
        self.text = text
        self._units = _UNITS[encoding]
        self._starts = [0, *(end.end() for end in _LINE_END.finditer(text))]  # of lines as the protocol counts them
        self._lines = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]  # as dopt counts them

    def at(self, offset: int) -> Position:
        """The position of an offset."""
        line = bisect_right(self._starts, offset) - 1
        return Position(line, self._units(self.text[self._starts[line] : offset]))

    def lines(self, first: int, last: int) -> Range:
        """The range of whole lines, without the last one's end. Line numbers are from 1; every ``\\n`` ends a line."""
        begin = self._lines[min(first - 1, len(self._lines) - 2)]
        end = max(self._lines[min(last, len(self._lines) - 1)] - 1, begin)
        return Range(self.at(begin), self.at(end - (self.text[end - 1 : end] == "\r" and end > begin)))

    def edits(self, after: str) -> list[TextEdit]:
        """Edits of whole lines that turn the text into another; lines in common are not touched."""
        found = diff.edits_between(self.text, after)
        return [TextEdit(Range(self.at(edit.start), self.at(edit.end)), edit.text) for edit in found]
