"""“Did you mean”, as BuildKit says it."""

from __future__ import annotations

from collections.abc import Iterable

_FARTHEST = 2  # edits; ``mindist`` in BuildKit's util/suggest/error.go, exclusive there


def suggest(word: str, options: Iterable[str], *, case_sensitive: bool = False) -> str:
    """``" (did you mean X?)"`` for the option nearest to a word, empty when none is near."""
    wanted = word if case_sensitive else word.lower()
    best, nearest = "", _FARTHEST + 1
    for option in options:
        candidate = option if case_sensitive else option.lower()
        if candidate == wanted:
            return ""
        distance = _distance(wanted, candidate, nearest)
        if distance < nearest:
            best, nearest = candidate, distance
    if not best:
        return ""
    if not case_sensitive and word == word.upper():
        best = best.upper()
    return f" (did you mean {best}?)"


def _distance(one: str, two: str, limit: int) -> int:
    """Levenshtein's distance, or ``limit`` where the lengths alone put it that far."""
    if abs(len(one) - len(two)) >= limit:
        return limit
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(two, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]
