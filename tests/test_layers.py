"""The table of layers: a folder imports from those before it alone, also where only a type checker looks."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.passes import PASSES

PACKAGE = Path(__file__).parents[1] / "optimizer"
OUTER = frozenset({
    "report", "config", "hadolint", "registry", "compose", "files", "request", "outcome", "pool", "since", "session", "proving", "cli",
    "lsp", "__main__",
})  # fmt: skip
MAY_IMPORT: dict[str, frozenset[str]] = {
    "syntax": frozenset(),
    "knowledge": frozenset(),
    "ecosystems": frozenset({"syntax", "knowledge"}),
    "context": frozenset({"syntax", "knowledge", "ecosystems"}),
    "model": frozenset({"syntax", "knowledge", "ecosystems", "context"}),
    "passes": frozenset({"syntax", "knowledge", "ecosystems", "context", "model"}),
    "checks": frozenset({"syntax", "knowledge", "ecosystems", "context", "model", "passes"}),
    "engine": frozenset({"syntax", "knowledge", "ecosystems", "context", "model", "passes", "checks"}),
    "__init__": frozenset({"syntax", "knowledge", "ecosystems", "context", "model", "passes", "checks", "engine"}),
    "verify": frozenset({"syntax", "knowledge", "ecosystems", "context", "model", "passes", "checks", "engine", "__init__"}),
}
MAY_IMPORT |= dict.fromkeys(OUTER, frozenset(MAY_IMPORT) | OUTER)
HEAVY = ("tree_sitter", "tree_sitter_bash", "libcst", "difflib", "unidiff", "dockerfile_parse", "pygls", "docker")

FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The full names of the modules of ours that a file imports, wherever in it."""
    return names_imported(path.read_text(encoding="utf-8"), ("optimizer", *path.relative_to(PACKAGE).with_suffix("").parts))


def names_imported(code: str, module: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(module[: len(module) - node.level]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            found |= {f"{name}.{alias.name}" for alias in node.names}
    return {name for name in found if name == "optimizer" or name.startswith("optimizer.")}


def layer(parts: tuple[str, ...]) -> str:
    """The layer of a module below ``optimizer``: a folder's name or a file's; names of the package itself are its ``__init__``."""
    if not parts:
        return "__init__"
    first = parts[0]
    return first if (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").is_file() else "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports(path: Path) -> None:
    own = layer(path.relative_to(PACKAGE).with_suffix("").parts)
    assert own in MAY_IMPORT, f"{own} is not in the table of layers"
    used = {layer(tuple(name.split(".")[1:])) for name in imports(path)} - {own}
    assert used <= MAY_IMPORT[own], f"{own} must not import {sorted(used - MAY_IMPORT[own])}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "passes").glob("*.py")), ids=lambda path: path.name)
def test_no_pass_imports_another(path: Path) -> None:
    """What two passes share lives in a module that is no pass."""
    if path.name == "__init__.py":
        return
    modules = {f"optimizer.passes.{rewriter.name.replace('-', '_')}" for rewriter in PASSES} - {f"optimizer.passes.{path.stem}"}
    assert not [name for name in imports(path) if any(name == module or name.startswith(f"{module}.") for module in modules)]


def test_every_kind_of_import_is_seen() -> None:
    code = "import os\nimport optimizer.a\nfrom optimizer import b\nfrom . import c\nfrom ..d import e\n"
    code += "def f():\n    from optimizer.g.h import i\n"
    found = names_imported(code, ("optimizer", "syntax", "here"))
    assert found == {"optimizer.a", "optimizer.b", "optimizer.syntax.c", "optimizer.d.e", "optimizer.g.h.i"}


def test_start_up_is_light() -> None:
    code = f"import sys, optimizer; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
