"""Programs that start several commands, side by side or in turn: npm-run-all and concurrently."""

from __future__ import annotations

import re
from collections.abc import Collection

from optimizer.model.launch import Argv, behind_options

_VALUED = {
    "concurrently": (
        "-n", "--names", "-c", "--prefix-colors", "-p", "--prefix", "-s", "--success", "-m", "--max-processes", "-l", "--prefix-length",
        "--kill-signal", "--restart-tries", "--restart-after", "--name-separator", "--default-input-target",
    ),
    **dict.fromkeys(("npm-run-all", "run-s", "run-p"), ("--max-parallel", "--npm-path")),
}  # fmt: skip
"""The programs, and their options that have a value."""


def is_runner(name: str) -> bool:
    """Whether a program starts several commands, or scripts of package.json."""
    return name in _VALUED


def started_together(words: Argv, scripts: Collection[str]) -> tuple[str, ...] | None:
    """The shell texts that a runner of several commands starts; None where they cannot be told.

    Args:
        words: The runner and its arguments.
        scripts: The names of the scripts of package.json, which a pattern such as ``start:*`` chooses from.
    """
    name, rest = (words[0] or "").rpartition("/")[2], words[1:]
    found: list[str] = []
    while rest:
        rest = behind_options(rest, _VALUED[name])
        if rest and rest[0] is None:
            return None
        text, rest = (rest[0] or "").strip() if rest else "", rest[1:]
        if text:
            found += _npm_run_all(text, scripts) if name != "concurrently" else _concurrently(text, scripts)
    return tuple(found) if found and not any("{" in text for text in found) else None


def _npm_run_all(text: str, scripts: Collection[str]) -> list[str]:
    """What a pattern with arguments runs. A star stands for one part between colons, two for any number (npm-run-all's README)."""
    name, space, arguments = text.partition(" ")
    if "*" not in name:
        return [f"npm run {text}"]
    expression = "".join({"**": ".*", "*": "[^:]*"}.get(piece) or re.escape(piece) for piece in re.split(r"(\*\*|\*)", name))
    return [f"npm run {script}{space}{arguments}" for script in scripts if re.fullmatch(expression, script)]


def _concurrently(text: str, scripts: Collection[str]) -> list[str]:
    """What a command runs; ``npm:start-*`` chooses scripts by their names' beginning and end (concurrently's README)."""
    short = re.fullmatch(r"(npm|yarn|pnpm|bun):(\S+)(.*)", text)
    if short is None:
        return [text]
    manager, name, arguments = short.groups()
    before, star, after = name.partition("*")
    chosen = [s for s in scripts if s.startswith(before) and s.endswith(after) and len(s) >= len(before) + len(after)] if star else [name]
    return [f"{manager} run {script}{arguments}" for script in chosen]
