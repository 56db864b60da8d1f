"""Write names of stages in small letters."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model, Stage
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.syntax import Dockerfile, Instruction


class LowercaseStageNames(Pass):
    """Write names of stages in small letters.

    What it does
        Writes the name behind AS in small letters, and so each ``COPY --from`` that names the stage.

    Why
        The builder compares names of stages in small letters. Two that differ only in their capitals are one.

    When it refuses
        Where another stage has the name in other letters, where FROM or a mount names the stage with capitals, and where
        variables are part of a name.

    Safety
        Safe: BuildKit compares names of stages without regard to case, that of ``--target`` included.
    """

    name = "lowercase-stage-names"
    alters = frozenset({Fact.STAGES, Fact.COPIES})
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
    for position in model.file.positions:
        node = model.file.instruction(position)
        if node.keyword == "FROM" and node.words and node.words[0].lower() == name.lower():
            return "a FROM names it"
        if node.keyword != "COPY" and any(flag.value and f"from={name}".lower() in flag.value.lower() for flag in node.flags):
            return "a mount names it"
    if len(model.file.instruction(stage.position).arguments) != 3:
        return "FROM is not understood"
    return None


def _renamed(file: Dockerfile, stage: Stage, name: str) -> tuple[Dockerfile, tuple[int, ...]]:
    word = file.instruction(stage.position).arguments[2]
    edits: dict[int, Instruction] = {stage.position: file.instruction(stage.position).edited((word.start, word.end, name.lower()))}
    for position in file.positions:
        node = file.instruction(position)
        flag = next((each for each in node.flags if each.name == "from" and each.value), None) if node.keyword == "COPY" else None
        if flag is not None and node.text[flag.start : flag.end].lower() == f"--from={name}".lower():
            start = flag.end - len(name)
            edits[position] = node.edited((start, flag.end, name.lower()))
    for position, node in edits.items():
        file = file.replaced(position, position + 1, [node])
    return file, tuple(edits)
