"""Heredocs inside shell text, blanked out for the shell parser."""

from __future__ import annotations

import re

from msgspec import Struct

from optimizer.syntax.joined import line_end

_MARKER = re.compile(r"(?<!<)<<(-?)(?!<)[ \t]*(?:'([^'\n]+)'|\"([^\"\n]+)\"|([A-Za-z_][\w.-]*))")
_NOT_LINE_END = re.compile(r"[^\n]")


class Body(Struct, frozen=True):
    """Where a heredoc's body stands in the text."""

    start: int
    end: int


def mask_heredocs(text: str) -> tuple[str, dict[int, Body]] | None:
    """Text of the same length in which every ``<<NAME`` reads ``< NAME`` and the bodies are blank.

    Returns:
        The masked text and the bodies by the offset of their markers; None when a delimiter never comes, or when a
        body holds a command substitution, which blanking would hide.
    """
    out: list[str] = []
    bodies: dict[int, Body] = {}
    position = 0
    while position < len(text):
        end = line_end(text, position)
        line, begin = text[position:end], position
        out.append(_MARKER.sub(lambda m: "< " + m[0][2:].replace("-", " ", len(m[1])), line))
        position = end
        for marker in _MARKER.finditer(line):
            body = _body(text, position, marker[2] or marker[3] or marker[4], bool(marker[1]))
            if body is None or (marker[4] and re.search(r"\$\(|`", text[body.start : body.end])):
                return None
            bodies[begin + marker.start()] = body
            position = line_end(text, body.end)
            out.append(_NOT_LINE_END.sub(" ", text[body.start : position]))
    return "".join(out), bodies


def _body(text: str, start: int, name: str, chomp: bool) -> Body | None:
    position = start
    while position < len(text):
        end = line_end(text, position)
        line = text[position:end].rstrip("\n")
        if (line.lstrip("\t") if chomp else line) == name:
            return Body(start, position)
        position = end
    return None
