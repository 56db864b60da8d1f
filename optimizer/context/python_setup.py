"""The files that building a Python project by its setup.py reads, where that is written plainly enough to tell."""

from __future__ import annotations

import ast
import posixpath
import re
import tomllib

from optimizer.context.folder import BuildContext

_KEYWORDS = frozenset({
    "name", "version", "description", "long_description", "long_description_content_type", "author", "author_email", "maintainer",
    "maintainer_email", "license", "url", "project_urls", "classifiers", "keywords", "platforms", "packages", "py_modules", "ext_modules",
    "package_data", "package_dir", "install_requires", "extras_require", "python_requires", "entry_points", "scripts", "zip_safe",
    "setup_requires", "cmdclass", "include_dirs", "sources", "language", "define_macros", "libraries", "library_dirs", "extra_compile_args",
    "extra_link_args", "compiler_directives", "language_level", "annotate", "exclude", "include", "depends", "libs", "cxx_std", "nthreads",
})  # fmt: skip
_CALLS = frozenset({
    "setup", "Extension", "cythonize", "find_packages", "Pybind11Extension", "get_include", "find_namespace_packages",
})  # fmt: skip
_MODULES = frozenset({"setuptools", "distutils", "Cython", "numpy", "pybind11", "sys", "platform"})
# What setuptools puts beside a package's metadata by itself.
_LICENSES = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*$")
# What sources in Cython and C take in by names of their own.
_HEADERS = re.compile(r"\.(pxd|pxi|h|hh|hpp|inc|ipp)$")
_GENERATED = re.compile(r"\.(so|pyd|o|egg-link)$|(^|/)(build|dist|[\w.-]+\.egg-info)/")


def setup_files(context: BuildContext, folder: str) -> tuple[str, ...] | None:
    """What building or installing a project with extensions of its own reads.

    Args:
        context: The build context.
        folder: Where setup.py lies, relative to the context.

    Returns:
        Files of the context, sorted: manifests, and every package and folder of sources whole. None where setup.py computes
        anything, has no extensions, or may read other files; or where the context holds what the build makes.
    """
    top = "" if folder == "." else f"{folder}/"
    inside = [file[len(top) :] for file in context.under(folder)]
    text = context.read_text(f"{top}setup.py")
    present = [name for name in ("pyproject.toml", "setup.cfg") if name in inside]
    if text is None or context.truncated or "MANIFEST.in" in inside or any(map(_GENERATED.search, inside)):
        return None
    if not all(_is_plain(context.read_text(f"{top}{name}") or "", name) for name in present):
        return None
    named = _named(text)
    if named is None or any(name.split("/")[0] in (".", "..", "") for name in named) or _shadowed(inside):
        return None
    folders = {
        name.split("/")[0] for name in (*_expanded(named, inside), *filter(_HEADERS.search, inside)) if "/" in name or name not in inside
    }
    found = {"setup.py", *present, *(name for name in inside if _LICENSES.match(name) or name in named)}
    found |= {name for name in inside if "/" not in name and (_HEADERS.search(name) or name.endswith((".pyx", ".c", ".cpp", ".cc")))}
    found |= {file for file in inside if "/" in file and file.split("/")[0] in folders}
    made = {posixpath.splitext(file)[0] for file in found if file.endswith(".pyx")}
    if any(posixpath.splitext(file)[0] in made and file.endswith((".c", ".cpp")) for file in found):
        return None
    return tuple(sorted(f"{top}{file}" for file in found))


def _named(text: str) -> set[str] | None:
    """The texts in a setup.py that lists its extensions and does nothing else; None for any other."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    found: set[str] = set()
    calls: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
                if any(module.split(".")[0] not in _MODULES for module in modules):
                    return None
            case ast.ImportFrom(module=module, level=level):
                if level or (module or "").split(".")[0] not in _MODULES:
                    return None
            case ast.Call(func=function):
                name = function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
                if name not in _CALLS or any(keyword.arg not in _KEYWORDS for keyword in node.keywords):
                    return None
                calls.add(name)
            case ast.Constant(value=str(value)):
                found.add(posixpath.normpath(value) if value else "")
            case ast.FunctionDef() | ast.ClassDef() | ast.Lambda() | ast.While() | ast.With() | ast.Try() | ast.JoinedStr():
                return None
    if not calls & {"Extension", "cythonize", "Pybind11Extension"}:
        return None
    return {*(name for name in found if name), *(("*",) if calls & {"find_packages", "find_namespace_packages"} else ())}


def _expanded(named: set[str], inside: list[str]) -> set[str]:
    """The files and folders that some texts may name: paths, patterns, dotted packages, and all packages for ``*``."""
    found = set()
    for name in named:
        plain = re.split(r"[*?\[]", name)[0].rstrip("/")
        for path in {plain, name.replace(".", "/")}:
            if path and any(file == path or file.startswith(f"{path}/") for file in inside):
                found.add(path if "/" in path or path not in inside else "")
        if name == "*":
            found |= {posixpath.dirname(file) for file in inside if posixpath.basename(file) == "__init__.py"}
        elif plain != name and "/" not in plain:
            found |= {file for file in inside if "/" in file}
    return found - {""}


def _shadowed(inside: list[str]) -> bool:
    """Whether a module of the project has the name of one that setup.py imports."""
    return any(file.split("/")[0].removesuffix(".py") in _MODULES for file in inside)


def _is_plain(text: str, name: str) -> bool:
    """Whether a manifest beside setup.py names no other file."""
    if name == "setup.cfg":
        return re.search(r"\b(file|attr|find|data_files|cmdclass)\s*[:=]", text) is None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    backend = data.get("build-system", {}).get("build-backend", "setuptools.build_meta")
    return "project" not in data and "setuptools" not in data.get("tool", {}) and backend == "setuptools.build_meta"
