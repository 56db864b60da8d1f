"""The lock files of npm, Yarn and pnpm beside an install: whether it has them, and whether it rewrites them."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from optimizer.context.folder import BuildContext
from optimizer.context.javascript import PackageJson, lock_agrees, lock_files, package_json
from optimizer.ecosystems import Call
from optimizer.model.copies import CopyFacts
from optimizer.model.model import Model


def absent_locks(model: Model, call: Call, copies: Sequence[CopyFacts], copy: CopyFacts, source: str) -> set[str]:
    """The lock files of the context that an install does without, since they are not copied yet where it runs.

    Args:
        model: The facts, with the context at hand.
        call: The install.
        copies: The COPY and ADD instructions before it.
        copy, source: The one that brings its package.json, and that file of the context.
    """
    assert model.context is not None
    if _frozen(call):
        return set()
    place = posixpath.dirname(copy.image_of(model, source) or "/")
    locks = {f: posixpath.join(place, posixpath.basename(f)) for f in lock_files(model.context, posixpath.dirname(source) or ".")}
    return {f for f, path in locks.items() if not any(c.context_of(model, path) for c in copies)}


def lock_trouble(model: Model, call: Call, folder: str) -> str | None:
    """Why an install may rewrite a lock file that a later COPY would put back, None when it does not."""
    context = model.context
    assert context is not None
    locks = [posixpath.basename(f) for f in lock_files(context, folder)]
    if _frozen(call):
        return None
    if call.ecosystem == "npm":
        if not set(locks) & {"package-lock.json", "npm-shrinkwrap.json"} or lock_agrees(context, folder):
            return None
        return "package-lock.json does not agree with package.json, so the install rewrites it"
    if call.ecosystem == "yarn":
        if "yarn.lock" not in locks:
            return None
        text = context.read_text(posixpath.join(folder, "yarn.lock")) or ""
        package = package_json(context, folder)
        names = {**package.dependencies, **package.dev_dependencies, **package.optional_dependencies} if package else {}
        if all(f"{name}@{spec}" in text or f"{name}@npm:{spec}" in text for name, spec in names.items()):
            return None
        return "yarn.lock does not agree with package.json, so the install rewrites it"
    return "the install may rewrite pnpm-lock.yaml" if "pnpm-lock.yaml" in locks else None


def folder_trouble(context: BuildContext, call: Call, package: PackageJson) -> str | None:
    """Why an install may do more with a folder that a package depends on by its path than read it, None when it does not."""
    for name, spec in package.local.items():
        if not spec.startswith(("file:", "link:", "portal:", ".")):
            continue
        place = posixpath.normpath(posixpath.join(package.folder, spec.removeprefix("file:")))
        linked = call.ecosystem == "npm" and spec.startswith("file:") and context.is_dir(place)
        other = package_json(context, place) if linked else None
        # npm makes the commands of a linked package executable where they lie.
        if other is None or other.bin or context.under(posixpath.join(place, "node_modules")):
            return f"package.json installs a folder of the project, {name}: {spec}"
    return None


def _frozen(call: Call) -> bool:
    """Whether an install leaves the lock file as it is, or fails."""
    options = call.options & {"--frozen-lockfile", "--immutable", "--pure-lockfile", "--no-save", "--no-package-lock"}
    return bool(options) or (call.verb is not None and call.verb.value in ("ci", "clean-install", "install-clean"))
