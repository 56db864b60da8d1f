"""Drop a variable that ENV sets to the value that it has."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model, Stage
from optimizer.passes.base import Change, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import has_inner_comments, on_one_line, without_node
from optimizer.syntax import Comment, Dockerfile


class DropRepeatedVariables(Pass):
    """Drop a variable that ENV sets to the value that it has.

    What it does
        Takes a variable out of an ENV where an earlier ENV of the stage, or of a stage below it, gave it that value. Where two ENV
        follow each other and give it two values, the first takes the last value.

    Why
        The image is the same without it, and whoever changes the first of two lines finds out that nothing changes.

    When it refuses
        Where an ARG of that name comes in between, where the value holds variables, where a comment stands above a line that would
        go, and where something between the two may read the first value.

    Safety
        Safe: every step and the image have the same variables.
    """

    name = "drop-repeated-variables"
    alters = frozenset()
    examples = (
        Rewrites(
            "FROM debian:bookworm\nENV LANG=C.UTF-8\nRUN locale\nENV LANG=C.UTF-8 TERM=xterm\n",
            "FROM debian:bookworm\nENV LANG=C.UTF-8\nRUN locale\nENV TERM=xterm\n",
        ),
        Rewrites(
            "FROM debian:bookworm\nENV PORT=80\nENV PORT=8080\nEXPOSE 8080\n",
            "FROM debian:bookworm\nENV PORT=8080\nEXPOSE 8080\n",
        ),
        Keeps("FROM debian:bookworm\nENV A=1\nRUN ./build\nENV A=2\n", because="the build sees another value"),
        Keeps("FROM debian:bookworm\nENV A=1\nARG A=2\nENV A=1\n", because="the argument has taken its place"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            lines = [position for position in stage.positions if model.file.instruction(position).keyword == "ENV"]
            if len(lines) + (stage.base is not None) > 1:
                for position in lines:
                    yield from _repeated(model, stage, position)


def _repeated(model: Model, stage: Stage, position: int) -> Iterator[Change | Refusal]:
    """What can be done about the variables of an ENV that have a value before it."""
    node, state = model.file.instruction(position), model.before(position)
    names = [pair.name for pair in node.pairs]
    for at, pair in enumerate(node.pairs):
        if pair.value is None or "$" in pair.value or state.env.get(pair.name) is None or names.count(pair.name) > 1:
            continue
        if state.env[pair.name] == state.expand(pair.value, node.escape) and pair.name not in state.args:
            less = _without(model.file, position, at)
            if less is None:
                yield Refusal(f"{pair.name} is set again to the same value: a comment stands by, or the line is broken", position)
            else:
                evidence = (f"{pair.name} has that value since an ENV above",)
                yield Change(f"drop {pair.name}, which has that value already", less, (position,), evidence)
        else:
            above = max((p for p in stage.positions if p < position), default=-1)
            earlier = _joined(model.file, above, position, at)
            if earlier is not None:
                evidence = ("nothing stands between the two lines that could read the first value",)
                yield Change(f"set {pair.name} once", earlier, (above, position), evidence)


def _joined(file: Dockerfile, above: int, position: int, at: int) -> Dockerfile | None:
    """The file in which the ENV above gives a variable the value that this one would give it, None where that is not the same."""
    node, pair = file.instruction(position), file.instruction(position).pairs[at]
    first = file.instruction(above) if above >= 0 else None
    if first is None or first.keyword != "ENV" or pair.legacy or f"${pair.name}" in node.text or f"${{{pair.name}" in node.text:
        return None
    same = [index for index, other in enumerate(first.pairs) if other.name == pair.name and not other.legacy]
    less = _without(file, position, at)
    if len(same) != 1 or less is None or isinstance(file.nodes[above + 1], Comment):
        return None
    word = first.arguments[same[0]]
    edited = first.edited((word.start, word.end, f"{pair.name}={pair.value}"))
    return less.replaced(above, above + 1, (edited,))


def _without(file: Dockerfile, position: int, at: int) -> Dockerfile | None:
    """The file without one variable of an ENV, None where a comment or a broken line stands in the way."""
    node = file.instruction(position)
    if len(node.pairs) > 1:
        if not on_one_line(node):
            return None
        words = node.arguments
        span = (words[0].start, words[1].start) if at == 0 else (words[at - 1].end, words[at].end)
        return file.replaced(position, position + 1, (node.edited((*span, "")),))
    if has_inner_comments(node) or (position and isinstance(file.nodes[position - 1], Comment)):
        return None
    return without_node(file, position)
