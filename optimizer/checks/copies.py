"""What is told of COPY and ADD."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.checks.base import Check, Observation, Passes, Tells
from optimizer.model import Model
from optimizer.model.copies import is_remote


class IgnoredSource(Check):
    """A file is copied that the ignore file keeps from the builder.

    The build fails, or copies less than it says.
    """

    name = "ignored-source"
    rules = ("CopyIgnoredFile",)
    reason = "whether the file is to be copied or to be ignored is its author's to say"
    examples = (
        Tells(
            "FROM debian:bookworm\nCOPY notes.txt /\n",
            ".dockerignore keeps notes.txt from the builder",
            2,
            files=((".dockerignore", "*.txt\n"), ("notes.txt", "a\n")),
        ),
        Passes(
            "FROM debian:bookworm\nCOPY keep.txt /\n",
            because="an exception lets it through",
            files=((".dockerignore", "*.txt\n!keep.txt\n"), ("keep.txt", "a\n")),
        ),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        context = model.context
        if context is None or not context.patterns:
            return
        for position in model.file.positions:
            node = model.file.instruction(position)
            if node.keyword not in ("COPY", "ADD") or node.flag("from") or not model.stages or position < model.stages[0].position:
                continue
            for word in node.words[:-1]:
                source = model.before(position).expand(word, node.escape)
                if source is None or is_remote(source) or source.startswith("<<") or any(c in source for c in "*?["):
                    continue
                if context.ignored(source) and not context.exists(source):
                    yield Observation(f"{context.ignore_file} keeps {source} from the builder", position)
