"""The diff that is printed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optimizer.report.style import Paint


def colored(text: str, paint: Paint) -> str:
    """A unified diff with added lines green, removed ones red, places cyan and what stands before the first place bold."""
    return "".join(_colored(text, paint)) if paint.enabled else text


def git_path(path: str | Path) -> str:
    """A file as a diff for ``git apply`` in this folder names it: links followed, relative, with forward slashes."""
    return os.path.relpath(os.path.realpath(path)).replace(os.sep, "/")


def _colored(text: str, paint: Paint) -> Iterator[str]:
    names = text.startswith("--- ") and "\n@@ " in text  # further down, --- may begin a removed line
    for line in text.removesuffix("\n").split("\n"):
        names = names and not line.startswith("@@ ")
        content = line.rstrip("\r")  # a reset behind the carriage return would hide it
        style = {"bold": True} if names else _STYLES.get(content[:1])
        yield (paint(content, **style) if style else content) + line[len(content) :] + "\n"


_STYLES: dict[str, dict[str, Any]] = {"+": {"fg": "green"}, "-": {"fg": "red"}, "@": {"fg": "cyan"}, "\\": {"dim": True}}
