"""Programs that are run: their output as it comes, a limit, and nothing left running."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from optimizer.verify.commands import call, query
from optimizer.verify.errors import TimeLimit


def test_output_and_exit_code() -> None:
    lines: list[str] = []
    done = call(["sh", "-c", "echo a; echo b >&2; printf c; exit 3"], 10, lines.append)
    assert (done.code, done.output, lines, done.last_line) == (3, "a\nb\nc", ["a", "b"], "c")
    assert query(["sh", "-c", "echo a; echo b >&2"]).output == "a\n"
    assert query(["sh", "-c", "echo b >&2; exit 1"]).last_line == "b"


@pytest.mark.parametrize("run", [call, query])
def test_a_limit_ends_what_was_started(tmp_path: Path, run: object) -> None:
    mark = tmp_path / "child"
    with pytest.raises(TimeLimit, match=r"longer than 1 s"):
        run(["sh", "-c", f"sleep 60 & echo $! > {mark}; wait"], 1)  # type: ignore[operator]
    child = int(mark.read_text())
    for _ in range(100):
        try:
            os.kill(child, 0)
            with open(f"/proc/{child}/stat") as status:
                if status.read().split()[2] == "Z":
                    return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.05)
    pytest.fail("the child still runs")


def test_a_child_that_holds_the_pipe_does_not_hold_the_run() -> None:
    code = "import subprocess, sys; subprocess.Popen(['sleep', '3']); print('done')"
    assert call([sys.executable, "-c", code], 2).output == "done\n"
