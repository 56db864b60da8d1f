"""One JavaScript or TypeScript module as names and values: what its names may stand for, and the calls it makes."""

from __future__ import annotations

import itertools
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from optimizer.context.javascript_packages import FACTORIES
from optimizer.context.javascript_parameters import Callers, Parameter, parameter_values, parameters_of, uses_of
from optimizer.context.javascript_tree import arguments, literal, module_name, pairs, parser, plain_object, text_of, unescape
from optimizer.context.javascript_values import as_text, few, later_part, product
from optimizer.context.places import HOLE, TEMPORARY, join, parent
from optimizer.context.scopes import UNKNOWN, Value, Values
from optimizer.context.scopes import Binding as AnyBinding
from optimizer.context.scopes import Scope as AnyScope

if TYPE_CHECKING:
    from tree_sitter import Node

Scope: TypeAlias = "AnyScope[Node]"
Elsewhere: TypeAlias = "Callable[[str, str, str, int], Values]"

_DEPTH = 40  # of expressions in expressions, names followed
_FUNCTIONS = {
    "function_declaration", "function_expression", "generator_function", "generator_function_declaration", "arrow_function",
    "method_definition",
}  # fmt: skip


class Module:
    """A parsed file. folders: the folders `__dirname` may be when it runs, as path texts; environment: variables known;
    elsewhere: gives the values that another module of the context exports, for `(this file, module name, export, depth)`;
    callers: those that other modules call what this one exports with.
    """

    def __init__(
        self, path: str, text: str, folders: tuple[str, ...], environment: Mapping[str, str], elsewhere: Elsewhere, callers: Callers
    ) -> None:
        self.elsewhere = elsewhere
        self.callers = callers
        self.path = path
        self.folders = folders
        self.environment = environment
        self.tree = parser(posixpath.splitext(path)[1]).parse(text.encode("utf-8", "replace"))
        self._known: dict[tuple[int, str], Values] = {}
        self._parameters: dict[tuple[int, str], tuple[Parameter, Scope]] = {}
        self.scope: Scope = AnyScope(None)
        self.aliases: dict[str, str] = {}
        self.calls: list[tuple[Node, Scope]] = []
        self.imports: list[tuple[Node, str]] = []
        self.attributes: dict[str, list[tuple[Node, Scope]]] = {}
        self.environment_names: dict[str, tuple[str, Node | None]] = {}
        self._walk()

    @cached_property
    def uses(self) -> Counter[str]:
        """How often each name is used."""
        return uses_of(self.tree.root_node)

    def forget(self) -> None:
        """Forget which values names have, since more modules are known."""
        self._known.clear()

    def line(self, node: Node) -> int:
        return node.start_point[0] + 1

    def broken_line(self) -> int | None:
        """The line of the first syntax error, None for a sound file."""
        node = self.tree.root_node
        if not node.has_error:
            return None
        while (inner := next((child for child in node.children if child.has_error or child.is_missing), None)) is not None:
            node = inner
        return self.line(node)

    def _walk(self) -> None:
        """Collect names, imports and calls. No recursion: bundled files nest deeper than Python's stack."""
        pending: list[tuple[Node, Scope]] = [(self.tree.root_node, self.scope)]
        while pending:
            node, scope = pending.pop()
            kind = node.type
            if kind in _FUNCTIONS:
                name = node.child_by_field_name("name")
                if name is not None and kind != "method_definition":
                    scope.bind(text_of(name), AnyBinding(None))
                scope = AnyScope(scope)
                given = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
                for parameter in given.named_children if given and given.type == "formal_parameters" else [given] if given else []:
                    self._bind(parameter.child_by_field_name("pattern") or parameter, None, scope)
                for text, found in parameters_of(node):
                    self._parameters[(id(scope), text)] = found, scope
            elif kind == "variable_declarator":
                self._bind(node.child_by_field_name("name"), node.child_by_field_name("value"), scope)
            elif kind in ("assignment_expression", "augmented_assignment_expression"):
                value = node.child_by_field_name("right") if kind == "assignment_expression" else None
                self._bind(node.child_by_field_name("left"), value, scope)
            elif kind in ("for_in_statement", "catch_clause"):
                left = node.child_by_field_name("left") or node.child_by_field_name("parameter")
                names = [left] if left is not None else []
                values = node.child_by_field_name("right")
                each = kind == "for_in_statement" and values is not None and values.type == "array"
                for name in names:
                    if name.type == "identifier":
                        scope.bind(text_of(name), AnyBinding(values if each else None, each=each))
                    else:
                        self._bind(name, None, scope)
            elif kind in ("import_statement", "export_statement"):
                self._import(node)
            elif kind in ("call_expression", "new_expression"):
                self.calls.append((node, scope))
            elif kind in ("public_field_definition", "field_definition"):
                name, value = node.child_by_field_name("name") or node.child_by_field_name("property"), node.child_by_field_name("value")
                if value is not None:
                    self.attributes.setdefault(f"this.{text_of(name)}", []).append((value, scope))
            pending += [(child, scope) for child in reversed(node.named_children)]

    def _bind(self, target: Node | None, value: Node | None, scope: Scope) -> None:
        if target is None:
            return
        if target.type in ("identifier", "shorthand_property_identifier_pattern"):
            full = self._imported(value) if value is not None else None
            if full:
                self.aliases[text_of(target)] = full
            else:
                scope.bind(text_of(target), AnyBinding(value))
        elif target.type == "member_expression" and value is not None:
            self.attributes.setdefault(text_of(target), []).append((value, scope))
        elif target.type in ("object_pattern", "array_pattern", "rest_pattern", "assignment_pattern", "pair_pattern"):
            self._bind_pattern(target, value, scope)

    def _bind_pattern(self, target: Node, value: Node | None, scope: Scope) -> None:
        """`const { spawn, exec: run } = require(...)`, `const { PORT = 3000 } = process.env`, and names of unknown value."""
        full = self._imported(value) if value is not None else None
        for item in target.named_children:
            default = None
            if item.type == "object_assignment_pattern":
                default, item = item.child_by_field_name("right"), item.child_by_field_name("left") or item
            key, name = item, item
            if item.type == "pair_pattern":
                key, name = item.child_by_field_name("key") or item, item.child_by_field_name("value") or item
            if name.type not in ("identifier", "shorthand_property_identifier_pattern"):
                self._bind(name, None, scope)
            elif full and target.type == "object_pattern":
                self.aliases[text_of(name)] = full if text_of(key) in ("promises", "default") else f"{full}.{text_of(key)}"
            elif value is not None and text_of(value) == "process.env" and target.type == "object_pattern":
                self.environment_names[text_of(name)] = (text_of(key), default)
            else:
                scope.bind(text_of(name), AnyBinding(None))

    def _imported(self, node: Node) -> str | None:
        """The full name of an imported thing: `require("x")`, `require("x").y`, `await import("x")`, `promisify(y)`."""
        while node.type in ("await_expression", "parenthesized_expression", "as_expression") and node.named_children:
            node = node.named_children[0]
        if node.type == "member_expression":
            base = self._imported(node.child_by_field_name("object") or node) if node.named_child_count else None
            name = text_of(node.child_by_field_name("property"))
            return base if base and name in ("promises", "default") else f"{base}.{name}" if base else None
        if node.type == "identifier":
            return self.aliases.get(text_of(node))
        if node.type == "call_expression":
            callee, given = text_of(node.child_by_field_name("function")), arguments(node)
            if callee in ("require", "import") and given:
                named = literal(given[0])
                return module_name(named) if named else None
            if callee.endswith("promisify") and given:
                return self.name_of(given[0])
            made = self._imported(node.child_by_field_name("function") or node)
            return f"{made}.Store" if made in FACTORIES else None
        return None

    def _import(self, node: Node) -> None:
        source = node.child_by_field_name("source")
        clause = next((child for child in node.named_children if child.type in ("import_clause", "import_require_clause")), None)
        if clause is not None and clause.type == "import_require_clause":
            source = clause.child_by_field_name("source")
            self.aliases[text_of(clause.named_children[0])] = module_name(literal(source) or "")
        name = literal(source)
        if name is None or any(child.type == "type" for child in node.children):
            return  # types are gone when the program runs
        self.imports.append((node, name))
        full = module_name(name)
        for child in clause.named_children if clause is not None else ():
            if child.type == "identifier":
                self.aliases[text_of(child)] = full
            elif child.type == "namespace_import":
                self.aliases[text_of(child.named_children[0])] = full
            elif child.type == "named_imports":
                for one in child.named_children:
                    what = text_of(one.child_by_field_name("name"))
                    alias = text_of(one.child_by_field_name("alias")) or what
                    self.aliases[alias] = full if what in ("default", "promises") else f"{full}.{what}"

    def name_of(self, node: Node | None) -> str:
        """The full name of a callee, imports followed: `cp.exec` is `child_process.exec`; "" for a computed one."""
        if node is None:
            return ""
        if node.type == "identifier":
            return self.aliases.get(text_of(node), text_of(node))
        if node.type in ("this", "super", "import"):
            return node.type
        if node.type == "member_expression":
            base, name = self.name_of(node.child_by_field_name("object")), text_of(node.child_by_field_name("property"))
            return base if base and name in ("promises", "default") else f"{base}.{name}"
        return self._imported(node) or "" if node.type == "call_expression" else ""

    def values(self, node: Node | None, scope: Scope, depth: int = 0) -> Values:
        """All values an expression may have; `HOLE` for one that is not known, or as the unknown part of a text."""
        if node is None or depth > _DEPTH:
            return UNKNOWN
        return few(self._evaluate(node, scope, depth))

    def _evaluate(self, node: Node, scope: Scope, depth: int) -> Values:
        def of(other: Node | None) -> Values:
            return self.values(other, scope, depth + 1)

        match node.type:
            case "string":
                return ("".join(unescape(child) for child in node.named_children),)
            case "template_string":
                parts = [of(c.named_children[0]) if c.type == "template_substitution" else (unescape(c),) for c in node.named_children]
                return tuple("".join(map(as_text, combination)) for combination in product(parts))
            case "number":
                return (int(text_of(node)) if text_of(node).isdecimal() else HOLE,)
            case "true" | "false":
                return (int(node.type == "true"),)
            case "undefined" | "null":
                return (None,)
            case "identifier" | "shorthand_property_identifier":
                return self._name(text_of(node), scope, depth)
            case "member_expression":
                return self._member(node, scope, depth)
            case "subscript_expression":
                if text_of(node.child_by_field_name("object")) == "process.env":
                    return tuple(self._variable(key) for key in of(node.child_by_field_name("index")))
            case "array":
                return product([UNKNOWN if child.type == "spread_element" else of(child) for child in node.named_children])
            case "ternary_expression":
                # `process.env.X ? … : …`: a variable that nothing sets is not there.
                if not any(of(node.child_by_field_name("condition"))):
                    return of(node.child_by_field_name("alternative"))
                return (*of(node.child_by_field_name("consequence")), *of(node.child_by_field_name("alternative")))
            case "binary_expression":
                left, right = of(node.child_by_field_name("left")), of(node.child_by_field_name("right"))
                match text_of(node.child_by_field_name("operator")):
                    case "||" | "??":
                        return (*(value for value in left if value), *(right if HOLE in left or not all(left) else ()))
                    case "+":
                        return tuple(f"{as_text(a)}{as_text(b)}" for a, b in product([left, right]))
            case "parenthesized_expression" | "as_expression" | "non_null_expression" | "await_expression" | "satisfies_expression":
                return of(node.named_children[0]) if node.named_children else UNKNOWN
            case "unary_expression" if text_of(node.child_by_field_name("operator")) == "+":
                return of(node.child_by_field_name("argument"))
            case "call_expression" | "new_expression":
                return self._call(node, scope, depth)
        return UNKNOWN

    def _variable(self, name: Value) -> Value:
        return self.environment.get(name) if isinstance(name, str) and HOLE not in name else HOLE

    def _name(self, name: str, scope: Scope, depth: int) -> Values:
        found = scope.find(name)
        if found is not None:
            where, bindings = found
            key = (id(where), name)
            if key in self._known:
                return self._known[key]
            self._known[key] = UNKNOWN  # for a name that stands for itself
            if key in self._parameters and len(bindings) == 1:
                self._known[key] = few(parameter_values(self, self._parameters[key][0], depth, self.callers))
                return self._known[key]
            values = [(binding, self.values(binding.node, where, depth + 1)) for binding in bindings]
            self._known[key] = tuple(
                itertools.chain.from_iterable(
                    (item for value in options for item in (value if isinstance(value, tuple) else UNKNOWN)) if binding.each else options
                    for binding, options in values
                )
            )
            return self._known[key]
        if name == "__dirname":
            return self.folders
        if name == "__filename":
            return tuple(f"{folder}/{posixpath.basename(self.path)}" for folder in self.folders)
        if name in self.environment_names:
            variable, default = self.environment_names[name]
            known = self.environment.get(variable)
            return (known,) if known is not None else self.values(default, scope, depth + 1) if default else (None,)
        alias = self.aliases.get(name, "")
        if alias.startswith("."):
            source, _, export = alias.rpartition(".")
            return self.elsewhere(self.path, source, export, depth + 1)
        return UNKNOWN

    def exported(self, names: tuple[str, ...], depth: int) -> Values:
        """All values of what the module exports under a name, or of an entry of it: ``("storage", "folder")``."""
        found = self.scope.names.get(names[0])
        if found is not None:
            return self._name(names[0], self.scope, depth) if len(names) == 1 else self._entry(_nodes(found), names[1:], self.scope, depth)
        for written in (f"exports.{names[0]}", f"module.exports.{names[0]}"):
            if written in self.attributes:
                nodes = [node for node, _ in self.attributes[written]]
                return self._attribute(written, depth) if len(names) == 1 else self._entry(nodes, names[1:], self.scope, depth)
        tables = [node for node, _ in self.attributes.get("module.exports", ())]
        tables += [node for child in self.tree.root_node.named_children if (node := child.child_by_field_name("value")) is not None]
        return self._entry(tables, names, self.scope, depth)

    def _attribute(self, name: str, depth: int) -> Values:
        """All values that are assigned to `this.x`, `exports.x` and the like, worked out once."""
        key = (0, name)
        if key not in self._known:
            self._known[key] = UNKNOWN  # for a name that stands for itself
            values = (value for one, where in self.attributes[name] for value in self.values(one, where, depth + 1))
            self._known[key] = few(values)
        return self._known[key]

    def _entry(self, tables: list[Node], names: tuple[str, ...], scope: Scope, depth: int) -> Values:
        """All values that object literals have under a key, or under keys of the objects in them."""
        values: list[Value] = []
        for table in map(plain_object, tables) if depth < _DEPTH else ():
            if table.type == "identifier" and (bound := scope.find(text_of(table))) is not None:
                values += self._entry(_nodes(bound[1]), names, bound[0], depth + 6)
            elif table.type == "identifier" and self.aliases.get(text_of(table), "").startswith("."):
                values += self.elsewhere(self.path, ".".join((self.aliases[text_of(table)], *names[:-1])), names[-1], depth + 1)
            elif (entry := pairs(table).get(names[0])) is None:
                values += UNKNOWN
            else:
                values += self.values(entry, scope, depth + 1) if len(names) == 1 else self._entry([entry], names[1:], scope, depth + 1)
        return tuple(values) or UNKNOWN

    def _member(self, node: Node, scope: Scope, depth: int) -> Values:
        written = text_of(node)
        if written.startswith("process.env."):
            return (self._variable(written.removeprefix("process.env.")),)
        if written == "import.meta.url":
            return tuple(f"{folder}/{posixpath.basename(self.path)}" for folder in self.folders)
        if written in ("import.meta.dirname", "import.meta.dir"):
            return self.folders
        if written in self.attributes:
            return self._attribute(written, depth)
        owner = node.child_by_field_name("object")
        if owner is None or depth > _DEPTH:
            return UNKNOWN
        if written.endswith((".pathname", ".href")):
            return self.values(owner, scope, depth + 1)
        name = text_of(node.child_by_field_name("property"))
        names: tuple[str, ...] = (name,)
        inner: Node | None = owner
        while inner is not None and inner.type == "member_expression":
            if text_of(inner) in self.attributes:
                return self._entry([value for value, _ in self.attributes[text_of(inner)]], names, scope, depth)
            names = (text_of(inner.child_by_field_name("property")), *names)
            inner = inner.child_by_field_name("object")
        if inner is not None and inner.type == "identifier" and (bound := scope.find(text_of(inner))) is not None:
            tables = _nodes(bound[1])
            return self._entry(tables, names, bound[0], depth) if len(tables) == len(bound[1]) else UNKNOWN
        source = self.name_of(owner)
        return self.elsewhere(self.path, source, name, depth + 1) if source.startswith(".") else UNKNOWN

    def _call(self, node: Node, scope: Scope, depth: int) -> Values:
        callee = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        name = self.name_of(callee)
        given = arguments(node)
        if name in ("os.tmpdir", "fs.mkdtempSync", "fs.mkdtemp"):
            return (TEMPORARY,)
        if name == "process.cwd":
            return ("",)
        parts = [UNKNOWN if argument.type == "spread_element" else self.values(argument, scope, depth + 1) for argument in given]
        if name in ("path.join", "path.posix.join"):
            # Unlike os.path.join, a later absolute part does not start anew.
            return tuple(join(*(later_part(p) if i else as_text(p) for i, p in enumerate(c))) for c in product(parts))
        if name in ("path.resolve", "path.posix.resolve"):
            return tuple(join(*map(as_text, combination)) for combination in product(parts))
        if not parts:
            return UNKNOWN
        if name == "path.dirname":
            return tuple(parent(as_text(value)) for value in parts[0])
        if name in ("url.fileURLToPath", "fileURLToPath", "path.normalize", "String", "url.pathToFileURL"):
            return parts[0]
        if name in ("Number", "parseInt", "Number.parseInt"):
            return tuple(
                int(v) if isinstance(v, int) or (isinstance(v, str) and v.isdecimal()) else v if v is None else HOLE for v in parts[0]
            )
        if name in ("URL", "url.URL") and len(parts) == 2:
            return tuple(join(parent(as_text(base)), as_text(path)) for path, base in product(parts))
        return UNKNOWN


def _nodes(bindings: Iterable[AnyBinding[Node]]) -> list[Node]:
    return [binding.node for binding in bindings if binding.node is not None]
