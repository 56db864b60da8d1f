"""Databases, logs and files of state that sources and settings name, whatever library they are handed to."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from optimizer.context.folder import BuildContext
from optimizer.model.model import Model

_KINDS = r"(?:db|sqlite3?|mdb|dbm|log|pid|pickle|pkl)"
_ADDRESS = r"sqlite(?:\+\w+)?:///(?!:memory:|\?|[\"'])"
_SETTINGS = (".ini", ".cfg", ".conf", ".yaml", ".yml", ".toml", ".json", ".env")
_MANIFESTS = frozenset({"pyproject.toml", "setup.cfg", "package.json", "package-lock.json", "poetry.toml", "tox.ini", "mypy.ini"})


def source_stores(text: str) -> list[str]:
    """The paths in a source that are texts by themselves, as SQLite's addresses or with the ending of a store."""
    named = re.findall(rf"[\"'](?:sqlite:(?!//)|sqlite://(?!/))?((?:/|\./)?[\w/-]*[\w-]\.{_KINDS})[\"']", text)
    return [*named, *re.findall(rf"[\"']{_ADDRESS}([\w./-]+)[\"'?]", text)]


def settings_stores(text: str) -> list[str]:
    """The paths with such an ending in a file of settings, and those of SQLite's addresses."""
    named = re.findall(rf"(?<![\w/.:-])((?:\.{{0,2}}/)?(?:[\w.-]+/)*[\w-]+\.{_KINDS})(?![\w/.-])", text)
    return [*named, *re.findall(rf"{_ADDRESS}([\w./-]+)", text)]


def settings_files(context: BuildContext, texts: Iterable[str], programs: Iterable[str | None]) -> list[str]:
    """The files of settings in a build context that a source or a command names, or that a started program reads by itself."""
    named = "\n".join(texts)
    candidates = [f for f in context.files() if f.endswith(_SETTINGS) and posixpath.basename(f) not in _MANIFESTS]
    found = [f for f in candidates if posixpath.basename(f) in named]
    return found + [f for f in candidates if posixpath.basename(f) == "alembic.ini" and "alembic" in programs and f not in found]


def changes_settings(model: Model, file: str) -> bool:
    """Whether the build may put another file of settings in the place of one of the context, or change it."""
    name = posixpath.basename(file)
    for position in model.file.positions:
        node = model.file.instruction(position)
        if node.keyword == "RUN" and name in node.text:
            return True
        if node.keyword in ("COPY", "ADD") and name in node.text:
            renamed = posixpath.basename(node.words[-1]) == name and not any(posixpath.basename(w) == name for w in node.words[:-1])
            if renamed or node.flag("from") is not None:
                return True
    return False
