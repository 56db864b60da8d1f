"""A distroless image for a Java program: whether it has all that the program needs, and how the program starts on it."""

from __future__ import annotations

import json

from msgspec import Struct

from optimizer.model import Model, Stage
from optimizer.model.start import start_of
from optimizer.passes.split.java_start import JavaStart
from optimizer.passes.split.started import exec_form
from optimizer.passes.text import instruction_like
from optimizer.syntax import Instruction

_RELEASES = {17: 12, 21: 12, 25: 13}
"""The Debian release of the distroless images by version of Java (GoogleContainerTools/distroless, java/README.md)."""
_KEEPS = frozenset(
    {"FROM", "ENV", "ARG", "WORKDIR", "COPY", "ADD", "EXPOSE", "LABEL", "CMD", "ENTRYPOINT", "STOPSIGNAL", "MAINTAINER", "VOLUME"}
)


class Bare(Struct, frozen=True):
    """The program on a distroless image: its reference, and what stands there for the instructions that start it, by position."""

    reference: str
    started: dict[int, Instruction]


def bare_runtime(model: Model, stage: Stage, java: int | None, start: JavaStart, packages: tuple[str, ...], last: int) -> Bare | str:
    """How a stage runs on the distroless image of its Java, or why it cannot.

    Args:
        model: Facts of the Dockerfile, with the context at hand.
        stage: The stage.
        java: The version of Java.
        start: What the container starts.
        packages: The Debian packages that the program needs.
        last: Index of the last instruction that stays in the build stage.
    """
    release = _RELEASES.get(java or 0)
    if release is None:
        return f"the distroless images have Java {', '.join(map(str, _RELEASES))}"
    if packages or start.programs:
        return f"the program needs {sorted((*packages, *start.programs))[0]}"
    found = start_of(model, stage)
    if found is None or found.scripts:
        return "a script starts the program"
    for position in stage.positions:
        node = model.file.instruction(position)
        if (position > last and node.keyword not in _KEEPS) or node.keyword in ("HEALTHCHECK", "USER", "SHELL"):
            return f"line {model.file.line(position)} needs a shell or an account"
    reference = f"gcr.io/distroless/java{java}-debian{release}"
    entry, command = model.last(stage, "ENTRYPOINT"), model.last(stage, "CMD")
    place = entry if entry is not None else command
    given = model.file.instruction(place) if place is not None else None
    plain = None if given is None else given if given.json is not None else exec_form(given)
    words = plain.json if plain is not None else None
    if given is None or place is None or plain is None or not words or words[0] != "java":
        return "a shell starts the program"
    if entry is not None:
        return Bare(reference, {} if given.json is not None else {place: plain})
    # The image's own ENTRYPOINT is ["/usr/bin/java", "-jar"].
    keyword, kept = ("CMD", words[2:]) if words[1:2] == ("-jar",) else ("ENTRYPOINT", words)
    return Bare(reference, {place: instruction_like(model.file, plain, keyword, json.dumps(list(kept), ensure_ascii=False))})
