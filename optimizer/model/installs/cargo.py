"""Cargo: the manifest, the lock and the configuration, where the manifest names its targets."""

from __future__ import annotations

import re
from typing import Any

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Call
from optimizer.model.installs.needs import Needs, around, brought, existing, overwritten, read_toml, refused, table, within

_CONFIGURATION = (".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain")
_KINDS = ("dependencies", "dev-dependencies", "build-dependencies")


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``.

    Cargo stops at a manifest whose targets it cannot find, so the names of the source files belong to what ``cargo fetch``
    reads, unless every target has a ``path``.
    """
    verb = call.verb.value if call.verb else None
    if verb == "install":
        if "--path" in call.options or not (call.packages or "--git" in call.options):
            return refused("it installs the project itself")
        return Needs(existing(context, folder, _CONFIGURATION), outer=around(context, folder, _CONFIGURATION))
    if verb not in ("fetch", "vendor"):
        return refused(f"`cargo {verb or ''}`".rstrip() + " may read the copied files")
    if call.options & {"--manifest-path", "--config", "-C", "-s", "--sync", "--lockfile-path"}:
        return refused("an option leads Cargo to other files")
    if verb == "vendor" and brought(context, folder, call.packages[0] if call.packages else "vendor"):
        return overwritten("vendor")
    data = read_toml(context, within(folder, "Cargo.toml"))
    if data is None:
        return refused("Cargo.toml is not in the build context or cannot be read")
    if around(context, folder, ("Cargo.toml",)):
        return refused("a Cargo.toml around it may make it a member of a workspace")
    if "workspace" in data:
        return refused("the project is a workspace: Cargo looks for the source files of each member")
    local = local_dependency(data)
    if local is not None:
        return refused(f"Cargo.toml depends on the folder {local}")
    if not _names_targets(data):
        return refused("Cargo looks for the source files of its targets (src/main.rs…); only with a `path` for each would it not")
    lock = within(folder, "Cargo.lock")
    if context.exists(lock) and not call.options & {"--locked", "--frozen"} and not _lock_agrees(data, read_toml(context, lock)):
        return refused("Cargo.lock may not agree with Cargo.toml, and then Cargo rewrites it; --locked keeps it")
    files = existing(context, folder, ("Cargo.toml", "Cargo.lock", *_CONFIGURATION))
    return Needs(files, outer=around(context, folder, _CONFIGURATION))


def dependencies(data: dict[str, Any]) -> dict[str, Any]:
    """Every dependency of a manifest, those of one platform included: name in the manifest to what is asked for."""
    found: dict[str, Any] = {}
    for place in (data, *table(data, "target").values()):
        for kind in _KINDS:
            found.update(table(place, kind))
    return found


def local_dependency(data: dict[str, Any]) -> str | None:
    """The path of a dependency that lies in a folder, of a patch as well."""
    patches = [given for source in table(data, "patch").values() for given in table(source).values()]
    return next((str(table(given)["path"]) for given in (*dependencies(data).values(), *patches) if "path" in table(given)), None)


def _names_targets(data: dict[str, Any]) -> bool:
    """Whether there is a target, and each has a path of its own."""
    binaries = data.get("bin")
    targets = [*(binaries if isinstance(binaries, list) else []), *([data["lib"]] if "lib" in data else [])]
    return bool(targets) and all("path" in table(target) for target in targets)


def _lock_agrees(data: dict[str, Any], lock: dict[str, Any] | None) -> bool:
    """Whether the lock holds what the manifest asks for, in a version that fits."""
    packages = lock.get("package") if lock is not None else None
    entries = [p for p in packages if isinstance(p, dict)] if isinstance(packages, list) else []
    name = table(data, "package").get("name")
    own = next((p for p in entries if p.get("name") == name and "source" not in p), None)
    if own is None or own.get("version") != table(data, "package").get("version", "0.0.0"):
        return False
    listed = {str(d).split(" ")[0] for d in own.get("dependencies", ())}
    wanted: set[str] = set()
    for alias, given in dependencies(data).items():
        crate = str(table(given).get("package", alias))
        wanted.add(crate)
        requirement = given if isinstance(given, str) else table(given).get("version")
        versions = [str(p.get("version")) for p in entries if p.get("name") == crate]
        if not isinstance(requirement, str) or not any(_fits(requirement, version) for version in versions):
            return False
    return wanted == listed


def _fits(requirement: str, version: str) -> bool:
    """Whether a version meets a plain requirement such as ``1.2`` or ``^0.4.1``. Other forms count as no."""
    match = re.fullmatch(r"\^?\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?", requirement.strip())
    found = re.match(r"(\d+)\.(\d+)\.(\d+)$", version)
    if match is None or found is None:
        return False
    given = [int(part) for part in match.groups() if part is not None]
    have = [int(part) for part in found.groups()]
    # Up to the first number that is not zero nothing may differ, behind it nothing may be less.
    fixed = next((i for i, part in enumerate(given) if part), len(given) - 1) + 1
    return have[:fixed] == given[:fixed] and have >= [*given, 0, 0][:3]
