"""Alpine's apk."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Cache, Call, Ecosystem, read_arguments, unwrapped
from optimizer.syntax.shell import Command

_VERBS = {
    "update": Action.UPDATE,
    "add": Action.INSTALL,
    "upgrade": Action.INSTALL,
    "fix": Action.INSTALL,
    "del": Action.REMOVE,
    "cache": Action.OTHER,
}
_VALUED = frozenset({"-t", "--virtual", "-X", "--repository", "-p", "--root", "--keys-dir", "--repositories-file", "--arch", "--wait"})


class Apk(Ecosystem):
    """``apk``."""

    name = "apk"
    programs = re.compile(r"apk$")
    caches = (
        Cache(
            folders=("/var/cache/apk",),
            filled_by=frozenset({Action.UPDATE, Action.INSTALL}),
            clean="rm -rf /var/cache/apk/*",
            option="--no-cache",
        ),
    )

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        if words.program != "apk":
            return None
        found = read_arguments(words.words[1:], frozenset(_VERBS), _VALUED)
        action = _VERBS.get(found.verb.value or "", Action.OTHER) if found.verb else Action.OTHER
        names = tuple(re.split(r"[=<>~@]", w.value or w.text)[0] for w in found.operands)
        return Call("apk", action, command, found.verb, names, (), found.names, found.complete, words.prefix)
