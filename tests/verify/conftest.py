"""What the tests of proofs share: stand-ins for engines, and the real one where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "verify"

FAKE = """#!{python}
import os, sys, time
folder = {folder!r}
words = sys.argv[1:]
with open(folder + "/calls", "a") as file:
    file.write(" ".join(words) + "\\n")
dead = os.path.exists(folder + "/dead")
if words[:2] == ["buildx", "version"]:
    print("buildx 1")
elif dead:
    sys.exit("Cannot connect to the Docker daemon")
elif words[0] == "version":
    print("1")
elif words[:2] == ["buildx", "build"]:
{build}
"""


@pytest.fixture
def fake_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a ``docker`` on PATH, alone there, whose builds do as told in Python; the folder of its notes: ``calls``, ``dead``."""

    def make(build: str) -> Path:
        notes, programs = tmp_path / "fake", tmp_path / "bin"
        notes.mkdir()
        programs.mkdir()
        program = programs / "docker"
        program.write_text(FAKE.format(python=sys.executable, folder=str(notes), build="    " + build.replace("\n", "\n    ")))
        program.chmod(0o755)
        (programs / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
        monkeypatch.setenv("PATH", str(programs))
        return notes

    return make


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with a Dockerfile of which something can be rewritten."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files, to see what is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.fixture(scope="session")
def bases() -> Callable[..., None]:
    """Makes base images for a real engine; skips where there is none."""
    lab = os.environ.get("DOPT_LAB")
    if not lab:
        pytest.skip("no engine: DOPT_LAB names no folder with a program that makes base images, so nothing is built")
    if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no engine: no docker answers, so nothing is built")

    def make(*names: str) -> None:
        subprocess.run([f"{lab}/base", *names], check=True, capture_output=True)

    return make
