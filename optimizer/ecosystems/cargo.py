"""Rust's Cargo."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import behind
from optimizer.syntax.shell import Command, Word

_VERBS = {
    "fetch": Action.INSTALL,
    "vendor": Action.INSTALL,
    "install": Action.INSTALL,
    "build": Action.BUILD,
    "b": Action.BUILD,
    "rustc": Action.BUILD,
    "check": Action.BUILD,
    "test": Action.BUILD,
    "run": Action.BUILD,
    "r": Action.BUILD,
    "chef": Action.OTHER,
    "clean": Action.OTHER,
    "update": Action.OTHER,
    "generate-lockfile": Action.OTHER,
    "new": Action.OTHER,
    "init": Action.OTHER,
    "uninstall": Action.REMOVE,
}
# Source: https://doc.rust-lang.org/cargo/commands/cargo-build.html and cargo-install.html
_VALUED = frozenset({
    "--manifest-path", "--target", "--target-dir", "-p", "--package", "--bin", "--example", "--features", "-F", "--profile", "--config",
    "-C", "-Z", "--path", "--git", "--branch", "--tag", "--rev", "--version", "--vers", "--root", "--registry", "--index", "-j",
    "--jobs", "--color", "--message-format", "--exclude", "--out-dir", "--artifact-dir", "--lockfile-path", "--recipe-path", "-s",
    "--sync",
})  # fmt: skip


class Cargo(Ecosystem):
    """``cargo``. Later builds read the registry and the target folder, so neither is a cache to empty."""

    name = "cargo"
    programs = re.compile(r"cargo$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        found = arguments_of(words)
        if found is None:
            return None
        verb = found.verb.value if found.verb else None
        names = tuple(w.value or w.text for w in found.operands)
        action = _VERBS.get(verb or "", Action.OTHER)
        return Call(
            self.name, action, command, found.verb, names, found.values("--manifest-path"), found.names, found.complete, words.prefix
        )


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of Cargo, None when it is none. ``+nightly`` in front is left out."""
    rest: tuple[Word, ...] | None = behind(words, "cargo")
    if rest is None:
        return None
    if rest and (rest[0].value or "").startswith("+"):
        rest = rest[1:]
    return read_arguments(rest, frozenset(_VERBS), _VALUED)
