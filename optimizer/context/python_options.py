"""What the options of a program's command line default to: argparse, click and typer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from optimizer.context.places import HOLE
from optimizer.context.python_module import Module, Scope, dotted
from optimizer.context.scopes import UNKNOWN, Values

if TYPE_CHECKING:
    import libcst as cst

# Names that programs give to what ``parse_args`` returns, where it is handed on as an argument.
_PARSED = frozenset({"args", "arguments", "options", "opts", "opt", "ns", "namespace", "parsed", "cli_args", "cmd_args"})


def parsed_option(module: Module, node: cst.Attribute, scope: Scope, depth: int) -> Values:
    """The values of an attribute of what argparse returns: what the command gives, else the default.

    Returns:
        Unknown for any other attribute, for arguments that must be given, and where an option is declared in several ways.
    """
    import libcst as cst

    if not isinstance(node.value, cst.Name) or not _is_parsed(module, node.value.value, scope):
        return UNKNOWN
    paths = (module.path, *(p for p in module.modules.naming("add_argument") if p != module.path))
    for other in filter(None, map(module.modules.module, paths)):
        declared = list(_declared(other, node.attr.value))
        if any((dotted(call.func) or "").endswith(".set_defaults") for call, _ in other.calls):
            return UNKNOWN
        if declared:
            values = [value for call, where in declared for value in _option_values(other, call, where, depth)]
            return tuple(dict.fromkeys(values))
    return UNKNOWN


def command_defaults(module: Module, node: cst.FunctionDef) -> Iterator[tuple[str, cst.BaseExpression | None, Values | None]]:
    """The parameters of a function that click or typer calls: name, the expression of the default, or values that are given."""
    import libcst as cst

    for decorator in node.decorators:
        call = decorator.decorator
        if isinstance(call, cst.Call) and (dotted(call.func) or "").rpartition(".")[2] == "option":
            flags = _flags(call)
            name = next((f for f in flags if not f.startswith("-")), _destination(flags))
            given = _given(module, flags)
            default = next((a.value for a in call.args if a.keyword is not None and a.keyword.value == "default"), None)
            if name is not None and (given is not None or default is not None):
                yield name, default, given
    if "typer" not in module.imports or not any((dotted(_callee(d)) or "").endswith(".command") for d in node.decorators):
        return
    for parameter in (*node.params.params, *node.params.kwonly_params):
        default = parameter.default
        flags = [f"--{parameter.name.value.replace('_', '-')}"]
        if isinstance(default, cst.Call) and (dotted(default.func) or "").rpartition(".")[2] in ("Option", "Argument"):
            flags += [flag for flag in _flags(default) if flag.startswith("-")]
            default = default.args[0].value if default.args and default.args[0].keyword is None else None
        if default is not None:
            yield parameter.name.value, default, _given(module, flags)


def _callee(decorator: cst.Decorator) -> cst.BaseExpression:
    import libcst as cst

    return decorator.decorator.func if isinstance(decorator.decorator, cst.Call) else decorator.decorator


def _is_parsed(module: Module, name: str, scope: Scope) -> bool:
    """Whether a variable is what ``parse_args`` returns: made by such a call or by a function that makes one, or handed on by its name."""
    import libcst as cst

    found = scope.find(name)
    if found is None:
        return False
    nodes = [binding.node for binding in found[1]]
    if nodes == [None]:
        return name in _PARSED
    calls = [node for node in nodes if isinstance(node, cst.Call)]
    texts = [module.tree.code_for_node(call) for call in calls]
    return len(calls) == len(nodes) and all("parse_args" in text or (name in _PARSED and text.endswith("()")) for text in texts)


def _declared(module: Module, destination: str) -> Iterator[tuple[cst.Call, Scope]]:
    """The calls of ``add_argument`` for an attribute."""
    for call, scope in module.calls:
        if (dotted(call.func) or "").rpartition(".")[2] == "add_argument":
            named = next((a.value for a in call.args if a.keyword is not None and a.keyword.value == "dest"), None)
            values = module.values(named, scope) if named is not None else (_destination(_flags(call)),)
            if destination in values:
                yield call, scope


def _option_values(module: Module, call: cst.Call, scope: Scope, depth: int) -> Values:
    flags = _flags(call)
    given = _given(module, flags)
    if given is not None:
        return given
    keywords = {a.keyword.value: a.value for a in call.args if a.keyword is not None}
    if "default" in keywords:
        return module.values(keywords["default"], scope, depth + 1)
    required = "required" in keywords or not any(flag.startswith("-") for flag in flags)
    return UNKNOWN if required or "nargs" in keywords else (None,)


def _flags(call: cst.Call) -> list[str]:
    import libcst as cst

    values = [a.value for a in call.args if a.keyword is None and isinstance(a.value, cst.SimpleString)]
    return [str(value.evaluated_value) for value in values]


def _destination(flags: list[str]) -> str | None:
    """The name that an option goes by: its first long flag, else the first of all."""
    long = [flag for flag in flags if flag.startswith("--")] or flags
    return long[0].lstrip("-").replace("-", "_").split("/")[0] if long else None


def _given(module: Module, flags: list[str]) -> Values | None:
    """What the container's command gives an option; None where it does not."""
    words = module.modules.arguments
    found: list[str | None] = []
    for index, word in enumerate(words):
        for flag in flags:
            if word == flag and flag.startswith("-"):
                found.append(words[index + 1] if index + 1 < len(words) else None)
            elif word is not None and flag.startswith("--") and word.startswith(f"{flag}="):
                found.append(word[len(flag) + 1 :])
            elif word is not None and len(flag) == 2 and flag[0] == "-" and word.startswith(flag) and len(word) > 2:
                found.append(word[2:])
    return tuple(value if value is not None else HOLE for value in found) or None
