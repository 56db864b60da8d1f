"""Logical lines: what BuildKit reads once continuations, comments and blank lines are taken out, with a way back.

BuildKit joins continued lines before it looks at an instruction, and hands the joined text to the shell. dopt reads
the same joined text, and keeps for every piece of it where it stands in the source, so that each edit is exact.
"""

from __future__ import annotations

from bisect import bisect_right

from msgspec import Struct

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go's ``unicode.IsSpace`` takes for white space; Python's own notion has a few control characters more."""


class JoinedText(Struct, frozen=True):
    """Text joined out of pieces of a source text.

    Args:
        text: The joined text.
        pieces: Pairs (offset in ``text``, offset in the source), ascending, one for each piece taken over.
    """

    text: str
    pieces: tuple[tuple[int, int], ...] = ((0, 0),)

    def source(self, offset: int) -> int:
        """The source offset of the character at ``offset`` of the joined text."""
        joined, source = self.pieces[0] if len(self.pieces) == 1 else self.pieces[bisect_right(self.pieces, (offset, float("inf"))) - 1]
        return source + offset - joined

    def source_end(self, offset: int) -> int:
        """The source offset just behind the character before ``offset``: an exclusive end."""
        return self.source(offset - 1) + 1 if offset > 0 else self.source(0)

    def slice(self, start: int, end: int) -> JoinedText:
        """The part ``text[start:end]``, still knowing where it stands in the source."""
        if len(self.pieces) == 1:
            return JoinedText(self.text[start:end], ((0, self.source(start)),))
        first = max(bisect_right(self.pieces, (start, float("inf"))) - 1, 0)
        pieces = [(0, self.source(start))]
        pieces += [(joined - start, source) for joined, source in self.pieces[first + 1 :] if start < joined < end]
        return JoinedText(self.text[start:end], tuple(pieces))


def is_comment(line: str) -> bool:
    """Whether BuildKit takes this line for a comment."""
    return line.lstrip(SPACES).startswith("#")


def line_end(text: str, start: int) -> int:
    """The offset behind the line feed that ends the line at ``start``, or the end of the text."""
    end = text.find("\n", start)
    return len(text) if end < 0 else end + 1


def uncontinued(line: str, escape: str) -> str | None:
    """``line`` without the continuation at its end, None when it has none.

    A continuation is the escape, not itself escaped, and blanks behind it. Source: ``setEscapeToken`` in BuildKit's
    frontend/dockerfile/parser/parser.go.
    """
    kept = line.rstrip(" \t")
    return kept[:-1] if kept.endswith(escape) and not kept.endswith(escape * 2) else None


def join_lines(text: str, start: int, escape: str) -> tuple[JoinedText, int]:
    """Join the logical line that begins at ``start``.

    Args:
        text: The whole source.
        start: Offset of the first character of a line.
        escape: The escape character, a backslash or a backtick.

    Returns:
        The joined text (no line end) and the length of its lines; pieces and length count from ``start``.
    """
    position = line_end(text, start)
    line = text[start:position].rstrip("\r\n")
    content = line.lstrip(SPACES)
    kept = uncontinued(content, escape)
    first = (0, len(line) - len(content))
    if kept is None:
        return JoinedText(content, (first,)), position - start
    parts, pieces, length = [kept], [first], len(kept)
    while kept is not None and position < len(text):
        begin, position = position, line_end(text, position)
        line = text[begin:position].rstrip("\r\n")
        if is_comment(line) or not line.strip(SPACES):
            continue
        kept = uncontinued(line, escape)
        part = line if kept is None else kept
        if part:
            parts.append(part)
            pieces.append((length, begin - start))
            length += len(part)
    return JoinedText("".join(parts), tuple(pieces[1:] if not parts[0] and len(pieces) > 1 else pieces)), position - start
