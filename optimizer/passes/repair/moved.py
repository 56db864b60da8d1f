"""The repair of a virtual environment that is copied to another place, where its commands do not find their interpreter."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from optimizer.passes.base import Change, Refusal
from optimizer.syntax import Instruction, Node

if TYPE_CHECKING:
    from optimizer.passes.repair.python import Repair


def keep_in_place(repair: Repair, position: int, at: str) -> Change | Refusal | None:
    """Copy an environment to the folder that it was made in, and call it by that wherever the stage names the other one.

    Args:
        repair: The stage; its packages are in an environment.
        position: The COPY that brings the environment.
        at: Where that puts it.
    """
    folder = repair.installed.folder
    if at == folder or repair.bare or not _starts_command(repair, at):
        return None
    file, stage = repair.model.file, repair.stage
    node = file.instruction(position)
    named = re.compile(rf"{re.escape(at)}(?=[/:\"'\s]|$)")
    others = {p: file.instruction(p) for p in stage.positions if p != position and named.search(file.instruction(p).text)}
    whole = len(node.words) == 2 and node.json is None and posixpath.normpath(node.words[0]) == folder
    if not whole or any(other.keyword not in ("ENV", "CMD", "ENTRYPOINT", "HEALTHCHECK") for other in others.values()):
        reason = f"not repaired: the environment moves to {at}, where its commands do not find their interpreter"
        return Refusal(reason, position)
    start = node.text.rindex(node.words[-1])
    new: dict[int, Node] = {position: node.edited((start, start + len(node.words[-1]), folder))}
    new |= {p: Instruction(named.sub(folder, other.text), other.escape) for p, other in others.items()}
    changed = file.replaced(0, len(file.nodes), [new.get(index, one) for index, one in enumerate(file.nodes)])
    why = f"the commands of the environment name their interpreter below {folder}"
    return Change(f"copy the environment to {folder}, where it was made", changed, tuple(sorted(new)), (*repair.evidence, why))


def _starts_command(repair: Repair, at: str) -> bool:
    """Whether a command of the environment is started by itself, and not as a module of an interpreter, which finds its packages."""
    commands = repair.application.start.commands
    modules = {command.words[command.words.index("-m") + 1] for command in commands if "-m" in command.words[:-1]}
    names = set(repair.needed.commands) - modules
    words = [command.words[0] or "" for command in commands if command.words]
    return any(word in names or (posixpath.basename(word) in names and posixpath.dirname(word) == f"{at}/bin") for word in words)
