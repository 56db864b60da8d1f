"""package.json, its lock file, and what `npm install`, `yarn install`, `pnpm install` or `bun install` reads."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.install_scripts import script_reads

# In the order the managers look for them; npm prefers the shrinkwrap.
LOCKS = (
    ("npm-shrinkwrap.json", "npm"), ("package-lock.json", "npm"), ("yarn.lock", "yarn"), ("pnpm-lock.yaml", "pnpm"),
    ("bun.lock", "bun"), ("bun.lockb", "bun"),
)  # fmt: skip
_INSTALL_SCRIPTS = (
    "preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare", "pnpm:devPreinstall",
    "dependencies", "predependencies", "postdependencies",
)  # fmt: skip
_LOCAL = ("file:", "link:", "portal:", "workspace:", "./", "../", "~/", "/")
_CONFIGURATION = (
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    "pnpm-workspace.yaml",
    ".pnpmfile.cjs",
    ".pnpmfile.mjs",
    "pnpmfile.js",
    "bunfig.toml",
    ".pnp.cjs",
    ".pnp.loader.mjs",
)
_CONFIGURATION_FOLDERS = (".yarn/releases", ".yarn/plugins", ".yarn/patches", "patches")

Names = Mapping[str, str]


class PackageJson(Struct, frozen=True):
    """A package.json. Mappings go from name to text and are read-only; what has the wrong type counts as absent.

    folder: where it lies; local: the dependencies of all kinds that are paths or workspaces, name to specifier;
    install_scripts: the scripts that an install of the project itself runs, in their order; bin: command to file;
    workspaces: the patterns as written; problems: fields of a type that npm would not take.
    """

    folder: str
    name: str | None
    version: str | None
    scripts: Names
    dependencies: Names
    dev_dependencies: Names
    optional_dependencies: Names
    peer_dependencies: Names
    workspaces: tuple[str, ...]
    main: str | None
    bin: Names
    local: Names
    install_scripts: tuple[str, ...]
    package_manager: str | None
    type: str | None
    overrides: bool
    problems: tuple[str, ...]

    @property
    def manifest(self) -> str:
        """The path of the file itself."""
        return posixpath.normpath(posixpath.join(self.folder, "package.json"))


class ManifestFiles(Struct, frozen=True):
    """What an install reads. files: sorted; problems: why that may not be all, or why an install does more than that."""

    files: tuple[str, ...]
    problems: tuple[str, ...]


def package_json(context: BuildContext, folder: str = ".") -> PackageJson | None:
    """Read the package.json of a folder; None when there is none or it is not a JSON object."""
    path = posixpath.normpath(posixpath.join(folder, "package.json"))
    data = _json(context, path)
    if data is None:
        return None
    problems: list[str] = []

    def texts(key: str) -> Names:
        value = data.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            problems.append(f'{path}: "{key}" is not an object of texts')
            value = {}
        return MappingProxyType(value)

    def text(key: str) -> str | None:
        value = data.get(key)
        return value if isinstance(value, str) else None

    workspaces = data.get("workspaces", [])
    workspaces = workspaces.get("packages", []) if isinstance(workspaces, dict) else workspaces
    if not isinstance(workspaces, list) or not all(isinstance(item, str) for item in workspaces):
        problems.append(f'{path}: "workspaces" is not a list of texts')
        workspaces = []
    command = data.get("bin")
    bins = {posixpath.basename(text("name") or ""): command} if isinstance(command, str) else command if isinstance(command, dict) else {}
    runtime, development, optional, peer = map(texts, ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies"))
    scripts = texts("scripts")
    local = {name: spec for kind in (runtime, development, optional) for name, spec in kind.items() if spec.startswith(_LOCAL)}
    return PackageJson(
        posixpath.normpath(folder), text("name"), text("version"), scripts, runtime, development, optional, peer,
        tuple(workspaces), text("main"), MappingProxyType({name: file for name, file in bins.items() if isinstance(file,
        str)}), MappingProxyType(local),
        tuple(name for name in _INSTALL_SCRIPTS if name in scripts), text("packageManager"), text("type"),
        bool(data.get("overrides") or data.get("resolutions")), tuple(problems),
    )  # fmt: skip


def plug_and_play(context: BuildContext, package: PackageJson) -> bool:
    """Whether Yarn leaves a project's packages in archives, as it does from version 2 on unless it is told otherwise."""
    if not re.match(r"yarn@", package.package_manager or "yarn@") or context.exists("pnpm-lock.yaml"):
        return False
    modern = re.match(r"yarn@([2-9]|berry)", package.package_manager or "") is not None
    for folder in dict.fromkeys((package.folder, ".")):
        if context.exists(posixpath.normpath(posixpath.join(folder, ".pnp.cjs"))):
            return True
        text = context.read_text(posixpath.normpath(posixpath.join(folder, ".yarnrc.yml")))
        modern = modern or text is not None
        if re.search(r"^nodeLinker:\s*[\"']?(node-modules|pnpm)\b", text or "", re.MULTILINE):
            return False
    lock = context.read_text(posixpath.normpath(posixpath.join(package.folder, "yarn.lock"))) or context.read_text("yarn.lock")
    return modern or (lock is not None and lock.find("__metadata:") >= 0)


def _json(context: BuildContext, path: str) -> dict[str, Any] | None:
    try:
        data = json.loads(context.read_text(path) or "")
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def lock_files(context: BuildContext, folder: str = ".") -> tuple[str, ...]:
    """The lock files of a folder, as paths; more than one means that it depends on the manager which is used."""
    return tuple(path for name, _ in LOCKS if context.exists(path := posixpath.normpath(posixpath.join(folder, name))))


def package_manager(context: BuildContext, folder: str = ".") -> str | None:
    """The manager a project is made for, by its `packageManager` field or else its only kind of lock; None when unclear."""
    package = package_json(context, folder)
    named = package.package_manager.split("@")[0] if package and package.package_manager else None
    if named:
        return named
    managers = {manager for name, manager in LOCKS if context.exists(posixpath.join(folder, name))}
    return managers.pop() if len(managers) == 1 else None


def lock_agrees(context: BuildContext, folder: str = ".") -> bool | None:
    """Whether the lock of a folder names the same dependencies as package.json, so that an install leaves it as it is.

    None when that cannot be told: no npm lock, another version of it than 2 and 3, overrides, or unreadable files.
    """
    package = package_json(context, folder)
    path = next((path for path in lock_files(context, folder) if path.endswith(".json")), None)
    lock = _json(context, path) if path else None
    if package is None or package.problems or lock is None or lock.get("lockfileVersion") not in (2, 3) or package.overrides:
        return None
    entries = lock.get("packages")
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        return None
    folders = [key for key in entries if not re.search(r"(^|/)node_modules/", key)]
    agree = True
    for key in folders:
        member = package_json(context, posixpath.join(folder, key)) if key else package
        if member is None or member.problems:
            # A member that is ignored is missed by npm too; a package outside the context cannot be looked at.
            return None
        agree = agree and _same_dependencies(member, entries[key]) and _has_entries(member, key, entries)
    if package.workspaces:
        # `workspaces` of the lock may be written as a list or an object, and members may be missing from it.
        members, problems = workspace_folders(context, package)
        if problems:
            return None
        agree = agree and {posixpath.relpath(member, package.folder) for member in members} <= set(folders)
    return agree and "" in entries


def lock_suffices(context: BuildContext, folder: str = ".") -> bool:
    """Whether `npm ci` accepts the lock of a folder: it agrees, and every package that a locked one depends on is locked as well.

    npm leaves optional packages out of a lock when it cannot see them, and `npm ci` misses them then.
    """
    if lock_agrees(context, folder) is not True:
        return False
    path = next(path for path in lock_files(context, folder) if path.endswith(".json"))
    entries = (_json(context, path) or {}).get("packages", {})
    for key, entry in entries.items():
        for name in (*entry.get("dependencies", ()), *entry.get("optionalDependencies", ())):
            place = key
            while f"{place}/node_modules/{name}".lstrip("/") not in entries:
                if not place:
                    return False
                place = place.rpartition("/node_modules/")[0] if "/node_modules/" in place else ""
    return True


def _same_dependencies(package: PackageJson, entry: Mapping[str, Any]) -> bool:
    """npm takes optional dependencies out of `dependencies` before it compares."""
    optional = entry.get("optionalDependencies", {})
    written = {name: spec for name, spec in package.dependencies.items() if name not in package.optional_dependencies}
    return (
        written == {name: spec for name, spec in entry.get("dependencies", {}).items() if name not in optional}
        and package.dev_dependencies == entry.get("devDependencies", {})
        and package.optional_dependencies == optional
        and package.peer_dependencies == entry.get("peerDependencies", {})
    )


def _has_entries(package: PackageJson, key: str, entries: Mapping[str, Any]) -> bool:
    """Whether each dependency has an entry that the installed tree would come from, and exact versions are those locked."""
    for name, spec in {**package.dependencies, **package.dev_dependencies, **package.optional_dependencies}.items():
        places = [f"{key}/node_modules/{name}".lstrip("/"), f"node_modules/{name}"]
        found = next((entries[place] for place in places if place in entries), None)
        if found is None:
            return False
        version = found.get("version")
        if re.fullmatch(r"\d+\.\d+\.\d+", spec) and isinstance(version, str) and version != spec:
            return False
    return True


def workspace_folders(context: BuildContext, package: PackageJson) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders of the members of a workspace, and problems with its patterns."""
    patterns = list(package.workspaces)
    problems: list[str] = []
    workspace = context.read_text(posixpath.join(package.folder, "pnpm-workspace.yaml"))
    if workspace is not None:
        patterns += _yaml_list(workspace, "packages")
    members = [posixpath.dirname(f) for f in context.files() if posixpath.basename(f) == "package.json" and "node_modules/" not in f]
    if patterns and context.truncated:
        problems.append("the build context has too many files to list")
    found: set[str] = set()
    for pattern in patterns:
        clean = posixpath.normpath(posixpath.join(package.folder, pattern.lstrip("!").removesuffix("/")))
        if re.search(r"[{}()\[\]\\]", clean) or clean.startswith(".."):
            problems.append(f"the workspace pattern {pattern} is not understood")
            continue
        pieces = re.split(r"(\*\*/|\*\*|\*|\?)", clean)
        wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        expression = re.compile("".join(wild.get(piece) or re.escape(piece) for piece in pieces))
        matching = {member for member in members if member and expression.fullmatch(member)}
        found = found - matching if pattern.startswith("!") else found | matching
    return tuple(sorted(found)), tuple(problems)


def _yaml_list(text: str, key: str) -> list[str]:
    """A block or flow list of plain texts at the top of a YAML file; this is all that pnpm-workspace.yaml is made of."""
    flow = re.search(rf"^{key}:[ \t]*\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    block = re.search(rf"^{key}:[ \t]*(?:#.*)?\r?\n((?:[ \t]*(?:-.*|#.*)?\r?\n?)*)", text, re.MULTILINE)
    items = flow[1].split(",") if flow else re.findall(r"^[ \t]*-[ \t]+(.*)$", block[1], re.MULTILINE) if block else []
    plain = [re.sub(r"\s+#.*$", "", item.strip()).strip().strip("'\"") for item in items]
    return [item for item in plain if item]


def manifest_files(context: BuildContext, folder: str = ".") -> ManifestFiles:
    """The files that an install in a folder reads, and the problems that keep it from needing those alone."""
    package = package_json(context, folder)
    if package is None:
        return ManifestFiles((), (f"{posixpath.normpath(posixpath.join(folder, 'package.json'))} is missing or not JSON",))
    problems = list(package.problems)
    workspaces, trouble = workspace_folders(context, package)
    problems += trouble
    files: set[str] = set()
    for name in ("package.json", *_CONFIGURATION, *(lock for lock, _ in LOCKS)):
        path = posixpath.normpath(posixpath.join(folder, name))
        if context.exists(path) and not context.is_dir(path):
            files.add(path)
    for name in _CONFIGURATION_FOLDERS:
        files.update(context.under(posixpath.join(folder, name)))
    if any("node-gyp" in script for script in package.scripts.values()) or context.exists(posixpath.join(folder, "binding.gyp")):
        problems.append("an install compiles the project (binding.gyp)")
    pending = [(package, True), *((member, True) for at in workspaces if (member := package_json(context, at)))]
    done: set[str] = set()
    while pending:
        member, own = pending.pop()
        if member.folder in done:
            continue
        done.add(member.folder)
        manifest = posixpath.normpath(posixpath.join(member.folder, "package.json"))
        files.add(manifest)
        for name in (".npmrc", "npm-shrinkwrap.json") if own else ():
            path = posixpath.join(member.folder, name)
            files.update({posixpath.normpath(path)} if context.exists(path) else ())
        for name in member.install_scripts:
            read = script_reads(context, member.folder, member.scripts[name])
            files.update(read or ())
            problems += [f"{manifest} runs a {name} script: {member.scripts[name]}"] if read is None else []
        for name, spec in member.local.items():
            target = _local_target(member.folder, spec)
            if target is None:
                continue  # a workspace by its name: the members are all here
            if context.exists(target) and not context.is_dir(target):
                files.add(target)
            elif (other := package_json(context, target)) is not None and not target.startswith(".."):
                pending.append((other, False))
                # npm links a folder and yarn copies it: only the manifest is read now, the rest must come before the start.
                if target not in workspaces and not spec.startswith("link:"):
                    files.update(context.under(target))
            else:
                problems.append(f"{manifest} depends on {name} at {spec}, which is not in the build context")
    return ManifestFiles(tuple(sorted(files)), tuple(dict.fromkeys(problems)))


def _local_target(folder: str, spec: str) -> str | None:
    """The path of a local dependency relative to the context; "../" in front when it is outside; None for a workspace."""
    if spec.startswith("workspace:") and "/" not in spec:
        return None
    path = re.sub(r"^(file|link|portal|workspace):(//)?", "", spec)
    if path.startswith(("/", "~")):
        return f"../{path}"
    return posixpath.normpath(posixpath.join(folder, path))
