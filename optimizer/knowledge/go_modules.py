"""What Go modules need of the system at run time; the table is ``go_modules.toml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct

from optimizer.knowledge.data import read_text


class GoNeeds(Struct, frozen=True):
    """What modules need together.

    cgo: those that need cgo; development: the Debian development packages that they link, None when one of them is not known;
    reads, writes: those that read or keep files which the project's source does not name; programs: those they start, with "?"
    for one that is not known.
    """

    cgo: tuple[str, ...] = ()
    development: tuple[str, ...] | None = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


@cache
def _table() -> Mapping[str, Any]:
    import tomllib

    return tomllib.loads(read_text("go_modules.toml"))


def go_needs(paths: Iterable[str]) -> GoNeeds:
    """What modules or packages, by import path, need; one that the table does not have needs nothing that is known of."""
    given = sorted(set(paths))

    def named(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if any(path == name or path.startswith(f"{name}/") for path in given))

    table = _table()
    cgo = named(table["cgo"])
    linked = [table["cgo"][name] for name in cgo]
    development = None if "?" in linked else tuple(dict.fromkeys(package for packages in linked for package in packages))
    programs = tuple(dict.fromkeys(table["starts"][name] for name in named(table["starts"])))
    return GoNeeds(cgo, development, named(table["reads"]["names"]), named(table["writes"]["names"]), programs)
