"""Move stages off base images that get no more security updates."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.knowledge.end_of_life import ended, successor
from optimizer.knowledge.images import lookup
from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety


class ReplaceEndedBases(Pass):
    """Move stages off base images that get no more security updates.

    What it does
        Writes the oldest release that is supported for one that has ended: of the program that the image is for, and of the
        distribution under it. It runs only on request: ``--also replace-ended-bases --unsafe``.

    Why
        What is found in an ended release stays open, and its package archive moves or goes, so that builds fail.

    When it refuses
        For images of databases, which do not read each other's files, of distributions without a successor of the same name,
        and of programs with no release in between that is known; and where a variable is part of the reference.

    Safety
        Unsafe: another release may behave otherwise, so build and test it.
    """

    name = "replace-ended-bases"
    alters = frozenset(Fact)
    on_request = True
    examples = (
        Rewrites("FROM python:3.7-slim-buster\n", "FROM python:3.11-slim-bookworm\n"),
        Rewrites("FROM debian:9\n", "FROM debian:12\n"),
        Keeps("FROM postgres:11\n", because="a newer server does not read the files of this one"),
        Keeps("FROM python:3.13-slim-bookworm\n", because="both are supported"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            image = lookup(stage.reference) if stage.base is None and stage.reference else None
            old = None if image is None else ended(image)
            if image is None or old is None:
                continue
            node = model.file.instruction(stage.position)
            word = node.arguments[0]
            new = successor(image)
            if word.text != image.text:
                yield Refusal(f"{image.text} stays: it is not written out in one piece", stage.position)
            elif new is None:
                yield Refusal(f"{image.text} stays: no release that could take its place is known", stage.position)
            else:
                file = model.file.replaced(stage.position, stage.position + 1, [node.edited((word.start, word.end, new))])
                evidence = (f"{old.name} has had no security updates since {old.date}",)
                assumption = f"what is built on {image.text} works on {new} as well"
                yield Change(f"move from {image.text} to {new}", file, (stage.position,), evidence, Safety.UNSAFE, assumption)
