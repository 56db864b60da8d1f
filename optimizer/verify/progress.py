"""What is going on: one line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass, field
from typing import IO

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f\x7f]")


@dataclass
class Progress:
    """Says what is going on.

    Args:
        stream: Where to, None for nowhere.
        live: Whether it is a terminal, on which a line is written over.
    """

    stream: IO[str] | None
    live: bool = False
    _task: str = ""
    _since: float = field(default_factory=time.monotonic)

    def begin(self, task: str) -> None:
        """A task begins: ``building before, without a cache``."""
        self._task, self._since = task, time.monotonic()
        if self.live:
            self.line("")
        else:
            self._write(f"dopt: {task}\n")

    def line(self, text: str) -> None:
        """A line of a program's output; shown on a terminal only."""
        if not self.live:
            return
        shown = f"dopt: {self._task} ({time.monotonic() - self._since:.0f} s) {_CONTROL.sub(' ', text)}"
        self._write("\r\x1b[K" + shown[: shutil.get_terminal_size().columns - 1])

    def say(self, text: str) -> None:
        """Something that stays to be read."""
        self.clear()
        self._write(f"dopt: {text}\n")

    def clear(self) -> None:
        """Take the line that changes away."""
        if self.live:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        if self.stream is not None:
            self.stream.write(text)
            self.stream.flush()
