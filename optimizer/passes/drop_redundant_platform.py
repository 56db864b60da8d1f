"""Drop a --platform that says what is so anyway."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import on_one_line

_TARGET = re.compile(r"\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})")


class DropRedundantPlatform(Pass):
    """Drop a --platform that says what is so anyway.

    What it does
        Takes ``--platform=$TARGETPLATFORM`` off a FROM.

    Why
        A stage is built for the platform that the build is for, unless it says otherwise.

    When it refuses
        Where the Dockerfile gives TARGETPLATFORM a value of its own, and where the FROM is broken over lines.

    Safety
        Safe: it is the builder's default.
    """

    name = "drop-redundant-platform"
    alters = frozenset({Fact.BASES})
    mends = ("DL3065", "RedundantTargetPlatform")
    examples = (
        Rewrites("FROM --platform=$TARGETPLATFORM debian:bookworm\n", "FROM debian:bookworm\n"),
        Keeps("FROM --platform=$BUILDPLATFORM golang:1.22\n", because="the platform of the builder may be another"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            if not stage.platform or not _TARGET.fullmatch(stage.platform):
                continue
            node = model.file.instruction(stage.position)
            flag = next(each for each in node.flags if each.name == "platform")
            if model.global_state.args.get("TARGETPLATFORM") is not None:
                yield Refusal("--platform stays: an ARG gives TARGETPLATFORM a value of its own", stage.position)
            elif len(node.flags) > 1 or not on_one_line(node):
                yield Refusal("--platform stays: FROM is broken over lines, or has it twice", stage.position)
            else:
                start, end = flag.start, flag.end
                while node.text[end] in " \t":
                    end += 1
                file = model.file.replaced(stage.position, stage.position + 1, [node.edited((start, end, ""))])
                evidence = ("without it, the builder takes the same platform",)
                yield Change("drop a --platform that is so anyway", file, (stage.position,), evidence)
