"""What the parameters of a program's own functions are given: the arguments of every call in its sources.

A file is often opened by a function that is given its name. Where every call of that function gives it a known one, these are the
names. Works on code in which comments are gone and string literals are masked, for languages whose functions look like C's or Go's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from optimizer.context.expressions import split_expressions

_C = re.compile(
    r"^(?!\s*(?:else|return|typedef|#))[A-Za-z_][\w\s*&:<>,]*?[\s*&](?:\w+::)?(\w+)\s*\(([^;{}()]*)\)\s*(?:const\s*|noexcept\s*)*\{",
    re.MULTILINE,
)
_GO = re.compile(r"^func\s+(?:\([^()]*\)\s*)?(\w+)\s*\(([^()]*)\)", re.MULTILINE)


class Parameter(Struct, frozen=True):
    """A parameter of a function: the function's name and the parameter's place, from 0."""

    function: str
    index: int


def parameter_at(code: str, at: int, name: str, *, go: bool) -> Parameter | None:
    """The parameter that a name is at an offset of a source; None when it is none, or gets another value in the function.

    Args:
        code: The source, masked.
        at: The offset.
        name: The name.
        go: Whether the source is Go; C or C++ otherwise.
    """
    function = None
    for found in (_GO if go else _C).finditer(code, 0, at):
        function = found
    if function is None or function[1] in ("if", "for", "while", "switch", "main"):
        return None
    names = [_declared(part, go=go) for part in split_expressions(f"{function[2]})", 0)]
    body = code[function.end() : at]
    if name not in names or re.search(r"^\}", body, re.MULTILINE) or _changes(body, name, go=go):
        return None
    return Parameter(function[1], names.index(name))


def function_start(code: str, at: int) -> int:
    """Where the body of the C or C++ function around an offset begins, as far as that is seen."""
    start = code.rfind("\n}", 0, at) + 1
    for found in _C.finditer(code, start, at):
        start = found.end()
    return start


def _changes(body: str, name: str, *, go: bool) -> bool:
    """Whether a part of a function gives a parameter another value, or declares another variable of its name."""
    assigned = rf"\b{name}\b(?:\s*,\s*\w+)*\s*[-+:|&]?=(?!=)|(?<!&)&\s*{name}\b"
    if go:
        return re.search(rf"{assigned}|\bfunc\s*\([^()]*\b{name}\b|\bvar\s+{name}\b", body) is not None
    filled = rf"\b(?:str(?:n?cpy|n?cat|tok)|v?sn?printf|mem(?:cpy|move|set)|fgets|read)\s*\(\s*{name}\b"
    declared = rf"\]\s*\([^()]*\b{name}\b|[\w>][\s*&]+{name}\s*(?:\[[^\]]*\])?\s*;"
    return re.search(rf"{assigned}|{filled}|{declared}", re.sub(r"\b(?:return|delete|throw)\b", "", body)) is not None


def _declared(part: str, *, go: bool) -> str:
    """The name that a part of a list of parameters declares."""
    if go:
        return part.split(None, 1)[0] if part.split() else ""
    found = re.search(r"(\w+)\s*(?:\[\w*\])?\s*(?:=.*)?$", part)
    return found[1] if found else ""


class Calling(Struct, frozen=True):
    """A call of a function: the index of its source, its offset there, and the arguments as written."""

    source: int
    at: int
    arguments: tuple[str, ...]


def given_to(parameter: Parameter, codes: Iterable[str], *, go: bool) -> list[tuple[int, str]] | None:
    """The expressions that calls of a function give a parameter, each with the index of its source; None when others may do so.

    Args:
        parameter: The parameter.
        codes: All sources of the program, masked.
        go: Whether they are Go.
    """
    calls = calls_of(parameter.function, codes, go=go)
    if not calls or any(parameter.index >= len(call.arguments) for call in calls):
        return None
    return [(call.source, call.arguments[parameter.index]) for call in calls]


def calls_of(name: str, codes: Iterable[str], *, go: bool) -> list[Calling] | None:
    """The calls of a function in all sources of a program; None when others may call it. Arguments as above."""
    found: list[Calling] = []
    definitions = _GO if go else _C
    for index, code in enumerate(codes):
        own = {match.start(1) for match in definitions.finditer(code) if match[1] == name}
        if len(own) > 1:
            return None
        for use in re.finditer(rf"(?<!\w){name}\b(\s*\()?", code):
            if use.start() in own:
                continue
            if use[1] is None:
                return None  # it is handed on
            arguments = split_expressions(code, use.end())
            if not go and _declares(code, use.start(), arguments):
                continue
            found.append(Calling(index, use.start(), tuple(arguments)))
    return found


def _declares(code: str, at: int, arguments: list[str]) -> bool:
    """Whether a name with brackets behind it is declared there and not called: a type stands in front of it."""
    if re.search(r">[\s*&]*$", code[max(0, at - 80) : at]):  # a template's brackets, or a comparison
        return all(re.match(r"const\b|[\w:<>]+[\s*&]+\w+\s*(?:=.*)?$", argument) for argument in arguments)
    before = re.search(r"(\w+)[\s*&]+$", code[max(0, at - 80) : at])
    return before is not None and before[1] not in ("return", "else", "case", "throw", "do") and code[at - 1] not in "(,=!"
