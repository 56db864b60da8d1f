"""conda and its faster twins."""

from __future__ import annotations

import re
from typing import ClassVar

from optimizer.ecosystems.base import Action, Cache, Call, Ecosystem, read_arguments, unwrapped
from optimizer.syntax.shell import Command

_VERBS = {
    "install": Action.INSTALL,
    "create": Action.INSTALL,
    "update": Action.INSTALL,
    "upgrade": Action.INSTALL,
    "env": Action.INSTALL,
    "remove": Action.REMOVE,
    "clean": Action.CLEAN,
    "config": Action.OTHER,
    "init": Action.OTHER,
    "run": Action.OTHER,
}
_VALUED = frozenset({"-n", "--name", "-p", "--prefix", "-c", "--channel", "-f", "--file", "--solver"})
_PLACES = frozenset({"CONDA_PKGS_DIRS"})


class Conda(Ecosystem):
    """``conda``."""

    name = "conda"
    programs = re.compile(r"conda$")
    program: ClassVar[str] = "conda"
    caches = (Cache(("/opt/conda/pkgs", "~/.conda/pkgs"), frozenset({Action.INSTALL}), "conda clean -ay", variables=_PLACES),)

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        if words.program != self.program:
            return None
        found = read_arguments(words.words[1:], frozenset(_VERBS), _VALUED)
        action = _VERBS.get(found.verb.value or "", Action.OTHER) if found.verb else Action.OTHER
        names = tuple(w.value or w.text for w in found.operands)
        if found.verb is not None and found.verb.value == "env":
            action = action if names[:1] in (("create",), ("update",)) else Action.OTHER
            names = names[1:]
        empties = any(o in ("--all", "--tarballs", "--packages") or re.fullmatch(r"-[a-z]*[atp][a-z]*", o) for o in found.names)
        if action is Action.CLEAN and not empties:
            action = Action.OTHER
        return Call(self.name, action, command, found.verb, names, found.values("-f", "--file"), found.names, found.complete, words.prefix)


class Mamba(Conda):
    """``mamba``."""

    name = "mamba"
    programs = re.compile(r"mamba$")
    program = "mamba"
    caches = (Cache(("/opt/conda/pkgs", "~/.conda/pkgs"), frozenset({Action.INSTALL}), "mamba clean -afy", variables=_PLACES),)


class Micromamba(Conda):
    """``micromamba``."""

    name = "micromamba"
    programs = re.compile(r"micromamba$")
    program = "micromamba"
    caches = (Cache(("/opt/conda/pkgs", "~/micromamba/pkgs"), frozenset({Action.INSTALL}), "micromamba clean -afy", variables=_PLACES),)


def target(call: Call) -> str | None:
    """The name or path of the environment that a call names, None when it names none."""
    found = read_arguments(unwrapped(call.command).words[1:], frozenset(_VERBS), _VALUED)
    return next(iter(found.values("-n", "--name", "-p", "--prefix")), None)
