"""New text in the style of what stands beside it: indent, continuation, line end, case of keywords."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from optimizer.syntax import Blank, Comment, Dockerfile, Instruction, Node

TOOL_COMMENT = re.compile(
    r"#\s*(hadolint|dopt|checkov|trivy|tally|dockle|semgrep|nosemgrep|kics|snyk|grype|codacy|shellcheck|droast|sonar|escape|syntax|check|[\w-]+[-:](ignore|disable))\b",
    re.I,
)
"""A comment that speaks to a tool about what stands below it, or about the whole file."""
_CONTINUED = re.compile(r"[\\`][ \t]*\r?\n([ \t]*)(?=[^\s#])")


class Style(Struct, frozen=True):
    """How an instruction breaks its lines: indent of the lines behind the first, and ``&&`` before or behind the break."""

    indent: str = "    "
    trailing_and: bool = False


def style_of(file: Dockerfile, node: Instruction) -> Style:
    """The style of a RUN that is broken over lines, else of the first such RUN in the file, else four blanks."""
    candidates = [node, *(file.instruction(p) for p in file.positions)]
    for candidate in candidates:
        if candidate.keyword != "RUN" or candidate.heredocs:
            continue
        match = _CONTINUED.search(candidate.text)
        if match:
            return Style(match[1] or "    ", bool(re.search(r"&&[ \t]*[\\`][ \t]*\r?\n", candidate.text)))
    return Style()


def joint_of(file: Dockerfile, node: Instruction) -> str:
    """What stands between two commands of a RUN that is broken over lines, in the style of ``node``."""
    style, newline = style_of(file, node), line_end_of(file, node)
    return f" && {node.escape}{newline}{style.indent}" if style.trailing_and else f" {node.escape}{newline}{style.indent}&& "


def line_end_of(file: Dockerfile, node: Instruction) -> str:
    """The line end that an instruction uses, else the file's."""
    if node.text.endswith("\r\n"):
        return "\r\n"
    return "\n" if node.text.endswith("\n") else file.newline


def keyword_like(node: Instruction, keyword: str) -> str:
    """``keyword`` in the case in which ``node`` writes its own."""
    return keyword.lower() if node.keyword_text.islower() else keyword


def keyword_edit(node: Instruction, keyword: str) -> tuple[int, int, str] | None:
    """An edit for ``Instruction.edited`` that puts ``keyword`` in place of its own; None where that is broken over lines."""
    start = len(indent_of(node))
    end = start + len(node.keyword_text)
    if node.text[start:end] != node.keyword_text:
        return None
    own = node.keyword_text
    return start, end, keyword.capitalize() if own[:1].isupper() and own[1:].islower() else keyword_like(node, keyword)


def has_inner_comments(node: Instruction) -> bool:
    """Whether comment lines stand between an instruction's continued lines."""
    return any(line.lstrip().startswith("#") for line in node.text.splitlines()[1:])


def on_one_line(node: Instruction) -> bool:
    """Whether an instruction stands on one line, without continuations and heredocs."""
    return "\n" not in node.text.rstrip("\r\n")


def comments_above(file: Dockerfile, position: int) -> int:
    """Index of the first of the comment lines directly above a node, its own index without any."""
    while position and isinstance(file.nodes[position - 1], Comment):
        position -= 1
    return position


def behind_gap(nodes: Sequence[Node], start: int, end: int) -> int:
    """Where the rest begins once ``nodes[start:end]`` go: where a blank line stands on both sides of them, the one behind goes, too."""
    if start == 0 or isinstance(nodes[start - 1], Blank):
        while end < len(nodes) and isinstance(nodes[end], Blank):
            end += 1
    return end


def without_node(file: Dockerfile, position: int) -> Dockerfile:
    """The file without a node."""
    return file.replaced(position, behind_gap(file.nodes, position, position + 1), ())


def indent_of(node: Instruction) -> str:
    """The blanks in front of an instruction's keyword."""
    return node.text[: len(node.text) - len(node.text.lstrip(" \t"))]


def body(node: Instruction) -> str:
    """The source text behind keyword and flags, without the last line end; inner line breaks and comments stay."""
    return node.text[node.rest.source(0) :].rstrip()


def instruction_like(file: Dockerfile, node: Instruction, keyword: str, rest: str) -> Instruction:
    """A new instruction on one line, written the way ``node`` is."""
    return Instruction(f"{indent_of(node)}{keyword_like(node, keyword)} {rest}{line_end_of(file, node)}", node.escape)


def run_of(file: Dockerfile, node: Instruction, commands: list[str]) -> Instruction:
    """A RUN of some commands, with the flags and in the style of another one."""
    flags = "".join(f"--{flag.name}={flag.value} " for flag in node.flags)
    return instruction_like(file, node, "RUN", flags + joint_of(file, node).join(commands))


def quote_names(names: list[str] | tuple[str, ...], limit: int = 4) -> str:
    """Names for a sentence: all of them when they are few, else the first and a count."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
