"""Drop a CMD, ENTRYPOINT or HEALTHCHECK that a later one replaces."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import has_inner_comments, without_node
from optimizer.syntax import Comment

_ONE = {"CMD": "DL4003", "ENTRYPOINT": "DL4004", "HEALTHCHECK": "DL3012"}


class DropOverriddenCommands(Pass):
    """Drop a CMD, ENTRYPOINT or HEALTHCHECK that a later one replaces.

    What it does
        Takes out all but the last of each in a stage.

    Why
        Only the last counts. Whoever reads, or edits, the first is misled.

    When it refuses
        Where a comment stands directly above, which would then seem to explain something else.

    Safety
        Safe: an image has one of each, that of the last instruction.
    """

    name = "drop-overridden-commands"
    alters = frozenset()
    mends = (*_ONE.values(), "MultipleInstructionsDisallowed")
    examples = (
        Rewrites(
            'FROM debian:bookworm\nCMD ["bash"]\nCOPY app /app\nCMD ["/app"]\n',
            'FROM debian:bookworm\nCOPY app /app\nCMD ["/app"]\n',
        ),
        Keeps('FROM debian:bookworm AS a\nCMD ["bash"]\nFROM a\nCMD ["/app"]\n', because="each stage has one"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            nodes = [(position, model.file.instruction(position)) for position in stage.positions]
            last = {node.keyword: position for position, node in nodes if node.keyword in _ONE}
            for position, node in nodes:
                if last.get(node.keyword, position) == position:
                    continue
                if has_inner_comments(node) or isinstance(model.file.nodes[position - 1], Comment):
                    yield Refusal(f"{node.keyword} stays, although a later one replaces it: a comment explains it", position)
                    continue
                evidence = (f"the {node.keyword} on line {model.file.line(last[node.keyword])} is the one that counts",)
                rules = (_ONE[node.keyword], "MultipleInstructionsDisallowed")
                what = f"drop a {node.keyword} that a later one replaces"
                yield Change(what, without_node(model.file, position), (position,), evidence, mends=rules)
