"""How far above a project's source its account can be made, and which folders can be given away there.

A folder that a COPY goes into keeps its owner and mode when it exists; a folder that a COPY brings takes root's, or that of
``--chown``, also where one of that name exists. Source: ``dispatchCopy`` in BuildKit's dockerfile2llb/convert.go and
``copyDirectory`` in fsutil's copy package; WORKDIR leaves a folder that exists as it is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable

from msgspec import Struct

from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.paths import Placement, is_folder, placements, within
from optimizer.passes.runs.keeps import does_not_bring, installs_system_packages, run_keeps
from optimizer.passes.runs.shells import posix_shell, script_of
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command

_ACCOUNTS = frozenset({
    "useradd", "adduser", "usermod", "userdel", "deluser", "groupadd", "addgroup", "groupmod", "groupdel", "delgroup", "newusers",
    "systemd-sysusers", "dpkg", "rpm", "playwright", "sudo", "su", "sh", "bash", "dash", "ash", "source", ".", "eval",
})  # fmt: skip
"""Commands that make or change accounts, and those that run what is not read."""


class Gap(Struct, frozen=True):
    """Where in the final stage an account may be made above the project's source.

    Args:
        floor: Position of the last instruction that may make accounts itself, at least that of FROM.
        copy: Position of the first COPY or ADD behind it, in front of which the RUN goes.
    """

    floor: int
    copy: int


def gap_above_source(model: Model, stage: Stage) -> Gap | None:
    """Where an account may be made above what brings the project, None when it cannot.

    Accounts take numbers in the order in which they are made, so the new one comes behind all others. A COPY into
    ``/etc`` or onto the root folder may bring a list of accounts. One that takes a tool from another image brings no source.
    """
    makers = [p for p in stage.positions if may_make_accounts(model, p)]
    floor = makers[-1] if makers else stage.position
    copy = next((p for p in stage.positions if p > floor and _brings_source(model, p)), None)
    return Gap(floor, copy) if copy is not None else None


def _brings_source(model: Model, position: int) -> bool:
    """Whether an instruction copies from the context or from another stage."""
    node = model.file.instruction(position)
    name = node.flag("from")
    return node.keyword in ("COPY", "ADD") and (name is None or model.find_stage(name) is not None)


def may_make_accounts(model: Model, position: int) -> bool:
    """Whether an instruction may make or change accounts, or is none that can be read."""
    node = model.file.instruction(position)
    if node.keyword in ("COPY", "ADD"):
        found = placements(model, position)
        return found is None or any(within(p.target, "/etc") or (p.target == "/" and p.folder is not False) for p in found)
    if node.keyword != "RUN":
        return False
    script = script_of(node)
    if script is None or not posix_shell(model.before(position)) or re.search(r"/etc/(passwd|group)\b", node.text):
        return True
    for command in script.commands:
        if installs_system_packages(command) or (command.words and (command.name is None or command.name in _ACCOUNTS)):
            return True
        if command.words and (command.words[0].value or "").startswith(("./", "../")):
            return True
    return False


def neighbour_above(model: Model, stage: Stage, gap: Gap, keeps: Callable[[int], bool]) -> int:
    """Position of the instruction behind which the account's RUN goes.

    That is the last RUN that installs packages of the system, which can take the account into its layer; else the last RUN
    or WORKDIR; else what stands above the COPY.

    Args:
        model, stage, gap: The facts.
        keeps: Whether everything that is to be given away can be given away behind a position.
    """
    above = [p for p in (stage.position, *stage.positions) if gap.floor <= p < gap.copy]
    nodes = {p: model.file.instruction(p) for p in above}
    system = [p for p in above if nodes[p].keyword == "RUN" and any(map(installs_system_packages, _commands(nodes[p])))]
    steps = [p for p in above if nodes[p].keyword in ("RUN", "WORKDIR")]
    if system and keeps(system[-1]):
        return system[-1]
    return steps[-1] if steps else above[-1]


def _commands(node: Instruction) -> tuple[Command, ...]:
    script = script_of(node)
    return script.commands if script is not None else ()


def keeps_owner(model: Model, stage: Stage, application: Application, path: str, behind: int, *, deep: bool) -> bool:
    """Whether a folder that is given away behind a position is at the end as if it had been given away there.

    Args:
        model, stage, application: The facts.
        path: The folder, absolute; it is made there when it does not exist.
        behind: Position of an instruction of the stage.
        deep: Whether what it holds at the end has to be given away with it.
    """
    exists = is_folder(model, stage, path, behind + 1)
    for position in (p for p in stage.positions if p > behind):
        node = model.file.instruction(position)
        if node.keyword == "RUN" and not run_keeps(model, position, path, application, deep=deep):
            return False
        if node.keyword in ("COPY", "ADD"):
            found = placements(model, position)
            if found is None or not all(_copy_keeps(model, node, p, path, exists=exists, deep=deep) for p in found):
                return False
    return True


def _copy_keeps(model: Model, node: Instruction, placement: Placement, path: str, *, exists: bool, deep: bool) -> bool:
    """Whether one source of a COPY leaves the owner of a folder as it is."""
    target = placement.target
    if not within(path, target) and not within(target, path):
        return True
    if (node.keyword == "ADD" and placement.source is None) or any(flag.name == "link" for flag in node.flags):
        return False  # an archive may hold the folder itself; a linked layer brings folders of its own
    if deep:
        return does_not_bring(model, placement, path)
    if target == path:
        return placement.folder is True or (exists and placement.source is not None)
    return within(target, path) or does_not_bring(model, placement, path)


def volume_over(model: Model, stage: Stage, paths: Iterable[str], place: int) -> int | str | None:
    """The first VOLUME over one of the paths that stands in front of a place: its position, or why none may stand there."""
    paths = tuple(paths)
    image_volumes = stage.image.volumes if stage.image is not None else ()
    for path in paths:
        if any(within(path, volume) for volume in image_volumes):
            return f"{path} is in a volume of the base image, where a change of owner may be lost"
    for position, node in sorted(model.instructions_of(stage)):
        if node.keyword != "VOLUME" or position >= place:
            continue
        state = model.before(position)
        covered = [v for word in node.words if (v := state.path(word, node.escape)) is not None and any(within(p, v) for p in paths)]
        if covered:
            return position if position in stage.positions else f"{covered[0]} is {_LOST}"
    return None


_LOST = "a volume, behind whose declaration a change of owner may be lost"


def lost_behind(model: Model, stage: Stage, position: int, paths: Iterable[str]) -> str | None:
    """The reason why paths cannot be given away in front of a VOLUME: an instruction behind it may make or change them."""
    paths = tuple(paths)
    for later in (p for p in stage.positions if p > position):
        node = model.file.instruction(later)
        touched = node.keyword == "RUN" and any(path in node.text or posixpath.basename(path) in node.text for path in paths)
        if node.keyword == "WORKDIR":
            touched = model.before(later).path(node.value, node.escape) in paths
        if node.keyword in ("COPY", "ADD"):
            found = placements(model, later)
            touched = found is None or any(within(path, p.target) or within(p.target, path) for p in found for path in paths)
        if touched:
            state, words = model.before(position), model.file.instruction(position).words
            volume = next((v for w in words if (v := state.path(w)) is not None and any(within(p, v) for p in paths)), paths[0])
            return f"{volume} is {_LOST}"
    return None
