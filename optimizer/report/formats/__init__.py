"""What a run found out, in the formats that other programs and pages take; one module a format, imported when chosen."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from optimizer.engine import Result
from optimizer.files import InputError
from optimizer.report.diff import git_path

FORMATS = ("json", "sarif", "github", "markdown", "html")


class Entry(Struct, frozen=True):
    """One Dockerfile that could be done.

    Args:
        name: Its path as people see it; ``<stdin>`` for standard input without a name.
        result: What came of it.
        note: What there is to know besides, such as the build context that was found; empty for nothing.
        ignore_path: Where its ignore file lies, relative to the current folder; empty where that stays as it is.
        singles: For each rewrite, in order, what comes of it by itself: None where it is possible only behind another.
    """

    name: str
    result: Result
    note: str
    ignore_path: str
    singles: Callable[[], tuple[Result | None, ...]]

    @property
    def nameless(self) -> bool:
        """Whether it came from standard input, and nobody said where it would lie."""
        return self.name.startswith("<")

    @property
    def changed(self) -> bool:
        """Whether the Dockerfile or its ignore file is another."""
        return self.result.changed or self.result.ignore_file is not None

    @property
    def tells(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.changed or self.result.refusals or self.result.findings)

    def diff(self) -> str:
        """What changes, as a unified diff: the ignore file, then the Dockerfile."""
        from optimizer.engine.diff import unified_diff

        new = self.result.ignore_file
        ignored = "" if new is None else unified_diff(new.before or "", new.text, self.ignore_path, created=new.before is None)
        return ignored + self.result.diff("Dockerfile" if self.nameless else git_path(self.name))


class Report(Struct, frozen=True):
    """A run over Dockerfiles.

    Args:
        entries: What came of each that could be done, in order.
        errors: What is wrong with those that could not, and with the paths.
        written: Whether files were rewritten, or only would be.
        verbose: Whether refusals are told where they would crowd out the rest.
        summary: The counts as a line; empty when there was nothing to count.
    """

    entries: tuple[Entry, ...]
    errors: tuple[InputError, ...]
    written: bool
    verbose: bool
    summary: str


def rendered(report: Report, name: str) -> str:
    """The report in the format of that name, one of ``FORMATS``."""
    match name:
        case "json":
            from optimizer.report.formats.json import render
        case "sarif":
            from optimizer.report.formats.sarif import render
        case "github":
            from optimizer.report.formats.github import render
        case "markdown":
            from optimizer.report.formats.markdown import render
        case "html":
            from optimizer.report.formats.html import render
        case _:
            raise ValueError(f"no format {name!r}")
    return render(report)
