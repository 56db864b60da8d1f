"""Text to lossless tree, in one pass over the lines."""

from __future__ import annotations

import re

from optimizer.syntax.heredocs import read_heredocs
from optimizer.syntax.joined import SPACES, is_comment, join_lines, line_end
from optimizer.syntax.nodes import Blank, Comment, Directive, Instruction, Node
from optimizer.syntax.tree import Dockerfile

BOM = "\ufeff"
DIRECTIVES = ("syntax", "escape", "check")
_DIRECTIVE = re.compile(rf"#[{SPACES}]*([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*\Z")


def decode(data: bytes) -> str:
    """Bytes to text without loss: bytes that are no UTF-8 become surrogates, which ``encode`` turns back."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes that ``decode`` read."""
    return text.encode("utf-8", "surrogateescape")


def parse(source: str | bytes) -> Dockerfile:
    """Parse a Dockerfile.

    Never fails: ``parse(text).text == text`` for every input, and what BuildKit would reject is listed in
    ``Dockerfile.problems``.

    Args:
        source: The Dockerfile's text or bytes (any bytes; those that are no UTF-8 are kept).

    Examples:
        >>> tree = parse("FROM alpine\\nRUN a && \\\\\\n  b\\n")
        >>> [tree.instruction(i).keyword for i in tree.positions]
        ['FROM', 'RUN']
    """
    text = decode(source) if isinstance(source, bytes) else source
    bom = BOM if text.startswith(BOM) else ""
    text = text[len(bom) :]
    nodes: list[Node] = []
    escape, seen, in_directives = "\\", set[str](), True
    position = 0
    while position < len(text):
        end = line_end(text, position)
        line = text[position:end]
        bare = line.rstrip("\r\n").lstrip(SPACES)
        if in_directives:
            match = _DIRECTIVE.match(bare)
            if match and match[1].lower() in DIRECTIVES and match[1].lower() not in seen:
                name = match[1].lower()
                seen.add(name)
                if name == "escape" and match[2] in ("\\", "`"):
                    escape = match[2]
                nodes.append(Directive(line, name, match[2]))
                position = end
                continue
            in_directives = False
        if not bare:
            nodes.append(Blank(line))
        elif is_comment(line):
            nodes.append(Comment(line))
        else:
            node = _read_instruction(text, position, escape)
            nodes.append(node)
            end = position + len(node.text)
        position = end
    return Dockerfile(tuple(nodes), escape, bom)


def _read_instruction(text: str, start: int, escape: str) -> Instruction:
    joined, length = join_lines(text, start, escape)
    node = Instruction(text[start : start + length], escape)
    if "<<" in joined.text and node.markers:
        _, end, _ = read_heredocs(text, start + length, node.markers)
        node = Instruction(text[start:end], escape)
    node.__dict__["_joined"] = joined, length  # what the node would find out itself when first asked
    return node


def parse_nodes(text: str, escape: str) -> tuple[Node, ...]:
    """The nodes of a piece of a Dockerfile, as it stands in the middle of one (no directives)."""
    probe = parse("FROM x\n" + text) if escape == "\\" else parse(f"# escape={escape}\nFROM x\n" + text)
    return probe.nodes[1:] if escape == "\\" else probe.nodes[2:]
