"""What an install reads of the build context, and what the ecosystems share in finding that out."""

from __future__ import annotations

import json
import posixpath
import tomllib
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from optimizer.context.folder import BuildContext


class Needs(Struct, frozen=True):
    """What one call reads of the project.

    Args:
        files: The files that it reads, as paths relative to the context, sorted.
        reason: Why it may read or overwrite others as well; None when it does not.
        outer: Files of the folders around the one it runs in, which it reads where they are copied as well.
    """

    files: tuple[str, ...] = ()
    reason: str | None = None
    outer: tuple[str, ...] = ()


NOTHING = Needs()


def refused(reason: str) -> Needs:
    """The answer where more may be read than can be told."""
    return Needs(reason=reason)


def within(folder: str, path: str) -> str:
    """A path relative to a folder of the context, as one relative to the context."""
    return posixpath.normpath(posixpath.join(folder, path))


def existing(context: BuildContext, folder: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of some files that the folder has; of a folder, all files below it. Sorted, without doubles."""
    found: set[str] = set()
    for name in names:
        path = within(folder, name)
        if context.is_dir(path):
            found.update(context.under(path))
        elif context.exists(path):
            found.add(path)
    return tuple(sorted(found))


def around(context: BuildContext, folder: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of some files that the folders around a folder have."""
    found: set[str] = set()
    while folder not in (".", ""):
        folder = posixpath.dirname(folder) or "."
        found.update(p for name in names if context.exists(p := within(folder, name)) and not context.is_dir(p))
    return tuple(sorted(found))


def brought(context: BuildContext, folder: str, *names: str) -> str | None:
    """The first of some folders that the build context brings files in, so that a COPY would lay them over the install's own."""
    return next((name for name in names if context.under(within(folder, name)) or context.exists(within(folder, name))), None)


def overwritten(name: str) -> Needs:
    """The answer where the build context brings what the install writes."""
    return refused(f"the build context brings {name}, which the install writes as well")


def read_toml(context: BuildContext, path: str) -> dict[str, Any] | None:
    """A TOML file, None when it is absent or no TOML."""
    text = context.read_text(path)
    try:
        return None if text is None else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def read_json(context: BuildContext, path: str) -> dict[str, Any] | None:
    """A JSON object, None when it is absent or no such object."""
    text = context.read_text(path)
    try:
        data = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def table(data: object, *keys: str) -> dict[str, Any]:
    """A table inside of tables, an empty one where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def texts(data: object) -> tuple[str, ...]:
    """The texts of a list."""
    return tuple(item for item in data if isinstance(item, str)) if isinstance(data, list) else ()
