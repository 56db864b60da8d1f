"""Makefiles: which commands a goal runs, with variables and the usual functions expanded.

Source of the rules: the GNU make manual. What only running tells (``$(shell …)``, recursive tricks) is marked by `UNKNOWN`,
so that a caller sees that a word is not known.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from optimizer.context.folder import BuildContext

UNKNOWN = "\x00"
"""Stands in a text for a part that is not known."""
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
"""The names that make looks for, in its order."""
_ASSIGNMENT = re.compile(r"^\s*(?:(?:override|export)\s+)*([\w.-]+)\s*(\?=|:{1,3}=|\+=|!=|=)\s*(.*)$")
_RULE = re.compile(r"^([^:=#]+?)\s*::?(?!=)\s*([^;]*?)(?:;\s*(.*))?$")
_DEFAULTS = {
    "CC": "cc", "CXX": "g++", "CPP": "cc -E", "AR": "ar", "RM": "rm -f", "MAKE": "make", "LD": "ld", "INSTALL": "install",
    "CFLAGS": "", "CXXFLAGS": "", "CPPFLAGS": "", "LDFLAGS": "", "LDLIBS": "", "LOADLIBES": "", "TARGET_ARCH": "", "DESTDIR": "",
    "ARFLAGS": "-rv",
}  # fmt: skip
_DEPTH = 40


class Rule(Struct, frozen=True):
    """One explicit or pattern rule: targets, prerequisites and recipe lines, variables not expanded."""

    targets: tuple[str, ...]
    prerequisites: str
    recipe: tuple[str, ...]


class Makefile(Struct, frozen=True):
    """A Makefile that was read: variables as written, rules in order, why it may not be all, and the variables that recipes see."""

    path: str
    variables: Mapping[str, str]
    rules: tuple[Rule, ...]
    unknown: tuple[str, ...] = ()
    exported: tuple[str, ...] = ()

    @property
    def default_goal(self) -> str | None:
        """The goal of ``make`` alone."""
        names = [t for rule in self.rules for t in rule.targets if not t.startswith(".") and "%" not in t]
        return self.variables.get(".DEFAULT_GOAL") or (names[0] if names else None)


def find_makefile(
    context: BuildContext,
    folder: str,
    name: str | None = None,
    given: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Makefile | None:
    """Read the Makefile of a folder of the context (or the one named), None when there is none.

    Args:
        context: The build context.
        folder: Where make runs.
        name: The file behind ``-f``.
        given: Variables of the command line, which no assignment changes.
        environment: Variables of the environment, which assignments change.
    """
    for candidate in (name,) if name is not None else MAKEFILES:
        path = posixpath.normpath(posixpath.join(folder, candidate))
        text = context.read_text(path)
        if text is not None:
            reader = _Reader(context, path, given or {}, environment or {})
            reader.read(text)
            exported = tuple(reader.variables) if reader.exports_all else tuple(reader.exported)
            return Makefile(path, reader.variables, tuple(reader.rules), tuple(reader.unknown), exported)
    return None


@dataclass
class _Reader:
    context: BuildContext
    path: str
    given: Mapping[str, str]
    environment: Mapping[str, str]
    variables: dict[str, str] = field(init=False)
    rules: list[Rule] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    branches: list[bool] = field(default_factory=list)
    exported: list[str] = field(default_factory=list)
    exports_all: bool = False

    def __post_init__(self) -> None:
        self.variables = {**_DEFAULTS, **self.environment, **self.given}

    def read(self, text: str, depth: int = 0) -> None:
        current: list[str] | None = None
        rule: tuple[tuple[str, ...], str] | None = None

        def close() -> None:
            nonlocal rule, current
            if rule is not None:
                self.rules.append(Rule(rule[0], rule[1], tuple(current or ())))
            rule, current = None, None

        for raw in _logical_lines(text):
            if raw.startswith("\t") and rule is not None and current is not None:
                if self.active:
                    current.append(raw[1:].strip())
                continue
            line = re.sub(r"(?<!\\)#.*", "", raw).rstrip()
            if not line.strip() or self.conditional(line.strip()) or not self.active:
                continue
            include = re.match(r"\s*-?s?include\s+(.*)$", line)
            assigned = _ASSIGNMENT.match(line)
            if include:
                close()
                for name in self.expand(include[1]).split():
                    self.include(name, depth, required=not line.lstrip().startswith("-"))
            elif re.match(r"\s*(define|vpath|VPATH)\b", line):
                close()
                self.unknown.append(f"{self.path} uses {line.split()[0]}")
            elif assigned:
                close()
                self.assign(*assigned.groups())
                self.exported += [assigned[1]] if re.match(r"\s*(override\s+)?export\b", line) else []
            elif re.match(r"\s*export\b", line):
                close()
                names = self.expand(line).split()[1:]
                self.exported += names
                self.exports_all |= not names
            elif match := _RULE.match(line):
                close()
                targets = tuple(self.expand(match[1]).split())
                rule, current = (targets, match[2]), [match[3]] if match[3] else []
        close()

    @property
    def active(self) -> bool:
        return all(self.branches)

    def conditional(self, line: str) -> bool:
        """Follow ifeq, ifdef, else and endif; whether the line is one of them."""
        word = line.split(None, 1)[0]
        if word in ("ifeq", "ifneq"):
            match = re.match(r"\w+\s*\((.*),(.*)\)$", line) or re.match(r"\w+\s+[\"'](.*)[\"']\s+[\"'](.*)[\"']$", line)
            sides = [self.expand(side).strip() for side in match.groups()] if match else [UNKNOWN, ""]
            equal = sides[0] == sides[1] and UNKNOWN not in "".join(sides)
            self.branches.append(equal if word == "ifeq" else not equal)
        elif word in ("ifdef", "ifndef"):
            defined = bool(self.variables.get(line.split(None, 1)[1].strip() if " " in line else ""))
            self.branches.append(defined if word == "ifdef" else not defined)
        elif word == "else" and self.branches:
            taken = self.branches.pop()
            rest = line[4:].strip()
            if rest.startswith("if") and not taken:
                self.conditional(rest)
            else:
                self.branches.append(not taken and not rest)
        elif word == "endif" and self.branches:
            self.branches.pop()
        else:
            return False
        return True

    def include(self, name: str, depth: int, *, required: bool) -> None:
        text = self.context.read_text(posixpath.join(posixpath.dirname(self.path), name)) if UNKNOWN not in name else None
        if text is not None and depth < 5:
            self.read(text, depth + 1)
        elif required and not name.endswith(".d"):
            self.unknown.append(f"{self.path} includes {name.replace(UNKNOWN, '…')}, which is not in the build context")

    def assign(self, name: str, operator: str, value: str) -> None:
        if name in self.given or (operator == "?=" and name in self.variables and (name in self.environment or name not in _DEFAULTS)):
            return
        if operator == "+=":
            value = f"{self.variables.get(name, '')} {value}".strip()
        elif operator == "!=":
            value = UNKNOWN
        elif operator in (":=", "::=", ":::="):
            value = self.expand(value)
        self.variables[name] = value

    def expand(self, text: str) -> str:
        return Expander(self.variables, self.context, posixpath.dirname(self.path) or ".").expand(text)


def _logical_lines(text: str) -> Iterator[str]:
    pending = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        joined = pending + (line.lstrip() if pending and not pending.startswith("\t") else line)
        if joined.endswith("\\"):
            pending = joined[:-1].rstrip() + " "
            continue
        yield joined
        pending = ""
    if pending:
        yield pending


@dataclass
class Expander:
    """Expands references to variables and the functions that need no shell. folder: of the Makefile, in the context."""

    variables: Mapping[str, str]
    context: BuildContext
    folder: str
    automatic: Mapping[str, str] = field(default_factory=dict)

    def expand(self, text: str, depth: int = 0) -> str:
        """The text with every ``$`` replaced; `UNKNOWN` for what is not known."""
        if depth > _DEPTH:
            return UNKNOWN
        out, position = "", 0
        while position < len(text):
            character = text[position]
            if character != "$" or position + 1 == len(text):
                out += character
                position += 1
                continue
            following = text[position + 1]
            if following == "$":
                out += "$"
                position += 2
            elif following in "({":
                end = _closing(text, position + 1)
                out += self.reference(text[position + 2 : end], depth + 1)
                position = end + 1
            else:
                out += self.variable(following, depth + 1)
                position += 2
        return out

    def variable(self, name: str, depth: int) -> str:
        if name in self.automatic:
            return self.automatic[name]
        if name == "CURDIR":
            return "."
        value = self.variables.get(name)
        return self.expand(value, depth) if value is not None else ""

    def reference(self, inner: str, depth: int) -> str:
        function = re.match(r"([a-z-]+)\s+(.*)$", inner, re.DOTALL)
        if function and function[1] in _FUNCTIONS:
            return self.function(function[1], function[2], depth)
        substituted = re.match(r"([^:]+):([^=]*)=(.*)$", inner)
        if substituted:
            words = self.variable(self.expand(substituted[1], depth), depth).split()
            old, new = (self.expand(part, depth) for part in substituted.groups()[1:])
            old, new = (old, new) if "%" in old else (f"%{old}", f"%{new}")
            return " ".join(_pattern(word, old, new) for word in words)
        if re.fullmatch(r"[@<^?*+][DF]", inner):
            words = self.automatic.get(inner[0], "").split()
            return " ".join((posixpath.dirname(w) or ".") if inner[1] == "D" else posixpath.basename(w) for w in words)
        return self.variable(self.expand(inner, depth), depth)

    def function(self, name: str, text: str, depth: int) -> str:
        if name == "shell":
            config = re.match(r"(pkg-config|pkgconf|\S*-config)\s.*", self.expand(text, depth))
            return f"`{config[0]}`" if config else UNKNOWN
        given = [self.expand(part, depth).strip() for part in _split(text)]
        words = given[-1].split()
        match name:
            case "wildcard":
                found = [m for w in words for m in self.context.match(posixpath.normpath(posixpath.join(self.folder, w)))]
                return " ".join(posixpath.relpath(m, self.folder) for m in found)
            case "patsubst" if len(given) == 3:
                return " ".join(_pattern(word, given[0], given[1]) for word in words)
            case "subst" if len(given) == 3:
                return given[2].replace(given[0], given[1])
            case "notdir":
                return " ".join(posixpath.basename(w) for w in words)
            case "dir":
                return " ".join(f"{posixpath.dirname(w) or '.'}/" for w in words)
            case "basename":
                return " ".join(posixpath.splitext(w)[0] for w in words)
            case "addprefix" if len(given) == 2:
                return " ".join(given[0] + w for w in words)
            case "addsuffix" if len(given) == 2:
                return " ".join(w + given[0] for w in words)
            case "sort":
                return " ".join(sorted(set(words)))
            case "strip":
                return " ".join(words)
            case "filter" if len(given) == 2:
                return " ".join(w for w in words if any(matches(w, p) for p in given[0].split()))
            case "filter-out" if len(given) == 2:
                return " ".join(w for w in words if not any(matches(w, p) for p in given[0].split()))
            case "firstword":
                return words[0] if words else ""
            case "abspath" | "realpath":
                return " ".join(words)
            case "info" | "warning":
                return ""
        return UNKNOWN


_FUNCTIONS = frozenset({
    "shell", "wildcard", "patsubst", "subst", "notdir", "dir", "basename", "addprefix", "addsuffix", "sort", "strip", "filter",
    "filter-out", "firstword", "abspath", "realpath", "info", "warning", "foreach", "call", "if", "eval", "origin", "error", "lastword",
    "word", "and", "or",
})  # fmt: skip


def _closing(text: str, start: int) -> int:
    opening, closing = text[start], ")" if text[start] == "(" else "}"
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == opening) - (text[position] == closing)
        if depth == 0:
            return position
    return len(text)


def _split(text: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "({") - (character in ")}")
        if character == "," and not depth:
            parts.append(text[begin:position])
            begin = position + 1
    return [*parts, text[begin:]]


def matches(word: str, pattern: str) -> bool:
    """Whether a word is of a pattern, in which ``%`` stands for anything."""
    head, sign, tail = pattern.partition("%")
    return word == pattern if not sign else len(word) >= len(head) + len(tail) and word.startswith(head) and word.endswith(tail)


def _pattern(word: str, old: str, new: str) -> str:
    if not matches(word, old) or "%" not in old:
        return new if word == old else word
    head, _, tail = old.partition("%")
    return new.replace("%", word[len(head) : len(word) - len(tail)])
