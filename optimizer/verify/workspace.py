"""What a run makes, under a name of its own, and how it is removed however the run ends."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType, TracebackType

from optimizer.verify.engines import Engine
from optimizer.verify.errors import CannotTell, Interrupted
from optimizer.verify.progress import Progress

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_SCRATCH, _STORAGE = 256 << 20, 2 << 30  # bytes that must be free for temporary files, and for images


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it, Ctrl-C and the signals to end raise ``Interrupted``, once: further ones do not disturb the cleaning up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    before = {each: signal.signal(each, stop) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class Workspace:
    """A run's temporary folder, images and containers; a context manager that removes them.

    ``name`` is the run's own, also beside others at the same time; ``folder`` its temporary folder; ``engine`` the engine.
    """

    def __init__(self, engine: Engine, progress: Progress) -> None:
        self.name = f"dopt-verify-{os.getpid()}-{secrets.token_hex(4)}"
        self.progress = progress
        self._given = engine

    def __enter__(self) -> Workspace:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.engine = replace(self._given, folder=self.folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        main = threading.current_thread() is threading.main_thread()
        before = {each: signal.signal(each, signal.SIG_IGN) for each in _SIGNALS} if main else {}
        try:
            self.progress.clear()
            if (left := self.engine.clean(self.name)) is not None:
                self.progress.say(left)
            shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def check_disk(self, context_bytes: int = 0) -> None:
        """Raise CannotTell when there is too little room to build.

        Args:
            context_bytes: The size of the build context, of which a copy is made.
        """
        places = [(self.folder, _SCRATCH + context_bytes + (0 if self.engine.runs else _STORAGE))]
        if (storage := self.engine.storage()) is not None:
            places.append((storage, _STORAGE))
        for place, needed in places:
            free = shutil.disk_usage(place).free
            if free < needed:
                raise CannotTell(f"{free / 1e9:.1f} GB free in {place}, and {needed / 1e9:.1f} GB are needed to build")

    def tag(self, what: str) -> str:
        """The name of an image of this run."""
        return f"{self.name}:{what}"

    def write(self, name: str, text: bytes, ignore: bytes | None) -> Path:
        """A Dockerfile in the temporary folder, with its ignore file beside it. ``ignore``: None without one."""
        path = self.folder / f"{name}.Dockerfile"
        path.write_bytes(text)
        beside = path.with_name(f"{path.name}.dockerignore")
        if ignore is None:
            beside.unlink(missing_ok=True)
        else:
            beside.write_bytes(ignore)
        return path
