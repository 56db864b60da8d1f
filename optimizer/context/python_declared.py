"""The dependencies that a Python project writes out in its manifest, and the program that lists them."""

from __future__ import annotations

import ast
import configparser
import json
import posixpath
import tomllib
from collections.abc import Iterable

from msgspec import Struct
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Specification
from packaging.utils import canonicalize_name

from optimizer.context.folder import BuildContext
from optimizer.context.python_projects import project_requirements, setup_keywords

_SETUP_MODULES = frozenset({"setuptools", "distutils", "io", "os", "codecs", "pathlib"})
_SETUP_CALLS = frozenset({
    "setup", "find_packages", "open", "read", "read_text", "readlines", "splitlines", "strip", "split", "join", "dirname", "abspath",
    "realpath", "Path", "resolve", "startswith",
})  # fmt: skip
_SETUP_KEYWORDS = frozenset({
    "name", "version", "description", "long_description", "long_description_content_type", "author", "author_email", "maintainer",
    "maintainer_email", "license", "url", "project_urls", "classifiers", "keywords", "platforms", "packages", "package_data",
    "include_package_data", "install_requires", "extras_require", "python_requires", "entry_points", "zip_safe",
})  # fmt: skip


class Declared(Struct, frozen=True):
    """Dependencies that are written out.

    Args:
        manifest: The file that declares them, relative to the context.
        names: Their normalised names.
        program: A Python program that prints them line by line, with ``{}`` where the manifest's path belongs; empty where the
            manifest installs them by itself, as a setup.py does that takes the packages that it finds.
        since: The oldest minor version of Python 3 that can run it.
        beside: Further files that the manifest reads.
    """

    manifest: str
    names: tuple[str, ...]
    program: str = ""
    since: int = 0
    beside: tuple[str, ...] = ()


def declared_dependencies(context: BuildContext, folder: str, extras: Iterable[str] = ()) -> Declared | str:
    """What a project depends on, as far as its manifest alone tells.

    Args:
        context: The build context.
        folder: Where pyproject.toml or setup.cfg lies, relative to the context.
        extras: The extras that are asked for.

    Returns:
        The dependencies, or the reason why they are not known.
    """
    path = posixpath.normpath(posixpath.join(folder, "pyproject.toml"))
    text = context.read_text(path)
    try:
        data = tomllib.loads(text) if text is not None else {}
    except tomllib.TOMLDecodeError:
        return f"{path} is not valid"
    if "project" in data:
        return _in_pyproject(data["project"], path, tuple(extras))
    if "poetry" in data.get("tool", {}) or "flit" in data.get("tool", {}):
        return f"{path} declares them in a form of its own"
    return _in_setup_cfg(context, folder, tuple(extras))


def _in_pyproject(project: dict[str, object], path: str, extras: tuple[str, ...]) -> Declared | str:
    """By https://packaging.python.org/en/latest/specifications/pyproject-toml/."""
    dynamic, optional = project.get("dynamic", []), project.get("optional-dependencies", {})
    asked = {"dependencies", *(("optional-dependencies",) if extras else ())}
    groups = [project.get("dependencies"), *(optional.get(extra) if isinstance(optional, dict) else None for extra in extras)]
    if not isinstance(dynamic, list) or asked & set(dynamic) or not all(isinstance(group, list) for group in groups):
        return f"{path} does not write its dependencies out"
    names = _names([text for group in groups if isinstance(group, list) for text in group], project.get("name"))
    if isinstance(names, str):
        return f"{path} {names}"
    if not extras:
        program = 'import tomllib; print(*tomllib.load(open("{}", "rb"))["project"]["dependencies"], sep="\\n")'
    else:
        listed = "".join(f', *p["optional-dependencies"][{json.dumps(extra)}]' for extra in extras)
        program = f'import tomllib; p = tomllib.load(open("{{}}", "rb"))["project"]; print(*p["dependencies"]{listed}, sep="\\n")'
    return Declared(path, names, program, since=11)


def _in_setup_cfg(context: BuildContext, folder: str, extras: tuple[str, ...]) -> Declared | str:
    """By https://setuptools.pypa.io/en/latest/userguide/declarative_config.html; a setup.py beside it must say nothing of them."""
    path = posixpath.normpath(posixpath.join(folder, "setup.cfg"))
    text = context.read_text(path)
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text or "")
    except configparser.Error:
        return f"{path} is not valid"
    if not parser.has_section("options") and not extras:
        found = setup_alone(context, folder)
        if found is not None:
            return found
    values = [parser.get("options", "install_requires", fallback=None)]
    values += [parser.get("options.extras_require", extra, fallback=None) for extra in extras]
    script = context.read_text(posixpath.normpath(posixpath.join(folder, "setup.py")))
    keywords = setup_keywords(script) if script is not None else ()
    if None in values or keywords is None or {None, "install_requires", "extras_require"} & set(keywords):
        return "its manifest does not write its dependencies out"
    lines = [line.strip() for value in values for line in (value or "").splitlines()]
    if any(line.startswith(("file:", "#")) for line in lines):
        return f"{path} does not write its dependencies out"
    names = _names([line for line in lines if line], parser.get("metadata", "name", fallback=None))
    if isinstance(names, str):
        return f"{path} {names}"
    listed = "".join(f', c["options.extras_require"][{json.dumps(extra)}]' for extra in extras)
    program = f'import configparser; c = configparser.RawConfigParser(); c.read("{{}}"); print(c["options"]["install_requires"]{listed})'
    return Declared(path, names, program, since=8)


def _names(texts: Iterable[object], project: object) -> tuple[str, ...] | str:
    """The names of dependencies, or what stands against reading them apart from the project."""
    found = []
    for text in texts:
        try:
            one = Specification(str(text))
        except InvalidRequirement:
            return f"has a dependency that is not understood: {text}"
        if (one.url or "").startswith(("file:", ".", "/")) or canonicalize_name(one.name) == canonicalize_name(str(project)):
            return f"has a dependency on a folder of the project: {text}"
        found.append(canonicalize_name(one.name))
    return tuple(dict.fromkeys(found))


def setup_alone(context: BuildContext, folder: str) -> Declared | None:
    """What a setup.py depends on that can be installed without the packages of its project, since it looks for those itself.

    Returns:
        None where it names modules, packages or folders that must be there, runs other code, or reads sources.
    """
    path = posixpath.normpath(posixpath.join(folder, "setup.py"))
    names = project_requirements(context, folder)
    try:
        tree = ast.parse(context.read_text(path) or "")
    except (SyntaxError, ValueError):
        return None
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    texts, finds, opens = set(), False, False
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases) if {alias.name.split(".")[0] for alias in aliases} - _SETUP_MODULES:
                return None
            case ast.ImportFrom(module=module) if (module or "").split(".")[0] not in _SETUP_MODULES:
                return None
            case ast.Call(func=function):
                name = function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
                if name == "setup" and ({keyword.arg for keyword in node.keywords} - _SETUP_KEYWORDS or node.args):
                    return None
                if name == "find_packages" and (node.args or {keyword.arg for keyword in node.keywords} - {"exclude", "include"}):
                    return None
                if name not in own | _SETUP_CALLS:
                    return None
                finds, opens = finds or name == "find_packages", opens or name in ("open", "read_text")
            case ast.keyword(arg="packages", value=value) if not isinstance(value, ast.Call):
                return None
            case ast.Constant(value=str(value)):
                texts.add(value)
    beside = {
        f for text in texts if text and context.exists(f := posixpath.normpath(posixpath.join(folder, text))) and not context.is_dir(f)
    }
    if not names or not finds or (opens and not beside) or any(f.endswith(".py") for f in beside):
        return None
    return Declared(path, names, beside=tuple(sorted(beside)))
