"""What Scrapy's settings say of files: feeds, logs, downloads (docs.scrapy.org/en/latest/topics/settings.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from optimizer.context.places import HOLE, Unknown, resolve
from optimizer.context.scopes import Value

if TYPE_CHECKING:
    import libcst as cst

    from optimizer.context.python_module import Module, Scope
    from optimizer.context.python_source import Findings

_FILES = frozenset({"FEED_URI", "LOG_FILE"})
_FOLDERS = frozenset({"JOBDIR", "FILES_STORE", "IMAGES_STORE", "HTTPCACHE_DIR"})
_CACHES = "HTTPCACHE_ENABLED"
_HIDDEN = ".scrapy"  # where relative folders of caches lie, beside scrapy.cfg


def feeds(module: Module, findings: Findings) -> None:
    """Add the files and folders that the settings of a module name, as variables or in dictionaries such as ``custom_settings``."""
    from optimizer.context.python_source import add_places

    unknown = Unknown("write", module.path, "has Scrapy write to a computed path")
    for name, node, scope in _settings(module):
        if name == "FEEDS":
            for value in _keys(module, node, scope):
                add_places(findings.written, findings, (feed_file(value),), unknown)
        elif name in _FILES:
            add_places(findings.written, findings, map(feed_file, module.values(node, scope)), unknown)
        elif name in _FOLDERS:
            add_places(findings.written, findings, map(feed_file, module.values(node, scope)), unknown, folder=True)
        elif any(module.values(node, scope)):
            add_places(findings.written, findings, (_HIDDEN,), unknown, folder=True)


def feed_file(address: Value) -> Value:
    """The file of a feed's address, in which Scrapy replaces ``%(name)s``; None for one that is kept elsewhere."""
    if not isinstance(address, str):
        return None if address is None else HOLE
    if re.match(r"(?!file:)[a-z][a-z0-9+]*:", address):
        return None
    path = re.sub(r"%\(\w+\)[sd]", HOLE, address.removeprefix("file://"))
    return path if resolve(path) is not None else HOLE


def _settings(module: Module) -> Iterator[tuple[str, cst.CSTNode | None, Scope]]:
    """The settings about files that a module gives, by name."""
    import libcst as cst

    wanted = {*_FILES, *_FOLDERS, "FEEDS", _CACHES}
    for name in sorted(wanted & set(module.scope.names)):
        for binding in module.scope.names[name]:
            yield name, binding.node, module.scope
    for node, scope in module.dicts:
        for element in node.elements:
            if isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString):
                key = str(element.key.evaluated_value)
                if key in wanted:
                    yield key, element.value, scope


def _keys(module: Module, node: cst.CSTNode | None, scope: Scope) -> Iterator[Value]:
    """The keys of a dictionary; unknown where it is none that is written out."""
    import libcst as cst

    if not isinstance(node, cst.Dict):
        yield HOLE
        return
    for element in node.elements:
        yield from module.values(element.key, scope) if isinstance(element, cst.DictElement) else (HOLE,)
