"""One Python module as names and values: what its names may stand for, and the calls it makes.

Values are evaluated as far as the source tells. An expression has one value for each way it may turn out (`a if c else b`,
a name assigned twice); `HOLE` among them says that there are others.
"""

from __future__ import annotations

import ast
import itertools
import posixpath
import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from optimizer.context.places import HOLE, ROOT, TEMPORARY
from optimizer.context.scopes import UNKNOWN, Value, Values
from optimizer.context.scopes import Binding as AnyBinding
from optimizer.context.scopes import Scope as AnyScope

if TYPE_CHECKING:
    import libcst as cst

    from optimizer.context.python_modules import Modules

Binding: TypeAlias = "AnyBinding[cst.BaseExpression]"
Scope: TypeAlias = "AnyScope[cst.BaseExpression]"
_MANY = 12  # more alternatives than this count as unknown
DEPTH = 60  # of expressions in expressions, names followed


_NO_CODE = {
    "__slots__", "lpar", "rpar", "comma", "semicolon", "leading_lines", "lines_after_decorators", "lbracket", "rbracket", "lbrace",
    "rbrace", "annotation", "returns", "equal", "operator", "dot", "asynchronous", "type_parameters", "header", "footer",
    "indent", "encoding", "default_indent", "default_newline", "has_trailing_newline",
    "start", "end", "separator", "colon", "first_colon", "second_colon",
    "keyword", "star", "posonly_ind", "conversion", "newline", "comment", "trailing_comma",
}  # fmt: skip


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """The fields of a node that hold code. Passing over whitespace is most of the speed."""
    return tuple(name for name in kind.__dataclass_fields__ if name not in _NO_CODE and "whitespace" not in name)


@cache
def _noted() -> frozenset[type[cst.CSTNode]]:
    """The kinds of nodes that `Module._visit` has a case for. To look a type up is faster than to try every case."""
    import libcst as cst

    return frozenset(
        (
            cst.FunctionDef, cst.Lambda, cst.ClassDef, cst.Assign, cst.AnnAssign, cst.AugAssign, cst.NamedExpr, cst.For, cst.CompFor,
            cst.WithItem, cst.ExceptHandler, cst.MatchAs, cst.Global, cst.Import, cst.ImportFrom, cst.Call, cst.Dict, cst.Subscript,
        )
    )  # fmt: skip


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    """The nodes of code right below a node, in order."""
    import libcst as cst

    found: list[cst.CSTNode] = []
    for name in _fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += [item for item in value if isinstance(item, cst.CSTNode)]
    return found


def dotted(node: cst.CSTNode) -> str | None:
    """`a.b.c` for a name or attribute, `a.b[KEY]` for a subscript with a literal key, otherwise None."""
    import libcst as cst

    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr.value}" if left else None
    if isinstance(node, cst.Subscript) and len(node.slice) == 1 and isinstance(node.slice[0].slice, cst.Index):
        key = node.slice[0].slice.value
        left = dotted(node.value)
        return f"{left}[{key.raw_value}]" if left and isinstance(key, cst.SimpleString) else None
    return None


class Module:
    """A parsed Python file. Raises libcst.ParserSyntaxError."""

    def __init__(self, path: str, text: str, modules: Modules) -> None:
        import libcst as cst

        self.path = path
        self.modules = modules
        self.tree = cst.parse_module(text)
        self.scope: Scope = AnyScope(None)
        self.aliases: dict[str, str] = {}
        self.stars: list[str] = []
        self.calls: list[tuple[cst.Call, Scope]] = []
        self.dicts: list[tuple[cst.Dict, Scope]] = []
        self.subscripts: list[tuple[cst.Subscript, Scope]] = []
        self.attributes: dict[str, list[tuple[Binding, Scope]]] = {}
        self.imports: list[str] = []
        self.functions: dict[str, tuple[cst.FunctionDef, Scope] | None] = {}
        self.frames: list[Scope] = []  # kept: values are known by the identity of the scope they stand in
        self._known: dict[tuple[int, str], Values] = {}
        self._lines: Mapping[cst.CSTNode, object] | None = None
        self._walk()

    def where(self, node: cst.CSTNode) -> str:
        """ "file:line" of a node. Positions are worked out for the first one asked for, most files need none."""
        from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

        if self._lines is None:
            try:
                self._lines = MetadataWrapper(self.tree, unsafe_skip_copy=True).resolve(PositionProvider)
            except RecursionError:
                self._lines = {}
        place = self._lines.get(node)
        return f"{self.path}:{place.start.line}" if isinstance(place, CodeRange) else self.path

    def _walk(self) -> None:
        """Collect names, imports and calls, without recursion: long sums nest deeper than Python's stack."""
        pending: list[tuple[cst.CSTNode, Scope, str | None]] = [(self.tree, self.scope, None)]
        noted = _noted()
        while pending:
            node, scope, owner = pending.pop()
            if type(node) in noted:
                pending += reversed(self._visit(node, scope, owner))
            else:
                pending += reversed([(child, scope, owner) for child in children(node)])

    def _visit(self, node: cst.CSTNode, scope: Scope, owner: str | None) -> list[tuple[cst.CSTNode, Scope, str | None]]:
        """Take note of one node. owner: the class whose body this is. Returns the nodes below with their scope and owner."""
        import libcst as cst

        match node:
            case cst.FunctionDef() | cst.Lambda():
                inner = AnyScope(scope)
                parameters = node.params
                for parameter in (*parameters.posonly_params, *parameters.params, *parameters.kwonly_params):
                    inner.bind(parameter.name.value, AnyBinding(None))
                for star in (parameters.star_arg, parameters.star_kwarg):
                    if isinstance(star, cst.Param):
                        inner.bind(star.name.value, AnyBinding(None))
                if isinstance(node, cst.FunctionDef):
                    scope.bind(node.name.value, AnyBinding(None))
                    if scope is self.scope and owner is None:
                        self.functions[node.name.value] = (node, inner) if node.name.value not in self.functions else None
                    if node.decorators:
                        self._options(node, inner)
                return [(child, inner, None) for child in children(node)]
            case cst.ClassDef():
                return [(child, scope, node.name.value if child is node.body else None) for child in children(node)]
            case cst.Assign():
                for target in node.targets:
                    self._bind(target.target, AnyBinding(node.value), scope, owner)
            case cst.AnnAssign() if node.value is not None:
                self._bind(node.target, AnyBinding(node.value), scope, owner)
            case cst.AugAssign():
                self._bind(node.target, AnyBinding(None), scope, owner)
            case cst.NamedExpr():
                self._bind(node.target, AnyBinding(node.value), scope, owner)
            case cst.For() | cst.CompFor():
                self._bind(node.target, AnyBinding(node.iter, each=True), scope, owner)
            case cst.WithItem() if node.asname is not None:
                self._bind(node.asname.name, AnyBinding(node.item), scope, owner)
            case cst.ExceptHandler() if node.name is not None:
                self._bind(node.name.name, AnyBinding(None), scope, owner)
            case cst.MatchAs() if node.name is not None:
                self._bind(node.name, AnyBinding(None), scope, owner)
            case cst.Global():
                scope.elsewhere.update(item.name.value for item in node.names)
            case cst.Import() | cst.ImportFrom():
                self._import(node)
            case cst.Call():
                self.calls.append((node, scope))
            case cst.Dict():
                self.dicts.append((node, scope))
            case cst.Subscript():
                self.subscripts.append((node, scope))
        return [(child, scope, owner) for child in children(node)]

    def _options(self, node: cst.FunctionDef, scope: Scope) -> None:
        """Give the parameters of a command of click or typer what its options fall back to."""
        from optimizer.context.python_options import command_defaults  # not before this class is there

        for name, default, values in command_defaults(self, node):
            if name in scope.names:
                scope.names[name] = [AnyBinding(default if values is None else None, values=values)]

    def _bind(self, target: cst.CSTNode, binding: Binding, scope: Scope, owner: str | None) -> None:
        import libcst as cst

        if isinstance(target, cst.Name):
            if owner is None:
                scope.bind(target.value, binding)
            else:
                for name in (owner, "self", "cls"):
                    self.attributes.setdefault(f"{name}.{target.value}", []).append((binding, scope))
                scope.names.setdefault(target.value, []).append(binding)
        elif isinstance(target, (cst.Tuple, cst.List)):
            for index, element in enumerate(target.elements):
                usable = not binding.each and binding.index is None and isinstance(element, cst.Element)
                inner = AnyBinding(binding.node, index=index) if usable else AnyBinding(None)
                self._bind(element.value, inner, scope, owner)
        elif isinstance(target, (cst.Attribute, cst.Subscript)):
            written = dotted(target)
            if written:
                self.attributes.setdefault(written, []).append((binding, scope))

    def _import(self, node: cst.Import | cst.ImportFrom) -> None:
        import libcst as cst

        if isinstance(node, cst.Import):
            for item in node.names:
                name = dotted(item.name) or ""
                self.imports.append(name)
                alias = item.evaluated_alias
                self.aliases[alias or name.split(".")[0]] = name if alias else name.split(".")[0]
            return
        base = absolute_module(self.path, len(node.relative), (dotted(node.module) or "") if node.module else "")
        self.imports.append(base)
        if isinstance(node.names, cst.ImportStar):
            self.stars.append(base)
            return
        for item in node.names:
            name = item.evaluated_name
            self.imports.append(f"{base}.{name}" if not base.endswith("/") else f"{base}{name}")
            self.aliases[item.evaluated_alias or name] = self.imports[-1]

    def name_of(self, node: cst.CSTNode, scope: Scope) -> str | None:
        """The full name of what a callee stands for, imports followed: `sp.run` is `subprocess.run`."""
        name = dotted(node)
        if name is None or "[" in name:
            return name
        first, _, rest = name.partition(".")
        if scope.find(first) is not None and first not in self.aliases:
            return name
        full = self.aliases.get(first, first)
        return f"{full}.{rest}" if rest else full

    def values(self, node: cst.CSTNode | None, scope: Scope, depth: int = 0) -> Values:
        """All values an expression may have."""
        if node is None or depth > DEPTH:
            return UNKNOWN
        from optimizer.context.python_values import evaluate

        found = tuple(dict.fromkeys(evaluate(self, node, scope, depth)))
        return found if len(found) <= _MANY else UNKNOWN

    def bound(self, name: str, scope: Scope, depth: int) -> Values:
        """All values a plain name may have."""
        found = scope.find(name)
        if found is None:
            if name == "__file__":
                return (f"{ROOT}/{self.path}",)
            if name in self.aliases:
                return self.modules.attribute(self.aliases[name], depth + 1)
            for star in self.stars:
                values = self.modules.attribute(f"{star}.{name}", depth + 1)
                if values != UNKNOWN:
                    return values
            return UNKNOWN
        where, bindings = found
        return self._all(id(where), name, [(binding, where) for binding in bindings], depth)

    def attribute(self, name: str, depth: int) -> Values:
        """All values of a name such as `self.path`, `Config.DATA` or `app.config[KEY]`, or of `settings.DATA` of an instance."""
        if name in self.attributes:
            return self._all(0, name, self.attributes[name], depth)
        variable, _, inner = name.partition(".")
        return self._of_instance(variable, inner, depth) if inner else UNKNOWN

    def _of_instance(self, variable: str, name: str, depth: int) -> Values:
        """All values of an attribute of a module's variable that is made once, by calling a class without arguments.

        Classes whose bases are called ``…Settings`` take environment variables of the attributes' names (pydantic-settings).
        """
        import libcst as cst

        bindings = self.scope.names.get(variable, ())
        made = bindings[0].node if len(bindings) == 1 else None
        if not isinstance(made, cst.Call) or made.args or depth > DEPTH:
            return UNKNOWN
        owner = self.name_of(made.func, self.scope) or ""
        for key, value in self.modules.environment.items() if owner.endswith("Settings") else ():
            if f"_{key}".upper().endswith(f"_{name}".upper()):
                return (value,)
        if f"{owner}.{name}" in self.attributes:
            return self._all(0, f"{owner}.{name}", self.attributes[f"{owner}.{name}"], depth)
        return self.modules.attribute(f"{owner}.{name}", depth + 1) if owner in self.aliases.values() else UNKNOWN

    def _all(self, owner: int, name: str, bindings: list[tuple[Binding, Scope]], depth: int) -> Values:
        """All values that assignments give a name, worked out once. A name that stands for itself is unknown."""
        key = (owner, name)
        if key not in self._known:
            self._known[key] = UNKNOWN
            found = itertools.chain.from_iterable(self._binding(one, where, depth) for one, where in bindings)
            values = tuple(dict.fromkeys(found))
            self._known[key] = values if len(values) <= _MANY else UNKNOWN
        return self._known[key]

    def _binding(self, binding: Binding, scope: Scope, depth: int) -> Values:
        values = self.values(binding.node, scope, depth + 1) if binding.values is None else binding.values
        if binding.each:
            return tuple(item for value in values for item in (value if isinstance(value, tuple) else UNKNOWN))
        if binding.index is not None:
            return tuple(_item(value, binding.index) for value in values)
        return values


def _item(value: Value, index: int) -> Value:
    if isinstance(value, tuple) and index < len(value):
        return value[index]
    return TEMPORARY if value == TEMPORARY else HOLE


def absolute_module(path: str, level: int, name: str) -> str:
    """The name a module is imported by. level: the dots of a relative import in the file `path`.

    A relative import gives a path from the root of the context, `/package/module`, which no installed package has for
    a name; `from . import` alone gives the folder with a slash at the end.
    """
    if not level:
        return name
    folder = posixpath.dirname(path)
    for _ in range(level - 1):
        folder = posixpath.dirname(folder)
    return posixpath.normpath(posixpath.join("/", folder, *name.split("."))).rstrip("/") + ("" if name else "/")


def parse_quietly(text: str) -> ast.Module:
    """`ast.parse` without the warnings it has for what it reads. Raises SyntaxError, ValueError, RecursionError, MemoryError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def too_deep(text: str) -> bool:
    """Whether libcst might overflow the stack, which ends the process: nesting that `ast` refuses.

    A file with syntax that `ast` does not know yet is measured by its brackets, branches and line lengths.
    """
    try:
        parse_quietly(text)
    except (RecursionError, MemoryError):
        return True
    except (SyntaxError, ValueError):
        depth = deepest = 0
        for bracket in re.finditer(r"[()\[\]{}]", text):
            depth += 1 if bracket[0] in "([{" else -1
            deepest = max(deepest, depth)
        return deepest > 100 or text.count("elif ") > 1000 or max(map(len, text.splitlines()), default=0) > 5000
    return False
