"""Unified diffs that ``git apply`` takes."""

from __future__ import annotations

from msgspec import Struct


class Edit(Struct, frozen=True):
    """The characters from ``start`` to before ``end`` of a text become ``text``."""

    start: int
    end: int
    text: str


def edits_between(source: str, text: str) -> tuple[Edit, ...]:
    """Edits of whole lines that turn one text into another, in order; lines in common are not touched."""
    from difflib import SequenceMatcher
    from itertools import accumulate

    old, new = _lines(source), _lines(text)
    starts = [0, *accumulate(map(len, old))]
    opcodes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return tuple(Edit(starts[a], starts[b], "".join(new[c:d])) for tag, a, b, c, d in opcodes if tag != "equal")


def unified_diff(source: str, text: str, path: str, *, created: bool = False) -> str:
    """A unified diff between two texts, empty when they are equal.

    Lines end at line feeds only, so that a carriage return stays part of its line, and a missing last line end is
    said the way git says it. There is no ``diff --git`` line: with it, git counts the path from the top of the repository,
    and run in a folder below it silently applies nothing (``parse_git_diff_header`` in git's apply.c).

    Args:
        source, text: Before and after.
        path: The file's path, relative, with forward slashes.
        created: Whether the file does not exist before.
    """
    if source == text:
        return ""
    from difflib import unified_diff as differences

    name = path.removeprefix("./")
    out: list[str] = []
    for line in differences(_lines(source), _lines(text), "/dev/null" if created else _quoted("a/" + name), _quoted("b/" + name)):
        out.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(out)


def _lines(text: str) -> list[str]:
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _quoted(name: str) -> str:
    """A name as git writes it: in double quotes with escapes when it holds a control character, quote or backslash."""
    if not any(c in '"\\' or ord(c) < 32 or ord(c) == 127 for c in name):
        return name
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c, f"\\{ord(c):03o}" if ord(c) < 32 or ord(c) == 127 else c) for c in name) + '"'
