"""Applies one change at a time, until nothing changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optimizer.engine.ignores import why_ignored
from optimizer.engine.invariants import broken
from optimizer.engine.result import Finding, Options, Refused, Result, Rewrite
from optimizer.model import Model
from optimizer.passes import PASSES
from optimizer.passes.base import Change, IgnoreFile, Pass, Refusal, Safety
from optimizer.syntax import Dockerfile, parse

if TYPE_CHECKING:
    from optimizer.checks import Check
    from optimizer.context.folder import BuildContext

MAX_ROUNDS = 20
MAX_CHANGES = 500
"""Bounds of a run that does not settle: rounds over all passes, and changes of one pass in a round, besides one for each node."""


def run(source: str | Dockerfile, context: BuildContext | None, options: Options, passes: Sequence[Pass] = PASSES) -> Result:
    """Rewrite one Dockerfile.

    Args:
        source: Its text, or what ``parse`` made of it.
        context: The build context, None when there is none: then only what the text alone proves is done.
        options: What may be done.
        passes: The passes, in order.
    """
    file = parse(source) if isinstance(source, str) else source
    if file.problems:
        return Result(file.text, file.text, problems=file.problems)
    chosen = [rewriter for rewriter in passes if _wanted(rewriter.name, options, rewriter.on_request)]
    job = _Job(file, context, options)
    for _ in range(MAX_ROUNDS):
        job.refusals.clear()
        made = [rewriter.name for rewriter in chosen if rewriter.name not in job.stopped and job.exhaust(rewriter)]
        if not made:
            break
    else:
        job.faults.append(Refused(made[-1], f"stopped: the text has not settled after {MAX_ROUNDS} rounds", 1, fault=True))
    findings = job.findings(_checks(options)) if options.tell else ()
    refusals = {**dict.fromkeys(job.faults), **dict.fromkeys(job.refusals)}
    by_line = tuple(sorted(refusals, key=lambda refused: refused.line))
    return Result(file.text, job.file.text, tuple(job.rewrites), by_line, ignore_file=job.ignore_file, findings=findings)


def _checks(options: Options) -> list[Check]:
    from optimizer.checks import CHECKS

    return [check for check in CHECKS if _wanted(check.name, options)]


def _wanted(name: str, options: Options, on_request: bool = False) -> bool:
    if name in options.ignore:
        return False
    return name in options.also or (not on_request if options.select is None else name in options.select)


class _Job:
    """The Dockerfile on its way: the tree now, and which nodes of the source each of its nodes came from."""

    def __init__(self, file: Dockerfile, context: BuildContext | None, options: Options) -> None:
        self.original = self.file = file
        self.context = context
        self.options = options
        self.model = self.model_of(file)
        self.origins = [frozenset({i}) for i in range(len(file.nodes))]
        self.seen = {file.text}
        self.ignore_file: IgnoreFile | None = None
        self.rewrites: list[Rewrite] = []
        self.refusals: list[Refused] = []
        self.faults: list[Refused] = []
        self.dropped: set[tuple[str, str]] = set()
        self.stopped: set[str] = set()
        self.settled: dict[str, tuple[Model, list[Refused]]] = {}
        """For each pass that had nothing left to do: the facts that it saw, and what it refused."""

    def model_of(self, file: Dockerfile) -> Model:
        return Model(file, self.context, self.options.target, self.options.runtime, self.options.digests)

    def exhaust(self, rewriter: Pass) -> bool:
        """Apply one pass until it has nothing left to do; whether it made a change.

        A pass that raises is not asked again: its exception becomes a fault, the text stays as it was before.
        """
        seen, refusals = self.settled.get(rewriter.name, (None, []))
        if seen is self.model:  # a pass is pure: asked again, it would say the same
            self.refusals.extend(refusals)
            return False
        made = 0
        try:
            while self.step(rewriter):
                made += 1
                if made == MAX_CHANGES + len(self.original.nodes):
                    self.stop(rewriter, f"stopped: it still has changes after {made}")
                    break
        except Exception as error:  # whatever a pass does, the file must not be lost
            self.stop(rewriter, f"stopped: it raised {type(error).__name__}: {error}")
        return made > 0

    def stop(self, rewriter: Pass, reason: str) -> None:
        self.stopped.add(rewriter.name)
        self.faults.append(Refused(rewriter.name, reason, 1, fault=True))

    def step(self, rewriter: Pass) -> bool:
        """Apply the first change of a pass that is allowed; the refusals of a pass with none left are kept."""
        refusals: list[Refused] = []
        if self.options.limit is not None and len(self.rewrites) >= self.options.limit:
            return False
        for found in rewriter.changes(self.model):
            if not self.counts((found.position,) if isinstance(found, Refusal) else found.touched):
                continue
            if isinstance(found, Refusal):
                refusals.append(Refused(rewriter.name, found.reason, self.lines((found.position,))[0]))
                continue
            lines = self.lines(found.touched)
            line = lines[0]
            if (rewriter.name, lines, found.summary) in self.options.drop:
                refusals.append(Refused(rewriter.name, f"{found.summary}: dropped", line))
            elif (why := self.ignored(rewriter.name, found.mends or rewriter.mends, found.touched)) is not None:
                refusals.append(Refused(rewriter.name, f"{found.summary}: {why}", line))
            elif found.safety is Safety.UNSAFE and not self.options.unsafe:
                refusals.append(Refused(rewriter.name, f"{found.summary}: only if {found.assumption}", line, available=True))
            elif (rewriter.name, found.file.text) not in self.dropped and self.apply(rewriter, found):
                return True
        self.settled[rewriter.name] = self.model, refusals
        self.refusals.extend(refusals)
        return False

    def apply(self, rewriter: Pass, change: Change) -> bool:
        lines = self.lines(change.touched)
        if change.ignore_file is not None and self.context is not None:
            return self.apply_ignore_file(rewriter, change, change.ignore_file, lines)
        after = self.model_of(change.file)
        fault = self.fault(rewriter, after)
        if fault is not None:
            self.dropped.add((rewriter.name, change.file.text))
            self.faults.append(Refused(rewriter.name, f"{change.summary}: dropped, {fault}", lines[0], fault=True))
            return False
        self.rewrites.append(Rewrite(rewriter.name, change.summary, change.evidence, change.safety, change.assumption, lines))
        self.origins = _carry(self.file, change.file, self.origins, change.touched)
        self.file, self.model = change.file, after
        self.seen.add(change.file.text)
        return True

    def apply_ignore_file(self, rewriter: Pass, change: Change, new: IgnoreFile, lines: tuple[int, int]) -> bool:
        """Take over a new ignore file: from here on the context is what it lets through."""
        assert self.context is not None
        self.rewrites.append(Rewrite(rewriter.name, change.summary, change.evidence, change.safety, change.assumption, lines))
        self.ignore_file = replace(new, before=self.ignore_file.before) if self.ignore_file else new
        self.context = self.context.with_patterns(new.patterns, new.path, new.text)
        self.model = self.model_of(self.file)
        return True

    def fault(self, rewriter: Pass, after: Model) -> str | None:
        """Why a change must not be made although its pass says so, None when nothing speaks against it."""
        if after.file.text == self.file.text:
            return "it changes nothing"
        if after.file.text in self.seen:
            return "it brings back an earlier text"
        return broken(self.model, after, rewriter.alters)

    def lines(self, positions: tuple[int, ...]) -> tuple[int, int]:
        """First and last line, in the source, of what the nodes at these indices came from."""
        origins = frozenset().union(*(self.origins[p] for p in positions)) if positions else frozenset({0})
        if not origins:
            return (1, 1)
        return self.original.line(min(origins)), self.original.last_line(max(origins))

    def counts(self, positions: tuple[int, ...]) -> bool:
        """Whether the nodes at these indices have to do with a line that counts.

        They came from it, or lines went from between what they came from.
        """
        if self.options.changed is None:
            return True
        hull = self.lines(positions)
        parts = [(self.original.line(o), self.original.last_line(o)) for p in positions for o in self.origins[p]]
        return any(
            start <= last and first <= end for first, last in self.options.changed for start, end in (parts if first <= last else [hull])
        )

    def ignored(self, name: str, rules: Sequence[str], touched: tuple[int, ...]) -> str | None:
        """Why a change or finding is ignored, None when nothing keeps it."""
        return why_ignored(self.file, name, rules, touched, self.options.rules_off)

    def findings(self, checks: Sequence[Check]) -> tuple[Finding, ...]:
        """What is told of the text as it is now, by line of the source."""
        found = []
        for check in checks:
            try:
                seen = [each for each in check.observations(self.model) if self.tells(check, each.position)]
            except Exception as error:  # whatever a check does, what was rewritten must not be lost
                self.faults.append(Refused(check.name, f"stopped: it raised {type(error).__name__}: {error}", 1, fault=True))
                continue
            reason = self.reason(check)
            found += [Finding(check.name, each.message, self.lines((each.position,))[0], reason, check.rules) for each in seen]
        return tuple(sorted(dict.fromkeys(found), key=lambda each: each.line))

    def tells(self, check: Check, position: int) -> bool:
        """Whether what a check says of the node at an index is told."""
        return self.counts((position,)) and self.ignored(check.name, check.rules, (position,)) is None

    def reason(self, check: Check) -> str:
        """Why what a check tells is not mended."""
        return next((refused.reason for refused in self.refusals if refused.pass_name == check.left_by), check.reason)


def _carry(old: Dockerfile, new: Dockerfile, origins: list[frozenset[int]], touched: tuple[int, ...]) -> list[frozenset[int]]:
    """Origins of the new tree's nodes: a node taken over keeps its own, a new one comes from the touched ones.

    A node is taken over when it is the same object, else when it has the text of an old one that is gone, in order.
    """
    kept = {id(node) for node in new.nodes}
    same = {id(node): origins[i] for i, node in enumerate(old.nodes)}
    gone: dict[str, deque[frozenset[int]]] = {}
    for i, node in enumerate(old.nodes):
        if id(node) not in kept:
            gone.setdefault(node.text, deque()).append(origins[i])
    fallback = frozenset().union(*(origins[p] for p in touched)) if touched else frozenset[int]()
    found = []
    for node in new.nodes:
        alike = gone.get(node.text)
        found.append(same[id(node)] if id(node) in same else alike.popleft() if alike else fallback)
    return found
