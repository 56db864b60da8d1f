"""Python's Poetry."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Cache, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import PYTHON, behind, behind_module, call_of
from optimizer.syntax.shell import Command

_VERBS = {
    "install": Action.INSTALL,
    "sync": Action.INSTALL,
    "add": Action.INSTALL,
    "update": Action.INSTALL,
    "remove": Action.REMOVE,
    "build": Action.BUILD,
    "cache": Action.OTHER,
    "config": Action.OTHER,
    "env": Action.OTHER,
    "export": Action.OTHER,
    "lock": Action.OTHER,
    "run": Action.OTHER,
    "self": Action.OTHER,
    "show": Action.OTHER,
    "check": Action.OTHER,
}
# Source: https://python-poetry.org/docs/cli/
_VALUED = frozenset({
    "-C", "--directory", "-P", "--project", "-E", "--extras", "--with", "--without", "--only", "-G", "--group", "-f", "--format", "-o",
    "--output",
})  # fmt: skip


class Poetry(Ecosystem):
    """``poetry`` and ``python -m poetry``.

    Its cache folder holds the virtual environments as well, so only the two folders of downloads in it are removed.
    ``--no-cache`` would do, but versions before 1.2 stop at it.
    """

    name = "poetry"
    programs = re.compile(rf"(poetry|{PYTHON})$")
    caches = (
        Cache(
            folders=("~/.cache/pypoetry/artifacts", "~/.cache/pypoetry/cache"),
            filled_by=frozenset({Action.INSTALL}),
            clean="rm -rf ~/.cache/pypoetry/artifacts ~/.cache/pypoetry/cache",
            variables=frozenset({"POETRY_CACHE_DIR", "XDG_CACHE_HOME"}),
        ),
    )

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        found = arguments_of(words)
        return None if found is None else call_of(self.name, command, words, found, _action)


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of Poetry, None when it is none."""
    rest = behind(words, "poetry")
    if rest is None:
        rest = behind_module(words, "poetry")
    return None if rest is None else read_arguments(rest, frozenset(_VERBS), _VALUED)


def _action(found: Arguments) -> Action:
    verb = found.verb.value if found.verb else None
    if verb == "cache" and found.operands and found.operands[0].value == "clear":
        return Action.CLEAN
    return _VERBS.get(verb or "", Action.OTHER)
