"""What was done to a file and why, and the counts at the end."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from optimizer.engine import Finding, Refused, Result, Rewrite
from optimizer.passes import Safety
from optimizer.report.style import Paint


def describe(path: str, result: Result, paint: Paint, *, verbose: bool = False) -> Iterator[str]:
    """The lines that tell what was done to a file, and what is wrong and stays; none where there is nothing to tell.

    Args:
        path: The file's path, as it is shown.
        result: What was done.
        paint: Colours.
        verbose: Whether refusals and their reasons are told, too; defects of dopt always are.
    """
    refusals = [refused for refused in result.refusals if verbose or refused.fault]
    if not result.rewrites and not refusals and not result.findings:
        return
    yield paint(path, bold=True)
    names = [rewrite.pass_name for rewrite in result.rewrites]
    names += [refused.pass_name for refused in refusals] + [finding.check for finding in result.findings]
    places = [_lines(rewrite) for rewrite in result.rewrites]
    places += [str(refused.line) for refused in refusals] + [str(finding.line) for finding in result.findings]
    widths = max(map(len, places)), max(map(len, names))
    for rewrite, place in zip(result.rewrites, places, strict=False):
        yield from _rewrite(rewrite, place, widths, paint)
    for refused in refusals:
        yield _refusal(refused, widths, paint)
    for finding in result.findings:
        yield from _finding(finding, widths, paint)


def _rewrite(rewrite: Rewrite, place: str, widths: tuple[int, int], paint: Paint) -> Iterator[str]:
    safe = rewrite.safety is Safety.SAFE
    safety = paint("safe", fg="green") if safe else paint(f"unsafe: only if {rewrite.assumption}", fg="yellow")
    yield f"  {place:>{widths[0]}}  {paint(f'{rewrite.pass_name:<{widths[1]}}', fg='cyan')}  {rewrite.summary} [{safety}]"
    for fact in rewrite.evidence:
        yield " " * (widths[0] + 6) + paint(fact, dim=True)


def _refusal(refused: Refused, widths: tuple[int, int], paint: Paint) -> str:
    said = paint("defect of dopt, please report", fg="red") if refused.fault else paint("not done", fg="yellow")
    unsafe = " (--unsafe does it)" if refused.available else ""
    return f"  {refused.line:>{widths[0]}}  {paint(f'{refused.pass_name:<{widths[1]}}', fg='cyan')}  {said}: {refused.reason}{unsafe}"


def _finding(finding: Finding, widths: tuple[int, int], paint: Paint) -> Iterator[str]:
    rules = f" ({', '.join(finding.rules)})" if finding.rules else ""
    name = paint(f"{finding.check:<{widths[1]}}", fg="cyan")
    yield f"  {finding.line:>{widths[0]}}  {name}  {paint('stays', fg='yellow')}: {finding.message}{rules}"
    yield " " * (widths[0] + 6) + paint(f"not mended: {finding.reason}", dim=True)


def _lines(rewrite: Rewrite) -> str:
    first, last = rewrite.lines
    return str(first) if first == last else f"{first}-{last}"


def place(rewrite: Rewrite) -> str:
    """Where a rewrite was made, in words."""
    first, last = rewrite.lines
    return f"line {first}" if first == last else f"lines {first}-{last}"


def reasons(rewrite: Rewrite) -> tuple[str, ...]:
    """What must hold for an unsafe rewrite, and its evidence, one fact an item."""
    return (*([f"Only if {rewrite.assumption}"] if rewrite.assumption else []), *rewrite.evidence)


def refused_line(refused: Refused) -> str:
    """Why a rewrite was not made, as a sentence."""
    said = "Defect of dopt, please report" if refused.fault else "Not done"
    return f"{said}: {refused.reason}{' (--unsafe does it)' if refused.available else ''}"


class Totals(Struct):
    """Counts over all files: files rewritten, rewrites, refusals, those of them that ``--unsafe`` would do, and findings."""

    files: int = 0
    changed: int = 0
    rewrites: int = 0
    refusals: int = 0
    available: int = 0
    findings: int = 0

    def add(self, result: Result) -> None:
        """Count a file's result."""
        self.files += 1
        self.changed += result.changed or result.ignore_file is not None
        self.rewrites += len(result.rewrites)
        self.refusals += sum(not refused.fault for refused in result.refusals)
        self.available += sum(refused.available for refused in result.refusals)
        self.findings += len(result.findings)

    def line(self, *, written: bool, verbose: bool) -> str:
        """The counts as a line. ``written``: whether files were rewritten, or only would be."""
        done = "rewritten" if written else "would be rewritten"
        parts = [f"{counted(self.changed, 'file')} of {self.files} {done}, {counted(self.rewrites, 'rewrite')}"]
        if self.refusals:
            parts.append(counted(self.refusals, "refusal") + ("" if verbose else " (-v says why)"))
        if self.available:
            parts.append(f"--unsafe does {self.available} more")
        if self.findings:
            parts.append(f"{counted(self.findings, 'finding')} to mend by hand")
        return "; ".join(parts)


def finding_lines(finding: Finding) -> tuple[str, str]:
    """What is wrong and stays, and why."""
    rules = f" ({', '.join(finding.rules)})" if finding.rules else ""
    return f"{finding.message}{rules}", f"Not mended: {finding.reason}"


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
