"""Java's Maven."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import behind, behind_script
from optimizer.syntax.shell import Command

# The goals that fetch dependencies and read no source, with or without the plugin's coordinates in front.
FETCHING = re.compile(r"(dependency|org\.apache\.maven\.plugins:maven-dependency-plugin(:[\w.-]+)?):(go-offline|resolve|resolve-plugins)$")
_BUILDING = frozenset({
    "compile", "test-compile", "test", "package", "verify", "install", "deploy", "process-resources", "process-classes", "site",
})  # fmt: skip
# Source: https://maven.apache.org/ref/current/maven-embedder/cli.html
_VALUED = frozenset({
    "-f", "--file", "-s", "--settings", "-gs", "--global-settings", "-P", "--activate-profiles", "-pl", "--projects", "-rf",
    "--resume-from", "-T", "--threads", "-b", "--builder", "-t", "--toolchains", "-gt", "--global-toolchains", "-l", "--log-file", "-D",
    "--define", "--color", "-ep", "-emp",
})  # fmt: skip


class Maven(Ecosystem):
    """``mvn`` and its wrapper ``mvnw``. Later builds read the local repository, so it is not a cache to empty."""

    name = "maven"
    programs = re.compile(r"(mvnw?|(ba|da|a)?sh)$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``. The verb is the last goal or phase, ``packages`` all of them."""
        words = unwrapped(command)
        found = arguments_of(words)
        if found is None:
            return None
        goals = tuple(w.value or w.text for w in found.operands)
        action = Action.OTHER
        if any(goal in _BUILDING or (":" in goal and not FETCHING.match(goal)) for goal in goals):
            action = Action.BUILD
        elif any(FETCHING.match(goal) for goal in goals):
            action = Action.INSTALL
        verb = found.operands[-1] if found.operands else None
        return Call(self.name, action, command, verb, goals, found.values("-f", "--file"), found.names, found.complete, words.prefix)


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of Maven, None when it is none."""
    rest = behind(words, "mvnw?")
    if rest is None:
        rest = behind_script(words, "mvnw")
    return None if rest is None else read_arguments(rest, frozenset(), _VALUED)
