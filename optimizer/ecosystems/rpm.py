"""The package managers of RPM distributions: dnf, yum, microdnf, tdnf, zypper."""

from __future__ import annotations

import re
from typing import ClassVar

from optimizer.ecosystems.base import Action, Cache, Call, Ecosystem, read_arguments, unwrapped
from optimizer.syntax.shell import Command

_VERBS = {
    "install": Action.INSTALL,
    "localinstall": Action.INSTALL,
    "groupinstall": Action.INSTALL,
    "group": Action.INSTALL,
    "reinstall": Action.INSTALL,
    "update": Action.INSTALL,
    "upgrade": Action.INSTALL,
    "distro-sync": Action.INSTALL,
    "builddep": Action.INSTALL,
    "module": Action.INSTALL,
    "makecache": Action.UPDATE,
    "check-update": Action.UPDATE,
    "remove": Action.REMOVE,
    "erase": Action.REMOVE,
    "autoremove": Action.REMOVE,
    "clean": Action.CLEAN,
}
_ZYPPER = {
    "install": Action.INSTALL,
    "in": Action.INSTALL,
    "update": Action.INSTALL,
    "up": Action.INSTALL,
    "patch": Action.INSTALL,
    "dist-upgrade": Action.INSTALL,
    "dup": Action.INSTALL,
    "refresh": Action.UPDATE,
    "ref": Action.UPDATE,
    "remove": Action.REMOVE,
    "rm": Action.REMOVE,
    "clean": Action.CLEAN,
    "cc": Action.CLEAN,
}
_VALUED = frozenset({"--enablerepo", "--disablerepo", "--setopt", "-c", "--config", "--installroot", "--releasever", "-x", "--exclude"})
_FILLED = frozenset({Action.UPDATE, Action.INSTALL})


class _Manager(Ecosystem):
    verbs: ClassVar[dict[str, Action]] = _VERBS

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        if words.program != self.name:
            return None
        found = read_arguments(words.words[1:], frozenset(self.verbs), _VALUED)
        action = self.verbs.get(found.verb.value or "", Action.OTHER) if found.verb else Action.OTHER
        names = tuple(w.value or w.text for w in found.operands)
        if action is Action.CLEAN and self.name != "zypper" and "all" not in names:
            action = Action.OTHER
        return Call(self.name, action, command, found.verb, names, (), found.names, found.complete, words.prefix)


class Dnf(_Manager):
    """``dnf``."""

    name = "dnf"
    programs = re.compile(r"dnf$")
    caches = (Cache(("/var/cache/dnf", "/var/cache/libdnf5"), _FILLED, "dnf clean all"),)


class Yum(_Manager):
    """``yum``."""

    name = "yum"
    programs = re.compile(r"yum$")
    caches = (Cache(("/var/cache/yum", "/var/cache/dnf"), _FILLED, "yum clean all"),)


class Microdnf(_Manager):
    """``microdnf``."""

    name = "microdnf"
    programs = re.compile(r"microdnf$")
    caches = (Cache(("/var/cache/yum", "/var/cache/dnf"), _FILLED, "microdnf clean all"),)


class Tdnf(_Manager):
    """``tdnf``."""

    name = "tdnf"
    programs = re.compile(r"tdnf$")
    caches = (Cache(("/var/cache/tdnf",), _FILLED, "tdnf clean all"),)


class Zypper(_Manager):
    """``zypper``."""

    name = "zypper"
    programs = re.compile(r"zypper$")
    verbs = _ZYPPER
    caches = (Cache(("/var/cache/zypp",), _FILLED, "zypper clean --all"),)
