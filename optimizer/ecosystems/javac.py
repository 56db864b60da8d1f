"""The Java compiler and archiver of a JDK, without a build tool."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import behind
from optimizer.syntax.shell import Command

# Source: `javac --help` of JDK 21.
_VALUED = frozenset({
    "-d", "-cp", "-classpath", "--class-path", "-p", "--module-path", "-s", "-h", "-source", "--source", "-target", "--target",
    "--release", "-encoding", "-sourcepath", "--source-path", "--module-source-path", "-m", "--module", "--add-modules",
    "-processorpath", "--processor-path", "-processor",
})  # fmt: skip


class Javac(Ecosystem):
    """``javac``. It downloads nothing and leaves no cache."""

    name = "javac"
    programs = re.compile(r"javac$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``. ``packages`` are the sources named, ``manifests`` the files that name more."""
        words = unwrapped(command)
        found = arguments_of(words)
        if found is None:
            return None
        names = tuple(w.value or w.text for w in found.operands)
        lists = tuple(name[1:] for name in names if name.startswith("@"))
        sources = tuple(name for name in names if not name.startswith("@"))
        return Call(self.name, Action.BUILD, command, None, sources, lists, found.names, found.complete, words.prefix)


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of javac, None when it is none."""
    rest = behind(words, "javac")
    return None if rest is None else read_arguments(rest, frozenset(), _VALUED)
