"""Drop stages that nothing needs."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model, Stage, stage_number
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.text import has_inner_comments
from optimizer.syntax import Blank, Comment, Instruction


class DropDeadStages(Pass):
    """Drop stages that nothing needs.

    What it does
        Removes a stage that neither the last stage nor the target starts from, copies from or mounts, directly or through others.

    Why
        BuildKit does not build it, older builders do, and a reader has to find out that it does not matter.

    When it refuses
        Where a file beside the Dockerfile names it as a target: a compose or bake file, a script, a page, a workflow. Where a
        variable decides which stage another one takes, where later stages are called by number, where a comment speaks about it.

    Safety
        Safe for a stage without a name that neither copies nor runs anything. A named one may be the target of a build that nobody
        wrote down, and one that makes something may have been forgotten by those behind it, so dropping these is unsafe.
    """

    name = "drop-dead-stages"
    alters = frozenset({Fact.STAGES, Fact.BASES, Fact.COPIES, Fact.RUNS})
    examples = (
        Rewrites(
            "FROM golang:1.22\n\nFROM debian:bookworm\nCOPY app /app\n",
            "FROM debian:bookworm\nCOPY app /app\n",
        ),
        Keeps(
            "FROM debian:bookworm AS test\nRUN ./test\n\nFROM debian:bookworm\nCOPY app /app\n",
            because="somebody may build with `--target test`; with --unsafe it goes",
        ),
        Keeps("FROM golang:1.22 AS build\nRUN go version\n\nFROM debian:bookworm\nCOPY --from=build /app /app\n", because="it is needed"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        if len(model.stages) < 2:
            return
        needed = _needed(model)
        dead = [stage for stage in model.stages if stage.index not in needed and not model.dependants(stage)]
        calls = tuple(_calls(model)) if dead else ()
        for stage in dead:
            reason = _reason(model, stage) or _called(model, stage, calls)
            if reason is not None:
                yield Refusal(f"the stage {stage.name or stage.index} stays, although no other needs it: {reason}", stage.position)
                continue
            start, end = _span(model, stage)
            file = model.file.replaced(start, end, ())
            assumption = _assumption(model, stage)
            safety = Safety.UNSAFE if assumption else Safety.SAFE
            evidence = ("no other stage starts from it, copies from it or mounts it",)
            yield Change("drop a stage that nothing needs", file, tuple(range(start, end)), evidence, safety, assumption)


def _needed(model: Model) -> set[int]:
    """The stages that the last one and the target need, these included."""
    needed: set[int] = set()
    pending = [model.final.index, model.stages[-1].index]
    while pending:
        index = pending.pop()
        if index not in needed:
            needed.add(index)
            pending += model.dependencies[index]
    return needed


def _assumption(model: Model, stage: Stage) -> str:
    """What has to hold, so that nobody misses the stage; empty where nobody can."""
    if stage.name:
        return f"no build has {stage.name} as its target"
    makes = any(model.file.instruction(position).keyword in ("RUN", "COPY", "ADD") for position in stage.positions)
    return "the stages behind it are complete without what it makes" if makes else ""


def _reason(model: Model, stage: Stage) -> str | None:
    """Why a stage that no other needs has to stay."""
    start, end = _span(model, stage)
    nodes = model.file.nodes
    if start and isinstance(nodes[start - 1], Comment):
        return "a comment stands above it"
    if any(isinstance(n, Comment) or (isinstance(n, Instruction) and has_inner_comments(n)) for n in nodes[start:end]):
        return "it holds comments"
    if not model.stages[-1].positions:
        return "the last one is empty, so the file is there for the others"
    return None


def _calls(model: Model) -> Iterator[tuple[int, int | None]]:
    """The instructions that may need any stage, and those that name one by its number: position, and number or None."""
    for position in model.file.positions:
        node = model.file.instruction(position)
        sources = model.sources(node)
        if any("$" in name for name in sources) or (node.keyword == "ONBUILD" and "from" in node.value):
            yield position, None
        yield from ((position, number) for name in sources if (number := stage_number(name)) is not None)


def _called(model: Model, stage: Stage, calls: tuple[tuple[int, int | None], ...]) -> str | None:
    """Why something may need a stage that no instruction names, or names stages whose numbers would shift. ``calls``: see above."""
    if any(other.reference is None for other in model.stages):
        return "a variable decides where another one starts"
    names = [other.name.lower() for other in model.stages if other.name]
    if len(names) != len(set(names)):
        return "two stages have one name"
    for position, number in calls:
        if number is None:
            return f"line {model.file.line(position)} may need it"
        if number > stage.index:
            return f"line {model.file.line(position)} calls a later stage by its number"
    if stage.name and model.context is not None:
        from optimizer.context.targets import target_named

        place = target_named(model.context.root, stage.name)
        if place is not None:
            return f"{place} builds it"
    return None


def _span(model: Model, stage: Stage) -> tuple[int, int]:
    """The nodes of a stage that is not the last, with the blank lines behind it, and without the comments above the next one."""
    nodes = model.file.nodes
    end = model.stages[stage.index + 1].position
    while not isinstance(nodes[end - 1], Instruction | Blank):
        end -= 1
    return stage.position, end
