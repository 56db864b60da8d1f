"""What is told of the images that stages start from."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.checks.base import Check, Observation, Passes, Tells
from optimizer.knowledge.images import lookup, parse_reference
from optimizer.model import Model


class UnpinnedBase(Check):
    """A base image without a version.

    The same Dockerfile builds something else on another day, and nobody sees it in the diff.
    """

    name = "unpinned-base"
    rules = ("DL3006", "DL3007")
    reason = "only its author knows which version the rest was written for"
    examples = (
        Tells("FROM debian\n", "debian names no version", 1),
        Tells("FROM node:latest\n", "node:latest is whatever is newest on the day of the build", 1),
        Passes("FROM debian:bookworm\n", because="the tag names a release"),
        Passes("FROM scratch\n", because="it is no image"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for stage in model.stages:
            if stage.base is not None or stage.reference in (None, "scratch"):
                continue
            parsed = parse_reference(stage.reference or "")
            if parsed is None or parsed.digest or parsed.tag not in (None, "latest"):
                continue
            said = "names no version" if parsed.tag is None else "is whatever is newest on the day of the build"
            yield Observation(f"{stage.reference} {said}", stage.position)


class EndOfLifeBase(Check):
    """A base image that gets no more security updates.

    Its packages stay as they are whatever is found in them, and its package archive may have moved or gone.
    """

    name = "end-of-life-base"
    reason = "a newer release may behave otherwise, so the move is its author's"
    examples = (
        Tells("FROM debian:buster-slim\n", "Debian buster has had no security updates since 2024-06-30", 1),
        Tells("FROM python:3.7\n", "Python 3.7 has had no security updates since 2023-06-27", 1),
        Passes("FROM python:3.13\n", because="it is supported"),
        Passes("FROM example.org/team/base:1\n", because="nothing is known of the image"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        from optimizer.knowledge.end_of_life import ended

        for stage in model.stages:
            image = lookup(stage.reference) if stage.base is None and stage.reference else None
            found = None if image is None else ended(image)
            if found is not None:
                yield Observation(f"{found.name} has had no security updates since {found.date}", stage.position)


class FixedPlatform(Check):
    """A stage that is built for one platform, whatever platform the build is for.

    The image then holds programs of that platform, also where a build asks for another.
    """

    name = "fixed-platform"
    rules = ("DL3029", "FromPlatformFlagConstDisallowed")
    reason = "what the stage builds may need that very platform"
    examples = (
        Tells("FROM --platform=linux/amd64 debian:bookworm\n", "the stage is always built for linux/amd64", 1),
        Passes("FROM --platform=$BUILDPLATFORM golang:1.22\n", because="a variable decides"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for stage in model.stages:
            if stage.platform and "$" not in stage.platform:
                yield Observation(f"the stage is always built for {stage.platform}", stage.position)
