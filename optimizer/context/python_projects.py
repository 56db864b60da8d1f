"""The dependencies that a Python project declares for itself."""

from __future__ import annotations

import ast
import configparser
import posixpath
import tomllib
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Specification
from packaging.utils import canonicalize_name

from optimizer.context.folder import BuildContext


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
    for name, reader in (("pyproject.toml", _pyproject), ("setup.cfg", _setup_cfg), ("setup.py", _setup_py)):
        text = context.read_text(posixpath.normpath(posixpath.join(folder, name)))
        if text is None:
            continue
        names = reader(text)
        if names is None:
            return None
        declared = True
        found |= set(names)
    return tuple(sorted(found)) if declared else None


def _names(specifications: Iterable[object]) -> list[str] | None:
    try:
        return [canonicalize_name(Specification(str(text)).name) for text in specifications]
    except InvalidRequirement:
        return None


def _pyproject(text: str) -> list[str] | None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    project = data.get("project", {})
    if {"dependencies", "optional-dependencies"} & set(project.get("dynamic", ())):
        return None
    texts = [*project.get("dependencies", ()), *(t for group in project.get("optional-dependencies", {}).values() for t in group)]
    poetry = data.get("tool", {}).get("poetry", {}).get("dependencies", {})
    names = _names(texts)
    return None if names is None else [*names, *(canonicalize_name(name) for name in poetry if name != "python")]


def _setup_cfg(text: str) -> list[str] | None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    values = [parser.get("options", "install_requires", fallback="")]
    values += [value for _, value in parser.items("options.extras_require")] if parser.has_section("options.extras_require") else []
    lines = [line.strip() for value in values for line in value.splitlines() if line.strip() and not line.strip().startswith("#")]
    return None if any(line.startswith("file:") for line in lines) else _names(lines)


def _setup_py(text: str) -> list[str] | None:
    """What a call of ``setup`` is given as literals; None where it is computed."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    found: list[object] = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)):
            continue
        if (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) != "setup":
            continue
        for keyword in node.keywords:
            if keyword.arg is None:
                return None
            if keyword.arg in ("install_requires", "extras_require"):
                try:
                    value = ast.literal_eval(keyword.value)
                except ValueError:
                    return None
                found += [t for group in value.values() for t in group] if isinstance(value, dict) else value
    return _names(found)
