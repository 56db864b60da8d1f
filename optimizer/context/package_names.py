"""Names that a package.json gives to the package's own modules: ``imports``, and ``exports`` under the package's name."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from typing import Any

from optimizer.context.folder import BuildContext


def own_modules(context: BuildContext, file: str, name: str) -> list[str] | None:
    """The paths that a module name may stand for by the nearest package.json, under all conditions.

    Args:
        context: The build context.
        file: The file that imports, relative to the context.
        name: The name, such as ``#lib/log`` or the package's own with a path behind it.

    Returns:
        None for a name that is not the package's own. Source: "Subpath imports" and "Self-referencing a package using its
        name" in Node's documentation of packages.
    """
    folder = posixpath.dirname(file)
    while folder and not context.exists(f"{folder}/package.json"):
        folder = posixpath.dirname(folder)
    text = context.read_text(posixpath.join(folder, "package.json")) or ""
    if ('"imports"' if name.startswith("#") else '"exports"') not in text:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    own = data.get("name") if isinstance(data, dict) else None
    if name.startswith("#"):
        key, table = name, data.get("imports") if isinstance(data, dict) else None
    elif isinstance(own, str) and own and (name == own or name.startswith(f"{own}/")) and "exports" in data:
        key, table = f".{name[len(own) :]}", data["exports"]
    else:
        return None
    if not isinstance(table, dict) or not all(one.startswith((".", "#")) for one in table):
        table = {".": table}
    return [posixpath.normpath(posixpath.join(folder, path)) for path in _targets(table, key)]


def _targets(table: dict[str, Any], key: str) -> Iterator[str]:
    for pattern, target in table.items():
        before, star, after = pattern.partition("*")
        if star and key.startswith(before) and key.endswith(after) and len(key) >= len(before) + len(after):
            middle = key[len(before) : len(key) - len(after)]
            yield from (path.replace("*", middle) for path in _leaves(target))
        elif pattern == key:
            yield from _leaves(target)


def _leaves(target: object) -> Iterator[str]:
    """The paths among conditions and alternatives; what only types need is left out."""
    if isinstance(target, str):
        yield target
    elif isinstance(target, list):
        for one in target:
            yield from _leaves(one)
    elif isinstance(target, dict):
        for condition, one in target.items():
            if condition != "types":
                yield from _leaves(one)
