"""Values of JavaScript expressions, put together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from optimizer.context.places import HOLE, ROOT
from optimizer.context.scopes import UNKNOWN, Value, Values

MANY = 12  # more alternatives than this count as unknown


def few(values: Iterable[Value]) -> Values:
    """Values without doubles; too many of them count as unknown."""
    found = tuple(dict.fromkeys(values))
    return found if len(found) <= MANY else UNKNOWN


def product(parts: list[Values]) -> tuple[tuple[Value, ...], ...]:
    """All combinations of values; one with unknown parts where they are too many."""
    found = tuple(itertools.islice(itertools.product(*parts), MANY + 1))
    return found if len(found) <= MANY else (tuple(part[0] if len(part) == 1 else HOLE for part in parts),)


def as_text(value: Value) -> str:
    """A value as part of a text."""
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else HOLE


def later_part(value: Value) -> str:
    """A value behind the first of `path.join`, where a slash at its beginning counts for nothing."""
    found = as_text(value)
    return HOLE if found.startswith(ROOT) else found.lstrip("/")
