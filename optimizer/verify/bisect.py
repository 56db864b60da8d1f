"""Finds the rewrites that break, leaves them out, and keeps the rest: proved by a build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from optimizer.engine import Options, Result, Rewrite
from optimizer.verify.prover import Prover, Source
from optimizer.verify.verdict import Verdict

MAX_BUILDS = 40
"""Images that are built of one Dockerfile before what is proved by then is taken."""


@dataclass(frozen=True)
class Dropped:
    """A rewrite that was left out, and what it breaks."""

    rewrite: Rewrite
    reason: str


@dataclass(frozen=True)
class Proof:
    """What a Dockerfile may be rewritten to.

    Args:
        result: The rewrites that are proved, none when nothing is.
        verdict: What was found out about them, None when there is nothing left to prove.
        dropped: The rewrites that break, in the order in which they were found.
        note: Why more may have been left out than breaks, empty otherwise.
    """

    result: Result
    verdict: Verdict | None
    dropped: tuple[Dropped, ...] = ()
    note: str = ""


def prove(rewrite: Callable[[Options], Result], options: Options, prover: Prover, max_builds: int = MAX_BUILDS) -> Proof:
    """Rewrite a Dockerfile so that the result is proved to work.

    When the whole does not pass, the rewrites are made up to one and the next by halving, until the first is found behind
    which it no longer passes. That one is left out, and the whole is tried again without it.

    Args:
        rewrite: Rewrites the Dockerfile as the options say.
        options: What may be done.
        prover: Judges what comes out.
        max_builds: How many images are built at most.

    Raises:
        CannotTell: Nothing can be said.
    """
    search = _Search(rewrite, options, prover, max_builds)
    dropped: list[Dropped] = []
    while True:
        result = search.made()
        if not result.rewrites:
            return Proof(result, None, tuple(dropped))
        verdict = search.judge(result)
        if verdict.proved:
            return Proof(result, verdict, tuple(dropped))
        good, bad, reason = search.offender(len(result.rewrites), verdict)
        if bad - good > 1 or search.exhausted:
            return _cut_short(search, good, dropped)
        dropped.append(Dropped(result.rewrites[good], reason))
        prover.workspace.progress.say(f"{result.rewrites[good].summary} ({result.rewrites[good].pass_name}): dropped, {reason}")
        search.options = replace(search.options, drop=search.options.drop | {result.rewrites[good].key})


@dataclass
class _Search:
    rewrite: Callable[[Options], Result]
    options: Options
    prover: Prover
    max_builds: int

    @property
    def exhausted(self) -> bool:
        return self.prover.builds >= self.max_builds

    def made(self, limit: int | None = None) -> Result:
        return self.rewrite(replace(self.options, limit=limit))

    def judge(self, result: Result, *, cold: bool | None = None) -> Verdict:
        ignore = self.prover.before.ignore if result.ignore_file is None else result.ignore_file.text
        names = [each.pass_name for each in result.rewrites]
        return self.prover.judge(Source(result.text, ignore), tuple(dict.fromkeys(names)), cold=cold)

    def offender(self, bad: int, verdict: Verdict) -> tuple[int, int, str]:
        """Numbers of rewrites with which it passes and does not, one apart unless builds ran out, and what is wrong with the latter."""
        good, reason = 0, verdict.problems[0]
        while bad - good > 1 and not self.exhausted:
            middle = (good + bad) // 2
            verdict = self.judge(self.made(middle), cold=False)
            if verdict.proved:
                good = middle
            else:
                bad, reason = middle, verdict.problems[0]
        return good, bad, reason


def _cut_short(search: _Search, good: int, dropped: list[Dropped]) -> Proof:
    result = search.made(good)
    note = f"stopped after {search.prover.builds} builds: only the first {good} rewrites are proved, and only they are made"
    return Proof(result, search.judge(result, cold=False) if good else None, tuple(dropped), note)
