"""Runs other programs with a time limit, and ends them with all that they started when the time is up or on an interrupt."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from optimizer.verify.errors import TimeLimit

_GRACE = 10.0  # seconds that a program has to clean up after itself before it is killed
_KEPT = 1 << 20  # bytes of output that are kept, from the end


@dataclass(frozen=True)
class Done:
    """How a program ended: exit code, standard output and error as one text, and the seconds that it took."""

    code: int
    output: str
    seconds: float

    @property
    def last_line(self) -> str:
        """The last line that is not blank."""
        return next((line.strip() for line in reversed(self.output.splitlines()) if line.strip()), "")


def call(
    command: Sequence[str], limit: float, on_line: Callable[[str], None] | None = None,
    environment: Mapping[str, str] | None = None, folder: Path | None = None,
) -> Done:  # fmt: skip
    """Run a program to its end.

    Args:
        command: The program and its arguments.
        limit: Seconds that it may take.
        on_line: Is given each line of output as it comes.
        environment: Variables besides the present ones.
        folder: Where it runs.

    Raises:
        TimeLimit: It took longer, and was ended.
        OSError: It cannot be started.
    """
    start = time.monotonic()
    process = _started(command, subprocess.STDOUT, environment, folder)
    try:
        output = _read(process, start + limit, limit, on_line)
        while process.poll() is None:
            if time.monotonic() > start + limit:
                raise TimeLimit(limit)
            time.sleep(0.02)
    finally:
        _end(process)
    return Done(process.returncode, output, time.monotonic() - start)


def query(command: Sequence[str], limit: float = 60.0) -> Done:
    """Run a program for its standard output alone; on failure, for its standard error. See ``call``."""
    start = time.monotonic()
    process = _started(command, subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise TimeLimit(limit) from None
    finally:
        _end(process)
    text = out if process.returncode == 0 else err + out
    return Done(process.returncode, text.decode("utf-8", "replace"), time.monotonic() - start)


@contextmanager
def stream(command: Sequence[str], limit: float) -> Iterator[IO[bytes]]:
    """A program's standard output, to be read as it comes; it ends early after ``limit`` seconds."""
    process = _started(command, subprocess.DEVNULL)
    watch = threading.Timer(limit, _signal, (process, signal.SIGKILL))
    watch.daemon = True
    watch.start()
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        watch.cancel()
        process.stdout.close()
        _end(process)


def _started(
    command: Sequence[str], errors: int, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    # In a session of its own, so that a Ctrl-C reaches this process alone, which then ends the others in order.
    variables = {**os.environ, **environment} if environment else None
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True, env=variables, cwd=folder
    )


def _read(process: subprocess.Popen[bytes], deadline: float, limit: float, on_line: Callable[[str], None] | None) -> str:
    assert process.stdout is not None
    kept, line = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeLimit(limit)
            if not selector.select(min(left, 0.5)):
                if process.poll() is not None:  # something that it left behind still holds the pipe
                    break
                continue
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                break
            kept += data
            del kept[:-_KEPT]
            if on_line is not None:
                line += data
                *whole, rest = line.split(b"\n")
                line = bytearray(rest)
                for each in whole:
                    on_line(each.decode("utf-8", "replace"))
    return kept.decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started, if it still runs, and close its pipes."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        _signal(process, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
