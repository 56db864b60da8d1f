"""The value of a Python expression, as far as its source tells: literals, names, paths, environment variables."""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from optimizer.context.flask import instance_folder, setting
from optimizer.context.places import HOLE, ROOT, TEMPORARY, join, parent
from optimizer.context.python_functions import returned
from optimizer.context.python_loaded import data_values, loaded
from optimizer.context.python_module import Module, Scope
from optimizer.context.python_options import parsed_option
from optimizer.context.scopes import UNKNOWN, Value, Values

if TYPE_CHECKING:
    import libcst as cst

_ADDRESS = re.compile(r"[a-z]\w*(\+\w+)?:///")
_LOOK_UP = "shutil.which"
_MANY = 64  # combinations tried at most
_SAME = {
    "str", "bytes", "os.fspath", "os.fsdecode", "os.fsencode", "tuple", "list", "sorted", "os.path.normcase",
    "os.path.abspath", "os.path.realpath", "os.path.normpath",
}  # fmt: skip
_PATHS = {"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath", "os.path.join", "anyio.Path"}
_FROM_ENVIRONMENT = {"os.environ.get", "os.getenv", "os.environ.setdefault", "decouple.config", "environ.get"}
_SAME_METHODS = {"resolve", "absolute", "as_posix", "strip", "rstrip", "lstrip", "encode", "decode", "lower", "copy"}


def evaluate(module: Module, node: cst.CSTNode, scope: Scope, depth: int) -> Values:
    """All values of an expression; `HOLE` for one that is not known, or as the unknown part of a text."""
    import libcst as cst

    def of(other: cst.CSTNode | None) -> Values:
        return module.values(other, scope, depth + 1)

    match node:
        case cst.SimpleString():
            value = node.evaluated_value
            return (value.decode("utf-8", "replace") if isinstance(value, bytes) else value,)
        case cst.Integer():
            return (node.evaluated_value,)
        case cst.ConcatenatedString():
            return _concatenate(of(node.left), of(node.right))
        case cst.FormattedString():
            result: Values = ("",)
            for part in node.parts:
                if isinstance(part, cst.FormattedStringText):
                    result = _concatenate(result, (part.value.replace("{{", "{").replace("}}", "}"),))
                elif isinstance(part, cst.FormattedStringExpression):
                    result = _concatenate(result, of(part.expression) if part.format_spec is None else UNKNOWN)
            return result
        case cst.Name():
            constant: dict[str, Value] = {"None": None, "True": 1, "False": 0}
            return (constant[node.value],) if node.value in constant else module.bound(node.value, scope, depth)
        case cst.Attribute():
            return _attribute(module, node, scope, depth)
        case cst.Subscript():
            return _subscript(module, node, scope, depth)
        case cst.Call():
            return _call(module, node, scope, depth)
        case cst.IfExp():
            return (*of(node.body), *of(node.orelse))
        case cst.BooleanOperation():
            left = of(node.left)
            if isinstance(node.operator, cst.Or):
                unclear = HOLE in left or not all(left) or _looks_up(module, node.left, scope)
                return (*(value for value in left if value), *(of(node.right) if unclear else ()))
            return (*(value for value in left if not value or value == HOLE), *of(node.right))
        case cst.BinaryOperation():
            return _combine(node.operator, of(node.left), of(node.right))
        case cst.List() | cst.Tuple() | cst.Set():
            elements = [of(e.value) if isinstance(e, cst.Element) else UNKNOWN for e in node.elements]
            return _product(elements)
        case cst.Await():
            return of(node.expression)
        case cst.NamedExpr():
            return of(node.value)
    return UNKNOWN


def _looks_up(module: Module, node: cst.BaseExpression, scope: Scope) -> bool:
    """Whether a value is a program looked up on PATH, which is None where there is none."""
    import libcst as cst

    return isinstance(node, cst.Call) and module.name_of(node.func, scope) == _LOOK_UP


def _product(parts: list[Values]) -> tuple[tuple[Value, ...], ...]:
    """The tuples made of one value of each part; where there are too many, those with the uncertain parts left open."""
    count = 1
    for index, part in enumerate(parts):
        count *= len(part)
        if count > _MANY:
            parts = [*parts[:index], *(p if len(p) == 1 else UNKNOWN for p in parts[index:])]
            break
    return tuple(itertools.product(*parts))


def _concatenate(left: Values, right: Values) -> Values:
    return tuple(_add(a, b) for a, b in itertools.islice(itertools.product(left, right), _MANY))


def _add(left: Value, right: Value) -> Value:
    if isinstance(left, tuple):
        return left + (right if isinstance(right, tuple) else (HOLE,))
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    if left is None or isinstance(right, tuple):
        return HOLE
    text = right if isinstance(right, str) else HOLE if right is None else str(right)
    # The root of the context in the middle of a text is a path that is computed in some other way, but for `sqlite:///` + path.
    whole = not text.startswith((ROOT, TEMPORARY)) or left == "" or _ADDRESS.fullmatch(str(left)) is not None
    return f"{left}{text if whole else HOLE}"


def _join(parts: tuple[Value, ...]) -> Value:
    return join(*(part if isinstance(part, str) else HOLE for part in parts))


def _combine(operator: cst.BaseBinaryOp, left: Values, right: Values) -> Values:
    import libcst as cst

    match operator:
        case cst.Add():
            return _concatenate(left, right)
        case cst.Divide():
            return tuple(_join(pair) if isinstance(pair[0], str) else HOLE for pair in itertools.product(left, right))
        case cst.Modulo():
            return tuple(_percent(a, b) for a, b in itertools.product(left, right))
    return UNKNOWN


def _percent(text: Value, given: Value) -> Value:
    """`text % given`: each directive becomes its argument when that is known."""
    if not isinstance(text, str):
        return HOLE
    arguments = iter(given if isinstance(given, tuple) else (given,))
    return re.sub(r"%%|%(\(\w+\))?[-#0 +]*\d*(\.\d+)?[a-zA-Z]", lambda one: "%" if one[0] == "%%" else _text(next(arguments, HOLE)), text)


def _text(value: Value) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else HOLE


def _attribute(module: Module, node: cst.Attribute, scope: Scope, depth: int) -> Values:
    from optimizer.context.python_module import dotted

    name = node.attr.value
    written = dotted(node)
    if written and written in module.attributes:
        return module.attribute(written, depth)
    full = module.name_of(node, scope)
    if name == "instance_path":
        return (instance_folder(module),)
    if full == "os.curdir":
        return (".",)
    if full in ("os.sep", "os.path.sep"):
        return ("/",)
    if full in ("os.devnull",):
        return ("/dev/null",)
    if name in ("parent", "name", "stem", "parts", "parents"):
        values = module.values(node.value, scope, depth + 1)
        texts = [value if isinstance(value, str) else HOLE for value in values]
        if name == "parent":
            return tuple(parent(text) for text in texts)
        if name == "name" and any(text == TEMPORARY for text in texts):
            return (TEMPORARY,)
        if name in ("name", "stem"):
            last = [posixpath.basename(text) for text in texts]
            return tuple(text if name == "name" else posixpath.splitext(text)[0] for text in last)
        return UNKNOWN
    if full and written and (written.split(".")[0] in module.aliases or full.startswith("/")):
        return module.modules.attribute(full, depth + 1)
    found = module.attribute(written, depth + 1) if written else UNKNOWN
    return parsed_option(module, node, scope, depth) if found == UNKNOWN else found


def _subscript(module: Module, node: cst.Subscript, scope: Scope, depth: int) -> Values:
    import libcst as cst

    from optimizer.context.python_module import dotted

    if len(node.slice) != 1 or not isinstance(node.slice[0].slice, cst.Index):
        return UNKNOWN
    key = node.slice[0].slice.value
    written = dotted(node)
    if isinstance(node.value, cst.Attribute) and node.value.attr.value == "config" and isinstance(key, cst.SimpleString):
        return setting(module.modules, str(key.evaluated_value), depth)
    if written and written in module.attributes:
        return module.attribute(written, depth)
    keys = module.values(key, scope, depth + 1)
    if module.name_of(node.value, scope) == "os.environ":
        return tuple(module.modules.environment.get(k, HOLE) if isinstance(k, str) else HOLE for k in keys)
    if isinstance(node.value, cst.Attribute) and node.value.attr.value == "parents":
        if len(keys) == 1 and isinstance(keys[0], int) and 0 <= keys[0] < 20:
            texts = module.values(node.value.value, scope, depth + 1)
            for _ in range(keys[0] + 1):
                texts = tuple(parent(text) if isinstance(text, str) else HOLE for text in texts)
            return texts
        return UNKNOWN
    data = data_values(module, node, scope, depth + 1)
    if data is not None:
        return data
    values = module.values(node.value, scope, depth + 1)
    if len(keys) == 1 and isinstance(keys[0], int):
        index = keys[0]
        return tuple(v[index] if isinstance(v, tuple) and -len(v) <= index < len(v) else HOLE for v in values)
    return UNKNOWN


def _call(module: Module, node: cst.Call, scope: Scope, depth: int) -> Values:
    def of(other: cst.CSTNode | None) -> Values:
        return module.values(other, scope, depth + 1)

    name = module.name_of(node.func, scope) or ""
    positional = [values for argument in node.args if argument.keyword is None for values in _positional(argument, of(argument.value))]
    keywords = {argument.keyword.value: argument.value for argument in node.args if argument.keyword is not None}
    given = returned(module, node, scope, depth)
    if given is not None:
        return given
    if name.startswith("tempfile."):
        return UNKNOWN if "dir" in keywords else (TEMPORARY,)
    if name in ("os.getcwd", "pathlib.Path.cwd"):
        return ("",)
    if name in _FROM_ENVIRONMENT or (positional and re.fullmatch(r"env(\.\w+)?|config", name) and "default" in keywords):
        default = of(keywords["default"]) if "default" in keywords else positional[1] if len(positional) > 1 else (None,)
        known = module.modules.environment
        found = [known.get(variable) if isinstance(variable, str) else HOLE for variable in (positional or [UNKNOWN])[0]]
        return tuple(itertools.chain.from_iterable(default if value is None else (value,) for value in found))
    if name.endswith(".config.get") and positional and len(positional[0]) == 1 and isinstance(positional[0][0], str):
        default = positional[1] if len(positional) > 1 else ()
        found_settings = setting(module.modules, positional[0][0], depth)
        return default if found_settings == UNKNOWN and default else (*found_settings, *default)
    if name == _LOOK_UP and positional:
        return positional[0]
    if name.endswith(".get") and positional:
        data = data_values(module, node, scope, depth + 1)
        return data if data is not None else positional[1] if len(positional) > 1 and _has_data(module, node, scope, depth) else UNKNOWN
    if name == "pathlib.Path.home":
        return (_home(module, "~"),)
    if name == "os.path.expanduser" and positional:
        return tuple(_home(module, value) for value in positional[0])
    if name == "importlib.resources.files" and positional:
        packages = [module.modules.find(value) if isinstance(value, str) else None for value in positional[0]]
        return tuple(f"{ROOT}/{posixpath.dirname(file)}" if file else HOLE for file in packages)
    if name in _PATHS:
        return tuple(_join(parts) for parts in _product(positional))
    if not positional:
        return _method(module, node, scope, depth, [])
    if name in _SAME:
        return tuple(_text(value) if name == "str" else value for value in positional[0])
    if name == "os.path.dirname":
        return tuple(parent(value) if isinstance(value, str) else HOLE for value in positional[0])
    if name == "os.path.basename":
        return tuple(posixpath.basename(value) if isinstance(value, str) else HOLE for value in positional[0])
    if name == "int":
        return tuple(int(v) if isinstance(v, int) or (isinstance(v, str) and v.isdecimal()) else HOLE for v in positional[0])
    if name == "shlex.split":
        return tuple(_words(value) for value in positional[0])
    return _method(module, node, scope, depth, positional)


def _positional(argument: cst.Arg, values: Values) -> list[Values]:
    """The arguments that one stands for: those of a list behind ``*``, where it is known."""
    if not argument.star:
        return [values]
    known = values[0] if argument.star == "*" and len(values) == 1 else None
    return [(value,) for value in known] if isinstance(known, tuple) else [UNKNOWN]


def _has_data(module: Module, node: cst.Call, scope: Scope, depth: int) -> bool:
    """Whether ``get`` is asked of loaded data, which then lacks the key."""
    import libcst as cst

    return isinstance(node.func, cst.Attribute) and loaded(module, node.func.value, scope, depth + 1) is not None


def _home(module: Module, path: Value) -> Value:
    """A path that may start in the home of whoever runs the program, which that user may write to."""
    if not isinstance(path, str) or not (path == "~" or path.startswith("~/")):
        return path
    return f"{module.modules.environment.get('HOME', TEMPORARY)}{path[1:]}"


def _words(value: Value) -> Value:
    try:
        return tuple(shlex.split(value)) if isinstance(value, str) else HOLE
    except ValueError:
        return HOLE


def _method(module: Module, node: cst.Call, scope: Scope, depth: int, arguments: list[Values]) -> Values:
    """Methods of texts and paths."""
    import libcst as cst

    if not isinstance(node.func, cst.Attribute):
        return UNKNOWN
    name = node.func.attr.value
    if name not in _SAME_METHODS | {"expanduser", "joinpath", "with_name", "with_suffix", "format", "join", "split", "mkdtemp"}:
        return UNKNOWN
    receivers = module.values(node.func.value, scope, depth + 1)
    if name in _SAME_METHODS:
        return receivers if not arguments else UNKNOWN
    if name == "expanduser":
        return tuple(_home(module, receiver) for receiver in receivers)
    results: list[Value] = []
    for receiver, *rest in itertools.islice(itertools.product(receivers, *arguments), _MANY):
        if not isinstance(receiver, str):
            results.append(HOLE)
        elif name == "joinpath":
            results.append(_join((receiver, *rest)))
        elif name in ("with_name", "with_suffix") and rest:
            stem = "" if name == "with_name" else posixpath.splitext(posixpath.basename(receiver))[0]
            results.append(join(parent(receiver), f"{stem}{_text(rest[0])}"))
        elif name == "format":
            results.append(re.sub(r"\{[^{}]*\}", HOLE, receiver))
        elif name == "join" and rest and isinstance(rest[0], tuple):
            results.append(receiver.join(_text(part) for part in rest[0]))
        elif name == "split" and not rest:
            results.append(tuple(receiver.split()) if HOLE not in receiver else _words(receiver))
        else:
            results.append(HOLE)
    return tuple(results)
