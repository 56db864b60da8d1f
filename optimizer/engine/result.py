"""What a run gives back: the new text, what was rewritten and why, what was not and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from optimizer.model.runtime import Runtime
from optimizer.passes.base import IgnoreFile, Safety
from optimizer.syntax import Problem

if TYPE_CHECKING:
    from dockerfile_parse import DockerfileParser

Lines = tuple[int, int]
"""First and last line, from 1. The span between lines n and n + 1 is ``(n + 1, n)``."""
RewriteKey = tuple[str, tuple[int, int], str]
"""What tells a rewrite from the others of a run: the pass's name, first and last line in the source, and the summary."""


class Options(Struct, frozen=True):
    """What a run may do.

    Args:
        select: Names of the passes and checks to run, None for all.
        ignore: Names of passes and checks to leave out.
        also: Names of passes to run that run only on request; those in ``select`` need not be here.
        unsafe: Whether changes that rest on an assumption are made.
        target: The stage that is built (``docker build --target``), None for the last.
        runtime: What the final stage shall run on.
        drop: Rewrites that are not made, by ``Rewrite.key``.
        limit: How many rewrites are made at most, the first ones; None for all.
        tell: Whether ``Result.findings`` is found out.
        changed: The lines of the source that count: what touches none of them is neither done nor told. None for all.
        rules_off: Rules of hadolint (``DL…``) that are switched off: what they ask for is neither done nor told.
        digests: What a registry says of images, for ``pin-digests``: reference as written to ``sha256:…``.
    """

    select: frozenset[str] | None = None
    ignore: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()
    unsafe: bool = False
    target: str | None = None
    runtime: Runtime = Runtime.SLIM
    drop: frozenset[RewriteKey] = frozenset()
    limit: int | None = None
    tell: bool = True
    rules_off: frozenset[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[Lines, ...] | None = None


class Rewrite(Struct, frozen=True):
    """A change that was made. ``lines`` are the first and last line, from 1, in the source that was given."""

    pass_name: str
    summary: str
    evidence: tuple[str, ...]
    safety: Safety
    assumption: str
    lines: tuple[int, int]

    @property
    def key(self) -> RewriteKey:
        """What ``Options.drop`` knows it by; the same in every run over the same source."""
        return self.pass_name, self.lines, self.summary


class Refused(Struct, frozen=True):
    """A change that was not made, at a line of the source that was given.

    ``available`` is True where ``--unsafe`` would make it; ``fault`` is True where a pass broke an invariant and its
    change was dropped: a defect of dopt, worth reporting.
    """

    pass_name: str
    reason: str
    line: int
    available: bool = False
    fault: bool = False


class Finding(Struct, frozen=True):
    """Something that is told and not mended, at a line of the source that was given.

    Args:
        check: The check that tells it.
        message: What it is.
        line: From 1.
        reason: Why it is not mended.
        rules: Rules of hadolint and checks of BuildKit that say the same.
    """

    check: str
    message: str
    line: int
    reason: str
    rules: tuple[str, ...] = ()


class Result(Struct, frozen=True):
    """The outcome for one Dockerfile.

    Args:
        source: The text that was given.
        text: The text now; equal to ``source`` when nothing was done.
        rewrites: What was done, in order.
        refusals: What was considered and not done, by line.
        problems: What BuildKit rejects in the source; when there are any, nothing is rewritten.
        ignore_file: The build context's ignore file as the rewrites expect it, None when it stays as it is. It belongs
            to the new text: whoever writes the one writes the other.
        findings: What is wrong with the new text and not mended, by line of the source; empty where ``Options.tell`` is False.
    """

    source: str
    text: str
    rewrites: tuple[Rewrite, ...] = ()
    refusals: tuple[Refused, ...] = ()
    problems: tuple[Problem, ...] = ()
    ignore_file: IgnoreFile | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the text is another."""
        return self.text != self.source

    def diff(self, path: str = "Dockerfile") -> str:
        """A unified diff from source to text, as ``git apply`` takes it; empty when nothing changed.

        Args:
            path: The file's path relative to the folder in which the diff will be applied.
        """
        from optimizer.engine.diff import unified_diff

        return unified_diff(self.source, self.text, path)

    def dockerfile_parser(self, path: str | None = None) -> DockerfileParser:
        """The new text as a ``dockerfile_parse.DockerfileParser`` (in memory; ``path`` None makes no file)."""
        from optimizer.engine.interchange import to_dockerfile_parser

        return to_dockerfile_parser(self.text, path)
