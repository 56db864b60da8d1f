"""Which ecosystems a build context has manifests of."""

from __future__ import annotations

import posixpath
import re
import tomllib
from typing import Any

from optimizer.context.folder import BuildContext
from optimizer.context.go_manifests import GoReplace, GoRequire
from optimizer.context.golang import GoModule, go_module
from optimizer.context.javascript import package_manager

__all__ = ["ECOSYSTEMS", "GoModule", "GoReplace", "GoRequire", "detect", "go_module"]

ECOSYSTEMS = (
    "pip", "poetry", "uv", "pipenv", "conda", "npm", "yarn", "pnpm", "bun", "go", "maven", "gradle", "cargo", "bundler", "composer",
    "dotnet", "make", "cmake",
)  # fmt: skip
_NAMES = {
    "pip": r"requirements[\w.-]*\.txt|[\w.-]*requirements\.txt|requirements/[\w.-]+\.txt|setup\.py|setup\.cfg",
    "poetry": r"poetry\.lock", "uv": r"uv\.lock", "pipenv": r"Pipfile(\.lock)?",
    "conda": r"environment\.ya?ml|conda-lock\.yml", "npm": r"package-lock\.json|npm-shrinkwrap\.json",
    "yarn": r"yarn\.lock|\.yarnrc(\.yml)?", "pnpm": r"pnpm-lock\.yaml|pnpm-workspace\.yaml", "bun": r"bun\.lockb?",
    "go": r"go\.(mod|work)", "maven": r"pom\.xml", "gradle": r"(build|settings)\.gradle(\.kts)?", "cargo": r"Cargo\.toml",
    "bundler": r"Gemfile|gems\.rb", "composer": r"composer\.json", "dotnet": r"[^/]+\.((cs|fs|vb)proj|slnx?)",
    "make": r"GNUmakefile|[Mm]akefile", "cmake": r"CMakeLists\.txt",
}  # fmt: skip
_INSTALLED = re.compile(r"(^|/)(node_modules|vendor|site-packages|\.venv|venv|\.git)/")


def detect(context: BuildContext) -> tuple[str, ...]:
    """The ecosystems with a manifest anywhere in the context, in the order of `ECOSYSTEMS`; installed packages do not count."""
    files = [file for file in context.files() if not _INSTALLED.search(file)]
    found = {name for name, pattern in _NAMES.items() for file in files if re.search(rf"(^|/)({pattern})$", file)}
    for file in files:
        name = posixpath.basename(file)
        if name == "pyproject.toml":
            found |= _python_tools(context, file)
        elif name == "package.json":
            manager = package_manager(context, posixpath.dirname(file) or ".")
            if manager in ECOSYSTEMS:
                found.add(manager)
            elif not found & {"npm", "yarn", "pnpm", "bun"}:
                found.add("npm")  # what reads a package.json that names no other
    return tuple(name for name in ECOSYSTEMS if name in found)


def _python_tools(context: BuildContext, path: str) -> set[str]:
    """The installers a pyproject.toml is made for."""
    try:
        data: dict[str, Any] = tomllib.loads(context.read_text(path) or "")
    except tomllib.TOMLDecodeError:
        return set()
    tools = data.get("tool", {})
    tools = tools if isinstance(tools, dict) else {}
    found = {name for name in ("poetry", "uv") if name in tools}
    if "project" in data or ("build-system" in data and not found):
        found.add("pip")
    return found
