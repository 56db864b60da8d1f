"""The data that a Python program loads out of a file of the build context: YAML, TOML, JSON."""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from optimizer.context.places import HOLE, ROOT
from optimizer.context.python_functions import called, frame_of, results
from optimizer.context.python_module import DEPTH, Module, Scope, dotted
from optimizer.context.scopes import Value, Values

if TYPE_CHECKING:
    import libcst as cst

_LOADERS = re.compile(r"(yaml|json|toml|tomllib|tomli)\.(safe_load|full_load|load|loads)$")
_OPENING = frozenset({"open", "io.open", "codecs.open"})


class Loaded(Struct, frozen=True):
    """Data, or a part of it: what a parser of its format makes of the file."""

    value: object


def loaded(module: Module, node: cst.CSTNode | None, scope: Scope, depth: int = 0) -> Loaded | None:
    """The data that an expression stands for; None where it is none, or the file is not in the build context."""
    import libcst as cst

    if node is None or depth > DEPTH:
        return None
    match node:
        case cst.Name() | cst.Attribute():
            defined = _definition(module, node, scope)
            return loaded(*defined, depth + 1) if defined is not None else None
        case cst.Subscript() if len(node.slice) == 1 and isinstance(node.slice[0].slice, cst.Index):
            return _item(loaded(module, node.value, scope, depth + 1), node.slice[0].slice.value)
        case cst.BooleanOperation():  # yaml.safe_load(file) or {}
            return loaded(module, node.left, scope, depth + 1)
        case cst.Call():
            if _LOADERS.match(module.name_of(node.func, scope) or "") and node.args:
                return _parsed(module, node, scope, depth)
            if isinstance(node.func, cst.Attribute) and node.func.attr.value == "get" and node.args:
                return _item(loaded(module, node.func.value, scope, depth + 1), node.args[0].value)
            function = called(module, node, scope)
            if function is not None:
                frame = frame_of(function, module, node, scope, depth)
                given = results(function.node)
                return loaded(function.module, given[0], frame, depth + 1) if len(given) == 1 else None
    return None


def data_values(module: Module, node: cst.CSTNode, scope: Scope, depth: int) -> Values | None:
    """The value of a part of loaded data: a text, a number, a list of such; None where it is no such part."""
    found = loaded(module, node, scope, depth)
    return (_value(found.value),) if found is not None and not isinstance(found.value, dict) else None


def named_files(value: object) -> Iterator[object]:
    """The files of handlers in the data of ``logging.config.dictConfig``: "filename" beside "class"."""
    if isinstance(value, dict):
        if "filename" in value and {"class", "()"} & set(value):
            yield value["filename"]
        for inner in value.values():
            yield from named_files(inner)


def _value(data: object) -> Value:
    if isinstance(data, bool | int):
        return int(data)
    if isinstance(data, list):
        return tuple(_value(item) for item in data)
    return data if data is None or isinstance(data, str) else HOLE


def _item(data: Loaded | None, key: cst.BaseExpression) -> Loaded | None:
    import libcst as cst

    if data is None or not isinstance(key, cst.SimpleString | cst.Integer):
        return None
    name, value = key.evaluated_value, data.value
    if isinstance(value, dict) and name in value:
        return Loaded(value[name])
    if isinstance(value, list) and isinstance(name, int) and -len(value) <= name < len(value):
        return Loaded(value[name])
    return None


def _definition(module: Module, node: cst.Name | cst.Attribute, scope: Scope) -> tuple[Module, cst.CSTNode | None, Scope] | None:
    """The one expression that a name is given, here or in the module of the context that it comes from."""
    name = dotted(node) or ""
    found = scope.find(name)
    bindings = [(binding, found[0]) for binding in found[1]] if found is not None else module.attributes.get(name, [])
    if not bindings:
        full = module.name_of(node, scope) or ""
        cut = max(full.rfind("."), full.rfind("/"))
        path = module.modules.find(full[:cut]) if cut > 0 and full != name else None
        other = module.modules.module(path) if path is not None else None
        if other is None or other is module:
            return None
        module, bindings = other, [(binding, other.scope) for binding in other.scope.names.get(full[cut + 1 :], ())]
    given = [(binding, where) for binding, where in bindings if not _is_empty(binding.node)]
    if len(given) != 1 or given[0][0].each or given[0][0].index is not None:
        return None
    return module, given[0][0].node, given[0][1]


def _is_empty(node: cst.CSTNode | None) -> bool:
    """Whether a name is only declared by an expression: None, or an empty dictionary."""
    import libcst as cst

    return (isinstance(node, cst.Name) and node.value == "None") or (isinstance(node, cst.Dict) and not node.elements)


def _parsed(module: Module, call: cst.Call, scope: Scope, depth: int) -> Loaded | None:
    name = module.name_of(call.func, scope) or ""
    path = _source(module, _opened(module, call, scope), scope, depth + 1)
    if path is None and name == "toml.load":
        path = _file(module, module.values(call.args[0].value, scope, depth + 1))
    text = module.modules.context.read_text(path) if path is not None else None
    if text is None or path is None:
        return None
    module.modules.loaded.add(path)
    try:
        return Loaded(_yaml(text) if name.startswith("yaml") else json.loads(text) if name.startswith("json") else tomllib.loads(text))
    except (ValueError, RecursionError):
        return None


def _yaml(text: str) -> object:
    """What PyYAML makes of a text. Raises ValueError."""
    import yaml  # heavy: few programs have such a file

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _opened(module: Module, call: cst.Call, scope: Scope) -> cst.CSTNode:
    """What a loader reads: where several files are opened by one name in turn, the one that is opened last above it."""
    import libcst as cst

    node = call.args[0].value
    found = scope.find(node.value) if isinstance(node, cst.Name) else None
    if found is None or len(found[1]) < 2:
        return node
    order = {id(each): index for index, (each, _) in enumerate(module.calls)}
    opened = [(order.get(id(binding.node), -1), binding.node) for binding in found[1]]
    above = [(index, each) for index, each in opened if 0 <= index < order.get(id(call), 0) and each is not None]
    return max(above, key=lambda one: one[0])[1] if above and all(index >= 0 for index, _ in opened) else node


def _source(module: Module, node: cst.CSTNode | None, scope: Scope, depth: int) -> str | None:
    """The file of the context behind an open file, or a text that is read from one."""
    import libcst as cst

    if depth > DEPTH:
        return None
    if isinstance(node, cst.Name):
        found = _definition(module, node, scope)
        return _source(*found, depth + 1) if found is not None else None
    if not isinstance(node, cst.Call):
        return None
    if (module.name_of(node.func, scope) or "") in _OPENING and node.args:
        return _file(module, module.values(node.args[0].value, scope, depth + 1))
    if isinstance(node.func, cst.Attribute) and node.func.attr.value in ("open", "read_text", "read_bytes"):
        return _file(module, module.values(node.func.value, scope, depth + 1))
    if isinstance(node.func, cst.Attribute) and node.func.attr.value == "read":
        return _source(module, node.func.value, scope, depth + 1)
    return None


def _file(module: Module, values: Values) -> str | None:
    """The file of the context that a path text names, from its root, beside the module, or where the program starts."""
    text = values[0] if len(values) == 1 else None
    if not isinstance(text, str) or not text or HOLE in text:
        return None
    if text.startswith(ROOT):
        places = [text[1:].lstrip("/")]
    else:
        places = [text, posixpath.join(posixpath.dirname(module.path), text)] if not text.startswith("/") else []
    normal = (posixpath.normpath(place) for place in places)
    return next((place for place in normal if not place.startswith("..") and module.modules.context.exists(place)), None)
