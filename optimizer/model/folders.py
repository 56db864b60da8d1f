"""The working directory in force, as a Dockerfile would write it."""

from __future__ import annotations

import posixpath

from optimizer.model.model import Model, Stage
from optimizer.syntax import Instruction


def working_directory(model: Model, stage: Stage, position: int) -> str | None:
    """The working directory before an instruction as WORKDIR writes it: absolute, with its variables. None when it is not known.

    The state before an instruction has it with the values of build arguments put in; written out, another value given on the
    command line would no longer reach it.
    """
    state = model.before(position)
    last = next((p for p in reversed(stage.positions) if p < position and model.file.instruction(p).keyword == "WORKDIR"), None)
    if last is None:
        if stage.base is None and "$" in _repository(model.file.instruction(stage.position)):
            return None  # another image may have another folder
        return state.workdir if stage.base is None or "$" not in model.file.text else None
    node = model.file.instruction(last)
    if "$" not in node.value and (node.value.startswith("/") or "$" not in (working_directory(model, stage, last) or "$")):
        return state.workdir
    same = state.expand(node.value, node.escape) or ""
    return node.value if same.startswith("/") and posixpath.normpath(same) == state.workdir else None


def _repository(node: Instruction) -> str:
    """The name of the image in a FROM, as written, without its tag."""
    image = node.words[0] if node.words else ""
    return image.rpartition(":")[0] or image
