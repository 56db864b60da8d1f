"""Write keywords in one case."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import indent_of, on_one_line
from optimizer.syntax import Instruction

_AS = re.compile(r"\s(as)\s", re.I)
_PROTOCOL = re.compile(r"(?<=\d)/(?:tcp|udp|sctp)(?=\s|$)", re.I)


class UniformKeywords(Pass):
    """Write keywords in one case.

    What it does
        Writes every keyword in capitals, or in small letters where most of the file's are; ``AS`` goes with its ``FROM``,
        and the protocols of ``EXPOSE`` are small.

    Why
        Keywords that stand out are what a reader finds their way by.

    When it refuses
        It leaves alone a keyword that is broken over lines.

    Safety
        Safe: the case of keywords and protocols means nothing.
    """

    name = "uniform-keywords"
    alters = frozenset()
    mends = ("ConsistentInstructionCasing", "ExposeProtoCasing", "FromAsCasing")
    examples = (
        Rewrites(
            "FROM golang:1.22 as build\nRUN go version\nrun go env\n",
            "FROM golang:1.22 AS build\nRUN go version\nRUN go env\n",
        ),
        Keeps("from debian:bookworm-slim\nrun mkdir /a\n", because="all of them are in small letters"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        file = model.file
        nodes = [(position, file.instruction(position)) for position in file.positions]
        lower = 2 * sum(node.keyword_text.islower() for _, node in nodes) > len(nodes)
        edited = [(position, node, new) for position, node in nodes if (new := _cased(node, lower)).text != node.text]
        if not edited:
            return
        for position, _, new in edited:
            file = file.replaced(position, position + 1, [new])
        where = tuple(position for position, _, _ in edited)
        evidence = (f"{'small letters' if lower else 'capitals'} are what most of the file's keywords are in",)
        yield Change("write keywords in one case", file, where, evidence)


def _cased(node: Instruction, lower: bool) -> Instruction:
    """An instruction with its keyword, and the AS of a FROM, in small letters or in capitals."""
    start = len(indent_of(node))
    end = start + len(node.keyword_text)
    if node.text[start:end] != node.keyword_text:
        return node
    edits = [(start, end, node.keyword.lower() if lower else node.keyword)]
    one_line = on_one_line(node)
    found = _AS.search(node.rest.text) if node.keyword == "FROM" and one_line else None
    if found is not None:
        edits.append((node.rest.source(found.start(1)), node.rest.source_end(found.end(1)), "as" if lower else "AS"))
    for match in _PROTOCOL.finditer(node.rest.text) if node.keyword == "EXPOSE" and one_line else ():
        edits.append((node.rest.source(match.start()), node.rest.source_end(match.end()), match[0].lower()))
    return node.edited(*edits)
