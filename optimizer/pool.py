"""Many Dockerfiles of one run, in processes side by side."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.engine.many import CHUNK, cores, ordered
from optimizer.outcome import Outcome, outcome_at, outcomes_in_turn, written
from optimizer.request import BadCall, Request

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.process import BaseProcess
    from types import FrameType

MANY = 8 * CHUNK  # files; fewer are done before processes have started
AHEAD = 64  # files that may be waiting to be written, since the disk takes longer than the processor
_asked: list[Request] = []
"""In a process of the pool: what the run is asked for."""


def processes_for(files: tuple[Path, ...], request: Request) -> int:
    """How many processes to use: as many as ``--jobs`` says, else one for each core where there are many files.

    Proofs build one image after the other, since they are measured.
    """
    if request.proving is not None:
        return 1
    wanted = request.jobs or (cores() if len(files) >= MANY else 1)
    return max(1, min(wanted, -(-len(files) // CHUNK)))


def outcomes_in_processes(files: tuple[Path, ...], request: Request, processes: int) -> Iterator[Outcome]:
    """What comes of each file, in order, and the same as if they were done one after the other.

    Two Dockerfiles may share an ignore file: one that was read while another had yet to change it is done again. Where the system
    lets no processes share anything (no ``/dev/shm``), they are done one after the other.

    Raises:
        BadCall: A process ended, for want of memory perhaps.
    """
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    try:
        pool = ProcessPoolExecutor(processes, initializer=_start, initargs=(request,))
    except (ImportError, NotImplementedError, OSError):
        yield from outcomes_in_turn(files, request)
        return
    writing: deque[Future[Outcome]] = deque()
    with ThreadPoolExecutor() as writers, _noted_interrupt() as interrupted:
        try:
            for path, outcome in zip(files, ordered(pool, _outcomes, files), strict=True):
                if interrupted.is_set():
                    raise KeyboardInterrupt
                if outcome.ignores in request.ignore_files:
                    while writing:
                        yield writing.popleft().result()
                    outcome = outcome_at(path, request)
                if outcome.ignores is not None and outcome.result is not None and outcome.result.ignore_file is not None:
                    request.ignore_files[outcome.ignores] = outcome.result.ignore_file
                writing.append(writers.submit(written, outcome, request))
                if len(writing) > AHEAD:
                    yield writing.popleft().result()
            while writing:
                yield writing.popleft().result()
        except BrokenProcessPool as error:
            raise BadCall("a process ended before its time, for want of memory perhaps; --jobs 1 needs less") from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _noted_interrupt() -> Iterator[threading.Event]:
    """Notes Ctrl-C instead of raising it, which is lost where it meets what the pool does behind the scenes. A second one raises."""
    noted = threading.Event()
    usual = signal.getsignal(signal.SIGINT)

    def note(_number: int, _frame: FrameType | None) -> None:
        if noted.is_set():
            raise KeyboardInterrupt
        noted.set()

    if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
        yield noted  # whoever takes care of interrupts goes on doing so
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, usual)


def _outcomes(paths: list[Path]) -> list[Outcome]:
    (request,) = _asked
    return [outcome_at(path, request) for path in paths]


def _start(request: Request) -> None:
    import multiprocessing

    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the first one ends the others
    _asked[:] = [request]
    parent = multiprocessing.parent_process()
    if parent is not None:  # one that is killed cannot end them
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
