"""Bun as a package manager."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import behind, call_of
from optimizer.syntax.shell import Command

INSTALLS = frozenset({"install", "i", "ci"})
_VERBS = {
    **dict.fromkeys(INSTALLS, Action.INSTALL),
    "add": Action.INSTALL,
    "a": Action.INSTALL,
    "update": Action.INSTALL,
    "remove": Action.REMOVE,
    "rm": Action.REMOVE,
    "build": Action.BUILD,
    "run": Action.BUILD,
    "test": Action.BUILD,
    "pm": Action.OTHER,
    "x": Action.OTHER,
    "link": Action.OTHER,
    "upgrade": Action.OTHER,
}
# Source: https://bun.sh/docs/cli/install
_VALUED = frozenset({
    "--cwd", "-c", "--config", "--registry", "--cache-dir", "--backend", "--filter", "--omit", "--cafile", "--network-concurrency",
    "--concurrent-scripts", "--outdir", "--outfile", "--target", "--linker", "--minimum-release-age",
})  # fmt: skip


class Bun(Ecosystem):
    """``bun``. Its cache shares its blocks with node_modules, so there is nothing to clean in the same layer."""

    name = "bun"
    programs = re.compile(r"bun$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        found = arguments_of(words)
        return None if found is None else call_of(self.name, command, words, found, _action)


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of Bun, None when it is none."""
    rest = behind(words, "bun")
    return None if rest is None else read_arguments(rest, frozenset(_VERBS), _VALUED)


def _action(found: Arguments) -> Action:
    verb = found.verb.value if found.verb else None
    names = tuple(w.value for w in found.operands)
    if verb == "pm" and names[:2] == ("cache", "rm"):
        return Action.CLEAN
    return _VERBS.get(verb or "", Action.OTHER)
