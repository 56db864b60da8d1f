"""What Flask decides about places: the instance folder, the values of ``app.config``, the file of a database."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from optimizer.context.places import HOLE, ROOT, Unknown, parent, resolve
from optimizer.context.scopes import UNKNOWN, Value, Values

if TYPE_CHECKING:
    import libcst as cst

    from optimizer.context.python_module import Module, Scope
    from optimizer.context.python_modules import Modules
    from optimizer.context.python_source import Findings

_DATABASE = "SQLALCHEMY_DATABASE_URI"


def instance_folder(module: Module) -> str:
    """The path text of ``app.instance_path``: ``instance`` beside the module or the outermost package it is part of (Flask,
    "Instance Folders"). One that the program gives itself is not looked for.
    """
    folder = posixpath.dirname(f"{ROOT}/{module.path}")
    while folder != ROOT and module.modules.context.exists(_inside(f"{folder}/__init__.py")):
        folder = parent(folder)
    return f"{folder}/instance"


def setting(modules: Modules, key: str, depth: int) -> Values:
    """All values that the sources give a key of ``app.config``: constants of modules and classes, items, keyword arguments.

    Flask takes over upper-case names only, so that others are unknown.
    """
    if not key.isupper():
        return UNKNOWN
    found: list[Value] = []
    for path in modules.naming(key):
        module = modules.module(path)
        for node, scope in _given(module, key) if module is not None else ():
            assert module is not None
            found += module.values(node, scope, depth + 1)
    return tuple(dict.fromkeys(found)) or UNKNOWN


def _given(module: Module, key: str) -> Iterator[tuple[cst.CSTNode | None, Scope]]:
    """Every expression that a module gives a key, with the scope it stands in."""
    ending = re.compile(rf"[.\w]*(\.{key}|\[{key}\])")
    seen: set[int] = set()
    for name, bindings in module.attributes.items():
        for binding, scope in bindings if ending.fullmatch(name) else ():
            if id(binding) not in seen:
                yield binding.node, scope
            seen.add(id(binding))
    for binding in module.scope.names.get(key, ()):
        if id(binding) not in seen:
            yield binding.node, module.scope
    for call, scope in module.calls:
        for argument in call.args:
            if argument.keyword is not None and argument.keyword.value == key:
                yield argument.value, scope


def databases(module: Module, findings: Findings) -> None:
    """Add the database file of Flask-SQLAlchemy. Its relative paths start, by version, in ``instance/`` or beside the application."""
    from optimizer.context.python_calls import sqlite_file
    from optimizer.context.python_source import add_places

    nothing = Unknown("write", "", "")
    for node, scope in _given(module, _DATABASE):
        for value in map(sqlite_file, module.values(node, scope)):
            if not isinstance(value, str) or value == ":memory:":
                continue
            if HOLE in value:
                findings.unknown.add(Unknown("write", module.path, "keeps its database in a computed place"))
            elif value.startswith(("/", ROOT)):
                add_places(findings.written, findings, (value,), nothing)
            else:
                for base in (posixpath.dirname(f"{ROOT}/{module.path}"), instance_folder(module)):
                    add_places(findings.written, findings, (f"{base}/{value}",), nothing)


def _inside(path: str) -> str:
    """The path of a text inside the context."""
    place = resolve(path)
    return place.path if place else path
