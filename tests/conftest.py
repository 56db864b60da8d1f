"""What tests share: the option that rewrites expected files, the corpus, and BuildKit's own parser as oracle."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.syntax import Instruction, encode, parse
from optimizer.syntax.problems import INSTRUCTIONS

CORPUS = "DOPT_CORPUS"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write what the passes make into the fixtures' after.Dockerfile")


@pytest.fixture(scope="session")
def corpus() -> list[Path]:
    """Real Dockerfiles: every file of that name under the folder that DOPT_CORPUS names."""
    folder = os.environ.get(CORPUS)
    if not folder:
        pytest.skip(f"{CORPUS} names no folder of Dockerfiles")
    found = sorted(Path(folder).rglob("Dockerfile"))
    assert found, f"no Dockerfile under {folder}"
    return found


@pytest.fixture(scope="session")
def difference() -> Callable[[bytes], str | None]:
    """A function that says where our parser and BuildKit's differ on a Dockerfile, None where they agree."""
    return _difference


def _difference(data: bytes) -> str | None:
    import dockerfile

    ours = parse(data)
    assert encode(ours.text) == data
    try:
        theirs = dockerfile.parse_string(data.decode("utf-8", "replace"))
    except (dockerfile.GoParseError, ValueError) as error:
        message = str(error)
        if message in (problem.message for problem in ours.problems):
            return None
        return None if message == "file with no instructions" and not ours.positions else f"BuildKit says {message}, we {ours.problems}"
    nodes = [ours.instruction(position) for position in ours.positions]
    lines = [ours.line(position) for position in ours.positions]
    heads = [(node.keyword, line) for node, line in zip(nodes, lines, strict=True)]
    if heads != [(_text(command.cmd).upper(), command.start_line) for command in theirs]:
        return f"instructions: {heads}, BuildKit {[(command.cmd, command.start_line) for command in theirs]}"
    for node, line, command in zip(nodes, lines, theirs, strict=True):
        inner = node
        if node.keyword == "ONBUILD" and node.onbuild is not None:
            inner = node.onbuild
            if inner.keyword != _text(command.sub_cmd).upper():
                return f"line {line}: trigger {inner.keyword}, BuildKit {command.sub_cmd}"
        if "--" in node.joined.text and (not node.joined.text.isascii() or (ours.escape == "`" and "\\" in node.joined.text)):
            continue  # BuildKit garbles flags beyond ASCII, and the oracle's always takes a backslash in them for an escape
        flags = tuple(f"--{flag.name}" + ("" if flag.value is None else f"={flag.value}") for flag in node.flags)
        if _plain(flags) != _plain(command.flags):
            return f"line {line}: flags {flags}, BuildKit {command.flags}"
        if inner.keyword in INSTRUCTIONS and _plain(_values(inner)) != _plain(command.value):
            return f"line {line}: values {_values(inner)}, BuildKit {command.value}"
    return None


def _values(node: Instruction) -> tuple[str, ...]:
    """The values of an instruction as the oracle lists them."""
    if node.keyword == "HEALTHCHECK":
        kind = tuple(argument.text for argument in node.arguments[:1])
        rest = node.command_text.text
        return kind + (node.json if node.json is not None else (rest,) if rest else ())
    if node.json is not None and node.keyword in ("RUN", "CMD", "ENTRYPOINT", "SHELL", "COPY", "ADD", "VOLUME"):
        return node.json
    if node.keyword in ("ENV", "LABEL"):
        return tuple(part for pair in node.pairs for part in (pair.name, pair.value or "", "" if pair.legacy else "="))
    if node.keyword in ("RUN", "CMD", "ENTRYPOINT", "SHELL", "ONBUILD"):
        return (node.value,) if node.value else ()
    return tuple(argument.text for argument in node.arguments)


def _plain(values: tuple[str, ...]) -> tuple[str, ...]:
    """Without what the oracle leaves out or cannot say: empty values, ``=`` and bytes that are no UTF-8."""
    return tuple(text for text in map(_text, values) if text and text != "=")


def _text(value: str | None) -> str:
    return encode(value or "").decode("utf-8", "replace")
