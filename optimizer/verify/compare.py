"""Compares two images: their configuration key by key, their file systems path by path. Dates are not looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from optimizer.verify.engines import LABEL
from optimizer.verify.tree import Entry, Tree
from optimizer.verify.verdict import Difference

KEYS = (
    "User", "Env", "Cmd", "Entrypoint", "WorkingDir", "ExposedPorts", "Labels", "Volumes", "StopSignal", "Healthcheck", "Shell", "OnBuild",
)  # fmt: skip
# Caches, logs and indexes that package managers and languages make anew, and what engines put into every container.
_IGNORED = re.compile(
    r"""(?x)
    (?:var/(?:cache|log|lib/apt/lists|lib/dpkg/triggers|lib/dnf|lib/rpm|lib/yum)|tmp|run|var/run|var/tmp|dev|proc|sys)/.*
    | var/lib/(?:dpkg|apt)/[^/]*-old | var/lib/apt/extended_states | var/lib/dpkg/lock.* | var/lib/systemd/.* | lib/apk/db/.*
    | etc/(?:ld\.so\.cache|hostname|hosts|resolv\.conf|mtab|machine-id|\.pwd\.lock|[^/]*-) | var/lib/dbus/machine-id
    | \.dockerenv | run/\.containerenv
    | (?:root|home/[^/]+)/\.(?:cache|npm|yarn|bun|cargo/registry|gem|m2|gradle|nuget|wget-hsts|bash_history|config/pip)(?:/.*)?
    | usr/local/share/\.cache/.* | (?:.*/)?__pycache__(?:/.*)? | .*\.py[co] | (?:.*/)?\.ash_history
    """
)


def variables(config: Mapping[str, Any]) -> dict[str, str]:
    """The environment variables of an image's configuration."""
    return dict(pair.partition("=")[::2] for pair in config.get("Env") or ())


def config_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Every key of the configuration that is otherwise; variables and labels one by one."""
    found = []
    for key in KEYS:
        old, new = _value(before, key), _value(after, key)
        if isinstance(old, dict) and isinstance(new, dict):
            for name in sorted(old.keys() | new.keys()):
                if old.get(name) != new.get(name):
                    found.append(_config(f"{key} {name}", old.get(name), new.get(name)))
        elif old != new:
            found.append(_config(key, old, new))
    return found


def _value(config: Mapping[str, Any], key: str) -> Any:
    if key == "Env":
        return variables(config)
    value = config.get(key) or None
    if key in ("Labels", "ExposedPorts", "Volumes"):
        own = (LABEL, "io.buildah.version")
        return {name: each for name, each in (value or {}).items() if name not in own}
    if key == "User" and value in ("root", "0", "0:0", "root:root"):
        return None
    if key == "WorkingDir" and value == "/":
        return None
    return value


def _config(name: str, old: object, new: object) -> Difference:
    kind = "added" if old is None else "removed" if new is None else "changed"
    return Difference("config", name, kind, "" if old is None else str(old), "" if new is None else str(new))


def file_differences(before: Tree, after: Tree) -> list[Difference]:
    """Every path that is otherwise, but not the caches and logs of package managers and languages.

    A folder that went or came stands for what was in it.
    """
    old, new = _compared(before), _compared(after)
    found = [Difference("files", path, "removed", _said(old[path]), count=count) for path, count in _topmost(old, new)]
    found += [Difference("files", path, "added", after=_said(new[path]), count=count) for path, count in _topmost(new, old)]
    for path in sorted(old.keys() & new.keys()):
        aspects = _aspects(old[path], new[path])
        if aspects:
            words = [", ".join(each) for each in zip(*aspects, strict=True)]
            found.append(Difference("files", path, "changed", words[0], words[1]))
    return found


def _compared(tree: Tree) -> dict[str, Entry]:
    return {path: entry for path, entry in tree.entries.items() if not _IGNORED.fullmatch(path)}


def _topmost(here: dict[str, Entry], there: dict[str, Entry]) -> list[tuple[str, int]]:
    """The paths that are here only, without those below another, and how many each stands for."""
    counts: dict[str, int] = {}
    for path in sorted(here.keys() - there.keys(), key=lambda each: each.split("/")):
        parts = path.split("/")
        top = next((above for n in range(1, len(parts)) if (above := "/".join(parts[:n])) in counts), path)
        counts[top] = counts.get(top, 0) + 1
    return list(counts.items())


def _aspects(old: Entry, new: Entry) -> list[tuple[str, str]]:
    if old.kind != new.kind:
        return [(old.kind, new.kind)]
    found = []
    if old.content != new.content:
        found.append((old.content, new.content) if old.kind == "link" else (f"{old.size} bytes", f"{new.size} other bytes"))
    if old.mode != new.mode:
        found.append((f"mode {old.mode:o}", f"mode {new.mode:o}"))
    if old.owner != new.owner:
        found.append(("owner {}:{}".format(*old.owner), "owner {}:{}".format(*new.owner)))
    return found


def _said(entry: Entry) -> str:
    return f"{entry.kind} of {entry.size} bytes" if entry.kind == "file" else entry.kind
