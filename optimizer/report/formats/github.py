"""Workflow commands of GitHub Actions, which become annotations of the lines of a pull request."""

from __future__ import annotations

import os
from collections.abc import Iterator

from optimizer.report.formats import Entry, Report
from optimizer.report.summary import finding_lines, reasons, refused_line


def render(report: Report) -> str:
    """A warning for each rewrite, a notice for each finding, an error for each file that could not be done, and the counts.

    Refusals are notices, too, and only where the report is verbose: GitHub shows ten of a kind for each step.
    """
    lines = [line for entry in report.entries for line in _entry(entry, report)]
    for error in report.errors:
        place = {"line": error.line or 1, **({"col": error.column} if error.column else {})}
        lines.append(_command("error", "dopt", error.reason, error.path, **place))
    return "".join(f"{line}\n" for line in [*lines, *([report.summary] if report.summary else [])])


def _entry(entry: Entry, report: Report) -> Iterator[str]:
    for rewrite in entry.result.rewrites:
        first, last = rewrite.lines
        message = "\n".join([rewrite.summary, *reasons(rewrite)])
        yield _command("warning", f"dopt {rewrite.pass_name}", message, entry.name, line=first, endLine=last)
    for refused in entry.result.refusals:
        if refused.fault or report.verbose:
            kind = "warning" if refused.fault else "notice"
            yield _command(kind, f"dopt {refused.pass_name}", refused_line(refused), entry.name, line=refused.line)
    for finding in entry.result.findings:
        yield _command("notice", f"dopt {finding.check}", "\n".join(finding_lines(finding)), entry.name, line=finding.line)


def _command(kind: str, title: str, message: str, path: str, **place: int) -> str:
    """A command, escaped as the runner unescapes it (``ActionCommand.cs`` of actions/runner)."""
    properties = {"file": _from_workspace(path), **{name: str(number) for name, number in place.items()}, "title": title}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{kind} {listed}::{_data(message)}"


def _from_workspace(path: str) -> str:
    """A path as GitHub knows it: relative to the folder that the repository was checked out into, where that is known."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if workspace and not path.startswith("<"):
        relative = os.path.relpath(path, workspace)
        path = path if relative.startswith(os.pardir) else relative
    return path.replace(os.sep, "/")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
