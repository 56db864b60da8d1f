"""The wheel holds what is needed at run time, and nothing else. Skipped without what builds it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import optimizer

ROOT = Path(__file__).parents[1]
pytest.importorskip("hatchling", reason="no hatchling here")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel's files by name."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    assert path.name == f"dockerfile_optimizer-{optimizer.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_it_holds_the_whole_package_and_nothing_else(wheel):
    ours = {path for path in (ROOT / "optimizer").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    packed = {name for name in wheel if name.startswith("optimizer/")}
    assert packed == {path.relative_to(ROOT).as_posix() for path in ours}
    assert {"optimizer/py.typed", "optimizer/__main__.py"} <= packed
    others = {name.split("/", 1)[1] for name in set(wheel) - packed}
    assert others == {"data/share/man/man1/dopt.1", "METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}


def test_it_says_what_it_is(wheel):
    (metadata,) = (text.decode() for name, text in wheel.items() if name.endswith("/METADATA"))
    (entry_points,) = (text.decode() for name, text in wheel.items() if name.endswith("/entry_points.txt"))
    assert entry_points == "[console_scripts]\ndopt = optimizer.cli:main\n"
    assert "License-Expression: MIT\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert all(f"Requires-Dist: {each}\n" in metadata for each in project["dependencies"])
