"""A package.json with the members of its workspace, and which scripts a command of a package manager runs in which of them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optimizer.context.folder import BuildContext
from optimizer.context.javascript import PackageJson, package_json, workspace_folders

_MANAGERS = frozenset({"npm", "yarn", "yarnpkg", "pnpm", "bun"})
_OF_BUN = frozenset({"build", "test", "pm", "repl", "init", "create", "patch"})  # they come before scripts of that name
_RUN = frozenset({"run", "run-script", "rum", "urn"})
_OF_NPM = frozenset({"start", "stop", "test", "t", "tst", "restart"})
_NO_SCRIPTS = frozenset({
    "install", "i", "ci", "add", "remove", "exec", "dlx", "create", "init", "node", "workspace", "workspaces", "config", "cache", "global",
    "set", "why", "list", "outdated", "audit", "prune", "store", "fetch", "deploy", "rebuild", "pack", "publish", "link", "info",
    "version", "import", "plugin", "x", "update", "up", "upgrade", "unlink", "dedupe", "help",
})  # fmt: skip
_FOLDER = ("--prefix", "-C", "--cwd", "--dir")
_MEMBER = ("-w", "--workspace", "--filter", "-F")
_ALL = frozenset({"--workspaces", "-ws", "--ws", "-r", "--recursive"})
_VALUED = frozenset({*_FOLDER, *_MEMBER, "--loglevel", "--reporter", "--script-shell", "--workspace-concurrency", "-j", "--jobs"})
_RUNNERS = {"turbo": ("run",), "lerna": ("run",), "wsrun": ()}


@dataclass(frozen=True, slots=True)
class Workspace:
    """A package and the members of the workspace that it is the root of.

    problems: why there may be other members; linked: packages in folders of the context that are dependencies by their path.
    """

    root: PackageJson
    members: tuple[PackageJson, ...]
    problems: tuple[str, ...]
    linked: tuple[PackageJson, ...] = ()

    @property
    def packages(self) -> tuple[PackageJson, ...]:
        """The root, the members and what is linked."""
        return (self.root, *self.members, *self.linked)

    def named(self, selector: str) -> tuple[PackageJson, ...]:
        """The members that a name or a path relative to the root stands for; ``name...`` takes those it depends on as well."""
        wanted = selector.removesuffix("...").strip("{}")
        place = posixpath.normpath(posixpath.join(self.root.folder, wanted))
        found = [m for m in self.members if wanted == m.name or place == m.folder]
        return self._with_members(found) if selector.endswith("...") else tuple(found)

    def _with_members(self, found: list[PackageJson]) -> tuple[PackageJson, ...]:
        for package in found:  # which grows on the way
            needed = {*package.dependencies, *package.dev_dependencies, *package.optional_dependencies}
            found += [m for m in self.members if m.name in needed and m not in found]
        return tuple(found)


def workspace_of(context: BuildContext, folder: str = ".") -> Workspace | None:
    """The package of a folder with its members; None when there is no package.json."""
    root = package_json(context, folder)
    if root is None:
        return None
    folders, problems = workspace_folders(context, root)
    members = [package for at in folders if at != root.folder and (package := package_json(context, at)) is not None]
    return Workspace(root, tuple(members), problems, _linked(context, (root, *members)))


def _linked(context: BuildContext, packages: tuple[PackageJson, ...]) -> tuple[PackageJson, ...]:
    """The packages in folders of the context that others depend on by their path, and those that these depend on."""
    found = list(packages)
    for package in found:  # which grows on the way
        for spec in package.local.values():
            path = posixpath.normpath(posixpath.join(package.folder, spec.partition(":")[2])) if spec.startswith("file:") else ".."
            other = package_json(context, path) if not path.startswith("..") and context.is_dir(path) else None
            if other is not None and all(other.folder != known.folder for known in found):
                found.append(other)
    return tuple(found[len(packages) :])


def workspace_around(context: BuildContext, folder: str) -> Workspace | None:
    """The nearest workspace that has a folder's package for a member or root; None when there is none."""
    while True:
        found = workspace_of(context, folder)
        if found is not None and (found.members or found.linked):
            return found
        if folder in (".", ""):
            return None
        folder = posixpath.dirname(folder) or "."


def scripts_run(context: BuildContext, folder: str, words: Sequence[str]) -> tuple[tuple[PackageJson, str], ...] | None:
    """The scripts that a command runs, each with the package whose script it is.

    Args:
        context: The build context.
        folder: The folder of the context that the command runs in.
        words: The command: npm, yarn, pnpm, turbo or lerna, and what follows.

    Returns:
        None when the command runs no scripts or they cannot be told.
    """
    program, rest = posixpath.basename(words[0]), list(words[1:])
    values, flags, plain = _sorted(rest)
    for name in _FOLDER:
        for value in values.get(name, ()):
            folder = posixpath.normpath(posixpath.join(folder, value))
    workspace = workspace_of(context, folder)
    if workspace is None or folder.startswith(".."):
        return None
    selectors = [v for name in _MEMBER for v in values.get(name, ())]
    everywhere = bool(flags & _ALL)
    if program in _RUNNERS:
        plain = plain[1:] if plain[:1] and plain[0] in _RUNNERS[program] else plain
        # They build what a member depends on before it.
        selectors = [one if one.endswith("...") else f"{one}..." for one in selectors]
        return _in_members(workspace, plain, selectors) if workspace.members else None
    if program not in _MANAGERS or not plain or (program == "bun" and plain[0] in _OF_BUN):
        return None
    if program in ("yarn", "yarnpkg") and plain[0] == "workspace" and len(plain) > 2:
        selectors, plain = [plain[1]], plain[2:]
    elif program in ("yarn", "yarnpkg") and plain[0] == "workspaces" and len(plain) > 2:
        everywhere, plain = True, plain[1:] if plain[1] != "foreach" else plain[2:]
    if plain[0] in _RUN:
        plain = plain[1:]
        if program == "bun" and plain and not any(plain[0] in package.scripts for package in workspace.packages):
            return None  # it runs files as well
    elif plain[0] in _NO_SCRIPTS or (program == "npm" and plain[0] not in _OF_NPM):
        return None
    elif program != "npm" and not any(plain[0] in package.scripts for package in workspace.packages):
        # A program of node_modules, which Yarn and pnpm start where there is no script of that name.
        return scripts_run(context, folder, rest[rest.index(plain[0]) :]) if plain[0] in _RUNNERS else None
    if not plain:
        return None
    if everywhere or selectors:
        return _in_members(workspace, plain[:1], selectors) or None
    return ((workspace.root, "test" if plain[0] in ("t", "tst") else plain[0]),)


def _in_members(workspace: Workspace, names: Sequence[str], selectors: Iterable[str]) -> tuple[tuple[PackageJson, str], ...] | None:
    """Scripts of the members that are selected, of all where none is; those without the script are passed over."""
    selectors = tuple(selectors)
    chosen = list(workspace.members)
    if selectors:
        found = [workspace.named(s) for s in selectors]
        if not all(found):
            return None
        chosen = list({member.folder: member for members in found for member in members}.values())
    if workspace.problems or not names:
        return None
    return tuple((member, name) for name in names for member in chosen if name in member.scripts)


def _sorted(words: list[str]) -> tuple[dict[str, list[str]], set[str], list[str]]:
    """Options with values, options without, and the words that are none; what stands behind ``--`` is for the script."""
    values: dict[str, list[str]] = {}
    flags: set[str] = set()
    plain: list[str] = []
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "--":
            break
        name, sign, value = word.partition("=")
        if not word.startswith("-"):
            plain.append(word)
        elif sign:
            values.setdefault(name, []).append(value)
        elif name in _VALUED and index < len(words):
            values.setdefault(name, []).append(words[index])
            index += 1
        else:
            flags.add(name)
    return values, flags, plain
