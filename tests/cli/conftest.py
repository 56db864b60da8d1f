"""What the tests of the command line share: a project folder to work in, and ways to run ``dopt`` there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from optimizer.cli import main

Dopt = Callable[..., Result]
Put = Callable[[str, bytes | str], Path]
DoptProcess = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one, with nothing in the environment that colours output."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def put(folder: Path) -> Put:
    """Writes a file below the folder."""

    def write(name: str, content: bytes | str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def dopt(folder: Path) -> Dopt:
    """Runs ``dopt`` in this process, in the folder."""

    def run(*arguments: str, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)

    return run


@pytest.fixture
def dopt_process(folder: Path) -> DoptProcess:
    """Runs ``dopt`` in a process of its own, in the folder or the one given."""

    def run(*arguments: str, cwd: Path = folder, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "optimizer", *arguments]
        path = {"PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, check=False, env={**os.environ, **path, **environment})

    return run
