"""The packages that a lock file of Poetry, uv or Pipenv names."""

from __future__ import annotations

import json
import posixpath
import tomllib
from typing import Any

from packaging.utils import canonicalize_name

from optimizer.context.folder import BuildContext
from optimizer.context.python_projects import project_requirements

_LOCKS = {"poetry": "poetry.lock", "uv": "uv.lock", "pipenv": "Pipfile.lock"}


def locked_packages(context: BuildContext, folder: str, manager: str) -> tuple[str, ...] | None:
    """The names, normalised, of all packages that a manager may install in a folder of the context.

    Without a lock file those that the project declares; None when neither can be read.
    """
    text = context.read_text(posixpath.normpath(posixpath.join(folder, _LOCKS[manager])))
    if text is None:
        return project_requirements(context, folder) if manager != "pipenv" else None
    try:
        return _pipenv(json.loads(text)) if manager == "pipenv" else _toml(tomllib.loads(text))
    except (ValueError, AttributeError, TypeError, KeyError):
        return None


def _toml(data: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({canonicalize_name(package["name"]) for package in data.get("package", ())}))


def _pipenv(data: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({canonicalize_name(name) for group, names in data.items() if group != "_meta" for name in names}))
