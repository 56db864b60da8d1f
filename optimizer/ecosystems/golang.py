"""Go's own tool."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Call, Ecosystem, read_arguments, unwrapped
from optimizer.syntax.shell import Command

VALUED = frozenset({
    "-o", "-ldflags", "-tags", "-gcflags", "-mod", "-p", "-C", "-asmflags", "-buildmode", "-installsuffix", "-pkgdir", "-toolexec",
})  # fmt: skip
"""Options of ``go build`` that take a value."""

_VERBS = frozenset({"build", "install", "mod", "get", "test", "vet", "generate", "env", "run", "clean"})


class Go(Ecosystem):
    """``go``. Its module and build caches are read by every later build, so cleaning them is for build stages to skip."""

    name = "go"
    programs = re.compile(r"go$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        if words.program != "go":
            return None
        found = read_arguments(words.words[1:], _VERBS, VALUED)
        verb = found.verb.value if found.verb else None
        names = tuple(w.value or w.text for w in found.operands)
        action = Action.OTHER
        if (verb == "mod" and names[:1] == ("download",)) or verb == "get":
            action = Action.INSTALL
        elif verb in ("build", "install"):
            action = Action.BUILD
        return Call("go", action, command, found.verb, names, (), found.names, found.complete, words.prefix)
