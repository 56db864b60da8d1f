"""A distroless image for a Node program: whether it has all that the program needs, and how the program starts on it."""

from __future__ import annotations

import json
import re

from msgspec import Struct

from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.passes.split.bare import needs_more
from optimizer.passes.split.shared import SystemPackages
from optimizer.passes.split.started import exec_form
from optimizer.passes.text import instruction_like
from optimizer.syntax import Node

_MAJORS = frozenset({"18", "20", "22", "24"})
"""The versions of Node for which there are distroless images on Debian 12 (GoogleContainerTools/distroless, nodejs/README.md)."""
_OWN = re.compile(r"(.*/)?(node|nodejs)$")
_LOCAL = re.compile(r"(\./)?node_modules/\.bin/")


class Bare(Struct, frozen=True):
    """The program on a distroless image: its reference, and what stands there for the instructions that start it, by position."""

    reference: str
    started: dict[int, list[Node]]


def bare_runtime(model: Model, stage: Stage, manager: str, application: Application, system: SystemPackages) -> Bare | str:
    """How a stage runs on the distroless image of its Node on Debian 12, or why it cannot. manager: what installs its packages."""
    image = stage.image
    major = (image.version or "").partition(".")[0] if image is not None else ""
    if image is None or major not in _MAJORS or image.release != "bookworm":
        return f"the distroless images have Node {', '.join(sorted(_MAJORS))} of Debian 12"
    entry, command = model.last(stage, "ENTRYPOINT"), model.last(stage, "CMD")
    position = entry if entry is not None else command
    if position is None:
        return "neither CMD nor ENTRYPOINT says what starts"
    node = model.file.instruction(position)
    form = node if node.json is not None else exec_form(node)
    words = form.json if form is not None else None
    if form is None or not words or (entry is not None and command is not None and model.file.instruction(command).json is None):
        return "a shell starts the program"
    arguments = _arguments(words, manager)
    if arguments is None:
        return f"whether {words[0]} is a program for Node is not known"
    own = {program for program in application.programs if _OWN.match(program) or program == words[0].rpartition("/")[2]}
    reason = needs_more(application, system.kept, own)
    if reason is not None:
        return reason
    # In exec form an ENTRYPOINT of one's own takes the place of the image's, which is Node.
    text = json.dumps(["/nodejs/bin/node", *arguments] if entry is not None else list(arguments), ensure_ascii=False)
    started: list[Node] = [instruction_like(model.file, node, node.keyword, text)]
    return Bare(f"gcr.io/distroless/nodejs{major}-debian12:nonroot", {position: started})


def _arguments(words: tuple[str, ...], manager: str) -> tuple[str, ...] | None:
    """What Node is given to start a command; None when that is not known.

    The programs of ``node_modules/.bin`` are links to files for Node, but pnpm's are shell scripts.
    """
    if _OWN.match(words[0]):
        return words[1:] or None
    return words if _LOCAL.match(words[0]) and manager != "pnpm" else None
