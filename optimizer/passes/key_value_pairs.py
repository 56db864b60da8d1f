"""Write ENV and LABEL with an equals sign."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.syntax import Instruction

_PLAIN = re.compile(r"[^\s\"'\\`]+")
_SPACED = re.compile(r"[^\"'\\`]+")
_QUOTED = re.compile(r"\"[^\"'\\`]*\"|'[^\"'\\`]*'")


class KeyValuePairs(Pass):
    """Write ENV and LABEL with an equals sign.

    What it does
        Writes ``ENV name=value`` for ``ENV name value``, with quotes where the value has blanks; LABEL likewise.

    Why
        The form without an equals sign takes the rest of the line for one value, so ``ENV one 1 two=2`` sets one variable.
        It is kept for old files only, and BuildKit warns of it.

    When it refuses
        Where quotes or backslashes in the value would be read otherwise in the new form, and where the value is continued on
        another line.

    Safety
        Safe: the value is the same.
    """

    name = "key-value-pairs"
    alters = frozenset({Fact.METADATA})
    mends = ("LegacyKeyValueFormat",)
    examples = (
        Rewrites(
            "FROM debian:bookworm-slim\nENV LANG C.UTF-8\nLABEL title My image\n",
            'FROM debian:bookworm-slim\nENV LANG=C.UTF-8\nLABEL title="My image"\n',
        ),
        Keeps('FROM debian:bookworm-slim\nENV GREETING say \\"hello\\"\n', because="backslashes are read otherwise in quotes"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for position in model.file.positions:
            node = model.file.instruction(position)
            if node.keyword not in ("ENV", "LABEL") or not any(pair.legacy for pair in node.pairs):
                continue
            new = _with_sign(node)
            if new is None:
                yield Refusal("stays without an equals sign: its quotes, backslashes or lines would be read otherwise", position)
                continue
            file = model.file.replaced(position, position + 1, [new])
            yield Change(f"set {node.pairs[0].name} with an equals sign", file, (position,), ("the value is the same",))


def _with_sign(node: Instruction) -> Instruction | None:
    """The instruction in the form with an equals sign; None where its value would become another."""
    name, value = node.pairs[0].name, node.pairs[0].value or ""
    rest = node.rest
    start, begin, end = rest.source(len(name)), rest.source(len(rest.text) - len(value)), rest.source_end(len(rest.text))
    if "\n" in node.text[rest.source(0) : end] or not _PLAIN.fullmatch(name):
        return None
    if _PLAIN.fullmatch(value) or _QUOTED.fullmatch(value):
        return node.edited((start, begin, "="))
    return node.edited((start, begin, '="'), (end, end, '"')) if _SPACED.fullmatch(value) else None
