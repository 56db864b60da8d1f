"""Pin images to what they are today."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.knowledge.references import parse_reference
from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.syntax import Instruction

_EXAMPLE = "sha256:2424c1850714a4d94666ec928e24d86de958646737b1d113f5b2207be44d37d8"


class PinDigests(Pass):
    """Pin images to what they are today.

    What it does
        Writes the digest behind the tag of an image in FROM and in ``COPY --from``. The command line asks the registry for
        it; a program gives ``Options.digests``. It runs only on request: ``--also pin-digests``.

    Why
        A tag is moved to another image with every rebuild upstream. With a digest the same Dockerfile builds on the same
        image, and a bot that keeps it up to date shows each move as a diff.

    When it refuses
        Where a variable is part of the reference, so that more than one image may be meant, and where the registry gave no
        answer.

    Safety
        Safe: it is the image that the tag names today, for every platform.
    """

    name = "pin-digests"
    alters = frozenset({Fact.BASES, Fact.COPIES})
    on_request = True
    examples = (
        Rewrites(
            "FROM debian:bookworm-slim\n",
            f"FROM debian:bookworm-slim@{_EXAMPLE}\n",
            digests=(("debian:bookworm-slim", _EXAMPLE),),
        ),
        Keeps(f"FROM debian@{_EXAMPLE}\n", because="it is pinned"),
        Keeps("FROM debian:bookworm AS build\nFROM build\n", because="nothing is known of the one, and the other is a stage"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        digests = model.digests or {}
        for position, reference in images(model):
            node = model.file.instruction(position)
            end = _end_of(node, reference)
            if end is None:
                yield Refusal(f"{reference} is not pinned: it is not written out in one piece", position)
            elif reference not in digests:
                yield Refusal(f"{reference} is not pinned: no registry was asked, or gave an answer", position)
            else:
                parsed = parse_reference(reference)
                tag = ":latest" if parsed is not None and parsed.tag is None else ""  # what it means without one
                new = node.edited((end, end, f"{tag}@{digests[reference]}"))
                file = model.file.replaced(position, position + 1, [new])
                yield Change(f"pin {reference} to its digest", file, (position,), ("the registry names it today",))


def images(model: Model) -> list[tuple[int, str]]:
    """The images without a digest that stages start from or copy from: position of the instruction, and reference."""
    found = []
    for stage in model.stages:
        if stage.base is None and stage.reference not in (None, "scratch"):
            found.append((stage.position, stage.reference or ""))
        for position in stage.positions:
            node = model.file.instruction(position)
            source = node.flag("from") if node.keyword == "COPY" else None
            if source and "$" not in source and model.find_stage(source) is None and not source.isdigit():
                found.append((position, source))
    return [(position, reference) for position, reference in found if "@" not in reference]


def _end_of(node: Instruction, reference: str) -> int | None:
    """The offset behind an image's reference in FROM or ``COPY --from=``, None where it is not there letter by letter."""
    if node.keyword == "FROM":
        start, end = node.arguments[0].start, node.arguments[0].end
    else:
        flag = next(each for each in node.flags if each.name == "from")
        start, end = flag.start + len("--from="), flag.end
    return end if node.text[start:end] == reference else None
