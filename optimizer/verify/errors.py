"""What can go wrong with a proof, other than that it fails."""

from __future__ import annotations


class CannotTell(Exception):
    """Nothing can be said about the rewrite: the reason, in one line. Nothing was written."""


class NoEngine(CannotTell):
    """No engine answers, or it stopped answering."""


class BuildFailed(Exception):
    """An image was not built. ``reason``: one line; ``log``: the end of what the engine said."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.log = log


class TimeLimit(Exception):
    """A command took longer than it may. ``seconds``: the limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took longer than {seconds:g} s")
        self.seconds = seconds


class Interrupted(BaseException):
    """A signal asked to stop. ``signal``: its number."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal
