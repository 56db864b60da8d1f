"""With a real engine: the rewrite that breaks is dropped, runs do not disturb each other, and an interrupt leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.verify.engines import LABEL

from .conftest import FIXTURES, ROOT

Bases = Callable[..., None]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "optimizer", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def left_over(names: set[str]) -> list[str]:
    """The containers and images of these runs."""
    found = []
    for name in names:
        for what in (["ps", "--all"], ["images", "--all"]):
            command = ["docker", *what, "--quiet", "--filter", f"label={LABEL}={name}"]
            found += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return found


def runs_of(process: subprocess.Popen[str]) -> set[str]:
    """The names of the runs of a process, from the labels that there are while it works."""
    shown = subprocess.run(
        ["docker", "images", "--filter", f"label={LABEL}", "--format", "{{.Repository}}"], capture_output=True, text=True, check=True
    ).stdout
    return {name for name in shown.split() if name.startswith(f"dopt-verify-{process.pid}-")}


@pytest.fixture
def small(tmp_path: Path, bases: Bases) -> Path:
    """A project whose builds take a second."""
    bases("debian:bookworm-slim")
    (tmp_path / "Dockerfile").write_text('FROM debian:bookworm-slim\nCOPY a.sh /\nRUN mkdir /a\nRUN mkdir /b\nCMD ["sh", "/a.sh"]\n')
    (tmp_path / "a.sh").write_text("ls -d /a /b\n")
    return tmp_path


def test_the_rewrite_that_breaks_is_dropped_and_the_rest_kept(tmp_path: Path, bases: Bases, temporary: Path) -> None:
    bases("python:3.11", "python:3.11-slim")
    shutil.copytree(FIXTURES / "hidden-program" / "context", tmp_path / "p")
    process = start(tmp_path / "p", "fix", "--verify", "--no-measure", "--json", "out.json", "--html", "out.html", "Dockerfile")
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    (proof,) = json.loads((tmp_path / "p" / "out.json").read_text())["proofs"]
    assert [each["pass"] for each in proof["dropped"]] == ["split-stages"]
    assert "smoke test" in proof["dropped"][0]["reason"]
    assert proof["proved"] is True
    assert {"reorder-copies", "merge-runs"} <= {each["pass"] for each in proof["rewrites"]}
    text = (tmp_path / "p" / "Dockerfile").read_text()
    assert text.count("FROM") == 1
    assert "COPY requirements.txt" in text
    assert "<svg" in (tmp_path / "p" / "out.html").read_text()
    assert list(temporary.iterdir()) == []


def test_two_runs_side_by_side(small: Path, temporary: Path) -> None:
    after = small / "After"
    after.write_text((small / "Dockerfile").read_text().replace("RUN mkdir /a\nRUN mkdir /b", "RUN mkdir /a && mkdir /b"))
    arguments = ("verify", "--no-measure", "--json", "-", "Dockerfile", "After")
    first, second = (start(small, *arguments) for _ in range(2))
    for process in (first, second):
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        assert json.loads(output)["proofs"][0]["proved"] is True
    assert list(temporary.iterdir()) == []


def test_an_interrupt_leaves_nothing(small: Path, temporary: Path) -> None:
    before = (small / "Dockerfile").read_bytes()
    smoke = 'docker run -d "$1" sleep 300 >/dev/null; echo up > started; sleep 300'
    process = start(small, "fix", "--verify", "--no-measure", "--smoke", smoke, "Dockerfile")
    deadline = time.monotonic() + 120
    while not (small / "started").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    names = runs_of(process)
    assert names
    assert left_over(names)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert left_over(names) == []
    assert (small / "Dockerfile").read_bytes() == before
    assert list(temporary.iterdir()) == []


def test_a_test_that_is_not_there_is_no_test(small: Path) -> None:
    for option in ("--smoke", "--smoke-in"):
        process = start(small, "fix", "--verify", "--no-measure", option, "./no-such-program", "Dockerfile")
        _, errors = process.communicate()
        assert (process.returncode, f"the test that {option} names cannot be run" in errors) == (2, True), errors


def test_values_are_not_printed(small: Path) -> None:
    file = small / "Dockerfile"
    file.write_text(file.read_text().replace("RUN mkdir /a\n", "ARG TOKEN\nENV SEEN=$TOKEN\nRUN mkdir /a && echo $TOKEN > /token\n"))
    (small / "After").write_text(file.read_text().replace("SEEN=$TOKEN", "SEEN=x$TOKEN").replace("/token", "/$TOKEN"))
    arguments = ("verify", "-v", "--no-measure", "--build-arg", "TOKEN=hunter22", "--json", "j", "--html", "h", "Dockerfile", "After")
    process = start(small, *arguments)
    output, errors = process.communicate()
    assert process.returncode == 1
    assert "Env SEEN changed: *** → x***" in output
    assert "hunter22" not in output + errors + (small / "j").read_text() + (small / "h").read_text()


@pytest.mark.parametrize(
    ("after", "code", "said"),
    [
        ("mkdir /a /b", 0, "proved with docker"),
        ("mkdir /a /b /c", 1, "unexpected: /c added"),
        ("mkdir /a", 1, "the smoke test (start) fails: exits with 2"),
        ("false", 1, "it does not build"),
    ],
)
def test_two_files(small: Path, after: str, code: int, said: str) -> None:
    (small / "After").write_text((small / "Dockerfile").read_text().replace("RUN mkdir /a\nRUN mkdir /b", f"RUN {after}"))
    process = start(small, "verify", "--no-measure", "Dockerfile", "After")
    output, errors = process.communicate()
    assert (process.returncode, said in output) == (code, True), output + errors
