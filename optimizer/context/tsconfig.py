"""The compiler options of a tsconfig.json, those of the files that it extends in the build context included.

Source: the TSConfig reference of TypeScript's documentation (``extends``, ``paths``, ``${configDir}``).
"""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any

from optimizer.context.folder import BuildContext

_DEPTH = 5  # of files that extend files
_STRING = r'("(?:\\.|[^"\\])*")'  # matched first, so that what looks like a comment in it stays
_FOLDERS = ("outDir", "rootDir", "baseUrl")


def compiler_options(context: BuildContext, path: str) -> dict[str, Any]:
    """The compiler options of a file, empty when it is not there or not understood.

    Args:
        context: The build context.
        path: The file, relative to the context.

    Returns:
        Options by name. ``outDir``, ``rootDir`` and ``baseUrl`` are paths relative to the context, and so are the targets of
        ``paths``, a tuple a pattern.
    """
    return _options(context, posixpath.normpath(path), posixpath.dirname(path), 0)


def _options(context: BuildContext, path: str, top: str, depth: int) -> dict[str, Any]:
    text = context.read_text(path)
    if text is None or depth > _DEPTH:
        return {}
    text = re.sub(rf"{_STRING}|//[^\n]*|/\*.*?\*/", lambda one: one[1] or "", text, flags=re.DOTALL)
    text = re.sub(rf"{_STRING}|,(?=\s*[}}\]])", lambda one: one[1] or "", text)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    folder = posixpath.dirname(path)
    found: dict[str, Any] = {}
    bases = data.get("extends", [])
    for base in bases if isinstance(bases, list) else [bases]:
        if isinstance(base, str) and base.startswith("."):
            name = posixpath.normpath(posixpath.join(folder, base))
            found |= _options(context, name if context.exists(name) else f"{name}.json", top, depth + 1)
    own = data.get("compilerOptions")
    for name, value in own.items() if isinstance(own, dict) else ():
        if name in _FOLDERS and isinstance(value, str):
            value = _place(value, folder, top)
        if name != "paths":
            found[name] = value
    paths = own.get("paths") if isinstance(own, dict) else None
    if isinstance(paths, dict):
        base = found.get("baseUrl", folder)
        found["paths"] = {
            pattern: tuple(_place(target, base, top) for target in targets if isinstance(target, str))
            for pattern, targets in paths.items()
            if isinstance(targets, list)
        }
    return found


def _place(path: str, folder: str, top: str) -> str:
    """A path of a file as one relative to the context. top: the folder of the file that extends all others."""
    inside = path.removeprefix("${configDir}/")
    return posixpath.normpath(posixpath.join(folder if inside == path else top, inside))
