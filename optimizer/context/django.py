"""The settings of a Django project that name files: where it collects, uploads, stores and logs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.places import HOLE, Place, Unknown, resolve

if TYPE_CHECKING:
    import libcst as cst

    from optimizer.context.python_module import Module, Scope
    from optimizer.context.python_modules import Modules

_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*(?:,|\]\s*=)\s*["']([\w.]+)["']""")


class Database(Struct, frozen=True):
    """One database that the settings name. engine: dotted name, None when computed; place: the file of an SQLite database,
    None for a server or when computed."""

    engine: str | None
    place: Place | None


class DjangoSettings(Struct, frozen=True):
    """file: the settings module; static_root, media_root: None when not set or computed; static_url: None likewise;
    databases: every one that may come to be used, other branches of an `if` included; logs: files of LOGGING handlers,
    folders of file caches, sessions and mails;
    unknown: the settings among these that are computed."""

    file: str
    static_root: Place | None = None
    media_root: Place | None = None
    static_url: str | None = None
    databases: tuple[Database, ...] = ()
    logs: tuple[Place, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def project_folder(context: BuildContext, settings: DjangoSettings) -> str:
    """The folder that a Django project's packages lie in, relative to the context: the one around the package of its settings."""
    folder = posixpath.dirname(posixpath.dirname(settings.file))
    while folder and context.exists(f"{folder}/__init__.py"):
        folder = posixpath.dirname(folder)
    return folder or "."


def django_settings(context: BuildContext, *, environment: Mapping[str, str] | None = None) -> DjangoSettings | None:
    """Read the settings that manage.py, wsgi.py or asgi.py name; None when there is no such project.

    environment: environment variables known to be set; DJANGO_SETTINGS_MODULE among them names the module.
    """
    known = environment or {}
    found = _settings_file(context, known)
    if found is None:
        return None
    from optimizer.context.python_calls import read_handlers
    from optimizer.context.python_modules import Modules
    from optimizer.context.python_source import Findings

    base, path = found
    modules = Modules(context, known, base)
    module = modules.module(path)
    if module is None:
        line, reason = modules.problems[path]
        return DjangoSettings(path, unknown=(Unknown("syntax", f"{path}:{line}", reason),))
    unknown: list[Unknown] = []

    def place(name: str) -> Place | None:
        texts = _texts(module, name)
        places = {resolve(text) if text is not None else None for text in texts}
        if len(places) == 1 and None not in places:
            return places.pop()
        if texts:
            unknown.append(Unknown("write", path, f"computes {name}"))
        return None

    static_root, media_root = place("STATIC_ROOT"), place("MEDIA_ROOT")
    urls = _texts(module, "STATIC_URL")
    static_url = urls[0] if len(urls) == 1 and urls[0] and HOLE not in urls[0] else None
    databases = tuple(dict.fromkeys(_databases(modules, module)))
    if any(database.engine is None or ("sqlite" in database.engine and database.place is None) for database in databases):
        unknown.append(Unknown("write", path, "computes DATABASES"))
    findings = Findings()
    for part in _with_stars(modules, module):
        read_handlers(part, findings)
    kept = (place(name) for name in ("SESSION_FILE_PATH", "EMAIL_FILE_PATH"))
    logs = tuple(sorted({*findings.written, *(Place(found.kind, found.path, True) for found in kept if found is not None)}))
    return DjangoSettings(path, static_root, media_root, static_url, databases, logs, (*unknown, *sorted(findings.unknown)))


def _settings_file(context: BuildContext, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """The folder Python finds the project's modules in, and the settings file."""
    named = [file for file in context.files() if posixpath.basename(file) in ("manage.py", "wsgi.py", "asgi.py")]
    named.sort(key=lambda file: (posixpath.basename(file) != "manage.py", file.count("/"), file))
    for file in named:
        name = _SETTINGS.search(context.read_text(file) or "")
        if name is None:
            continue
        module = environment.get("DJANGO_SETTINGS_MODULE", name[1]).replace(".", "/")
        folder = posixpath.dirname(file)
        for base in dict.fromkeys((folder, posixpath.dirname(folder))):
            for path in (f"{module}.py", f"{module}/__init__.py"):
                if context.exists(posixpath.join(base, path)):
                    return base, posixpath.join(base, path)
    return None


def _texts(module: Module, name: str) -> tuple[str | None, ...]:
    """The texts a setting may have, None for one that is computed; nothing when it is not set."""
    values = module.bound(name, module.scope, 0) if _is_set(module, name) else ()
    return tuple(dict.fromkeys(value if isinstance(value, str) and value != HOLE else None for value in values if value is not None))


def _is_set(module: Module, name: str) -> bool:
    return any(name in part.scope.names for part in _with_stars(module.modules, module))


def _with_stars(modules: Modules, module: Module, depth: int = 0) -> Iterator[Module]:
    """A module and those whose names it takes over with `from x import *`."""
    yield module
    for star in module.stars if depth < 8 else ():
        path = modules.find(star)
        other = modules.module(path) if path else None
        if other is not None:
            yield from _with_stars(modules, other, depth + 1)


def _databases(modules: Modules, module: Module) -> Iterator[Database]:
    for part in _with_stars(modules, module):
        bindings = [(binding, part.scope) for binding in part.scope.names.get("DATABASES", ())]
        for binding, scope in bindings:
            yield from _database_table(part, binding.node, scope)
        for name, assigned in part.attributes.items():
            if name.startswith("DATABASES[") and name.count("[") == 1:
                for binding, scope in assigned:
                    yield _database(part, binding.node, scope)
        if bindings:
            return  # later modules are overridden


def _database_table(module: Module, node: cst.CSTNode | None, scope: Scope) -> Iterator[Database]:
    import libcst as cst

    if not isinstance(node, cst.Dict):
        yield Database(None, None)
        return
    for element in node.elements:
        yield _database(module, element.value if isinstance(element, cst.DictElement) else None, scope)


def _database(module: Module, node: cst.CSTNode | None, scope: Scope) -> Database:
    import libcst as cst

    from optimizer.context.python_calls import sqlite_file

    if isinstance(node, cst.Dict):
        entries = {
            element.key.raw_value: element.value
            for element in node.elements
            if isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString)
        }
        engines, names = (module.values(entries.get(key), scope) for key in ("ENGINE", "NAME"))
        engine = engines[0] if len(engines) == 1 and isinstance(engines[0], str) and HOLE not in engines[0] else None
        sqlite = engine is None or "sqlite" in engine
        name = names[0] if sqlite and len(names) == 1 and isinstance(names[0], str) else None
        return Database(engine, resolve(name) if name and name != ":memory:" else None)
    # dj_database_url.config(default=...), env.db(default=...)
    default = next((a.value for a in node.args if a.keyword and a.keyword.value == "default"), None) if isinstance(node, cst.Call) else None
    urls = module.values(default, scope) if default is not None else ()
    if len(urls) == 1 and isinstance(urls[0], str) and HOLE not in urls[0]:
        file = sqlite_file(urls[0])
        scheme = urls[0].split(":")[0]
        return Database("sqlite3", resolve(file)) if isinstance(file, str) else Database(scheme, None)
    return Database(None, None)
