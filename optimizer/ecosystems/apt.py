"""Debian's and Ubuntu's apt."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Cache, Call, Ecosystem, read_arguments, unwrapped
from optimizer.syntax.shell import Command

_VERBS = {
    "update": Action.UPDATE,
    "install": Action.INSTALL,
    "upgrade": Action.INSTALL,
    "dist-upgrade": Action.INSTALL,
    "full-upgrade": Action.INSTALL,
    "build-dep": Action.INSTALL,
    "reinstall": Action.INSTALL,
    "remove": Action.REMOVE,
    "purge": Action.REMOVE,
    "autoremove": Action.REMOVE,
    "autopurge": Action.REMOVE,
    "clean": Action.OTHER,  # empties the archive of .deb files only, and official images do that by themselves
    "autoclean": Action.OTHER,
    "distclean": Action.CLEAN,
}
_VALUED = frozenset({"-o", "--option", "-t", "--target-release", "--default-release", "-c", "--config-file", "-a", "--host-architecture"})


class Apt(Ecosystem):
    """``apt-get``, ``apt`` and ``aptitude``."""

    name = "apt"
    programs = re.compile(r"(apt|apt-get|aptitude)$")
    caches = (
        Cache(
            folders=("/var/lib/apt/lists",),
            filled_by=frozenset({Action.UPDATE}),
            clean="rm -rf /var/lib/apt/lists/*",
        ),
    )

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        if words.program not in ("apt-get", "apt", "aptitude"):
            return None
        found = read_arguments(words.words[1:], frozenset(_VERBS), _VALUED)
        action = _VERBS.get(found.verb.value or "", Action.OTHER) if found.verb else Action.OTHER
        names = tuple(_bare(w.value or w.text) for w in found.operands)
        return Call("apt", action, command, found.verb, names, (), found.names, found.complete, words.prefix)


def _bare(package: str) -> str:
    """A package's name without version, release or architecture; a path stays a path."""
    if package.startswith((".", "/")):
        return package
    return package.partition("=")[0].partition("/")[0].partition(":")[0]
