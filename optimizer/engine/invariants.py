"""What must hold after every change. A change that breaks one of these is dropped and reported."""

from __future__ import annotations

from optimizer.model import Model
from optimizer.passes.base import Fact
from optimizer.syntax import Dockerfile, Instruction, parse

_COMMANDS = ("CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL")
_METADATA = ("LABEL", "EXPOSE", "VOLUME", "ONBUILD", "SHELL", "MAINTAINER")


def broken(before: Model, after: Model, alters: frozenset[Fact]) -> str | None:
    """The first invariant that a change breaks, as a sentence, or None.

    Args:
        before, after: Facts of the Dockerfile on both sides of the change.
        alters: What the pass may change.
    """
    again = parse(after.file.text)
    if again.text != after.file.text:
        return "the new text does not round-trip"
    if [n.text for n in again.nodes] != [n.text for n in after.file.nodes] or again.escape != after.file.escape:
        return "the new text parses to another tree"
    if after.file.problems and not before.file.problems:
        problem = after.file.problems[0]
        return f"the new text has an error on line {problem.line}: {problem.message}"
    old, new = observe(before), observe(after)
    for fact in Fact:
        if fact not in alters and old[fact] != new[fact]:
            return f"{fact.value} changed"
    return None


def observe(model: Model) -> dict[Fact, object]:
    """Every fact's value, comparable."""
    final = model.final
    state = model.behind(final)
    return {
        Fact.STAGES: tuple(stage.name for stage in model.stages),
        Fact.BASES: tuple(stage.reference for stage in model.stages),
        Fact.COMMAND: tuple((k, _meaning(model, model.last(final, k))) for k in _COMMANDS),
        Fact.ENV: tuple(sorted(state.env.items())),
        Fact.WORKDIR: state.workdir,
        Fact.USER: state.user,
        Fact.METADATA: tuple(_meaning(model, p) for p in final.positions if model.file.instruction(p).keyword in _METADATA),
        Fact.COPIES: tuple(tuple(_copies(model.file, s.positions)) for s in model.stages),
        Fact.RUNS: tuple(tuple(_runs(model.file, s.positions)) for s in model.stages),
    }


def _meaning(model: Model, position: int | None) -> object:
    if position is None:
        return None
    node = model.file.instruction(position)
    return node.keyword, node.json or node.value, model.before(position).shell if node.json is None else None


def _copies(file: Dockerfile, positions: tuple[int, ...]) -> list[object]:
    nodes = [file.instruction(p) for p in positions]
    return [(n.keyword, tuple((f.name, f.value) for f in n.flags), n.words) for n in nodes if n.keyword in ("COPY", "ADD")]


def _runs(file: Dockerfile, positions: tuple[int, ...]) -> list[object]:
    """The simple commands of the RUN instructions, one row over instruction boundaries."""
    found: list[object] = []
    for position in positions:
        node = file.instruction(position)
        if node.keyword == "RUN":
            found.extend(_commands(node))
    return found


def _commands(node: Instruction) -> list[object]:
    if node.script is None or not node.script.understood:
        return [node.value]
    return [(tuple(w.text for w in c.words), tuple(n for n, _ in c.assignments)) for c in node.script.commands]
