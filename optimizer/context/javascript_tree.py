"""Small readings of the syntax tree of JavaScript and TypeScript."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from optimizer.context.places import HOLE

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_SAME_MODULE = {
    "fs/promises": "fs", "fs-extra": "fs", "graceful-fs": "fs", "path/posix": "path", "timers/promises": "timers",
    "express/index": "express",
}  # fmt: skip


@cache
def parser(extension: str) -> Parser:
    """The parser for files of an extension; one that is not of TypeScript is taken for JavaScript, components may hold either."""
    import tree_sitter

    if extension in (".ts", ".mts", ".cts", ".vue", ".svelte", ".astro"):
        import tree_sitter_typescript

        language = tree_sitter_typescript.language_typescript()
    elif extension == ".tsx":
        import tree_sitter_typescript

        language = tree_sitter_typescript.language_tsx()
    else:
        import tree_sitter_javascript

        language = tree_sitter_javascript.language()
    return tree_sitter.Parser(tree_sitter.Language(language))


def text_of(node: Node | None) -> str:
    """The source text of a node."""
    return node.text.decode("utf-8", "replace") if node is not None and node.text is not None else ""


def literal(node: Node | None) -> str | None:
    """The text of a string literal without escapes or holes, None for anything else."""
    if node is None or node.type not in ("string", "template_string"):
        return None
    if any(child.type not in ("string_fragment", "escape_sequence") for child in node.named_children):
        return None
    return "".join(unescape(child) for child in node.named_children)


def unescape(node: Node) -> str:
    """The text of a fragment of a string literal; `HOLE` for an escape by number."""
    text = text_of(node)
    plain = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\\n": ""}
    return text if node.type != "escape_sequence" else plain.get(text, text[1:] if len(text) == 2 else HOLE)


def arguments(call: Node) -> list[Node]:
    """The arguments of a call or `new`; a spread element stands for any number of them."""
    given = call.child_by_field_name("arguments")
    return [child for child in given.named_children if child.type != "comment"] if given is not None else []


def pairs(node: Node | None) -> dict[str, Node]:
    """The entries of an object literal whose keys are plain, key to value."""
    found: dict[str, Node] = {}
    for child in node.named_children if node is not None and node.type == "object" else ():
        if child.type == "pair":
            key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
            if key is not None and value is not None:
                found[literal(key) or text_of(key)] = value
        elif child.type == "shorthand_property_identifier":
            found[text_of(child)] = child
    return found


def plain_object(node: Node) -> Node:
    """An expression without what leaves its value as it is: parentheses, types, ``Object.freeze``."""
    while node.named_children:
        if node.type in ("parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression"):
            node = node.named_children[0]
        elif node.type == "call_expression" and text_of(node.child_by_field_name("function")) == "Object.freeze" and arguments(node):
            node = arguments(node)[0]
        else:
            break
    return node


def module_name(name: str) -> str:
    """A module's name without `node:`, and one name for what offers the same functions."""
    name = name.removeprefix("node:")
    return _SAME_MODULE.get(name, name)
