"""Say who maintains an image in a label."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.model.state import State
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import has_inner_comments, instruction_like

# Source: "MAINTAINER (deprecated)" in the Dockerfile reference, which names this label of the OCI image specification.
LABEL = "org.opencontainers.image.authors"


class LabelInsteadOfMaintainer(Pass):
    """Say who maintains an image in a label.

    What it does
        Writes ``LABEL org.opencontainers.image.authors="…"`` for ``MAINTAINER``.

    Why
        MAINTAINER is deprecated. A label is shown by ``docker inspect`` with all others, and tools look for this one.

    When it refuses
        When the stage sets that label, or ``maintainer``, already: one of two names would be lost.

    Safety
        Safe: the name stays what it is, quotes, dollars and backslashes in it included; quotes around the whole go,
        since MAINTAINER takes them for part of the name. Only the image's ``Author`` field becomes a label.
    """

    name = "label-instead-of-maintainer"
    alters = frozenset({Fact.METADATA})
    mends = ("DL4000", "MaintainerDeprecated")
    examples = (
        Rewrites(
            "FROM debian:bookworm-slim\nMAINTAINER Ann Example <ann@example.com>\n",
            'FROM debian:bookworm-slim\nLABEL org.opencontainers.image.authors="Ann Example <ann@example.com>"\n',
        ),
        Keeps(
            "FROM debian:bookworm-slim\nMAINTAINER ann@example.com\nLABEL maintainer=bob@example.com\n",
            because="the label says another name",
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            nodes = [(p, model.file.instruction(p)) for p in stage.positions]
            own = [(p, node) for p, node in nodes if node.keyword == "MAINTAINER" and node.value and not has_inner_comments(node)]
            if not own:
                continue
            names = {pair.name.strip("\"'").lower() for _, node in nodes if node.keyword == "LABEL" for pair in node.pairs}
            position, node = own[-1]
            if names & {"maintainer", LABEL} or len(own) > 1:
                yield Refusal("stays MAINTAINER: the stage says who maintains it elsewhere, too", position)
                continue
            name = _bare(node.value)
            quoted = _quoted(name, node.escape)
            if State(closed=True).expand(quoted, node.escape) != name:
                yield Refusal("stays MAINTAINER: the name cannot be quoted for a label", position)
                continue
            new = instruction_like(model.file, node, "LABEL", f"{LABEL}={quoted}")
            file = model.file.replaced(position, position + 1, [new])
            yield Change("name the maintainer in a label", file, (position,), ("the name is kept letter by letter",))


def _bare(name: str) -> str:
    """A name without quotes around the whole of it."""
    inner = name[1:-1]
    return inner if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" and name[0] not in inner else name


def _quoted(name: str, escape: str) -> str:
    """A name in double quotes, with what has a meaning there escaped."""
    return '"' + "".join(escape + c if c in ('"', "$", escape) else c for c in name) + '"'
