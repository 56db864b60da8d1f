"""What the parameters of a JavaScript function may stand for, by the calls of it in all modules of the program."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from optimizer.context.javascript_tree import arguments, literal, text_of
from optimizer.context.scopes import UNKNOWN, Value, Values

if TYPE_CHECKING:
    from tree_sitter import Node

    from optimizer.context.javascript_module import Module

Callers: TypeAlias = "Callable[[str, str, int, int], Values]"
"""The values of an argument in all calls of other modules, for ``(file, exported name, position, depth)``."""
Find: TypeAlias = "Callable[[str, str], str | None]"
"""The file of the context that a module name stands for, for ``(file, name)``."""
_EXPORT = re.compile(r"(?:module\.)?exports\.(\w+)$")
_BOUND = frozenset({"variable_declarator", "call_expression", "member_expression", "await_expression", "expression_statement"})
"""What a `require` may stand in, so that its value is followed."""


class Parameter(Struct, frozen=True):
    """A parameter of a function.

    Args:
        function: The name that the module calls the function by, None where it has none.
        exported: The name that it is exported by; "" for the module's own value, None where it is not.
        index: The parameter's position.
        default: The value it has where none is given.
    """

    function: str | None
    exported: str | None
    index: int
    default: Node | None


def parameters_of(function: Node) -> Iterator[tuple[str, Parameter]]:
    """The parameters of a function with a name, or of a class's constructor, that are plain names themselves."""
    names = _names(function)
    given = function.child_by_field_name("parameters") or function.child_by_field_name("parameter")
    if names is None or given is None:
        return
    for index, parameter in enumerate(given.named_children if given.type == "formal_parameters" else [given]):
        target = parameter.child_by_field_name("pattern") or parameter.child_by_field_name("left") or parameter
        default = parameter.child_by_field_name("value") or parameter.child_by_field_name("right")
        if target.type == "identifier":
            yield text_of(target), Parameter(*names, index, default)


def _names(function: Node) -> tuple[str | None, str | None] | None:
    """The names that a function, or the class whose constructor it is, is called and exported by; None where there is neither."""
    if function.type == "method_definition":
        body = function.parent
        if text_of(function.child_by_field_name("name")) != "constructor" or body is None or body.parent is None:
            return None
        function = body.parent
    around = function.parent
    name = text_of(function.child_by_field_name("name")) or None
    if around is not None and around.type == "variable_declarator":
        target = around.child_by_field_name("name")
        name = text_of(target) if target is not None and target.type == "identifier" else None
        around = around.parent.parent if around.parent is not None else None
    if around is not None and around.type == "export_statement":
        return name, "" if any(child.type == "default" for child in around.children) else name
    if around is not None and around.type == "assignment_expression":
        left = text_of(around.child_by_field_name("left"))
        found = _EXPORT.match(left)
        return (None, "") if left == "module.exports" else (None, found[1]) if found is not None else None
    return (name, None) if name is not None else None


def parameter_values(module: Module, parameter: Parameter, depth: int, callers: Callers) -> Values:
    """All values that a parameter may have; unknown where something else than a call uses the function."""
    values: list[Value] = []
    called = False
    exported = parameter.exported
    if parameter.function is not None:
        calls = [(node, text) for node, text in called_names(module) if text == parameter.function]
        if module.uses[parameter.function] != len(calls):
            return UNKNOWN
        values += given(module, (node for node, _ in calls), parameter.index, depth)
        called = bool(calls)
        exported = exported if exported is not None else _exported_as(module, parameter.function)
    if exported is not None:
        others = callers(module.path, exported, parameter.index, depth)
        if not others and not called:
            return UNKNOWN  # what is not part of the program calls it
        values += others
    if parameter.default is not None:
        defaults = module.values(parameter.default, module.scope, depth + 1) if None in values or not values else ()
        return (*(value for value in values if value is not None), *defaults)
    return tuple(values)


def called_names(module: Module) -> Iterator[tuple[Node, str]]:
    """The calls of a module, each with the text of what is called."""
    for node, _ in module.calls:
        callee = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        if callee is not None and callee.type in ("identifier", "member_expression", "call_expression"):
            yield node, text_of(callee)


def given(module: Module, calls: Iterable[Node], index: int, depth: int) -> Values:
    """All values that calls give at a position, None where they give nothing there."""
    scopes = {node.id: scope for node, scope in module.calls}
    found: list[Value] = []
    for node in calls:
        words = arguments(node)
        if any(word.type == "spread_element" for word in words[: index + 1]):
            return UNKNOWN
        found += module.values(words[index], scopes[node.id], depth + 1) if index < len(words) else (None,)
    return tuple(found)


def calls_from(modules: Iterable[Module], find: Find, path: str, exported: str, index: int, depth: int) -> Values:
    """All values that other modules give at a position of what a file exports; unknown where one does something else with it."""
    values: list[Value] = []
    for module in modules:
        if module.path == path:
            continue
        for node, name in module.imports:
            if node.type == "export_statement" and name.startswith(".") and find(module.path, name) == path:
                return UNKNOWN  # it goes on under another file's name
        calls: list[Node] = []
        texts: Counter[str] = Counter()
        for node, text in called_names(module):
            words = arguments(node)
            required = literal(words[0]) if text in ("require", "import") and words else None
            followed = node.parent is not None and node.parent.type in _BOUND
            if required is not None and required.startswith(".") and not followed and find(module.path, required) == path:
                return UNKNOWN
            full = module.name_of(node.child_by_field_name("function") or node.child_by_field_name("constructor"))
            if full.startswith(".") and _stands_for(module, find, full, path, exported):
                calls.append(node)
                texts[text] += 1
        for local, full in module.aliases.items():
            if not full.startswith("."):
                continue
            if _stands_for(module, find, full, path, exported) and module.uses[local] != texts[local]:
                return UNKNOWN
            member = f"{local}.{exported}"
            if exported and find(module.path, full) == path and text_of(module.tree.root_node).count(member) != texts[member]:
                return UNKNOWN
        values += given(module, calls, index, depth)
    return tuple(values)


def _stands_for(module: Module, find: Find, full: str, path: str, exported: str) -> bool:
    """Whether the full name of an imported thing is what a file exports under a name."""
    if not exported:
        return find(module.path, full) == path
    source, _, name = full.rpartition(".")
    return name == exported and bool(source.strip(".")) and find(module.path, source) == path


def _exported_as(module: Module, name: str) -> str | None:
    """The name that a module exports one of its own names by; "" for the module's own value, None where it does not."""
    for written, values in module.attributes.items():
        found = _EXPORT.match(written)
        for value, _ in values:
            if written == "module.exports" and (text_of(value) == name or name in map(text_of, value.named_children)):
                return "" if text_of(value) == name else name
            if found is not None and text_of(value) == name:
                return found[1]
    for child in module.tree.root_node.named_children:
        if child.type == "export_statement":
            if text_of(child.child_by_field_name("value")) == name:
                return ""
            if any(text_of(one) == name for clause in child.named_children for one in clause.named_children):
                return name
    return None


def uses_of(root: Node) -> Counter[str]:
    """How often each name is used; where it is declared, imported or exported under itself is left out."""
    found: Counter[str] = Counter()
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type in ("identifier", "shorthand_property_identifier") and not _declares(node):
            found[text_of(node)] += 1
        pending += node.named_children
    return found


def _declares(node: Node) -> bool:
    around = node.parent
    if around is None:
        return False
    kind = around.type
    if kind in ("import_specifier", "import_clause", "namespace_import", "formal_parameters"):
        return True
    if kind == "export_specifier":
        return around.named_child_count == 1
    if kind == "export_statement":
        return True
    if kind == "object" and around.parent is not None and node.type == "shorthand_property_identifier":
        return text_of(around.parent.child_by_field_name("left")) == "module.exports"
    if kind == "assignment_expression" and around.child_by_field_name("right") == node:
        left = text_of(around.child_by_field_name("left"))
        return left == "module.exports" or _EXPORT.match(left) is not None
    if kind == "pair_pattern":
        return around.child_by_field_name("value") == node
    return around.child_by_field_name("name") == node and kind != "jsx_self_closing_element"
