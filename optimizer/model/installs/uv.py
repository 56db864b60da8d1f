"""uv: pyproject.toml and uv.lock, or requirements files, unless it installs the project itself."""

from __future__ import annotations

import posixpath
from typing import Any

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Call, unwrapped
from optimizer.ecosystems.uv import arguments_of, group_of
from optimizer.model.installs.needs import (
    NOTHING,
    Needs,
    around,
    brought,
    existing,
    overwritten,
    read_toml,
    refused,
    table,
    texts,
    within,
)
from optimizer.model.installs.poetry import local_requirement

_CONFIGURATION = ("pyproject.toml", "uv.toml", ".python-version")
_ELSEWHERE = frozenset({
    "--project", "--directory", "--config-file", "--script", "-f", "--find-links", "-t", "--target", "--prefix", "--env-file",
    "--override", "--overrides", "-b", "--build-constraint", "--build-constraints",
})  # fmt: skip
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz")


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``."""
    found = arguments_of(unwrapped(call.command))
    if found is None or found.verb is None or call.options & _ELSEWHERE:
        return refused("an option leads uv to other files")
    group, verb = group_of(found)
    name = " ".join(w.value or "" for w in (found.verb, verb) if w is not None and (w is found.verb or group is not None))
    if name in ("sync", "venv", "pip install", "pip sync") and brought(context, folder, ".venv"):
        return overwritten(".venv")
    if name == "sync":
        return _sync(context, folder, call)
    if name in ("pip install", "pip sync"):
        return _pip(context, folder, call, name)
    if name == "venv" and not found.operands:
        return _with_configuration(context, folder)
    if name == "tool install":
        local = any(_is_local(p) for p in call.packages)
        return refused("it installs the project itself") if local or call.manifests else _with_configuration(context, folder)
    if name in ("python install", "tool update-shell") and call.packages:
        return NOTHING
    return refused(f"`uv {name}` may read or change the copied files")


def _with_configuration(context: BuildContext, folder: str, files: tuple[str, ...] = ()) -> Needs:
    own = existing(context, folder, _CONFIGURATION)
    return Needs(tuple(sorted({*files, *own})), outer=around(context, folder, _CONFIGURATION))


def _is_local(package: str) -> bool:
    name = package.partition("@")[0].partition("[")[0]
    return (
        package.startswith((".", "/", "~")) or "file:" in package or ("/" in name and "://" not in package) or package.endswith(_ARCHIVES)
    )


def _pip(context: BuildContext, folder: str, call: Call, name: str) -> Needs:
    """``uv pip install`` and ``uv pip sync``, which takes the files as operands."""
    from optimizer.context.requirements import requirement_files

    manifests = (*call.manifests, *(call.packages if name == "pip sync" else ()))
    if name == "pip install" and (call.options & {"-e", "--editable"} or any(_is_local(p) for p in call.packages)):
        return refused("it installs the project itself")
    files: set[str] = set()
    for manifest in manifests:
        path = within(folder, manifest)
        if manifest.startswith("/") or path.startswith("..") or not context.exists(path):
            return refused(f"{manifest} is not among the files that are copied from the build context")
        if posixpath.basename(path) == "pyproject.toml":
            reason = _unbuilt(read_toml(context, path))
            if reason is not None:
                return refused(reason)
            files.add(path)
            continue
        found = requirement_files(context, path, cwd=folder)
        local = next((p for p in found.packages if p.url and p.vcs is None and "://" not in p.url.removeprefix("file://")), None)
        if found.problems or local is not None:
            return refused(found.problems[0] if found.problems else f"{path} installs {local.url if local else ''}")
        files.update(found.files)
    if call.options & {"--group"}:
        return refused("an option leads uv to other files")
    return _with_configuration(context, folder, tuple(files))


def _unbuilt(data: dict[str, Any] | None) -> str | None:
    """Why the dependencies in a pyproject.toml are not to be had by reading it alone."""
    if data is None or not table(data, "project"):
        return "pyproject.toml has no project table that could be read"
    if texts(table(data, "project").get("dynamic")):
        return "pyproject.toml has dynamic fields, for which uv runs the project's build"
    local = local_requirement(data) or _local_source(data)
    return f"pyproject.toml depends on {local}, which lies in the project" if local else None


def _local_source(data: dict[str, Any]) -> str | None:
    for name, given in table(data, "tool", "uv", "sources").items():
        for one in given if isinstance(given, list) else [given]:
            if {"path", "workspace", "editable"} & table(one).keys():
                return str(name)
    return None


def _sync(context: BuildContext, folder: str, call: Call) -> Needs:
    path = within(folder, "pyproject.toml")
    data = read_toml(context, path)
    if data is None:
        return refused("pyproject.toml is not in the build context or cannot be read")
    settings = table(data, "tool", "uv")
    packaged = settings.get("package", "build-system" in data)
    if packaged and not call.options & {"--no-install-project", "--no-install-workspace"}:
        return refused("uv installs the project itself; with --no-install-project it would not")
    if "workspace" in settings or call.options & {"--package", "--all-packages"}:
        return refused("the project is a workspace, whose members uv reads")
    if _is_member(context, folder):
        return refused("a pyproject.toml around it may make it a member of a workspace")
    frozen = "--frozen" in call.options
    if not frozen:
        reason = _unbuilt(data)
        if reason is not None:
            return refused(reason)
    local = local_requirement(data) or _local_source(data)
    if local is not None:
        return refused(f"pyproject.toml depends on {local}, which lies in the project")
    lock = within(folder, "uv.lock")
    if context.exists(lock) and not frozen and "--locked" not in call.options and not _lock_agrees(data, read_toml(context, lock)):
        return refused("uv.lock may not agree with pyproject.toml, and then uv rewrites it; --frozen or --locked keeps it")
    return _with_configuration(context, folder, existing(context, folder, ("uv.lock",)))


def _is_member(context: BuildContext, folder: str) -> bool:
    manifests = around(context, folder, ("pyproject.toml",))
    return any("workspace" in table(read_toml(context, path), "tool", "uv") for path in manifests)


def _lock_agrees(data: dict[str, Any], lock: dict[str, Any] | None) -> bool:
    """Whether the lock was made for the dependencies of a pyproject.toml."""
    from packaging.requirements import InvalidRequirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    project = table(data, "project")
    packages = lock.get("package") if lock is not None else None
    entries = [p for p in packages if isinstance(p, dict)] if isinstance(packages, list) else []
    own = next(
        (p for p in entries if {"virtual", "editable"} & table(p, "source").keys() and p.get("name") == _name(project.get("name"))), None
    )
    if lock is None or own is None:
        return False
    metadata = table(own, "metadata")
    optional = [
        *texts(project.get("dependencies")),
        *(d for given in table(project, "optional-dependencies").values() for d in texts(given)),
    ]
    groups = [item for given in table(data, "dependency-groups").values() if isinstance(given, list) for item in given]
    groups += list(texts(table(data, "tool", "uv").get("dev-dependencies")))
    locked_groups = [item for given in table(metadata, "requires-dev").values() if isinstance(given, list) for item in given]
    if any(not isinstance(item, str) for item in groups):
        return False
    try:
        same = _specified(optional) == _locked(metadata.get("requires-dist")) and _specified(groups) == _locked(locked_groups)
        versions = SpecifierSet(str(project.get("requires-python", ""))) == SpecifierSet(str(lock.get("requires-python", "")))
    except (InvalidRequirement, InvalidSpecifier):
        return False
    return same and versions


def _name(name: object) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(str(name))


def _specified(requirements: list[str]) -> set[tuple[str, str, frozenset[str], bool]]:
    from packaging.requirements import Requirement

    found = [Requirement(text) for text in requirements]
    return {(_name(r.name), str(r.specifier), frozenset(r.extras), r.marker is not None) for r in found}


def _locked(given: object) -> set[tuple[str, str, frozenset[str], bool]]:
    """The same of a lock's ``requires-dist``. An extra of the project's own is a marker there and none in pyproject.toml."""
    from packaging.specifiers import SpecifierSet

    found = set()
    for item in given if isinstance(given, list) else []:
        entry = table(item)
        marker = str(entry.get("marker", ""))
        own = marker.startswith("extra ==") and " and " not in marker
        found.add(
            (
                _name(entry.get("name")),
                str(SpecifierSet(str(entry.get("specifier", "")))),
                frozenset(texts(entry.get("extras"))),
                bool(marker) and not own,
            )
        )
    return found
