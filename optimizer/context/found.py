"""What a reader of source text finds: paths that are written, programs that are started, and what is computed instead of named."""

from __future__ import annotations

from optimizer.context.places import HOLE, TEMPORARY, Place, Unknown, resolve
from optimizer.syntax.shell import parse_script

_NO_FILES = (TEMPORARY, "/tmp/", "php://", "data:", "http://", "https://")
_DEVICES = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr"})


class Found:
    """The findings of a reader, to which it adds while it reads.

    written: paths; programs: started, by name; unknown: what is computed.
    """

    def __init__(self) -> None:
        self.written: set[Place] = set()
        self.programs: set[str] = set()
        self.unknown: set[Unknown] = set()

    def place(self, text: str, where: str) -> None:
        """A path that is written, with holes where it is computed; one of a folder ends in a slash. where: "file:line"."""
        if text.startswith(_NO_FILES) or text == "/tmp":
            return
        place = resolve(text) if text else None
        if place is None:
            self.unknown.add(Unknown("write", where, "writes to a computed path"))
        elif place.path not in _DEVICES:
            self.written.add(place)

    def program(self, name: str, where: str) -> None:
        """A program that is started, by the text that names it."""
        if HOLE in name or not name:
            self.unknown.add(Unknown("program", where, "starts a program whose name is computed"))
        else:
            self.programs.add(name)

    def shell(self, text: str, where: str) -> None:
        """A text that a shell runs: the programs in it, and the files that it writes by redirections."""
        script = parse_script(text.replace(HOLE, "$HOLE"))
        names = [command.name for command in script.commands]
        if not script.understood or not names or any(name is None or "$HOLE" in name for name in names):
            self.program("", where)
            return
        self.programs.update(name for name in names if name is not None)
        for command in script.commands:
            for redirect in command.redirects:
                if ">" in redirect.operator and redirect.target is not None and redirect.target.value not in ("/dev/null", "1", "2"):
                    self.place(redirect.target.value or HOLE, where)
