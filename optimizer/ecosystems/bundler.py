"""Ruby's Bundler and RubyGems."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import behind, call_of
from optimizer.syntax.shell import Command

_VERBS = {
    "install": Action.INSTALL,
    "update": Action.INSTALL,
    "add": Action.INSTALL,
    "remove": Action.REMOVE,
    "clean": Action.REMOVE,
    "cache": Action.OTHER,
    "package": Action.OTHER,
    "config": Action.OTHER,
    "exec": Action.OTHER,
    "check": Action.OTHER,
    "lock": Action.OTHER,
}
_GEM_VERBS = {"install": Action.INSTALL, "i": Action.INSTALL, "update": Action.UPDATE, "uninstall": Action.REMOVE, "build": Action.BUILD}
# Source: https://bundler.io/man/bundle-install.1.html
_VALUED = frozenset({
    "-j", "--jobs", "--gemfile", "--path", "--with", "--without", "--retry", "--binstubs", "--shebang", "--target-rbconfig",
    "--trust-policy", "-g",
})  # fmt: skip
_GEM_VALUED = frozenset({
    "-v", "--version", "-s", "--source", "-i", "--install-dir", "-n", "--bindir", "-g", "--file", "--platform", "-P", "--build-root",
})  # fmt: skip


class Bundler(Ecosystem):
    """``bundle`` and ``bundler``.

    The downloaded gems lie beside the installed ones, in a folder that settings, variables and the version decide, and
    ``--no-cache`` means another folder; so nothing is cleaned.
    """

    name = "bundler"
    programs = re.compile(r"bundler?$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        found = arguments_of(words)
        return None if found is None else call_of(self.name, command, words, found, _action)


class Gem(Ecosystem):
    """``gem``. What it downloads is left alone, as with Bundler."""

    name = "gem"
    programs = re.compile(r"gem$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        found = gem_arguments(words)
        return None if found is None else call_of(self.name, command, words, found, _gem_action)


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of Bundler, None when it is none."""
    rest = behind(words, "bundler?")
    return None if rest is None else read_arguments(rest, frozenset(_VERBS), _VALUED)


def gem_arguments(words: Words) -> Arguments | None:
    """The arguments of a call of RubyGems, None when it is none."""
    rest = behind(words, "gem")
    return None if rest is None else read_arguments(rest, frozenset(_GEM_VERBS), _GEM_VALUED)


def _action(found: Arguments) -> Action:
    if found.verb is None:  # `bundle` alone installs
        alone = not found.operands and not found.names & {"--version", "-v", "--help", "-h"}
        return Action.INSTALL if alone else Action.OTHER
    return _VERBS[found.verb.value or ""]


def _gem_action(found: Arguments) -> Action:
    return _GEM_VERBS.get(found.verb.value or "", Action.OTHER) if found.verb else Action.OTHER
