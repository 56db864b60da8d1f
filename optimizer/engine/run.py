"""Applies one change at a time, until nothing changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optimizer.engine.invariants import broken
from optimizer.engine.result import Options, Refused, Result, Rewrite
from optimizer.model import Model
from optimizer.passes import PASSES
from optimizer.passes.base import Change, Pass, Refusal, Safety
from optimizer.syntax import Comment, Dockerfile, Instruction, parse

if TYPE_CHECKING:
    from optimizer.context.folder import BuildContext

MAX_ROUNDS = 20
MAX_CHANGES = 500
_IGNORE = re.compile(r"#\s*dopt:\s*ignore(-file)?\s*(?:\[([^\]]*)\])?", re.I)


def run(source: str, context: BuildContext | None, options: Options, passes: Sequence[Pass] = PASSES) -> Result:
    """Rewrite one Dockerfile.

    Args:
        source: Its text.
        context: The build context, None when there is none: then only what the text alone proves is done.
        options: What may be done.
        passes: The passes, in order.
    """
    file = parse(source)
    if file.problems:
        return Result(source, source, problems=file.problems)
    chosen = [p for p in passes if (options.select is None or p.name in options.select) and p.name not in options.ignore]
    job = _Job(file, context, options)
    for _ in range(MAX_ROUNDS):
        job.refusals.clear()
        made = sum([job.exhaust(rewriter) for rewriter in chosen])
        if not made:
            break
    refusals = {**dict.fromkeys(job.faults), **dict.fromkeys(job.refusals)}
    return Result(source, job.file.text, tuple(job.rewrites), tuple(sorted(refusals, key=lambda r: r.line)))


@dataclass
class _Job:
    """The Dockerfile on its way: the tree now, and which nodes of the source each of its nodes came from."""

    file: Dockerfile
    context: BuildContext | None
    options: Options
    rewrites: list[Rewrite] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)
    faults: list[Refused] = field(default_factory=list)
    dropped: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.original = self.file
        self.origins: list[frozenset[int]] = [frozenset({i}) for i in range(len(self.file.nodes))]
        self.model = self.model_of(self.file)

    def model_of(self, file: Dockerfile) -> Model:
        return Model(file, self.context, self.options.target)

    def exhaust(self, rewriter: Pass) -> int:
        """Apply one pass until it has nothing left to do; how many changes it made."""
        made = 0
        while made < MAX_CHANGES and self.step(rewriter):
            made += 1
        return made

    def step(self, rewriter: Pass) -> bool:
        """Apply the first change of a pass that is allowed; the refusals of a pass with none left are kept."""
        refusals: list[Refused] = []
        for found in rewriter.changes(self.model):
            if isinstance(found, Refusal):
                refusals.append(Refused(rewriter.name, found.reason, self.lines((found.position,))[0]))
                continue
            line = self.lines(found.touched)[0]
            if self.is_ignored(rewriter.name, found.touched):
                refusals.append(Refused(rewriter.name, f"{found.summary}: ignored by a comment", line))
            elif found.safety is Safety.UNSAFE and not self.options.unsafe:
                refusals.append(Refused(rewriter.name, f"{found.summary}: only if {found.assumption}", line, available=True))
            elif (rewriter.name, found.file.text) not in self.dropped:
                if self.apply(rewriter, found):
                    return True
        self.refusals.extend(refusals)
        return False

    def apply(self, rewriter: Pass, change: Change) -> bool:
        after = self.model_of(change.file)
        fault = broken(self.model, after, rewriter.alters) or ("it changes nothing" if change.file.text == self.file.text else None)
        lines = self.lines(change.touched)
        if fault is not None:
            self.dropped.add((rewriter.name, change.file.text))
            self.faults.append(Refused(rewriter.name, f"{change.summary}: dropped, {fault}", lines[0], fault=True))
            return False
        self.rewrites.append(Rewrite(rewriter.name, change.summary, change.evidence, change.safety, change.assumption, lines))
        self.origins = _carry(self.file, change.file, self.origins, change.touched)
        self.file, self.model = change.file, after
        return True

    def lines(self, positions: tuple[int, ...]) -> tuple[int, int]:
        """First and last line, in the source, of what the nodes at these indices came from."""
        origins = frozenset().union(*(self.origins[p] for p in positions)) if positions else frozenset({0})
        if not origins:
            return (1, 1)
        return self.original.line(min(origins)), self.original.last_line(max(origins))

    def is_ignored(self, name: str, touched: tuple[int, ...]) -> bool:
        return any(name in names or not names for names in self._ignores(touched))

    def _ignores(self, touched: tuple[int, ...]) -> list[frozenset[str]]:
        found = []
        for position, node in enumerate(self.file.nodes):
            match = _IGNORE.search(node.text) if isinstance(node, Comment) else None
            if match is None:
                continue
            names = frozenset(part.strip() for part in (match[2] or "").split(",") if part.strip())
            target = next((p for p in self.file.positions if p > position), None)
            if match[1] or target in touched:
                found.append(names)
        return found


def _carry(old: Dockerfile, new: Dockerfile, origins: list[frozenset[int]], touched: tuple[int, ...]) -> list[frozenset[int]]:
    """Origins of the new tree's nodes: a node taken over keeps its own, a new one comes from the touched ones."""
    by_identity = {id(node): origins[i] for i, node in enumerate(old.nodes)}
    fallback = frozenset().union(*(origins[p] for p in touched)) if touched else frozenset[int]()
    by_text = {node.text: origins[i] for i, node in enumerate(old.nodes) if isinstance(node, Instruction)}
    return [by_identity.get(id(node)) or by_text.get(node.text) or fallback for node in new.nodes]
