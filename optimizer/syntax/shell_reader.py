"""From tree-sitter's tree of a shell text to ours.

tree-sitter-bash reads the words and finds where constructs begin and end, but nests ``&&``, ``|`` and redirections
loosely (``a && b > c`` puts the redirection around the whole list, ``a > b c`` takes ``c`` for a second file), so
only its leaves are taken over: ``shell_grouping`` groups them again by the shell's own precedence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from optimizer.syntax.shell import Command, Compound, Redirect, Script, Statement, Word
from optimizer.syntax.shell_grouping import OPERATORS, Leaf, Operator, group
from optimizer.syntax.shell_heredocs import Body, mask_heredocs

if TYPE_CHECKING:
    from tree_sitter import Node as TreeNode
    from tree_sitter import Parser

_COMPOUNDS = {
    "if_statement": "if",
    "for_statement": "for",
    "c_style_for_statement": "for",
    "while_statement": "while",
    "case_statement": "case",
    "subshell": "subshell",
    "compound_statement": "group",
    "function_definition": "function",
}
_COMMANDS = frozenset({"command", "declaration_command", "unset_command", "test_command"})
_ASSIGNMENTS = frozenset({"variable_assignment", "variable_assignments"})
_TRANSPARENT = frozenset({"list", "pipeline", "redirected_statement", "negated_command"})
_REDIRECTS = frozenset({"file_redirect", "herestring_redirect"})
_STATEMENTS = _COMMANDS | _ASSIGNMENTS | _TRANSPARENT | OPERATORS | frozenset(_COMPOUNDS)
_BLOCKS = frozenset({"do_group", "elif_clause", "else_clause", "case_item"})
_SUBSTITUTIONS = frozenset({"command_substitution", "process_substitution"})
_LITERALS = frozenset({"word", "number", "regex", "variable_name", "test_operator", "extglob_pattern"})
_HEREDOC_PARTS = frozenset({"<<", "<<-", "heredoc_start", "heredoc_body", "heredoc_end", "file_descriptor"})
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_ACTIVE = re.compile(r"[\\~*?\[]")
_ESCAPED = re.compile(r"\\(?:\n|(.))", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r'\\(?:\n|([$`"\\]))')
_BRACES = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")


@cache
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


def read_script(text: str) -> Script:
    """The script that a text says; heredocs that tree-sitter trips over are read with their bodies blanked."""
    script = _read(text, text, {})
    if not script.understood and "<<" in text:
        masked = mask_heredocs(text)
        if masked is not None:
            again = _read(text, *masked)
            return again if again.understood else script
    return script


def _read(text: str, masked: str, bodies: dict[int, Body]) -> Script:
    # One byte a character keeps offsets equal, and tree-sitter-bash 0.25 crashes on characters far beyond ASCII. A full
    # stop is, like them, part of a word and not of a name.
    root = _parser().parse(_BEYOND_ASCII.sub(".", masked).encode("ascii")).root_node
    reader = _Reader(text, bodies)
    try:
        statements = reader.statements(root.children)
    except RecursionError:  # nested deeper than Python goes; nobody wrote that by hand
        return Script(text, (), False)
    # A carriage return is part of a word for the shell, but white space for tree-sitter.
    return Script(text, statements, not root.has_error and "\r" not in text, reader.commented)


class _Reader:
    """Turns tree-sitter's nodes into ours."""

    def __init__(self, text: str, bodies: dict[int, Body]) -> None:
        self.text = text
        self.bodies = bodies
        self.continued = "\\\n" in text
        self.commented = False

    def source(self, node: TreeNode) -> str:
        return self.text[node.start_byte : node.end_byte]

    def statements(self, nodes: Iterable[TreeNode]) -> tuple[Statement, ...]:
        leaves: list[Leaf] = []
        self.flatten(nodes, leaves)
        return group(leaves, self.text)

    def flatten(self, nodes: Iterable[TreeNode], out: list[Leaf]) -> None:
        """The commands, redirections and operators of nodes in one row."""
        for node in nodes:
            kind = node.type
            if kind in _COMMANDS:
                out.append(self.command(node, kind))
            elif kind in _TRANSPARENT:
                self.flatten(node.children, out)
            elif kind in OPERATORS:
                out.append(Operator(kind, node.start_byte, node.end_byte))
            elif kind in _REDIRECTS:
                out.extend(self.redirect(node))
            elif kind == "heredoc_redirect":
                self.heredoc(node, out)
            elif kind in _COMPOUNDS:
                out.append(self.compound(node, _COMPOUNDS[kind]))
            elif kind in _ASSIGNMENTS:
                assigned = [node] if kind == "variable_assignment" else node.children
                start, end = node.start_byte, node.end_byte
                out.append(Command((), tuple(map(self.assignment, assigned)), (), start, end))
            elif kind == "comment":
                self.commented = True
            elif node.is_named:
                out.append(self.word(node, kind))

    def compound(self, node: TreeNode, kind: str) -> Compound:
        children = node.children
        if children[0].type == "((" and kind == "group":
            kind = "arithmetic"
        return Compound(kind, tuple(self.inner(children)), (), node.start_byte, node.end_byte)

    def inner(self, children: Iterable[TreeNode]) -> list[Statement]:
        """The statements in a construct, its keywords, patterns and loop words left out, their substitutions kept."""
        found: list[Statement] = []
        row: list[TreeNode] = []
        for child in children:
            kind = child.type
            if kind in _STATEMENTS:
                row.append(child)
            elif kind in _BLOCKS:
                found.extend(self.statements(row))
                found.extend(self.inner(child.children))
                row = []
            elif kind == "comment":
                self.commented = True
            elif child.child_count:
                found.extend(self.substitutions(child))
        found.extend(self.statements(row))
        return found

    def command(self, node: TreeNode, kind: str) -> Command:
        words: list[Word] = []
        assignments: list[tuple[str, Word | None]] = []
        redirects: list[Redirect] = []
        children = node.children
        if kind == "test_command":
            children = children[:-1]
        for child in children:
            part = child.type
            if part == "word":
                words.append(self.word(child, part))
            elif part == "command_name":
                only = child.child(0) if child.child_count == 1 else None
                words.append(self.word(only or child, only.type if only else part))
            elif part == "variable_assignment" and kind == "command":
                assignments.append(self.assignment(child))
            elif part in _REDIRECTS or part == "heredoc_redirect":
                row: list[Leaf] = []
                self.flatten((child,), row)
                redirects.extend(leaf for leaf in row if isinstance(leaf, Redirect))
                words.extend(leaf for leaf in row if isinstance(leaf, Word))
            elif part == "comment":
                self.commented = True
            else:
                words.append(self.word(child, part))
        if self.continued:
            words = self.rejoined(words)
        return Command(tuple(words), tuple(assignments), tuple(redirects), node.start_byte, node.end_byte)

    def rejoined(self, words: list[Word]) -> list[Word]:
        """Words that a continued line cuts in two, which tree-sitter takes for two words, made one again."""
        found: list[Word] = []
        for word in words:
            last = found[-1] if found else None
            if last is not None and self.text[last.end : word.start] == "\\\n":
                value = None if last.value is None or word.value is None else last.value + word.value
                text = self.text[last.start : word.end]
                substitutions = last.substitutions + word.substitutions
                found[-1] = Word(text, value, last.start, word.end, last.glob or word.glob, substitutions)
            else:
                found.append(word)
        return found

    def assignment(self, node: TreeNode) -> tuple[str, Word | None]:
        value = node.child_by_field_name("value")
        name = self.source(node).partition("=")[0].rstrip("+")
        return name, self.word(value, value.type) if value else None

    def redirect(self, node: TreeNode) -> list[Redirect | Word]:
        """A redirection, and the words behind its target, which are the command's."""
        operator, descriptor = "", ""
        words: list[Word] = []
        for child in node.children:
            kind = child.type
            if kind == "file_descriptor":
                descriptor = self.source(child)
            elif child.is_named:
                words.append(self.word(child, kind))
            else:
                operator = operator or kind
        start = node.start_byte
        target = words[0] if words else None
        end = target.end if target else node.end_byte
        body = self.bodies.get(start + len(descriptor))
        if body is not None:
            operator, target = "<<", Word(self.text[body.start : body.end], None, body.start, body.end)
        return [Redirect(operator, descriptor, target, start, end), *words[1:]]

    def heredoc(self, node: TreeNode, out: list[Leaf]) -> None:
        """A heredoc's redirection, then whatever follows its marker on the same line."""
        target, descriptor = None, ""
        start = end = node.start_byte
        rest: list[TreeNode] = []
        for child in node.children:
            kind = child.type
            if kind == "heredoc_body":
                begin, stop = child.start_byte, child.end_byte
                target = Word(self.text[begin:stop], None, begin, stop, substitutions=tuple(self.substitutions(child)))
            elif kind == "file_descriptor":
                descriptor = self.source(child)
            elif kind == "heredoc_start":
                end = child.end_byte
            elif kind not in _HEREDOC_PARTS:
                rest.append(child)
        out.append(Redirect("<<", descriptor, target, start, end))
        self.flatten(rest, out)

    def word(self, node: TreeNode, kind: str) -> Word:
        start, end = node.start_byte, node.end_byte
        text = self.text[start:end]
        if kind in _LITERALS and not _ACTIVE.search(text):
            return Word(text, text, start, end)
        value, glob = self.value(node, kind)
        return Word(text, value, start, end, glob, tuple(self.substitutions(node)) if value is None else ())

    def value(self, node: TreeNode, kind: str) -> tuple[str | None, bool]:
        """What a word stands for, None when only running tells, and whether it is a pattern of file names."""
        text = self.source(node)
        if kind in _LITERALS:
            return None if text.startswith("~") else _ESCAPED.sub(_kept, text), any(c in _ESCAPED.sub("", text) for c in "*?[")
        if kind == "string":
            plain = all(child.type in ('"', "string_content") for child in node.children)
            return (_ESCAPED_IN_QUOTES.sub(_kept, text[1:-1]) if plain else None), False
        if kind == "raw_string":
            return text[1:-1], False
        if kind == "ansi_c_string":
            return (None if "\\" in text else text[2:-1]), False
        if kind in ("concatenation", "command_name"):
            parts = [self.value(child, child.type) for child in node.children]
            glob = any(part[1] for part in parts)
            values = [value for value, _ in parts if value is not None]
            braces = any(child.type == "word" and self.source(child).startswith("{") for child in node.children)
            known = parts and len(values) == len(parts) and not (braces and _BRACES.search(text))
            return ("".join(values) if known else None), glob
        if kind == "variable_assignment":  # an argument of export or declare
            name, found = self.assignment(node)
            value = "" if found is None else found.value
            return (None if value is None else f"{name}={value}"), False
        return (text if not node.is_named and node.child_count == 0 else None), False

    def substitutions(self, node: TreeNode) -> list[Statement]:
        """The statements of the command and process substitutions anywhere in a node."""
        if node.type in _SUBSTITUTIONS:
            return list(self.statements(node.children))
        return [found for child in node.children if child.child_count for found in self.substitutions(child)]


def _kept(match: re.Match[str]) -> str:
    """What an escape leaves: the character behind the backslash, nothing of a line end."""
    return match[1] or ""
