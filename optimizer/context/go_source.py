"""A Go file as text, and what the expressions in it come to.

Comments are gone and every string literal is replaced by its number, so that nothing inside a comment or a string can be taken for
code.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from optimizer.context.expressions import split_expressions
from optimizer.context.go_constants import GoText
from optimizer.context.parameters import Calling, calls_of, parameter_at
from optimizer.context.places import HOLE, TEMPORARY, join

_TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|'(?:\\.|[^'\\\n])+'", re.DOTALL)
_READS = re.compile(r"(?<![\w.])os\.(?:Getenv|LookupEnv)\(")
_TEMPORARY = r"(?:os\.MkdirTemp|os\.TempDir|ioutil\.TempDir)\((?:\"(\d+)\"|\))"
_LIST = r"(?:\s*,\s*[\w.*\[\]]+)*\s*"
_DEPTH = 8  # of names that stand for names


class GoFile:
    """One Go file: `code` without comments, in which `"7"` stands for the string literal `strings[7]`."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.strings: list[str] = []
        self.embeds: list[str] = []
        self.constraint = ""
        self.code = _TOKEN.sub(self._token, source)
        self.names: dict[str, str] = {}
        for block in re.findall(r"^import\b\s*(?:\((.*?)\)|([^\n]*))", self.code, re.MULTILINE | re.DOTALL):
            for alias, number in re.findall(r"([\w.]+)?\s*\"(\d+)\"", block[0] or block[1]):
                package = self.strings[int(number)]
                plain = re.sub(r"/v\d+$", "", package).rsplit("/", 1)[-1]
                self.names[package] = alias or plain
        self.text = GoText(self.code, self.strings)
        self.constant: Callable[[str], str | None] = lambda name: None
        self.module: list[GoFile] = [self]
        self.environment: Mapping[str, str | None] = {}

    def _token(self, found: re.Match[str]) -> str:
        text = found[0]
        if text.startswith("//"):
            directive = re.match(r"//go:(embed|build)[ \t]+(.*)", text)
            if directive and directive[1] == "embed":
                self.embeds += [a or b or c for a, b, c in re.findall(r"\"([^\"]*)\"|`([^`]*)`|(\S+)", directive[2])]
            elif directive:
                self.constraint = directive[2].strip()
            return ""
        if text.startswith("/*"):
            return "\n" * text.count("\n") or " "
        if text.startswith("'"):
            return "0"
        self.strings.append(text[1:-1] if text.startswith("`") else _unquote(text))
        return f'"{len(self.strings) - 1}"' + "\n" * text.count("\n")

    def line(self, at: int) -> int:
        return self.code.count("\n", 0, at) + 1

    def arguments(self, package: str, name: str) -> list[tuple[int, list[str]]]:
        """Offset and arguments of every call of a package's function, or of a method for ""."""
        alias = self.names.get(package)
        if package and alias is None:
            return []
        owner = rf"(?<![\w.]){re.escape(alias)}" if alias else r"[\w)\]]"
        calls = re.finditer(rf"{owner}\.{name}\(", self.code)
        return [(call.start(), split_expressions(self.code, call.end())) for call in calls]

    def values(self, expression: str, at: int) -> list[str]:
        """The texts of an expression at an offset; of a parameter, what all calls of its function give it."""
        value = self.value(expression, at)
        calls = self._calls_around(expression, at) if value == HOLE else None
        if calls is None:
            return [value]
        return [self.module[call.source].value(call.arguments[index], call.at) for call, index in calls]

    def value(self, expression: str, at: int | None = None, depth: int = 0) -> str:
        """The text of an expression: literals, constants, settings, their sums and filepath.Join; otherwise `HOLE`.

        Args:
            expression: The expression, masked.
            at: Its offset, without which no name of a function's own is known.
            depth: How many names led to it.
        """
        pieces = [piece.strip() for piece in split_expressions(f"{expression})", 0, "+")]
        return "".join(self._piece(piece, at, depth) for piece in pieces) if depth < _DEPTH else HOLE

    def _piece(self, piece: str, at: int | None, depth: int) -> str:
        string = re.fullmatch(r"\"(\d+)\"", piece)
        if string:
            return self.strings[int(string[1])]
        joined = re.match(r"(?:file)?path\.Join\(", piece)
        if joined:
            parts = split_expressions(piece, joined.end())
            return join(*(self.value(part, at, depth + 1).lstrip("/" if i else "") for i, part in enumerate(parts)))
        flag = self._flag(piece, depth) if re.fullmatch(r"\*?\w+(?:\.\w+)?", piece) else None
        if flag is not None:
            return flag
        field = re.fullmatch(r"\w+\.(\w+)", piece)
        if field is not None:
            return self._field(field[1], depth)
        if piece.isidentifier():
            value = self.constant(piece)
            return value if value is not None else self._named(piece, at, depth)
        called = re.match(r"(?:\w+\.)?(\w+)\(", piece)
        if called is None or not piece.endswith(")"):
            return HOLE
        if _READS.match(piece):
            return self._variable(piece[called.end() : -1], at, depth) or HOLE  # unset, it is for who starts the container to set
        return self._called(called[1], split_expressions(piece, called.end()), at, depth)

    def _flag(self, piece: str, depth: int) -> str | None:
        """The value of a flag of the command line that a variable of the package holds: what the command gives it, else its default.

        Source: the documentation of the package flag, whose functions pflag has, too.
        """
        name, plain = re.escape(piece.lstrip("*")), piece.startswith("*")
        files = [file for file in self.module if posixpath.dirname(file.path) == posixpath.dirname(self.path)]
        if not any("flag.String" in file.code for file in files):
            return None
        call = rf"(?<![\w.]){name}[ \t]*:?=[ \t]*p?flag\.String\(" if plain else rf"\bp?flag\.StringVar\(\s*&{name}\s*,"
        declared = re.compile(rf"{call}\s*\"(\d+)\"\s*,\s*([^,\n]+),")
        found = [(file, match) for file in files for match in declared.finditer(file.code)]
        if len(found) != 1:
            return None
        others = re.compile(rf"(?<![\w.])\*?{name}[ \t]*:?=(?!=)" if plain else rf"(?<![\w.]){name}[ \t]*:?=(?!=)|(?<!&)&\s*{name}\b")
        if sum(len(others.findall(file.code)) for file in files) != 1:
            return HOLE
        ((file, match),) = found
        given = self.environment.get(f"-{file.strings[int(match[1])]}", "")
        return HOLE if given is None else given or file.value(match[2], match.start(), depth + 1)

    def _field(self, name: str, depth: int) -> str:
        """The value of a field that the package declares once, as a string without a tag, and sets once, where a value is made."""
        files = [file for file in self.module if posixpath.dirname(file.path) == posixpath.dirname(self.path)]
        declared = [line for file in files for line in re.findall(rf"^[ \t]+{name}[ \t]+string\b([^\n]*)", file.code, re.MULTILINE)]
        again = rf"\.{name}\b{_LIST}[-+]?=(?!=)|&\w+\.{name}\b"
        sets = [(file, match) for file in files for match in re.finditer(rf"(?<![\w.?]){name}:[ \t]*(?=\S)", file.code)]
        if declared != [""] or len(sets) != 1 or any(re.search(again, file.code) for file in files):
            return HOLE
        ((file, match),) = sets
        expression = split_expressions(file.code, match.end())
        return file.value(expression[0], match.start(), depth + 1) if expression else HOLE

    def _variable(self, name: str, at: int | None, depth: int) -> str | None:
        """The value of an environment variable, None where it is not set; `HOLE` where that is not known."""
        key = self.value(name, at, depth + 1)
        if HOLE in key:
            return HOLE
        value = self.environment.get(key, "")
        return HOLE if value is None else value or None

    def _named(self, name: str, at: int | None, depth: int) -> str:
        """The value of a name of a function's own: its only value, or what it falls back to where a setting is empty; a parameter's."""
        body = self._function_around(at) if at is not None else None
        if body is None:
            return HOLE
        text = GoText(body, self.strings)
        declared = re.findall(rf"^[ \t]+(?:var[ \t]+)?{name}(?:[ \t]+string)?[ \t]*:?=[ \t]*([^\n]+)$", body, re.MULTILINE)
        count = text.assignments(name) + text.shadows(name)
        if any(value.count("(") != value.count(")") or value.endswith(("+", ",", "{")) for value in declared):
            return HOLE  # it goes on in the next line
        if count == 1 and (temporary := re.search(rf"^[ \t]+{name}(?:, \w+)? := {_TEMPORARY}", body, re.MULTILINE)):
            return TEMPORARY if not temporary[1] or not self.strings[int(temporary[1])] else HOLE
        if len(declared) == 1 == count:
            return self.value(declared[0], at, depth + 1)
        emptied = re.search(rf"\bif {name} == \"(\d+)\" \{{\s*{name} = ([^\n]+)\n\s*\}}", body)
        if len(declared) == 2 == count and emptied and not self.strings[int(emptied[1])] and declared[1] == emptied[2]:
            read = _READS.match(declared[0])
            given = self._variable(declared[0][read.end() : -1], at, depth) if read and declared[0].endswith(")") else HOLE
            return given or self.value(declared[1], at, depth + 1) or HOLE
        calls = self._calls_around(name, at) if count == 0 and at is not None else None
        found = {self.module[c.source].value(c.arguments[index], c.at, depth + 1) for c, index in calls or ()}
        return found.pop() if len(found) == 1 else HOLE

    def commands(self, words: list[str], at: int) -> list[tuple[str, ...]]:
        """The texts of the words of a command; where a parameter names the program, those of every call of its function.

        In the last word, ``args...``, a call may hand on all that it is given behind its other arguments.
        """
        calls = self._calls_around(words[0], at) if words and self.value(words[0], at) == HOLE else None
        if calls is None:
            return [tuple(self.value(word, at) for word in words)]
        rest = words[-1].removesuffix("...") if words[-1].endswith("...") else None
        spread = parameter_at(self.code, at, rest, go=True) if rest is not None else None
        found = []
        for call, index in calls:
            source = self.module[call.source]
            behind = call.arguments[spread.index :] if spread is not None else words[1:]
            texts = [source.value(word, call.at) if spread is not None else self.value(word, at) for word in behind]
            found.append((source.value(call.arguments[index], call.at), *texts))
        return found

    def _function_around(self, at: int) -> str | None:
        """The body of the function that an offset lies in."""
        start = self.code.rfind("\nfunc ", 0, at)
        opened = self.code.find("{\n", start + 1)
        end = self.code.find("\n}", opened)
        return self.code[opened + 1 : end + 1] if start >= 0 and 0 <= opened < at < end else None

    def _calls_around(self, name: str, at: int) -> list[tuple[Calling, int]] | None:
        """The calls that give a parameter its value, and its place in them; None where it is none, or where others may call."""
        found = parameter_at(self.code, at, name, go=True) if name.isidentifier() else None
        calls = calls_of(found.function, [file.code for file in self.module], go=True) if found is not None else None
        if found is None or not calls or any(found.index >= len(call.arguments) for call in calls):
            return None
        return [(call, found.index) for call in calls]

    def _called(self, function: str, given: list[str], at: int | None, depth: int) -> str:
        """What a function of the module gives back that looks up an environment variable, and else falls back to something."""
        found = [
            (file, match)
            for file in self.module
            for match in re.finditer(rf"^func {function}\(([^()]*)\) string \{{\n(.*?)^\}}", file.code, re.MULTILINE | re.DOTALL)
        ]
        if len(found) != 1:
            return HOLE
        file, match = found[0]
        names = [part.split()[0] for part in split_expressions(f"{match[1]})", 0) if part.split()]
        arguments = {name: self.value(part, at, depth + 1) for name, part in zip(names, given, strict=False)}

        def text(expression: str) -> str:
            return arguments[expression] if expression in arguments else file.value(expression, match.start(2), depth + 1)

        read = re.fullmatch(
            r"\s*(?:if )?(\w+)(?:, \w+)? := os\.(?:Getenv|LookupEnv)\(([^()]+)\)(?:;[^{\n]*|\n\s*if [^{\n]*)\{\s*"
            r"(?:return (?P<given>\w+)\s*\}(?:\s*else\s*\{)?\s*return (?P<other>[^\n]+)\s*\}?"
            r"|return (?P<first>[^\n]+)\s*\}\s*return (?P<last>\w+)|\w+ = (?P<set>[^\n]+)\s*\}\s*return \w+)\s*",
            match[2],
        )
        if read is None:
            plain = re.fullmatch(r"\s*return ([^\n]+)\s*", match[2])
            return text(plain[1].strip()) if plain else HOLE
        if (read["given"] or read["last"] or read[1]) != read[1]:
            return HOLE
        key = text(read[2].strip())
        value = self.environment.get(key, "") if HOLE not in key else None
        fallback = read["other"] or read["first"] or read["set"] or ""
        return HOLE if value is None else value or text(fallback.strip()) or HOLE


def _unquote(text: str) -> str:
    """The value of an interpreted string literal; one with an escape that JSON does not know counts as computed."""
    try:
        value: Any = json.loads(text) if "\\" in text else text[1:-1]
    except ValueError:
        return HOLE
    return str(value)
