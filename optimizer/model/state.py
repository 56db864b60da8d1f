"""What is in force before an instruction: ENV, ARG, USER, WORKDIR, SHELL. Unknown is a value: None."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from msgspec import Struct, field
from msgspec.structs import replace

from optimizer.syntax import Instruction
from optimizer.syntax.words import expand, is_plain

DEFAULT_SHELL = ("/bin/sh", "-c")
ROOT_USERS = frozenset({"root", "0", "root:root", "0:0", "root:0", "0:root"})
"""What USER says of root in root's own group."""
# Source: DefaultPathEnvUnix in BuildKit's util/system/path.go, the PATH of a stage made from scratch.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Build arguments that exist without ARG. Source: "Predefined ARGs" in the Dockerfile reference.
PREDEFINED_ARGS = frozenset({
    "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy",
})  # fmt: skip
# Build arguments that the builder sets outside every stage. Source: "Automatic platform ARGs" in the Dockerfile reference.
PLATFORM_ARGS = frozenset({
    "BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT", "TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT", "TARGETSTAGE",
})  # fmt: skip
_NOTHING: Mapping[str, str | None] = MappingProxyType({})


class State(Struct, frozen=True):
    """The state before an instruction.

    Args:
        env: ENV variables set so far; a value is None when it depends on something unknown.
        args: ARG variables in effect, those of the stages below included; a value is None when only the build tells. A
            default counts as the value, although the command line can give another. An ENV of the same name takes its
            place, and a later ARG with a value the other way round.
        user: The user that instructions run as, None when unknown.
        workdir: The working directory (absolute), None when unknown.
        shell: The words of SHELL.
        closed: Whether ``env`` holds every variable there is (so that one that is missing is empty), as it does
            in a stage made from scratch; a base image brings variables that nobody listed.
        inherited: Variables that the base image is known to bring, for the paths that are written with them.
        unset: Variables that the base image is known not to bring.
    """

    env: Mapping[str, str | None] = field(default_factory=lambda: _NOTHING)
    args: Mapping[str, str | None] = field(default_factory=lambda: _NOTHING)
    user: str | None = None
    workdir: str | None = None
    shell: tuple[str, ...] = DEFAULT_SHELL
    closed: bool = False
    inherited: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    unset: frozenset[str] = frozenset()

    def lookup(self, name: str) -> str | None:
        """The value of a variable, None when unknown: of ARG and ENV the one that came last, as in BuildKit's dispatch."""
        if self.args.get(name) is not None:
            return self.args[name]
        if name in self.env:
            return self.env[name]
        return "" if (self.closed or name in self.unset) and name not in self.args else None

    def expand(self, word: str, escape: str = "\\") -> str | None:
        """``word`` with variables replaced and quotes taken off, None when a variable's value is unknown."""
        if "$" not in word and is_plain(word, escape):
            return word
        values: dict[str, str] = {}
        for name in _variables(word, escape):
            value = self.lookup(name)
            if value is None:
                return None
            if name in self.env or name in self.args:  # one that is not set differs from an empty one in ${x-default}
                values[name] = value
        return expand(word, escape, values)

    def path(self, word: str, escape: str = "\\") -> str | None:
        """An absolute path out of a word that may be relative to the working directory, None when unknown."""
        expanded = self.expand(word, escape)
        if expanded is None and any(name in self.inherited for name in _variables(word, escape)):
            known = {name: value for name, value in self.inherited.items() if name not in self.env and name not in self.args}
            expanded = replace(self, env={**known, **self.env}).expand(word, escape)
        if expanded is None:
            return None
        if expanded.startswith("/"):
            return posixpath.normpath(expanded)
        return None if self.workdir is None else posixpath.normpath(posixpath.join(self.workdir, expanded))

    def after(self, node: Instruction) -> State:
        """The state behind an instruction."""
        match node.keyword:
            case "ENV":
                new = self._values(node)
                kept = {name: value for name, value in self.args.items() if name not in new}
                return replace(self, env={**self.env, **new}, args=kept)
            case "ARG":
                bare = {pair.name for pair in node.pairs if pair.value is None and self.args.get(pair.name) is not None}
                new = {name: value for name, value in self._values(node).items() if name not in bare}  # a bare ARG keeps a value
                return replace(self, args={**self.args, **new})
            case "USER":
                return replace(self, user=self.expand(node.value, node.escape))
            case "WORKDIR":
                return replace(self, workdir=self.path(node.value, node.escape))
            case "SHELL":
                return replace(self, shell=node.json or self.shell)
        return self

    def _values(self, node: Instruction) -> dict[str, str | None]:
        """The variables that ENV or ARG sets, each seen from before the instruction; a name may hold variables, too."""
        found: dict[str, str | None] = {}
        for pair in node.pairs:
            name = self.expand(pair.name, node.escape)
            if name:
                found[name] = None if pair.value is None else self.expand(pair.value, node.escape)
        return found


@cache
def _reference(escape: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(escape)}.|\$(?:\{{(\w+)|(\w+))", re.DOTALL)


def _variables(word: str, escape: str) -> set[str]:
    """The names behind the ``$`` of a word that are not escaped (single quotes are not looked at)."""
    return {match[1] or match[2] for match in _reference(escape).finditer(word) if match.lastindex}
