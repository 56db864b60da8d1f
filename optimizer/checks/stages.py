"""What is told of stages and of what they take from each other."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.checks.base import Check, Observation, Passes, Tells
from optimizer.model import Model


class DuplicateStageName(Check):
    """Two stages of one name.

    Which of them ``--from`` and ``--target`` mean depends on where they are asked.
    """

    name = "duplicate-stage-name"
    rules = ("DL3024", "DuplicateStageName")
    reason = "another name may be one that something outside asks for"
    examples = (
        Tells(
            "FROM golang:1.22 AS build\nFROM node:22 AS build\nFROM scratch\nCOPY --from=build /a /a\n",
            "build is the name of an earlier stage",
            2,
        ),
        Passes("FROM golang:1.22 AS build\nFROM scratch AS run\n", because="the names differ"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        seen: set[str] = set()
        for stage in model.stages:
            name = (stage.name or "").lower()
            if name in seen:
                yield Observation(f"{name} is the name of an earlier stage", stage.position)
            if name:
                seen.add(name)


class ReservedStageName(Check):
    """A stage that is called ``scratch`` or ``context``.

    Both words mean something to the builder, so such a stage may not be the one that is taken.
    """

    name = "reserved-stage-name"
    rules = ("DL3063", "ReservedStageName")
    reason = "another name may be one that something outside asks for"
    examples = (
        Tells("FROM debian:bookworm AS scratch\n", "scratch means something else to the builder", 1),
        Passes("FROM scratch AS final\n", because="it is the image, not the name"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for stage in model.stages:
            if (stage.name or "").lower() in ("scratch", "context"):
                yield Observation(f"{stage.name} means something else to the builder", stage.position)


class WholeFilesystem(Check):
    """A stage's whole filesystem is copied.

    Everything that the other stage only needed for building comes along, accounts and settings of its base included.
    """

    name = "whole-filesystem"
    rules = ("DL3067",)
    reason = "what of it is needed is not known"
    examples = (
        Tells("FROM golang:1.22 AS build\nFROM scratch\nCOPY --from=build / /\n", "all of build is copied", 3),
        Passes("FROM golang:1.22 AS build\nFROM scratch\nCOPY --from=build /app /\n", because="it is one folder"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for position in model.file.positions:
            node = model.file.instruction(position)
            source = node.flag("from") if node.keyword == "COPY" else None
            if source and any(word in ("/", "/*", ".") for word in node.words[:-1]):
                yield Observation(f"all of {source} is copied", position)
