"""``--jobs``: the same files, words and exit code as from one process, and nothing left behind when it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optimizer.engine.many import CHUNK

CHANGES = "FROM debian:bookworm\nRUN mkdir /a{0}\nRUN mkdir /b{0}\n"
IGNORES = "FROM debian:bookworm\nCOPY . /app\n"


@pytest.fixture
def many(put):
    """Three chunks of files that change, stay, are wrong, or share a build context whose ignore file is not complete."""
    for number in range(3 * CHUNK):
        put(f"p/{number:03}/Dockerfile", CHANGES.format(number) if number % 3 else "FROM debian:bookworm\n")
    put("p/001/Dockerfile", "FOO\n")
    put("p/017/Dockerfile", "FROM a\0b\n")
    put("p/shared/.git/HEAD", "ref: refs/heads/main\n")
    put("p/shared/main.c", "int main(void) { return 0; }\n")
    for number in range(2 * CHUNK):
        put(f"p/shared/{number:03}.Dockerfile", IGNORES)


@pytest.mark.parametrize("arguments", [["check", "-v"], ["fix", "--diff"], ["fix"], ["check", "-o", "json"]])
def test_it_is_as_from_one_process(many, folder, dopt_process, arguments):
    subprocess.run(["cp", "-r", "p", "q"], cwd=folder, check=True)
    one = dopt_process(*arguments, "--jobs", "1", ".", cwd=folder / "p")
    two = dopt_process(*arguments, "--jobs", "2", ".", cwd=folder / "q")
    assert (two.returncode, two.stdout, two.stderr) == (one.returncode, one.stdout, one.stderr)
    assert one.stdout
    assert one.returncode == 2
    for file in (folder / "p").rglob("*"):
        if file.is_file():
            assert (folder / "q" / file.relative_to(folder / "p")).read_bytes() == file.read_bytes()


def test_where_no_processes_can_be_had_one_does_it(put, dopt, monkeypatch):
    def fail(*_, **__):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", fail)
    files = [put(f"{number:03}/Dockerfile", CHANGES.format(number)) for number in range(2 * CHUNK)]
    assert dopt("fix", "--jobs", "2").exit_code == 0
    assert all("&& mkdir /b" in file.read_text() for file in files)


def test_a_process_that_dies_is_one_line(put, dopt, monkeypatch):
    def die(path, _request):
        os._exit(9)

    monkeypatch.setattr("optimizer.pool.outcome_at", die)
    file = put("000/Dockerfile", CHANGES.format(0))
    for number in range(1, 2 * CHUNK):
        put(f"{number:03}/Dockerfile", CHANGES.format(number))
    result = dopt("fix", "--jobs", "2")
    said = "Error: a process ended before its time, for want of memory perhaps; --jobs 1 needs less\n"
    assert (result.exit_code, result.stderr) == (2, said)
    assert file.read_text() == CHANGES.format(0)


def test_stopped_it_leaves_no_process_and_no_half_file(put, folder):
    files = [put(f"{number:04}/Dockerfile", CHANGES.format(number)) for number in range(1500)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "optimizer", "fix", "--jobs", "2"]

    def heed():  # also where the tests run in the background, in which interrupts are ignored
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed)
    assert process.stdout is not None
    process.stdout.read(1)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error.decode().split()) == (1, ["Aborted!"])
    for _ in range(600):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("processes are left")
    texts = [CHANGES.format(number) for number in range(1500)]
    whole = {text.replace("\nRUN mkdir /b", " \\\n    && mkdir /b") for text in texts} | set(texts)
    assert {file.read_text() for file in files} <= whole
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"Dockerfile"}
    assert any(file.read_text() in texts for file in files)
