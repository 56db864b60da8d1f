""".NET's command line."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import behind, call_of
from optimizer.syntax.shell import Command

_VERBS = {
    "restore": Action.INSTALL,
    "add": Action.INSTALL,
    "tool": Action.INSTALL,
    "workload": Action.INSTALL,
    "build": Action.BUILD,
    "publish": Action.BUILD,
    "pack": Action.BUILD,
    "test": Action.BUILD,
    "msbuild": Action.BUILD,
    "run": Action.BUILD,
    "ef": Action.OTHER,
    "clean": Action.OTHER,
    "new": Action.OTHER,
    "nuget": Action.OTHER,
    "dev-certs": Action.OTHER,
}
# Source: https://learn.microsoft.com/dotnet/core/tools/dotnet-publish and dotnet-restore
_VALUED = frozenset({
    "-r", "--runtime", "-c", "--configuration", "-o", "--output", "-f", "--framework", "-s", "--source", "--packages", "--configfile",
    "-v", "--verbosity", "--version-suffix", "-a", "--arch", "--os", "--lock-file-path", "--tool-path", "--version", "--project",
    "--artifacts-path",
})  # fmt: skip


class Dotnet(Ecosystem):
    """``dotnet``. Later builds read the packages that a restore fetched, so they are not a cache to empty."""

    name = "dotnet"
    programs = re.compile(r"dotnet$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        found = arguments_of(words)
        return None if found is None else call_of(self.name, command, words, found, _action)


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of the .NET command line, None when it is none."""
    rest = behind(words, "dotnet")
    return None if rest is None else read_arguments(rest, frozenset(_VERBS), _VALUED)


def _action(found: Arguments) -> Action:
    verb = found.verb.value if found.verb else None
    first = found.operands[0].value if found.operands else None
    if verb == "nuget" and first == "locals" and found.names & {"-c", "--clear"}:
        return Action.CLEAN
    if verb in ("tool", "workload") and first not in ("install", "restore", "update"):
        return Action.OTHER
    return _VERBS.get(verb or "", Action.OTHER)
