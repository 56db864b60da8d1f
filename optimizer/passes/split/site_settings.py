"""What the settings of nginx in a Dockerfile's build context say of the files that it serves."""

from __future__ import annotations

import posixpath
import re

from msgspec import Struct

from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.model.paths import context_path, within
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import steps_of

SETTINGS = ("/etc/nginx", "/var/log/nginx", "/var/lib/nginx", "/var/cache/nginx")
"""Folders that are nginx's own."""
OF_PACKAGE = ("/var/www/html", "/usr/share/nginx/html")
"""The folders for sites that Debian's package brings; its own settings serve the first."""
_FOLDERS = ("/etc/nginx", *(f"/etc/nginx/{name}" for name in ("conf.d", "sites-available", "sites-enabled", "snippets", "modules-enabled")))
_ACCOUNTS = frozenset({"www-data", "root", "nobody"})
_ROOT = re.compile(r"(?:^|[\s;{])(?:root|alias)\s+[\"']?([^\s;\"']+)")
_USER = re.compile(r"(?:^|[\s;{])user\s+([\w-]+)")
_NAMED = re.compile(
    r"(?:^|[\s;{])(?:ssl_\w+|auth_basic_user_file|include|load_module|(?:js|perl|lua)_\w+|proxy_cache_path)\s+[\"']?(/[^\s;\"']+)"
)


class Settings(Struct, frozen=True):
    """What nginx serves. roots: absolute folders; folders: those of its settings that exist in the image."""

    roots: tuple[str, ...]
    folders: tuple[str, ...] = _FOLDERS


def settings_of(model: Model, stage: Stage) -> Settings:
    """Read the settings that a stage brings for nginx.

    Raises:
        Refused: They name what is not known to be in another image as well.
    """
    roots: list[str] = []
    for position, file in _files(model, stage):
        text = model.context.read_text(file) if model.context is not None else None
        if text is None:
            raise Refused(f"{file} cannot be read", position)
        plain = re.sub(r"#.*", "", text)
        found = [path.rstrip("/") for path in _ROOT.findall(plain)]
        if any("$" in path or not path.startswith("/") or path == "" for path in found):
            raise Refused(f"{file} computes which folder nginx serves", position)
        roots += map(posixpath.normpath, found)
        others = [name for name in _USER.findall(plain) if name not in _ACCOUNTS]
        others += [path for path in _NAMED.findall(plain) if not any(within(path, place) for place in (*SETTINGS, "/usr/share/nginx"))]
        if others:
            raise Refused(f"{file} names {others[0]}, which another image may not have", position)
    return Settings(tuple(dict.fromkeys(roots)) or OF_PACKAGE[:1])


def _files(model: Model, stage: Stage) -> list[tuple[int, str]]:
    """The files of the context that become settings, by the position of what puts them there."""
    context = model.context
    found: list[tuple[int, str]] = []
    if context is None:
        return found
    for copy in stage_copies(model, stage):
        if copy.destination is not None and within(copy.destination, "/etc/nginx"):
            matches = [m for source in copy.sources for m in context.match(source)]
            found += [(copy.position, f) for m in matches for f in (context.under(m) if context.is_dir(m) else (m,))]
    for position in stage.positions:
        node = model.file.instruction(position)
        for step in (steps_of(node) or ()) if node.keyword == "RUN" else ():
            words = [word.value or "" for word in step.command.words]
            if step.program in ("cp", "mv") and len(words) > 2 and within(posixpath.normpath(words[-1]), "/etc/nginx"):
                path = posixpath.normpath(posixpath.join(model.before(position).workdir or "/", words[-2]))
                inside = context_path(model, stage, path, position)
                found += [(position, inside)] if inside is not None and not context.is_dir(inside) else []
    return found
