"""Node's package managers: npm, yarn, pnpm."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Cache, Call, Ecosystem, read_arguments, unwrapped
from optimizer.syntax.shell import Command

_INSTALLS = frozenset({"install", "i", "ci", "add", "clean-install", "isntall", "install-clean"})
_NPM_VERBS = _INSTALLS | {
    "run", "run-script", "cache", "prune", "uninstall", "rm", "start", "test", "rebuild", "config", "set", "update", "link",
    "ls", "list",
}  # fmt: skip
_YARN_VERBS = frozenset({
    "install", "add", "global", "run", "build", "cache", "remove", "workspaces", "workspace", "set", "config", "start",
    "list",
})  # fmt: skip
_PNPM_VERBS = _INSTALLS | {"run", "build", "store", "prune", "remove", "fetch", "deploy", "exec", "start", "config", "ls", "list"}
_NPM_VALUED = frozenset({
    "--prefix", "-C", "--registry", "--cache", "--omit", "--include", "--workspace", "-w", "--loglevel", "--userconfig", "--tag",
    "--script-shell", "--fetch-timeout", "--fetch-retries", "--maxsockets", "--only",
})  # fmt: skip
_YARN_VALUED = frozenset({
    "--cwd", "--registry", "--cache-folder", "--modules-folder", "--network-timeout", "--mutex", "--network-concurrency",
})  # fmt: skip
_PNPM_VALUED = frozenset({"--filter", "-F", "--dir", "-C", "--store-dir", "--registry", "--reporter", "--loglevel"})


class Npm(Ecosystem):
    """``npm``."""

    name = "npm"
    programs = re.compile(r"npm$")
    caches = (
        Cache(
            folders=("~/.npm",),
            filled_by=frozenset({Action.INSTALL}),
            clean="npm cache clean --force",
            variables=frozenset({"NPM_CONFIG_CACHE", "npm_config_cache"}),
        ),
    )

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        if words.program != "npm":
            return None
        found = read_arguments(words.words[1:], _NPM_VERBS, _NPM_VALUED)
        verb = found.verb.value if found.verb else None
        names = tuple(w.value or w.text for w in found.operands)
        action = Action.OTHER
        if verb in _INSTALLS or verb == "update":
            action = Action.INSTALL
        elif verb in ("run", "run-script", "rebuild"):
            action = Action.BUILD
        elif verb == "cache" and names[:1] in (("clean",), ("clear",), ("rm",)):
            action = Action.CLEAN
        elif verb in ("uninstall", "rm", "prune"):
            action = Action.REMOVE
        return Call("npm", action, command, found.verb, names, (), found.names, found.complete, words.prefix)


class Yarn(Ecosystem):
    """``yarn``, classic and later."""

    name = "yarn"
    programs = re.compile(r"yarn(pkg)?$")
    caches = (
        Cache(
            folders=("/usr/local/share/.cache", "~/.cache/yarn"),
            filled_by=frozenset({Action.INSTALL}),
            clean="yarn cache clean",
            variables=frozenset({"YARN_CACHE_FOLDER"}),
        ),
    )

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        if words.program not in ("yarn", "yarnpkg"):
            return None
        found = read_arguments(words.words[1:], _YARN_VERBS, _YARN_VALUED)
        verb = found.verb.value if found.verb else None
        names = tuple(w.value or w.text for w in found.operands)
        action = Action.OTHER
        if verb in ("install", "add") or (verb == "global" and names[:1] == ("add",)):
            action = Action.INSTALL
        elif verb is None:  # yarn alone installs; yarn with any other word runs that script
            action = Action.INSTALL if not names and not found.names & {"--version", "-v", "--help"} else Action.BUILD
        elif verb in ("run", "build"):
            action = Action.BUILD
        elif verb == "cache" and names[:1] == ("clean",):
            action = Action.CLEAN
        elif verb == "remove":
            action = Action.REMOVE
        return Call("yarn", action, command, found.verb, names, (), found.names, found.complete, words.prefix)


class Pnpm(Ecosystem):
    """``pnpm``. Its store shares its blocks with node_modules, so there is nothing to clean in the same layer."""

    name = "pnpm"
    programs = re.compile(r"pnpm$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        if words.program != "pnpm":
            return None
        found = read_arguments(words.words[1:], _PNPM_VERBS, _PNPM_VALUED)
        verb = found.verb.value if found.verb else None
        names = tuple(w.value or w.text for w in found.operands)
        action = Action.OTHER
        if verb in _INSTALLS or verb == "fetch":
            action = Action.INSTALL
        elif verb in ("run", "build"):
            action = Action.BUILD
        elif verb in ("remove", "prune"):
            action = Action.REMOVE
        return Call("pnpm", action, command, found.verb, names, (), found.names, found.complete, words.prefix)
