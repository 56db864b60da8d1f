"""Where files beside a Dockerfile name one of its stages as the target of a build."""

from __future__ import annotations

import os
import re
from pathlib import Path

_FOLDERS = (
    "",
    ".github/workflows",
    ".circleci",
    ".devcontainer",
    ".gitlab",
    ".buildkite",
    "scripts",
    "bin",
    "ci",
    "docker",
    "hack",
    "deploy",
)
_NAMES = re.compile(r"(?i)(.*\.(ya?ml|hcl|json|sh|bash|mk|toml|md|rst|txt|py|ps1|cmd|bat)|\w*file|magefile\.go|[^.]+)$")
_MAXIMUM_FILES = 400
_MAXIMUM_BYTES = 1 << 18


def target_named(root: Path, name: str) -> str | None:
    """The first place that names a stage as a target, as "file:line", None where none does.

    Compose files (``target: dev``), bake files (``target = "dev"``), scripts and pages (``--target dev``) are read, those that the
    ignore file keeps from the builder as well.

    Args:
        root: The folder that is built, and where such files lie.
        name: The stage's name.
    """
    asks = re.compile(rf"target(?:_?stage)?[\"']?\s*[:=\s]\s*[\"']?{re.escape(name)}(?![\w.-])", re.I)
    read = 0
    for folder in _FOLDERS:
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if not _NAMES.match(entry.name) or not entry.is_file() or entry.stat().st_size > _MAXIMUM_BYTES:
                continue
            read += 1
            if read > _MAXIMUM_FILES:
                return f"one of more than {_MAXIMUM_FILES} files"
            text = Path(entry.path).read_bytes().decode("utf-8", "replace")
            found = asks.search(text)
            if found is not None:
                return f"{folder}/{entry.name}:{text.count(chr(10), 0, found.start()) + 1}".lstrip("/")
    return None
