"""Bun: package.json, its lock and configuration, as for the other managers of Node's packages."""

from __future__ import annotations

import json
import re

from optimizer.context.folder import BuildContext
from optimizer.context.javascript import PackageJson, manifest_files, package_json
from optimizer.ecosystems import Call
from optimizer.ecosystems.bun import INSTALLS
from optimizer.model.installs.needs import NOTHING, Needs, brought, overwritten, refused, table, within

_STRINGS = r'("(?:\\.|[^"\\])*")'


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``."""
    verb = call.verb.value if call.verb else None
    if call.options & {"--cwd", "--config", "-c", "--filter"}:
        return refused("an option leads Bun to another folder")
    if call.options & {"-g", "--global"} and verb in (*INSTALLS, "add", "a"):
        own = any(p.startswith((".", "/", "file:", "link:")) for p in call.packages)
        return refused("it installs the project itself") if own else NOTHING
    if verb not in INSTALLS or call.packages:
        return refused(f"`bun {verb or ''}`".rstrip() + " may read or change the copied files")
    package = package_json(context, folder)
    if package is None:
        return refused("package.json is not in the build context or is no JSON")
    local = [f"{n}: {s}" for n, s in package.local.items() if s.startswith(("file:", "link:", "portal:", "."))]
    if local:
        return refused(f"package.json installs a folder of the project, {local[0]}")
    found = manifest_files(context, folder)
    problems = [p for p in found.problems if not ("--ignore-scripts" in call.options and re.search(r"runs an? \w+ script", p))]
    if problems:
        return refused(problems[0])
    if brought(context, folder, "node_modules"):
        return overwritten("node_modules")
    frozen = verb == "ci" or bool(call.options & {"--frozen-lockfile", "--no-save"})
    if not frozen and not _lock_agrees(context, package):
        return refused("the install may rewrite its lock; with --frozen-lockfile it would not")
    return Needs(found.files)


def _lock_agrees(context: BuildContext, package: PackageJson) -> bool:
    """Whether the lock names the dependencies of package.json, or there is none. One in binary form cannot be read."""
    if context.exists(within(package.folder, "bun.lockb")) or package.workspaces:
        return False
    text = context.read_text(within(package.folder, "bun.lock"))
    if text is None:
        return not context.exists(within(package.folder, "bun.lock"))
    try:
        data = json.loads(re.sub(rf"{_STRINGS}|,(?=\s*[}}\]])", lambda one: one[1] or "", text))
    except (ValueError, RecursionError):
        return False
    own = table(data, "workspaces", "")
    kinds = (package.dependencies, package.dev_dependencies, package.optional_dependencies, package.peer_dependencies)
    names = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
    return all(dict(mine) == table(own, name) for mine, name in zip(kinds, names, strict=True))
