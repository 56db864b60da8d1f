"""Write names of stages in small letters."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.model import Model, Stage
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.syntax import Dockerfile, Instruction
from optimizer.syntax.nodes import Argument


class LowercaseStageNames(Pass):
    """Write names of stages in small letters.

    What it does
        Writes the name behind AS in small letters, and so each FROM, ``COPY --from`` and ``RUN --mount`` that names the stage.

    Why
        The builder compares names of stages in small letters. Two that differ only in their capitals are one.

    When it refuses
        Where another stage has the name in other letters, and where variables are part of a name.

    Safety
        Safe: BuildKit compares names of stages without regard to case, that of ``--target`` included.
    """

    name = "lowercase-stage-names"
    alters = frozenset({Fact.STAGES, Fact.BASES, Fact.COPIES})
    mends = ("StageNameCasing",)
    examples = (
        Rewrites(
            "FROM golang:1.22 AS Build\nRUN go version\nFROM scratch\nCOPY --from=Build /app /app\n",
            "FROM golang:1.22 AS build\nRUN go version\nFROM scratch\nCOPY --from=build /app /app\n",
        ),
        Keeps("FROM golang:1.22 AS build\nFROM scratch\nCOPY --from=build /app /app\n", because="it is in small letters"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            if not stage.name or stage.name == stage.name.lower() or "$" in stage.name:
                continue
            reason = _reason(model, stage, stage.name)
            if reason is not None:
                yield Refusal(f"{stage.name} keeps its capitals: {reason}", stage.position)
                continue
            file, touched = _renamed(model.file, stage, stage.name)
            yield Change(f"write the name of the stage {stage.name} in small letters", file, touched, ("the builder reads it so",))


def _reason(model: Model, stage: Stage, name: str) -> str | None:
    """Why a name must stay, None when nothing speaks against small letters."""
    if any(other.name and other is not stage and other.name.lower() == name.lower() for other in model.stages):
        return "another stage has that name in other letters"
    if len(model.file.instruction(stage.position).arguments) != 3:
        return "FROM is not understood"
    return None


def _renamed(file: Dockerfile, stage: Stage, name: str) -> tuple[Dockerfile, tuple[int, ...]]:
    edits: dict[int, Instruction] = {}
    for position in file.positions:
        node = file.instruction(position)
        spans = [(a.start, a.end) for a in _names(node, position == stage.position) if node.text[a.start : a.end].lower() == name.lower()]
        for flag in node.flags if node.keyword in ("COPY", "RUN") else ():
            written = node.text[flag.start : flag.end]
            found = re.search(rf"(?:^--from=|(?<=[=,])from=)({re.escape(name)})(?=,|$)", written, re.I)
            spans += [(flag.start + found.start(1), flag.start + found.end(1))] if found is not None else []
        new = node.edited(*((start, end, name.lower()) for start, end in spans))
        if new.text != node.text:
            edits[position] = new
    for position, node in edits.items():
        file = file.replaced(position, position + 1, [node])
    return file, tuple(edits)


def _names(node: Instruction, own: bool) -> tuple[Argument, ...]:
    """The words of a FROM that may be the name of a stage: the one that it starts from and, where it is its ``own``, the last."""
    return (*node.arguments[:1], *(node.arguments[2:3] if own else ())) if node.keyword == "FROM" else ()
