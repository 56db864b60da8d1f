"""The time zones that a Go program looks up by name."""

from __future__ import annotations

import re

from optimizer.knowledge.tags import version_number
from optimizer.model import Model, Stage
from optimizer.model.compiled_program import CompiledProgram, builds_of
from optimizer.model.go_builds import GoBuild
from optimizer.model.paths import origin_of
from optimizer.passes.base import Change
from optimizer.passes.repair.certificates import brings
from optimizer.passes.split.shared import apt_install
from optimizer.syntax import Dockerfile

_PLACE = "/usr/share/zoneinfo"
_SINCE = (1, 15)
"""The version of Go since which the tag ``timetzdata`` compiles the time zones in (Go 1.15 release notes)."""


def time_zones(model: Model, stage: Stage, builder: Stage, programs: list[CompiledProgram]) -> Change | None:
    """Bring time zones to a Go program that looks them up by name, on an image without; None where that is not seen.

    Args:
        model: The facts, with the context at hand.
        stage: The stage that runs the programs.
        builder: The stage that compiles them.
        programs: The programs.
    """
    image = stage.image
    asks = any(program.module is not None and program.module.time_zones for program in programs)
    if (
        image is None
        or image.time_zones is not False
        or not asks
        or "ZONEINFO" in model.behind(stage).env
        or brings(model, stage, "tzdata", ("/", "/usr", "/usr/share"), (_PLACE, "/usr/lib/go", "/usr/local/go"))
    ):
        return None
    why = "the program looks up time zones by name, and the image has none"
    if image.package_manager == "apt":
        place = stage.position + 1
        file = model.file.replaced(place, place, [apt_install(model, stage, ("tzdata",), ("--no-install-recommends",))])
        return Change("install tzdata in the stage that runs", file, (stage.position,), (why,))
    version = builder.image.version if builder.image is not None and builder.image.family == "golang" else None
    if version is None or version_number(version) < _SINCE:
        return None
    places = [origin_of(model, stage, program.path)[1] for program in programs]
    builds = [build for build in builds_of(model, builder).go if set(build.outputs) & set(places)]
    file = model.file
    for build in builds:
        edited = _tagged(file, build)
        if edited is None:
            return None
        file = edited
    evidence = (why, "the tag timetzdata compiles them in")
    return Change("compile the time zones into the program", file, tuple(sorted({build.position for build in builds})), evidence)


def _tagged(file: Dockerfile, build: GoBuild) -> Dockerfile | None:
    """The Dockerfile with the tag for a build; None where its command cannot take it, or has it."""
    node = file.instruction(build.position)
    text, command = node.shell_text, build.command
    if command is None or text is None or "tags" in (build.environment.get("GOFLAGS") or ""):
        return None
    words = command.words
    given = next((i for i, word in enumerate(words) if re.match(r"--?tags(=|$)", word.text)), None)
    if given is None:
        verb = next((i for i, word in enumerate(words) if word.value in ("build", "install")), None)
        if verb is None:
            return None
        at = text.source_end(words[verb].end)
        return file.replaced(build.position, build.position + 1, [node.edited((at, at, " -tags timetzdata"))])
    word = words[given] if "=" in words[given].text else words[given + 1]
    if word.value is None or re.search(r"\s|timetzdata", word.value):
        return None
    at = text.source_end(word.end) - (1 if word.text.endswith(("'", '"')) else 0)
    return file.replaced(build.position, build.position + 1, [node.edited((at, at, ",timetzdata"))])
