"""Markdown for a comment on a pull request or the summary of a job (``$GITHUB_STEP_SUMMARY``)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.engine import Finding, Rewrite
from optimizer.passes import Safety
from optimizer.report.formats import Entry, Report
from optimizer.report.page import fence
from optimizer.report.summary import finding_lines, place, reasons, refused_line

_LONGEST = 60_000  # characters: GitHub takes 65,536 in a comment
_SPECIAL = re.compile(r"[\\`*_\[\]#|~$]")


def render(report: Report) -> str:
    """Each Dockerfile with its rewrites, evidence and refusals, and the diffs, as long as they fit into a comment."""
    text = _page(report, diffs=True)
    return text if len(text) <= _LONGEST else _page(report, diffs=False)


def _page(report: Report, *, diffs: bool) -> str:
    told = [entry for entry in report.entries if entry.tells]
    parts = ["## dopt", *([_escaped(report.summary)] if report.summary else [])]
    if report.errors:
        parts.append("\n".join(["### Not done", "", *(f"- {_escaped(str(error))}" for error in report.errors)]))
    for entry in sorted(told, key=lambda entry: not entry.changed):
        parts += _entry(entry, diffs=diffs)
    if not diffs:
        parts.append("The diffs are too long to be shown here: `dopt fix --diff` prints them.")
    return "\n\n".join(parts) + "\n"


def _entry(entry: Entry, *, diffs: bool) -> Iterator[str]:
    yield f"### {_escaped(entry.name)}"
    if entry.note:
        yield _escaped(entry.note)
    if entry.result.rewrites:
        yield "\n".join(line for rewrite in entry.result.rewrites for line in _rewrite(rewrite))
    if entry.result.findings:
        yield "\n".join(["To mend by hand:", "", *(line for finding in entry.result.findings for line in _finding(finding))])
    if diffs and entry.changed:
        yield f"<details><summary>Diff</summary>\n\n{fence('diff', entry.diff())}\n</details>"
    refusals = entry.result.refusals
    if refusals:
        lines = [f"- line {refused.line}, `{refused.pass_name}`: {_escaped(refused_line(refused))}" for refused in refusals]
        yield f"<details><summary>Not done: {len(refusals)}</summary>\n\n" + "\n".join(lines) + "\n\n</details>"


def _rewrite(rewrite: Rewrite) -> Iterator[str]:
    unsafe = "" if rewrite.safety is Safety.SAFE else " **(unsafe)**"
    yield f"- **{rewrite.pass_name}**, {place(rewrite)}: {_escaped(rewrite.summary)}{unsafe}"
    yield from (f"  - {_escaped(reason)}" for reason in reasons(rewrite))


def _finding(finding: Finding) -> Iterator[str]:
    message, reason = finding_lines(finding)
    yield f"- **{finding.check}**, line {finding.line}: {_escaped(message)}"
    yield f"  - {_escaped(reason)}"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line, and in which GitHub finds nobody to notify."""
    html = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\g<0>", html).replace("@", "@<!-- -->")
