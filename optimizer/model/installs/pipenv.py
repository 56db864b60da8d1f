"""Pipenv: Pipfile and Pipfile.lock."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Call
from optimizer.model.installs.needs import Needs, brought, existing, overwritten, read_json, read_toml, refused, table, within

_META = frozenset({"source", "requires", "scripts", "pipenv", "pipfile"})


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``."""
    verb = call.verb.value if call.verb else None
    if verb not in ("install", "sync"):
        return refused(f"`pipenv {verb or ''}`".rstrip() + " may read or change the copied files")
    if call.packages or call.manifests:
        return refused("it adds packages to Pipfile, which a later COPY would put back")
    data = read_toml(context, within(folder, "Pipfile"))
    if data is None:
        return refused("Pipfile is not in the build context or cannot be read")
    for name, given in data.items():
        local = None if name in _META else _local(given)
        if local is not None:
            return refused(f"Pipfile installs {local}, which lies in the project")
    if brought(context, folder, ".venv"):
        return overwritten(".venv")
    lock = within(folder, "Pipfile.lock")
    fixed = verb == "sync" or bool(call.options & {"--deploy", "--ignore-pipfile", "--skip-lock"})
    if context.exists(lock) and not fixed and _hash(data) != table(read_json(context, lock), "_meta", "hash").get("sha256"):
        return refused("Pipfile.lock does not agree with Pipfile, so the install rewrites it; --deploy or `pipenv sync` does not")
    return Needs(existing(context, folder, ("Pipfile", "Pipfile.lock")))


def _local(packages: object) -> str | None:
    for given in table(packages).values():
        entry = table(given)
        path = entry.get("path") or entry.get("file")
        if path is not None and not str(path).startswith(("http://", "https://")):
            return str(path)
    return None


def _hash(data: dict[str, Any]) -> str | None:
    """What Pipfile.lock keeps of the Pipfile that it was made for. Source: ``Pipfile.get_hash`` in plette, which Pipenv uses."""
    if "source" not in data:
        return None
    kept = {
        "_meta": {"sources": data["source"], "requires": data.get("requires", {})},
        "default": data.get("packages", {}),
        "develop": data.get("dev-packages", {}),
    }
    kept.update({name: value for name, value in data.items() if name not in _META | {"packages", "dev-packages"}})
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
