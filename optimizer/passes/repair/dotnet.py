"""Repairs of a stage that runs a program of .NET: the image has another version of the framework, or not all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.knowledge.images import BaseImage, lookup
from optimizer.model import Model, Stage
from optimizer.model.dotnet_builds import Publish
from optimizer.model.sources.dotnet import published
from optimizer.model.start import start_of
from optimizer.passes.base import Change, Refusal
from optimizer.passes.split.shared import from_line

_WEB = "Microsoft.AspNetCore.App"
_PLAIN_TAG = re.compile(r"\d+\.\d+(-alpine)?$")


def repairs(model: Model, stage: Stage) -> Iterator[Change | Refusal]:
    """What lets the program of the final stage start.

    A program that does not take the runtime along needs the framework of its own version, and of its own kind.
    Source: https://learn.microsoft.com/dotnet/core/versions/selection

    Args:
        model: The facts, with the context at hand.
        stage: The final stage, which copies from others.
    """
    start, image = start_of(model, stage), stage.image
    if start is None or image is None:
        return
    found = [published(model, stage, command) for command in start.commands]
    publish = next((one for one in found if isinstance(one, Publish)), None)
    if publish is None or publish.self_contained is not False or model.stage_of(publish.position) is stage:
        return
    kind = _kind(publish, image)
    version = _version(model, stage, publish, image)
    if kind is None and version is None:
        return
    written = model.file.instruction(stage.position).value.split()[0]
    reference = _reference(written, kind, version)
    if reference is None or lookup(reference) is None:
        yield Refusal(
            f"not repaired: {stage.reference} does not run {publish.project.path}, and which image does is not known", stage.position
        )
        return
    why = []
    if kind is not None:
        needs = "is built on ASP.NET" if kind == "aspnet" else "does not take the runtime along"
        why.append(f"{publish.project.path} {needs}, which {stage.reference} does not have")
    if version is not None:
        why.append(f"{publish.project.path} is built for .NET {version}, and {stage.reference} has {image.version}")
    file = model.file.replaced(stage.position, stage.position + 1, [from_line(model, stage, reference, stage.name)])
    yield Change(f"run on {reference}", file, (stage.position,), tuple(why))


def _kind(publish: Publish, image: BaseImage) -> str | None:
    """Another of the runtime's images, where this one lacks a part of the framework."""
    if image.family != "dotnet-runtime":
        return None
    if _WEB in publish.project.frameworks:
        return "aspnet"
    return "runtime" if image.reference.repository.endswith("/runtime-deps") else None


def _version(model: Model, stage: Stage, publish: Publish, image: BaseImage) -> str | None:
    """The version that the program is built for, where the image has another one that does not run it."""
    project, wanted = publish.project, publish.project.version
    has = re.match(r"(\d+)\.(\d+)", image.version or "")
    rolls = {"rollforward", "runtimeframeworkversion"} & {*project.properties, *project.conditional}
    if wanted is None or has is None or rolls or "DOTNET_ROLL_FORWARD" in model.behind(stage).env:
        return None
    major, minor = wanted.split(".")
    return None if has[1] == major and int(has[2]) >= int(minor) else wanted


def _reference(written: str, kind: str | None, version: str | None) -> str | None:
    """The image as FROM writes it, with another kind or version; None where that may be no image."""
    name, _, tag = written.rpartition(":")
    if not name or "$" in written or "@" in written:
        return None
    if version is not None:
        if _PLAIN_TAG.match(tag) is None:
            return None
        tag = re.sub(r"^[\d.]+", version, tag)
    if kind is not None:
        name = re.sub(r"/(runtime|runtime-deps)$", f"/{kind}", name)
    return f"{name}:{tag}"
