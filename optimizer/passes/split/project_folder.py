"""The folder of a project that an interpreter runs, where it is built in one stage and runs in another."""

from __future__ import annotations

import re

from optimizer.model import Model, Stage
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.passes.split.compiled import copy_line, is_below
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import Step, remaining
from optimizer.syntax import Instruction

# Commands whose operands are files that they take or change.
_TAKE_FILES = frozenset({"cp", "mv", "install", "ln", "cat", "chmod"})


def brought_again(model: Model, copy: CopyFacts, later: list[CopyFacts], manifests: re.Pattern[str]) -> bool:
    """Whether a COPY brings nothing but manifests, and files that a later one brings again."""
    context = model.context
    assert context is not None
    matches = [match for source in copy.sources for match in context.match(source)]
    files = [f for m in matches for f in (context.under(m) if m == "." or context.is_dir(m) else (m,))]
    return copy.plain and all(
        manifests.search(f) or (image is not None and any(c.image_of(model, f) == image for c in later))
        for f in files
        for image in (copy.image_of(model, f),)
    )


def project_copy(model: Model, stage: Stage, folder: str, last: int, name: str, owner: str | None = None) -> Instruction:
    """The copy of the project's folder out of the build stage, with the owner that all of it has. owner: one that a step gives it.

    Raises:
        Refused: Its files have several owners.
    """
    early = [c for c in stage_copies(model, stage) if c.position < last and c.destination is not None and is_below(c.destination, folder)]
    owners = {c.node.flag("chown") for c in early}
    if len(owners) > 1 and owner is None:
        raise Refused("files of the project have several owners, and a copy between stages has one", last)
    owner = owner or (owners.pop() if owners else None)
    copied = copy_line(model, stage, name, folder, folder)
    at = copied.text.index("--from=")
    return copied.edited((at, at, f"--chown={owner} ")) if owner else copied


def new_owner(model: Model, folder: str, position: int, steps: tuple[Step, ...]) -> str | None:
    """To whom the last of some steps gives the whole folder of a project; None where it does something else."""
    step = next((s for s in reversed(steps) if not s.cleans), None)
    words = [w.value or "" for w in step.command.words] if step is not None else []
    if step is None or step.program != "chown" or len(words) != 4 or words[1] not in ("-R", "--recursive"):
        return None
    place = model.before(position).path(words[3])
    return words[2] if place == folder and "$" not in words[2] else None


def rest_of(model: Model, position: int, node: Instruction, steps: tuple[Step, ...], repeated: list[Step]) -> Instruction | None:
    """The part of a RUN that the stage that runs does again, None without any.

    Raises:
        Refused: It cannot be divided.
    """
    if not repeated:
        return None
    if any(step.program == "cd" for step in steps):
        raise Refused("it changes the state of the shell that installs, so it cannot be divided", position)
    return remaining(model.file, node, steps, lambda step: step in repeated)


def changes_outside(model: Model, folder: str, position: int, step: Step) -> bool:
    """Whether a step changes files outside of the project's folder, which the stage that runs must do again.

    Raises:
        Refused: It gives files of the project away, or takes some of them to another place.
    """
    state = model.before(position)
    words = [w for w in step.command.words[1:] if not w.text.startswith("-")]
    paths = [state.path(w.value if w.value is not None else w.text) for w in words]
    redirects = [state.path(r.target.text) for r in step.command.redirects if r.target is not None and ">" in r.operator]
    if step.program in ("chown", "chgrp", "chmod"):
        paths, words = paths[1:], words[1:]
    if step.program in ("chown", "chgrp") and any(p is not None and (is_below(p, folder) or is_below(folder, p)) for p in paths):
        raise Refused("it gives files of the project away, and a copy between stages takes that back", position)
    takes = step.program in _TAKE_FILES
    relative = takes or step.program in ("mkdir", "touch", "rm")
    named = [p for p, w in zip(paths, words, strict=True) if relative or w.text.startswith(("/", '"$', "$"))]
    outside = [p for p in (*named, *redirects) if p is None or not (is_below(p, folder) or is_below(folder, p))]
    if outside and takes and any(p is not None and is_below(p, folder) for p in named):
        raise Refused(f"`{step.program}` takes files of the project to another place, before the stage that runs has them", position)
    return bool(outside)
