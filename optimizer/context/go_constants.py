"""Names in Go source that stand for one string literal wherever they are used.

Go's scopes are not followed. Instead every place that may give a name another value is counted: assignments, short declarations,
parameters, variables without a value, and places that take its address, as ``flag.StringVar(&name, …)`` does. A name with one such
place, its declaration, is a constant, whether Go calls it one or not.

Source: "Declarations and scope" and "Assignment statements" in the Go language specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

_PACKAGE_LEVEL = re.compile(r"^(const|var)\b[ \t]*(?:\((.*?)^\)|([^\n]*))", re.MULTILINE | re.DOTALL)
_IN_BLOCK = re.compile(r"^[ \t]*(\w+)(?:[ \t]+string)?[ \t]*=[ \t]*\"(\d+)\"[ \t]*$", re.MULTILINE)
_LOCAL = re.compile(r"^[ \t]+(?:(?:const|var)[ \t]+(\w+)(?:[ \t]+string)?[ \t]*|(\w+)[ \t]*:)=[ \t]*\"(\d+)\"[ \t]*$", re.MULTILINE)
_LIST = r"(?:\s*,\s*[\w.*\[\]]+)*\s*"


class GoText(Struct, frozen=True, dict=True):
    """A Go file of a package: its code without comments, in which ``"7"`` stands for the string literal ``strings[7]``."""

    code: str
    strings: Sequence[str]

    @cached_property
    def package_level(self) -> Mapping[str, tuple[str, bool]]:
        """The literals of names declared outside of functions, and whether they are variables."""
        found: dict[str, tuple[str, bool]] = {}
        for keyword, block, single in _PACKAGE_LEVEL.findall(self.code):
            for name, number in _IN_BLOCK.findall(block or single):
                found[name] = (self.strings[int(number)], keyword == "var")
        return found

    @cached_property
    def local(self) -> Mapping[str, str]:
        """The literals of names declared inside of functions."""
        return {variable or short: self.strings[int(number)] for variable, short, number in _LOCAL.findall(self.code)}

    def assignments(self, name: str) -> int:
        """How often a name is declared with a value outside of functions, assigned, or its address is taken."""
        if name not in self.code:
            return 0
        plain = rf"(?<![\w.]){name}\b(?:[ \t]+string)?{_LIST}(?:[-+*/%&|^]|<<|>>)?=(?!=)"
        inner = len(re.findall(rf"^[ \t]+(?:const|var)[ \t]+{name}\b[^\n]*=", self.code, re.MULTILINE))
        return len(re.findall(plain, self.code)) - inner + len(re.findall(rf"(?<!&)&\s*{name}\b", self.code))

    def shadows(self, name: str) -> int:
        """How often a name is declared anew inside of functions: ``:=``, ``var``, ``const``, a parameter."""
        short = len(re.findall(rf"(?<![\w.]){name}\b{_LIST}:=", self.code))
        inner = len(re.findall(rf"^[ \t]+(?:const|var)[ \t]+(?:\w+[ \t]*,[ \t]*)*{name}\b", self.code, re.MULTILINE))
        return short + inner + len(re.findall(rf"(?<![\w.]){name}(?:\s*,\s*\w+)*\s+(?:\.{{3}})?[\w*\[\].]+\s*[,)]", self.code))

    def sets(self, name: str) -> bool:
        """Whether it may give a variable of another package another value."""
        return re.search(rf"\.{name}\b{_LIST}(?:\+)?=(?!=)|&\w+\.{name}\b", self.code) is not None


def constant(name: str, file: GoText, package: Sequence[GoText], others: Iterable[GoText], stamped: frozenset[str]) -> str | None:
    """The literal that a name stands for in a file, None where it may stand for something else.

    Args:
        name: The name.
        file: The file.
        package: All files of its package, itself among them.
        others: The files of the module's other packages.
        stamped: Names of variables that the linker sets (``-ldflags "-X main.version=1"``).
    """
    declared = next((other.package_level[name] for other in package if name in other.package_level), None)
    if declared is None:
        value = file.local.get(name)
        return value if value is not None and file.assignments(name) + file.shadows(name) == 1 else None
    value, variable = declared
    if sum(other.assignments(name) for other in package) != 1 or file.shadows(name):
        return None
    if variable and (name in stamped or (name[0].isupper() and any(other.sets(name) for other in others))):
        return None
    return value
