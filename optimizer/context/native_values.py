"""What expressions in C and C++ source come to: literals, macros, variables with one value, settings, parameters and their sums."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice, product

from msgspec import Struct

from optimizer.context.expressions import split_expressions
from optimizer.context.native_commands import HEADERS
from optimizer.context.parameters import calls_of, function_start, parameter_at
from optimizer.context.places import HOLE

_TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.DOTALL)
_CONSTANT = re.compile(
    r"\bconst(?:expr)?\s+(?:char\s*\*\s*(?:const\s+)?|auto\s+|std::string\s+|std::string_view\s+|char\s+)(\w+)(?:\[\w*\])?\s*=\s*\"(\d+)\""
)
_GETENV = re.compile(r"(?:std::)?(?:secure_)?getenv\s*\(\s*\"(\d+)\"\s*\)")
_WRAPPED = re.compile(r"(?:std::)?(?:string|string_view|filesystem::path|experimental::filesystem::path|fs::path)\s*[({]")
_DECLARED = r"(?:\b(?:auto|const|string|string_view|path|char)\b|[>*&])\s*[*&]?\s*\bNAME\s*(?:=\s*([^;]+)|[({]([^;]+)[)}])\s*;"
_GROWS = r"\bNAME\s*(?:\+=|/=|\.\s*(?:append|assign|replace|insert|push_back|swap)\s*\()|>>\s*NAME\b|getline\s*\([^;]*\bNAME\b"
_READS_ONLY = (
    r"\bsizeof\s*\(?\s*NAME\s*\)?|\bchar\s+NAME\s*\[|\bsn?printf\s*\(\s*NAME\b"
    r"|\b(?:f?open(?:64)?|fopen64|gzopen|opendir|stat|lstat|access|f?printf|perror|fputs|puts|strlen|strcmp|remove|unlink|mkdir|sqlite3_open)"
    r"\s*\([^;(){}]*\bNAME\b"
)
_LOOKS_UP = re.compile(
    r"\s*(?:const\s+)?(?:auto|char)\s*\*?\s*(?:const\s+)?(\w+)\s*=\s*(?:std::)?getenv\s*\(\s*(\w+)(?:\.c_str\(\))?\s*\)\s*;"
    r"\s*(?:return\s+|if\s*)\(?\s*\1[^;?:{]*?(?:\?|\{?\s*return)\s*(?:std::string\s*\(\s*)?\1\s*\)?"
    r"\s*(?::|;\s*\}?\s*(?:else\s*)?return)\s*(\w+)\s*;\s*\}?\s*"
)
"""The body of a function that gives back an environment variable that one parameter names, else another parameter."""
_DEPTH = 8  # of names that stand for names
_MOST = 16  # values of one expression


class NativeSettings(Struct, frozen=True):
    """What is known of a program apart from its sources.

    macros: those that the command line defines as one literal, by name; environment: variables that it finds set, None for a
    value that is not known.
    """

    macros: Mapping[str, str] = {}
    environment: Mapping[str, str | None] = {}


class NativeValues:
    """The sources of a program, masked, and the texts of expressions in them.

    Args:
        building: The text of all commands and files that tell how it is built, None where that is not known.
        settings: What is known of macros and environment variables.
    """

    def __init__(self, building: str | None, settings: NativeSettings) -> None:
        self.building, self.settings = building, settings
        self.constants: dict[str, str] = {}
        self.shared: dict[str, str] = {}  # variables of headers
        self.codes: dict[str, tuple[str, list[str]]] = {}  # masked, with their literals
        self.known: dict[str, dict[str, str]] = {}  # variables of each file
        self.numbers: dict[str, int] = {}

    def collect(self, path: str, text: str) -> None:
        """The macros of a file that are a literal; one that is defined twice, or only where nothing defined it, is not known."""
        code, strings = masked(text)
        self.codes[path] = (code, strings)
        guarded = {a or b for a, b in re.findall(r"#\s*(?:ifndef|undef)\s+(\w+)|!\s*defined\s*\(?\s*(\w+)", code)}
        given = {name for name in guarded if self.building is None or re.search(rf"(?:\b|-D){name}\b", self.building)}
        for name, number, rest in re.findall(r"#[ \t]*define[ \t]+(\w+)[ \t]+\(?\"(\d+)\"[ \t]*\)?([^\n]*)", code):
            value = HOLE if rest.strip() else strings[int(number)]
            again = self.constants.get(name, value) != value
            self.constants[name] = self.settings.macros.get(name, HOLE) if name in given else HOLE if again else value
        if path.endswith(HEADERS):
            shared = {name: strings[int(number)] for name, number in _CONSTANT.findall(code) if _assignments(code, name) == 1}
            self.shared = {**shared, **self.shared}
        for name, value in re.findall(r"(?:#\s*define\s+|\b(?:int|uint16_t|unsigned|short)\s+)(\w+)\s*=?\s*\(?(\d+)\b", code):
            self.numbers[name] = int(value)

    def variables(self, path: str) -> dict[str, str]:
        """The variables of a file, and of headers, that have one value in it."""
        code, strings = self.codes[path]
        if path not in self.known:
            own = {name: strings[int(number)] for name, number in _CONSTANT.findall(code)}
            shared = {name: value for name, value in self.shared.items() if not _assignments(code, name) and name not in own}
            self.known[path] = {**{name: value for name, value in own.items() if _assignments(code, name) == 1}, **shared}
        return self.known[path]

    def texts(self, path: str, at: int, expression: str, depth: int = 0) -> list[str]:
        """The texts of an expression at an offset; of a parameter, those that all calls of its function give it."""
        pieces = [piece for part in split_expressions(f"{_plain(expression)})", 0, "+") for piece in _joined(part)]
        found = [self.piece(path, at, piece, depth) if piece != "/" else ["/"] for piece in pieces]
        return list(islice(("".join(parts) for parts in product(*found)), _MOST)) if depth < _DEPTH else [HOLE]

    def piece(self, path: str, at: int, expression: str, depth: int) -> list[str]:
        expression = _plain(expression)
        text = self.value(expression, path)
        if text != HOLE or not expression:
            return [text]
        chosen = self.chosen(path, at, expression, depth) or self.called(path, at, expression, depth)
        if chosen is not None or not expression.isidentifier():
            return chosen if chosen is not None else [HOLE]
        return self.local(path, at, expression, depth) or self.given(path, at, expression, depth)

    def chosen(self, path: str, at: int, expression: str, depth: int) -> list[str] | None:
        """The texts of what a setting decides: `getenv(…)`, or `x ? x : other` of one; None for any other expression."""
        strings = self.codes[path][1]
        whole = _GETENV.fullmatch(expression)
        if whole:
            given = self.settings.environment.get(strings[int(whole[1])], "")
            return [given or HOLE]
        condition, sign, rest = expression.partition("?")
        branches = split_expressions(f"{rest})", 0, ":")
        if not sign or len(branches) != 2:
            return None
        taken, other = (_plain(branch) for branch in branches)
        tested = re.sub(r"^\(?(\w+|.*?\))(?:\s*!=\s*(?:NULL|nullptr|0))?\)?$", r"\1", condition.strip())
        name = _GETENV.fullmatch(tested) or (self.read_from(path, at, tested) if tested.isidentifier() else None)
        if name is None or tested != taken:
            return None
        given = self.settings.environment.get(strings[int(name[1])], "")
        return [HOLE] if given is None else [given] if given else self.texts(path, at, other, depth + 1)

    def called(self, path: str, at: int, expression: str, depth: int) -> list[str] | None:
        """The texts of a call of a function of the program: what its only `return` gives, or the setting that it looks up."""
        call = re.fullmatch(r"(\w+)\s*\((.*)\)", expression, re.DOTALL)
        if call is None:
            return None
        defines = re.compile(rf"\b{call[1]}\s*\(([^(){{}};]*)\)\s*\{{")
        definitions = [(other, found) for other, (code, _) in self.codes.items() for found in defines.finditer(code)]
        if len(definitions) != 1:
            return None
        ((other, found),) = definitions
        code, end = self.codes[other][0], max(self.codes[other][0].find("\n}", found.end()), found.end())
        names = [(re.findall(r"\w+", part) or [""])[-1] for part in split_expressions(f"{found[1]})", 0)]
        read = _LOOKS_UP.fullmatch(code, found.end(), end)
        arguments = split_expressions(f"{call[2]})", 0)
        if read is not None and read[2] in names and read[3] in names and len(arguments) == len(names):
            key = self.value(arguments[names.index(read[2])], path)
            given = self.settings.environment.get(key, "") if HOLE not in key else None
            return [HOLE] if given is None else [given] if given else self.texts(path, at, arguments[names.index(read[3])], depth + 1)
        returned = list(re.finditer(r"\breturn\b([^;]*);", code[found.end() : end]))
        if len(returned) != 1:
            return None
        return self.texts(other, found.end() + returned[0].start(), returned[0][1], depth + 1)

    def read_from(self, path: str, at: int, name: str) -> re.Match[str] | None:
        """The call of getenv that gives a variable of a function its only value."""
        body = self.body(path, at)
        found = list(re.finditer(rf"\b{name}\s*=\s*(?={_GETENV.pattern})", body))
        return _GETENV.match(body, found[0].end()) if len(found) == 1 == _changes(body, name) else None

    def body(self, path: str, at: int) -> str:
        """The text of the function around an offset."""
        code = self.codes[path][0]
        end = code.find("\n}", at)
        return code[function_start(code, at) : end if end > 0 else len(code)]

    def local(self, path: str, at: int, name: str, depth: int) -> list[str] | None:
        """The texts of a variable of a function: its only value, or what it falls back to where a setting is empty."""
        body, strings = self.body(path, at), self.codes[path][1]
        changes = _changes(body, name)
        filled = re.search(rf"\b{name}\s*=\s*{_GETENV.pattern}\s*;", body)
        empty = rf"\(\s*(?:!\s*{name}|{name}\s*==\s*(?:NULL|nullptr|0))(?:\s*\|\|\s*!\s*\*\s*{name})?\s*\)"
        other = re.search(rf"\bif\s*{empty}\s*\{{?\s*{name}\s*=\s*([^;]+);", body)
        if filled is not None and other is not None and changes == 2:
            given = self.settings.environment.get(strings[int(filled[1])], "")
            return [HOLE] if given is None else [given] if given else self.texts(path, at, other[1], depth + 1)
        printed = re.findall(rf"\bsn?printf\s*\(\s*{name}\s*,", body)
        if printed:
            return self.printed(path, at, name, depth) if len(printed) == 1 and not changes else [HOLE]
        declared = re.search(_DECLARED.replace("NAME", name), body)
        if declared is None or changes != (1 if declared[1] is not None else 0):
            return None
        if re.search(_GROWS.replace("NAME", name), body) or re.search(rf"[\w>*&\s]\b{name}\s*[,)][^;{{}}]*\{{", body):
            return [HOLE]
        return self.texts(path, at, declared[1] or declared[2], depth + 1)

    def printed(self, path: str, at: int, name: str, depth: int) -> list[str]:
        """The texts of a buffer that one call of snprintf fills, and that is only read otherwise."""
        body = self.body(path, at)
        call = re.search(rf"\b(sn?printf)\s*\(\s*{name}\s*,", body)
        uses = re.sub(_READS_ONLY.replace("NAME", name), "", body)
        given = split_expressions(body, call.end()) if call is not None else []
        given = given[1:] if call is not None and call[1] == "snprintf" else given
        number = re.fullmatch(r"((?:\"\d+\"|\w+|\s)+)", given[0]) if given else None
        if number is None or re.search(rf"\b{name}\b", uses):
            return [HOLE]
        form = self.value(given[0], path)
        parts = re.split(r"(%[^a-zA-Z%]*(?:ll|l|h|z)?[a-zA-Z%])", form)
        arguments = iter(given[1:])
        found: list[list[str]] = []
        for part in parts:
            if part == "%s":
                argument = next(arguments, "")
                found.append(self.texts(path, at, argument, depth + 1) if argument else [HOLE])
            elif part == "%%" or not re.fullmatch(r"%.*[a-zA-Z]", part):
                found.append([part.replace("%%", "%")])
            else:
                next(arguments, None)
                found.append([HOLE])
        return list(islice(("".join(one) for one in product(*found)), _MOST))

    def given(self, path: str, at: int, name: str, depth: int) -> list[str]:
        """The texts that all calls of a function give one of its parameters."""
        found = parameter_at(self.codes[path][0], at, name, go=False)
        calls = calls_of(found.function, [code for code, _ in self.codes.values()], go=False) if found is not None else None
        if found is None or not calls or any(found.index >= len(call.arguments) for call in calls):
            return [HOLE]
        paths = list(self.codes)
        return [text for call in calls for text in self.texts(paths[call.source], call.at, call.arguments[found.index], depth + 1)]

    def value(self, expression: str, path: str) -> str:
        """The text of literals, macros and variables that stand side by side; otherwise a hole."""
        strings, variables = self.codes[path][1], self.variables(path)
        if not re.fullmatch(r"(?:\"\d+\"|\w+|\s)*", expression):
            return HOLE
        texts = []
        pieces = re.findall(r"\"\d+\"|\w+", expression)
        for piece in pieces:
            if piece.startswith('"'):
                texts.append(strings[int(piece[1:-1])])
            else:
                texts.append(variables.get(piece, self.constants.get(piece, self.settings.macros.get(piece, HOLE))))
        return "".join(texts)


def _plain(expression: str) -> str:
    """An expression without what turns one kind of string into another."""
    expression = expression.strip()
    while True:
        bare = re.sub(r"\s*\.\s*(?:c_str|string|native|data|u8string)\(\s*\)$", "", expression)
        wrapped = _WRAPPED.match(bare)
        inner = split_expressions(bare, wrapped.end()) if wrapped else []
        if wrapped and len(inner) == 1 and len(bare) == wrapped.end() + len(inner[0]) + 1:
            bare = inner[0].strip()
        if bare == expression:
            return bare
        expression = bare


def _joined(part: str) -> Iterator[str]:
    """The pieces of a sum's part that joins paths with ``/``."""
    for index, piece in enumerate(split_expressions(f"{part})", 0, "/")):
        if index:
            yield "/"
        yield piece.strip()


def _changes(body: str, name: str) -> int:
    """How often a variable of a function may get a value: assignments, and places that take its address."""
    return len(re.findall(rf"(?<![\w.>]){name}\s*=(?!=)|(?<!&)&\s*{name}\b", body))


def _assignments(code: str, name: str) -> int:
    """How often a variable may get a value: its declaration, assignments, its address, parameters of that name."""
    given = re.findall(rf"\b{name}\b\s*(?:\[\w*\])?\s*[-+|&]?=(?!=)", code)
    return len(given) + len(re.findall(rf"(?<!&)&\s*{name}\b|[\w>][\s*&]+{name}\s*(?:\[\w*\])?\s*[,)]", code))


def masked(text: str) -> tuple[str, list[str]]:
    """A source without comments, in which ``"7"`` stands for the string literal number 7."""
    strings: list[str] = []

    def token(found: re.Match[str]) -> str:
        one = found[0]
        if one.startswith("/"):
            return "\n" * one.count("\n") or " "
        if one.startswith("'"):
            return "0"
        strings.append(re.sub(r"\\(.)", r"\1", one[1:-1]))
        return f'"{len(strings) - 1}"'

    lines = re.sub(r"^([ \t]*#[ \t]*include[^\n]*)$", "", text.replace("\\\n", " "), flags=re.MULTILINE)
    return _TOKEN.sub(token, lines), strings
