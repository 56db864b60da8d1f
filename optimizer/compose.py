"""What compose files say of the folder that a Dockerfile is built with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# In the order in which compose looks for them, and what goes beside them. Source: "Compose file" and "Merge" in Docker's documentation.
_NAMES = (
    "compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "compose.override.yaml", "compose.override.yml",
    "docker-compose.override.yaml", "docker-compose.override.yml", "docker-compose.prod.yml", "docker-compose.dev.yml",
)  # fmt: skip
_MAXIMUM = 1 << 18  # bytes


def composed_context(dockerfile: Path, limit: Path) -> Path | None:
    """The build context that a compose file above a Dockerfile's folder gives it, None where none names it, or two differ.

    Args:
        dockerfile: The Dockerfile.
        limit: The outermost folder to look at.

    Returns:
        An absolute folder that exists.
    """
    path = Path(os.path.abspath(dockerfile))
    found: set[Path] = set()
    for folder in path.parent.parents:
        if not folder.is_relative_to(limit):
            break
        for name in _NAMES:
            text = _text(folder / name)
            if text is not None and (path.name in text or path.parent.name in text):
                found |= {context for context, built in _builds(folder, text) if built == path}
    return found.pop() if len(found) == 1 else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8") if os.stat(path).st_size <= _MAXIMUM else None
    except (OSError, UnicodeDecodeError):
        return None


def _builds(folder: Path, text: str) -> Iterator[tuple[Path, Path]]:
    """The build contexts and Dockerfiles of a compose file's services, as absolute paths."""
    import yaml

    try:
        services = (yaml.safe_load(text) or {}).get("services") or {}
        builds = [service.get("build") for service in services.values() if isinstance(service, dict)]
    except (yaml.YAMLError, AttributeError, ValueError, RecursionError):
        return
    for build in builds:
        given = {"context": build} if isinstance(build, str) else build
        if not isinstance(given, dict):
            continue
        context, file = given.get("context", "."), given.get("dockerfile", "Dockerfile")
        if isinstance(context, str) and isinstance(file, str) and "$" not in context + file and "://" not in context:
            inside = Path(os.path.normpath(folder / context))
            if inside.is_dir():
                yield inside, Path(os.path.normpath(inside / file))
