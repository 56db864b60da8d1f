"""What Debian's packages recommend, so that it is known what ``--no-install-recommends`` leaves out."""

from __future__ import annotations

from functools import cache

from optimizer.knowledge.data import read_text


@cache
def left_out(package: str, release: str) -> tuple[str, ...] | None:
    """The packages that are recommended by one or by what it depends on, and that nothing else brings; None when not known.

    Args:
        package: A name in Debian's main section.
        release: A code name, such as ``bookworm``.
    """
    table = _table()
    start = table.find(f"\n{package} ")
    while start >= 0:
        end = table.index("\n", start + 1)
        _, releases, *names = table[start + 1 : end].split(" ")
        if release in releases.split(","):
            return tuple(names)
        start = end if table.startswith(f"\n{package} ", end) else -1
    return None


@cache
def _table() -> str:
    return "\n" + read_text("debian_recommends.txt")
