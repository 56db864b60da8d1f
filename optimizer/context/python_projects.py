"""What a Python project declares for itself: the packages it depends on, and the commands that installing it makes."""

from __future__ import annotations

import ast
import configparser
import contextlib
import posixpath
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Specification
from packaging.utils import canonicalize_name

from optimizer.context.folder import BuildContext
from optimizer.context.requirements import requirement_files

MANIFESTS = ("pyproject.toml", "setup.cfg", "setup.py")


def project_requirements(context: BuildContext, folder: str = ".") -> tuple[str, ...] | None:
    """The packages that installing a project brings along, extras included.

    Args:
        context: The build context.
        folder: Where pyproject.toml, setup.cfg or setup.py lies, relative to the context.

    Returns:
        Normalised names, sorted; None when there is no such file, or one that computes its dependencies.
    """
    found: set[str] = set()
    declared = False
    for name, reader in zip(MANIFESTS, (_pyproject, _setup_cfg, _setup_py), strict=True):
        text = context.read_text(posixpath.normpath(posixpath.join(folder, name)))
        if text is None:
            continue
        names = reader(context, folder, text)
        if names is None:
            return None
        declared = True
        found |= set(names)
    return tuple(sorted(found)) if declared else None


def console_scripts(context: BuildContext, folder: str = ".") -> dict[str, str]:
    """The commands that installing a project makes: "package.module:function" by name. Computed ones are not among them."""
    found: dict[str, str] = {}
    for name in MANIFESTS:
        text = context.read_text(posixpath.normpath(posixpath.join(folder, name))) or ""
        match name:
            case "pyproject.toml":
                data = _toml(text)
                given = [(data.get("tool", {}).get("poetry", {}).get("scripts", {})), data.get("project", {}).get("scripts", {})]
                found |= {key: target for table in given for key, target in table.items() if isinstance(target, str)}
            case "setup.cfg":
                found |= _assignments(_parsed(text).get("options.entry_points", "console_scripts", fallback="").splitlines())
            case "setup.py":
                found |= _entry_points(text)
    return found


def _entry_points(text: str) -> dict[str, str]:
    """The console scripts that a call of ``setup`` is given."""
    try:
        tree = ast.parse(text)
        value = next((ast.literal_eval(keyword.value) for keyword in _setup_keywords(tree) if keyword.arg == "entry_points"), None)
    except (SyntaxError, ValueError):
        return {}
    if isinstance(value, str):
        value = {"console_scripts": value.partition("[console_scripts]")[2].partition("[")[0]}
    scripts = value.get("console_scripts", ()) if isinstance(value, dict) else ()
    return _assignments(scripts.splitlines() if isinstance(scripts, str) else scripts)


def _assignments(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): target.strip() for name, sign, target in pairs if sign}


def setup_keywords(text: str) -> tuple[str | None, ...] | None:
    """The names of what a setup.py gives to ``setup``, None among them for ``**``; None where it cannot be read."""
    try:
        return tuple(keyword.arg for keyword in _setup_keywords(ast.parse(text)))
    except (SyntaxError, ValueError):
        return None


def _names(specifications: Iterable[object]) -> list[str] | None:
    try:
        return [canonicalize_name(Specification(str(text)).name) for text in specifications]
    except InvalidRequirement:
        return None


def _named_in(context: BuildContext, folder: str, files: Iterable[str]) -> list[str] | None:
    """The packages that requirements files name; None where one of them is not read whole."""
    found: list[str] = []
    for file in files:
        read = requirement_files(context, posixpath.normpath(posixpath.join(folder, file)))
        if read.problems or any(requirement.name is None for requirement in read.packages):
            return None
        found += [requirement.name for requirement in read.packages if requirement.name is not None]
    return found


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _pyproject(context: BuildContext, folder: str, text: str) -> list[str] | None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    project = data.get("project", {})
    texts = [*project.get("dependencies", ()), *(t for group in project.get("optional-dependencies", {}).values() for t in group)]
    found = _names(texts)
    if found is None:
        return None
    dynamic = data.get("tool", {}).get("setuptools", {}).get("dynamic", {})
    for name in {"dependencies", "optional-dependencies"} & set(project.get("dynamic", ())):
        files = dynamic.get(name, {}).get("file") if name == "dependencies" else None
        read = _named_in(context, folder, [files] if isinstance(files, str) else files) if files else None
        if read is None:
            return None
        found += read
    poetry = data.get("tool", {}).get("poetry", {}).get("dependencies", {})
    return [*found, *(canonicalize_name(name) for name in poetry if name != "python")]


def _parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(configparser.Error):
        parser.read_string(text)
    return parser


def _setup_cfg(context: BuildContext, folder: str, text: str) -> list[str] | None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    values = [parser.get("options", "install_requires", fallback="")]
    values += [value for _, value in parser.items("options.extras_require")] if parser.has_section("options.extras_require") else []
    lines = [line.strip() for value in values for line in value.splitlines() if line.strip() and not line.strip().startswith("#")]
    files = [line.removeprefix("file:").strip() for line in lines if line.startswith("file:")]
    named, plain = _named_in(context, folder, files), _names(line for line in lines if not line.startswith("file:"))
    return None if named is None or plain is None else [*plain, *named]


def _setup_keywords(tree: ast.Module) -> Iterator[ast.keyword]:
    """The keyword arguments of every call of ``setup``."""
    for node in ast.walk(tree):
        function = node.func if isinstance(node, ast.Call) else None
        name = function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else None
        if isinstance(node, ast.Call) and name == "setup":
            yield from node.keywords


def _setup_py(context: BuildContext, folder: str, text: str) -> list[str] | None:
    """What a call of ``setup`` is given as literals or out of requirements files; None where it is computed otherwise."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    found: list[str] = []
    for keyword in _setup_keywords(tree):
        if keyword.arg is None:
            return None
        names = _required(context, folder, keyword.value, tree) if keyword.arg in ("install_requires", "extras_require") else []
        if names is None:
            return None
        found += names
    return found


def _required(context: BuildContext, folder: str, value: ast.expr, tree: ast.Module) -> list[str] | None:
    try:
        given = ast.literal_eval(value)
        return _names([t for group in given.values() for t in group] if isinstance(given, dict) else given)
    except ValueError:
        pass
    nodes = list(_behind(value, tree))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    files = [text for text in texts if text.endswith(".txt") and context.exists(posixpath.normpath(posixpath.join(folder, text)))]
    if not files:
        return None
    items = [e.value for node in nodes if isinstance(node, ast.List | ast.Tuple) for e in node.elts if isinstance(e, ast.Constant)]
    named, plain = _named_in(context, folder, files), _names(item for item in items if isinstance(item, str) and item not in files)
    return None if named is None or plain is None else [*plain, *named]


def _behind(value: ast.expr, tree: ast.Module) -> Iterator[ast.AST]:
    """An expression's nodes and those of everything that its names stand for: assignments, open files, functions."""
    meanings: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.FunctionDef(name=name):
                meanings.setdefault(name, []).append(node)
            case ast.withitem(optional_vars=ast.Name(id=name)):
                meanings.setdefault(name, []).append(node.context_expr)
    pending: list[ast.AST] = [value]
    while pending:
        for node in ast.walk(pending.pop()):
            yield node
            if isinstance(node, ast.Name):
                pending += meanings.pop(node.id, ())
