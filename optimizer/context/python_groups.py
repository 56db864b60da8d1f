"""The groups of dependencies of a uv or Poetry project, and which of the locked packages the program itself needs."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from packaging.utils import canonicalize_name

from optimizer.context.folder import BuildContext

_DEVELOPMENT = re.compile(r"(dev(elop(ment)?)?|tests?|testing|docs?|lint(ing|ers)?|typing|types?|ci|quality|format(ting)?)$")


class Locked(Struct, frozen=True):
    """The packages of a lock file, names normalised. kept: what the project depends on, in turn; beside: all others."""

    kept: frozenset[str]
    beside: frozenset[str]


def development(context: BuildContext, folder: str, manager: str) -> dict[str, tuple[str, ...]]:
    """The groups that an install brings by default and whose names say that they are for development, with their packages.

    Empty where there are none, where other groups are brought as well, or where the manifest chooses groups itself.
    """
    data = _toml(context, folder, "pyproject.toml")
    groups = {name: _names(items) for name, items in _table(data, "dependency-groups").items() if isinstance(items, list)}
    if manager == "uv":
        if "default-groups" in _table(data, "tool", "uv"):
            return {}
        old = _names(_table(data, "tool", "uv").get("dev-dependencies", ()))
        names = (*groups.get("dev", ()), *old)
        return {"dev": names} if names else {}
    for name, group in _table(data, "tool", "poetry", "group").items():
        if not _table(group).get("optional"):
            groups[name] = (*groups.get(name, ()), *map(canonicalize_name, _table(group, "dependencies")))
    old = tuple(map(canonicalize_name, _table(data, "tool", "poetry", "dev-dependencies")))
    if old:
        groups["dev"] = (*groups.get("dev", ()), *old)
    return groups if all(_DEVELOPMENT.match(name) for name in groups) else {}


def locked_closure(context: BuildContext, folder: str, manager: str) -> Locked | None:
    """The packages of a lock file, divided; None where it cannot be read or holds more than one project."""
    lock = _toml(context, folder, "uv.lock" if manager == "uv" else "poetry.lock")
    packages = [p for p in lock.get("package", ()) if isinstance(p, dict) and isinstance(p.get("name"), str)]
    if not packages:
        return None
    needs: dict[str, set[str]] = {}
    for package in packages:
        listed = package.get("dependencies", ())
        names = listed if isinstance(listed, dict) else [d.get("name", "") for d in listed if isinstance(d, dict)]
        more = [d.get("name", "") for group in _table(package, "optional-dependencies").values() for d in group if isinstance(d, dict)]
        needs.setdefault(canonicalize_name(package["name"]), set()).update(map(canonicalize_name, (*names, *more)))
    if manager == "uv":
        own = [canonicalize_name(p["name"]) for p in packages if {"editable", "virtual", "directory"} & set(_table(p, "source"))]
        if len(own) != 1:
            return None
        start = needs.pop(own[0])
    else:
        data = _toml(context, folder, "pyproject.toml")
        wanted = _names(_table(data, "project").get("dependencies", ()))
        start = {*map(canonicalize_name, _table(data, "tool", "poetry", "dependencies")), *wanted}
    kept: set[str] = set()
    pending = list(start)
    while pending:
        name = pending.pop()
        if name not in kept:
            kept.add(name)
            pending += needs.get(name, ())
    return Locked(frozenset(kept), frozenset(needs) - kept)


def _toml(context: BuildContext, folder: str, name: str) -> dict[str, Any]:
    text = context.read_text(posixpath.normpath(posixpath.join(folder, name)))
    try:
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError:
        return {}


def _table(data: object, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def _names(items: Iterable[object]) -> tuple[str, ...]:
    """The packages of a list of requirements."""
    return tuple(canonicalize_name(re.split(r"[\[<>=!~;@ ]", item, maxsplit=1)[0]) for item in items if isinstance(item, str) and item)
