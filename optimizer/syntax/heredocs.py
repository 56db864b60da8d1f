"""Heredocs of RUN, COPY and ADD: the markers on an instruction's line and the bodies behind it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from optimizer.syntax.joined import line_end


class Heredoc(Struct, frozen=True):
    """A heredoc of RUN, COPY or ADD: its delimiter, whether tabs are stripped and variables expanded, its body.

    ``start`` and ``end`` are the body's offsets in the node's text; the delimiter's line follows ``end``.
    """

    name: str
    chomp: bool
    expand: bool
    start: int
    end: int


class Marker(Struct, frozen=True):
    """``<<NAME`` on an instruction's line: the delimiter, whether tabs are stripped (``<<-``), variables expanded."""

    name: str
    chomp: bool
    expand: bool


def find_markers(line: str) -> tuple[Marker, ...]:
    """The heredoc markers on a joined line, in order.

    Source: ``heredocsFromLine`` in BuildKit's frontend/dockerfile/parser/parser.go, which always takes the backslash
    for the escape.
    """
    if "<<" not in line:
        return ()
    from e2b_dockerfile_utils import ShellLex, parse_heredoc

    try:
        words = ShellLex("\\", raw_quotes=True, raw_escapes=True).process_words(line)
        found = [parse_heredoc(word) for word in words if "<<" in word]
    except ValueError:
        return ()
    return tuple(Marker(each.name, each.chomp, each.expand) for each in found if each is not None)


def is_marker(word: str) -> bool:
    """Whether a text is one heredoc marker and nothing else."""
    if "<<" not in word:
        return False
    from e2b_dockerfile_utils import parse_heredoc

    try:
        return parse_heredoc(word) is not None
    except ValueError:
        return False


def read_heredocs(text: str, start: int, markers: Iterable[Marker]) -> tuple[tuple[Heredoc, ...], int, bool]:
    """Read the bodies that markers announce.

    Args:
        text: A source text.
        start: Offset of the line behind the instruction's own.
        markers: The instruction's markers.

    Returns:
        The heredocs, offsets counted from the start of ``text``; the offset behind the last delimiter; and whether
        every delimiter came.
    """
    found: list[Heredoc] = []
    position = start
    for marker in markers:
        begin = position
        while position < len(text):
            end = line_end(text, position)
            line = text[position:end].rstrip("\r\n")
            if (line.lstrip("\t") if marker.chomp else line) == marker.name:
                found.append(Heredoc(marker.name, marker.chomp, marker.expand, begin, position))
                position = end
                break
            position = end
        else:
            return tuple(found), position, False
    return tuple(found), position, True
