"""Offsets of a text as positions of the language server protocol, and the smallest edits between two texts."""

from __future__ import annotations

import re
from itertools import accumulate

from lsprotocol.types import Position, Range, TextEdit

from optimizer.engine import diff

_LINE_END = re.compile(r"\r\n|\n|\r")


def position_at(text: str, offset: int) -> Position:
    """The position of an offset: lines as the protocol counts them, characters in UTF-16 units."""
    line, start = 0, 0
    for end in _LINE_END.finditer(text, 0, offset):
        line, start = line + 1, end.end()
    return Position(line, sum(2 if ord(c) > 0xFFFF else 1 for c in text[start:offset]))


def lines_range(text: str, first: int, last: int) -> Range:
    """The range of whole lines, without the last one's end.

    Args:
        text: A Dockerfile's text.
        first, last: Line numbers from 1, as dopt counts them: every ``\\n`` ends one.
    """
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    begin = starts[min(first - 1, len(starts) - 2)]
    end = max(starts[min(last, len(starts) - 1)] - 1, begin)
    return Range(position_at(text, begin), position_at(text, end - (text[end - 1 : end] == "\r" and end > begin)))


def edits_between(before: str, after: str) -> list[TextEdit]:
    """Edits of whole lines that turn one text into another; lines in common are not touched."""
    return [
        TextEdit(Range(position_at(before, edit.start), position_at(before, edit.end)), edit.text)
        for edit in diff.edits_between(before, after)
    ]
