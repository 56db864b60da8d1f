"""A file whose COPY instructions do what a RUN did."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.passes.copied.without import without
from optimizer.passes.runs.readable import ReadableRun
from optimizer.passes.text import TOOL_COMMENT, behind_gap, comments_above, has_inner_comments
from optimizer.syntax import Dockerfile, Instruction, Node


def with_copies(
    file: Dockerfile, run: ReadableRun, at: int, copies: Mapping[int, Instruction], left: str = "", above: tuple[int, ...] = ()
) -> Dockerfile | str:
    """The file with other COPY instructions and without a command of a RUN; a reason where comments stand in the way.

    A comment above a RUN that goes moves above the last of the COPY instructions, one above a RUN that moves goes with it.

    Args:
        file: The Dockerfile.
        run: The RUN.
        at: The index of the command in its list of ``&&``.
        copies: The COPY instructions that do its work, by position.
        left: What stays of the command.
        above: Positions of the RUN instructions that move in front of the first COPY, in order.
    """
    rest = _rest(run, at, left)
    if isinstance(rest, str):
        return rest
    nodes: list[Node] = list(file.nodes)
    for position, node in copies.items():
        nodes[position] = node
    if rest is not None:
        nodes[run.position] = rest
    gone = (run.position,) if rest is None else ()
    moved: dict[int, list[Node]] = {position: [] for position in (min(copies), max(copies))}
    for position in sorted({*above, *gone}):
        start = comments_above(file, position)
        comments = nodes[start:position]
        if position in gone and any(TOOL_COMMENT.match(node.text.strip()) for node in comments):
            return "a comment explains the RUN"
        moved[max(copies) if position in gone else min(copies)] += comments if position in gone else nodes[start : position + 1]
    for position in sorted({*above, *gone}, reverse=True):
        start = comments_above(file, position)
        nodes[start:] = nodes[behind_gap(nodes, start, position + 1) :]
    for position in sorted(moved, reverse=True):
        place = position if not any(isinstance(node, Instruction) for node in moved[position]) else comments_above(file, position)
        nodes[place:place] = moved[position]
    return file.replaced(0, len(file.nodes), nodes)


def _rest(run: ReadableRun, at: int, left: str) -> Instruction | str | None:
    """The RUN behind the change, None when it goes; a reason where a comment stands in the way."""
    chain = run.script.chain or ()
    if left:
        start, end = run.text.source(chain[at].start), run.text.source_end(chain[at].end)
        return run.node.edited((start, end, left))
    if len(chain) > 1:
        return without(run, {at}) or "a comment stands beside the command"
    return "a comment explains the RUN" if has_inner_comments(run.node) else None
