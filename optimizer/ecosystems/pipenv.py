"""Python's Pipenv."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Cache, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import PYTHON, behind, behind_module, call_of
from optimizer.syntax.shell import Command

_VERBS = {
    "install": Action.INSTALL,
    "sync": Action.INSTALL,
    "update": Action.INSTALL,
    "upgrade": Action.INSTALL,
    "uninstall": Action.REMOVE,
    "clean": Action.REMOVE,
    "lock": Action.OTHER,
    "requirements": Action.OTHER,
    "run": Action.OTHER,
    "shell": Action.OTHER,
    "verify": Action.OTHER,
    "graph": Action.OTHER,
}
# Source: https://pipenv.pypa.io/en/latest/cli.html
_VALUED = frozenset({
    "-r", "--requirements", "-e", "--editable", "-i", "--index", "--python", "--pypi-mirror", "--categories", "--extra-pip-args",
})  # fmt: skip


class Pipenv(Ecosystem):
    """``pipenv`` and ``python -m pipenv``. It has no option that switches the cache off, and keeps environments elsewhere."""

    name = "pipenv"
    programs = re.compile(rf"(pipenv|{PYTHON})$")
    caches = (
        Cache(
            folders=("~/.cache/pipenv",),
            filled_by=frozenset({Action.INSTALL}),
            clean="rm -rf ~/.cache/pipenv",
            variables=frozenset({"PIPENV_CACHE_DIR", "PIP_NO_CACHE_DIR", "XDG_CACHE_HOME"}),
        ),
    )

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        found = arguments_of(words)
        if found is None:
            return None
        call = call_of(self.name, command, words, found, _action)
        names = call.packages + found.values("-e", "--editable")
        return Call(
            self.name,
            call.action,
            command,
            call.verb,
            names,
            found.values("-r", "--requirements"),
            call.options,
            call.complete,
            call.prefix,
        )


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of Pipenv, None when it is none."""
    rest = behind(words, "pipenv")
    if rest is None:
        rest = behind_module(words, "pipenv")
    return None if rest is None else read_arguments(rest, frozenset(_VERBS), _VALUED)


def _action(found: Arguments) -> Action:
    if found.verb is None and "--clear" in found.names:
        return Action.CLEAN
    return _VERBS.get(found.verb.value or "", Action.OTHER) if found.verb else Action.OTHER
