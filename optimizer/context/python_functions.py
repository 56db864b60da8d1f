"""What a function of the project returns, for the arguments of one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from optimizer.context.python_module import Module, Scope, children, dotted
from optimizer.context.scopes import UNKNOWN, Binding, Values
from optimizer.context.scopes import Scope as AnyScope

if TYPE_CHECKING:
    import libcst as cst

_DEEP = 24  # expressions in expressions, beyond which no function is followed any more
_MANY = 1000  # calls followed in one program, beyond which there are no more
# Decorators that leave a function's results as they are.
_PLAIN = frozenset({"cache", "lru_cache", "functools.cache", "functools.lru_cache"})


class Function(Struct, frozen=True):
    """A function of a module. scope: the names inside it."""

    module: Module
    node: object
    scope: Scope


def called(module: Module, call: cst.Call, scope: Scope) -> Function | None:
    """The function of the project that a call runs; None for any other, and one that is defined twice or returns something else."""
    name = dotted(call.func)
    if name is None or "[" in name or module.modules.followed > _MANY:
        return None
    full = module.name_of(call.func, scope) or ""
    cut = max(full.rfind("."), full.rfind("/"))
    if name in module.functions and name not in module.aliases:
        found = module.functions[name]
        return Function(module, *found) if found is not None and _is_plain(found[0]) else None
    path = module.modules.find(full[:cut]) if cut > 0 and name.partition(".")[0] in module.aliases else None
    other = module.modules.module(path) if path is not None else None
    found = other.functions.get(full[cut + 1 :]) if other is not None else None
    return Function(other, *found) if other is not None and found is not None and _is_plain(found[0]) else None


def returned(module: Module, call: cst.Call, scope: Scope, depth: int) -> Values | None:
    """All values that a call of a function of the project returns; None where it calls none."""
    function = called(module, call, scope) if depth < _DEEP else None
    if function is None:
        return None
    frame = frame_of(function, module, call, scope, depth)
    found = [value for result in results(function.node) for value in function.module.values(result, frame, depth + 1)]
    return tuple(dict.fromkeys(found)) or UNKNOWN


def results(node: object) -> list[cst.BaseExpression]:
    """The expressions that a function returns."""
    import libcst as cst

    assert isinstance(node, cst.FunctionDef)
    found: list[cst.BaseExpression] = []
    pending: list[cst.CSTNode] = [node.body]
    while pending:
        inner = pending.pop()
        if isinstance(inner, cst.Return) and inner.value is not None:
            found.append(inner.value)
        elif not isinstance(inner, cst.FunctionDef | cst.ClassDef | cst.Lambda):
            pending += children(inner)
    return found


def frame_of(function: Function, module: Module, call: cst.Call, scope: Scope, depth: int) -> Scope:
    """The names inside a function while one call runs: its parameters have the values of the arguments, or their defaults."""
    import libcst as cst

    assert isinstance(function.node, cst.FunctionDef)
    frame: Scope = AnyScope(function.scope.outer, dict(function.scope.names), set(function.scope.elsewhere))
    parameters = function.node.params
    positional = [a for a in call.args if a.keyword is None]
    named = {a.keyword.value: a.value for a in call.args if a.keyword is not None}
    starred = any(a.star for a in call.args)
    names = [*parameters.posonly_params, *parameters.params]
    for index, parameter in enumerate((*names, *parameters.kwonly_params)):
        name = parameter.name.value
        values = UNKNOWN
        if name in named:
            values = module.values(named[name], scope, depth + 1)
        elif index < len(positional) and index < len(names) and not starred:
            values = module.values(positional[index].value, scope, depth + 1)
        elif parameter.default is not None and not starred:
            values = function.module.values(parameter.default, function.module.scope, depth + 1)
        frame.names[name] = [*function.scope.names.get(name, ())[1:], Binding(None, values=values)]
    if isinstance(parameters.star_arg, cst.Param):
        rest = [module.values(a.value, scope, depth + 1) for a in positional[len(names) :]]
        plain = not starred and all(len(values) == 1 for values in rest)
        frame.names[parameters.star_arg.name.value] = [Binding(None, values=(tuple(v[0] for v in rest),) if plain else UNKNOWN)]
    function.module.frames.append(frame)
    module.modules.followed += 1
    return frame


def _is_plain(node: object) -> bool:
    """Whether calling a function gives what it returns: it is no generator, no coroutine, and nothing wraps it."""
    import libcst as cst

    assert isinstance(node, cst.FunctionDef)
    for decorator in node.decorators:
        inner = decorator.decorator.func if isinstance(decorator.decorator, cst.Call) else decorator.decorator
        if dotted(inner) not in _PLAIN:
            return False
    pending: list[cst.CSTNode] = [node.body]
    while pending:
        inner_node = pending.pop()
        if isinstance(inner_node, cst.Yield):
            return False
        pending += children(inner_node)
    return True
