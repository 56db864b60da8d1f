"""What a proof found out: as a table for the terminal, and as values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from msgspec import Struct

from optimizer.engine import Rewrite
from optimizer.report.style import Paint
from optimizer.report.summary import place
from optimizer.verify.bisect import Dropped
from optimizer.verify.verdict import Difference, Figures, Verdict


class Checked(Struct, frozen=True):
    """One Dockerfile that was to be proved.

    Args:
        name: What people call it.
        verdict: What was found out, None when there was nothing left to prove.
        rewrites: The rewrites that are proved, empty when two files were given.
        dropped: Those that break.
        note: What else there is to say.
        diff: The change as a unified diff.
    """

    name: str
    verdict: Verdict | None
    rewrites: tuple[Rewrite, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    note: str = ""
    diff: str = ""


class Row(Struct, frozen=True):
    """One figure before and after, as people read it; ``ratio`` is after through before, None when one is missing."""

    title: str
    before: str
    after: str
    ratio: float | None
    values: tuple[float | None, float | None]


def rows(verdict: Verdict) -> list[Row]:
    """The figures of a verdict: size, layers, seconds without a cache, seconds after an edit."""
    after = verdict.after or Figures(0, 0)
    known = verdict.after is not None
    return [
        _row("size (MB)", verdict.before.size / 1e6, after.size / 1e6 if known else None, 1),
        _row("layers", verdict.before.layers, after.layers if known else None, 0),
        _row("build without a cache (s)", verdict.before.cold, after.cold, 1),
        _row("build after an edit (s)", verdict.before.rebuild, after.rebuild, 1),
    ]


def _row(title: str, before: float | None, after: float | None, digits: int) -> Row:
    words = ["-" if value is None else f"{value:,.{digits}f}" for value in (before, after)]
    ratio = after / before if before and after is not None else None
    return Row(title, words[0], words[1], ratio, (before, after))


def proof_lines(checked: Checked, paint: Paint, *, verbose: bool = False) -> Iterator[str]:
    """The lines that tell what a proof found out.

    Args:
        checked: What was found out.
        paint: Colours.
        verbose: Whether every expected difference is told, and not one for each reason.
    """
    verdict = checked.verdict
    if verdict is None:
        yield f"{paint(checked.name, bold=True)}: {paint('nothing left to prove', fg='yellow')}"
    else:
        said = paint("proved", fg="green") if verdict.proved else paint("NOT proved", fg="red", bold=True)
        yield f"{paint(checked.name, bold=True)}: {said} with {verdict.engine}"
    for dropped in checked.dropped:
        yield f"  {paint('dropped', fg='yellow')} {dropped_line(dropped)}"
    if checked.note:
        yield f"  {paint('note', fg='yellow')} {checked.note}"
    if verdict is not None:
        yield from _verdict(verdict, paint, verbose=verbose)


def dropped_line(dropped: Dropped) -> str:
    """Which rewrite was left out, and why."""
    return f"{dropped.rewrite.pass_name}, {place(dropped.rewrite)}: {dropped.rewrite.summary}: {dropped.reason}"


def _verdict(verdict: Verdict, paint: Paint, *, verbose: bool) -> Iterator[str]:
    for problem in verdict.problems:
        yield f"  {paint('broken', fg='red')} {problem}"
    table = rows(verdict)
    words = [("", "before", "after"), *((row.title, row.before, row.after) for row in table)]
    width, first, second = (max(map(len, column)) for column in zip(*words, strict=True))
    yield f"  {'':<{width}}  {'before':>{first}}  {'after':>{second}}"
    for row in table:
        change = "" if row.ratio is None else f"  {paint(f'{(row.ratio - 1) * 100:+.0f}%', fg='green' if row.ratio <= 1 else 'yellow')}"
        yield f"  {row.title:<{width}}  {row.before:>{first}}  {row.after:>{second}}{change}"
    if verdict.smoke:
        yield f"  smoke test: {verdict.smoke}"
    if verdict.edited:
        yield f"  edited for the second build: {verdict.edited}"
    for note in verdict.notes:
        yield f"  {paint('note', fg='yellow')} {note}"
    yield from _differences(verdict.differences, paint, verbose=verbose)


def _differences(differences: tuple[Difference, ...], paint: Paint, *, verbose: bool) -> Iterator[str]:
    unexpected = [each for each in differences if not each.expected]
    expected = [each for each in differences if each.expected]
    yield f"  {len(unexpected)} unexpected and {len(expected)} expected differences of configuration and files"
    for each in unexpected:
        yield f"    {paint('unexpected', fg='red')} {each}"
    if verbose:
        yield from (paint(f"    {each} ({each.expected})", dim=True) for each in expected)
        return
    reasons: dict[str, list[Difference]] = {}
    for each in expected:
        reasons.setdefault(each.expected, []).append(each)
    for reason, those in reasons.items():
        more = sum(each.count for each in those[1:])
        yield paint(f"    {reason}: {those[0]}" + (f", and {more} more" if more else ""), dim=True)


def proof_values(all_checked: Iterable[Checked]) -> dict[str, Any]:
    """Everything as values that JSON knows."""
    return {"version": 1, "proofs": [_values(each) for each in all_checked]}


def _values(checked: Checked) -> dict[str, Any]:
    verdict = checked.verdict
    return {
        "name": checked.name,
        "proved": None if verdict is None else verdict.proved,
        "note": checked.note,
        "rewrites": [_rewrite(each) for each in checked.rewrites],
        "dropped": [{**_rewrite(each.rewrite), "reason": each.reason} for each in checked.dropped],
        "verdict": None if verdict is None else asdict(verdict),
        "diff": checked.diff,
    }


def _rewrite(rewrite: Rewrite) -> dict[str, Any]:
    return {"pass": rewrite.pass_name, "lines": list(rewrite.lines), "summary": rewrite.summary, "evidence": list(rewrite.evidence)}
