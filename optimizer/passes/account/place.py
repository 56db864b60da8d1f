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
from msgspec.structs import replace

from optimizer.ecosystems import SYSTEM, Action, read_call
from optimizer.model import Model, Stage, State, mounts
from optimizer.model.application import Application
from optimizer.model.paths import Placement, is_folder, placements
from optimizer.passes.account.rights import instructions_of
from optimizer.passes.runs.shells import posix_shell, script_of
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command

_ACCOUNTS = frozenset({
    "useradd", "adduser", "usermod", "userdel", "deluser", "groupadd", "addgroup", "groupmod", "groupdel", "delgroup", "newusers",
    "systemd-sysusers", "dpkg", "rpm", "playwright", "sudo", "su", "sh", "bash", "dash", "ash", "source", ".", "eval",
})  # fmt: skip
"""Commands that make or change accounts, and those that run what is not read."""
_HARMLESS = frozenset({
    "echo", "printf", "true", ":", "cat", "id", "which", "set", "export", "sed", "grep", "curl", "wget", "ldconfig",
    "update-ca-certificates", "locale-gen", "sleep", "date",
})  # fmt: skip
"""Commands that change no owner of a folder and need none."""
_LEAVES_FILES = frozenset({"curl", "wget", "sed"})  # of those: where their options or their folder say
_FILES = frozenset({"test", "[", "ls", "rm", "rmdir", "mkdir", "mv", "cp", "ln", "chmod", "chown", "chgrp", "touch", "strip", "truncate"})
_OF_THE_IMAGE = ("/usr", "/var", "/etc", "/home", "/root", "/lib", "/bin", "/sbin")
_DEPTH = 8  # of stages that copy from stages


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


def installs_system_packages(command: Command) -> bool:
    """Whether a command installs packages of the distribution, which bring accounts."""
    call = read_call(command)
    return call is not None and call.ecosystem in SYSTEM and call.action is Action.INSTALL


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


def does_not_bring(model: Model, placement: Placement, path: str, depth: int = 0) -> bool:
    """Whether a source that is copied to a folder around a path is sure not to hold that path."""
    if placement.source is None or placement.foreign or placement.folder is False or not within(path, placement.target):
        return False
    if path == placement.target:
        return False
    inside = posixpath.normpath(posixpath.join(placement.source, posixpath.relpath(path, placement.target)))
    if placement.stage is None:
        around = [inside[:i] for i, char in enumerate(inside) if char == "/"]
        context = model.context
        return context is not None and not context.exists(inside) and all(context.is_dir(f) or not context.exists(f) for f in around)
    return _never_made(model, model.stages[placement.stage], inside, depth + 1)


def _never_made(model: Model, stage: Stage, path: str, depth: int) -> bool:
    """Whether no instruction of a stage makes a path."""
    of_the_image = any(within(path, folder) for folder in _OF_THE_IMAGE) and not within(path, "/usr/src")
    if depth > _DEPTH or of_the_image:
        return False
    for position, node in instructions_of(model, stage):
        if node.keyword == "WORKDIR":
            workdir = model.before(position).path(node.value, node.escape)
            if workdir is None or within(workdir, path):
                return False
        elif node.keyword == "RUN" and not run_keeps(model, position, path, None, deep=True):
            return False
        elif node.keyword in ("COPY", "ADD"):
            found = placements(model, position)
            if found is None:
                return False
            for placement in found:
                if within(placement.target, path):
                    return False
                if within(path, placement.target) and placement.folder is not False and not does_not_bring(model, placement, path, depth):
                    return False
    return True


def run_keeps(model: Model, position: int, path: str, application: Application | None, *, deep: bool) -> bool:
    """Whether a RUN leaves a folder's owner as it is, and does not care for it.

    Args:
        model, position, path: The facts.
        application: The program, None in a stage where steps of its own code count as making the folder.
        deep: Whether the RUN may leave nothing in the folder either.
    """
    node, state = model.file.instruction(position), model.before(position)
    script = script_of(node)
    if script is None or not posix_shell(state):
        return False
    for mount in mounts(node):
        target = state.path(mount.target, node.escape) if mount.target is not None else None
        if target is None or within(path, target) or within(target, path):
            return False
    for command, enclosing in script.walk():
        if command.name == "cd":
            folder = command.argv[1] if len(command.argv) == 2 else None
            if folder is None or folder == "-" or not {"&&"}.issuperset(enclosing):
                return False
            state = replace(state, workdir=state.path(folder))
            if state.workdir is None or (within(state.workdir, path) and state.workdir != model.before(position).workdir):
                return False  # whether it can be entered may depend on when it is made
        elif not command_keeps(state, command, path, application, deep=deep):
            return False
    return True


def command_keeps(state: State, command: Command, path: str, application: Application | None, *, deep: bool) -> bool:
    """Whether one command of a RUN leaves a folder's owner as it is, as ``run_keeps`` asks of them all. state: that before it."""
    words = [word.value or word.text for word in command.words]
    if not words:
        return True
    targets = [state.path(r.target.value) if r.target is not None and r.target.value is not None else None for r in command.redirects]
    if deep and any(target is None or within(target, path) for target in targets):
        return False
    call = read_call(command)
    if call is not None and call.ecosystem in SYSTEM:
        return True
    here = state.workdir is None or within(state.workdir, path)
    if call is not None and call.action in (Action.INSTALL, Action.CLEAN):
        # npm runs the scripts of root as the owner of the folder, and git, asked for a version, refuses a stranger's.
        local = any(w in (".", "-e", "--editable") or w.startswith((".[", "./", "git+", "file:")) for w in words[1:])
        if deep and (_names(words, path) or (call.ecosystem != "pip" and (here or within(path, state.workdir or "/")))):
            return False
        return not here or (call.ecosystem not in ("npm",) and not local)
    if "manage.py" in [posixpath.basename(word) for word in words]:
        return application is not None and _manage_keeps(application, words, path, deep=deep)
    if words[:3] == ["python", "-m", "venv"] or command.name in _FILES:
        return not any(_reaches(state, word.value, path, glob=word.glob, deep=deep) for word in command.words[1:])
    if deep and (command.name in _LEAVES_FILES or words[1:3] == ["-m", "compileall"]):
        return not here and not within(path, state.workdir or "/") and not _names(words, path)
    return command.name in _HARMLESS or words[1:3] == ["-m", "compileall"]


def _names(words: list[str], path: str) -> bool:
    """Whether a word, or what stands behind an equals sign in it, names a path or something in it, as ``--target=/app/lib`` does."""
    named = [posixpath.normpath(text) for word in words for text in (word, word.partition("=")[2]) if text.startswith("/")]
    return any(within(name, path) or within(path, name) for name in named)


def _manage_keeps(application: Application, words: list[str], path: str, *, deep: bool) -> bool:
    """Whether a management command of Django that a build runs leaves a folder's owner, or all of the folder."""
    if "collectstatic" in words:
        return not deep or not any(within(used.path, path) or within(path, used.path) for used in application.read)
    return not deep and bool({"migrate", "compilemessages", "check"} & set(words))


def _reaches(state: State, word: str | None, path: str, *, glob: bool, deep: bool) -> bool:
    """Whether a file command with that operand may change a folder, or for a deep one something in it."""
    if word is None:
        return True
    if word.startswith("-"):
        return False
    place = state.path(re.split(r"[*?\[]", word)[0].rpartition("/")[0] or "." if glob else word)
    if place is None:
        return True
    if glob and not deep:
        return within(path, place) and path != place
    return within(path, place) or (deep and within(place, path))


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def volume_over(model: Model, stage: Stage, paths: Iterable[str], place: int) -> int | str | None:
    """The first VOLUME over one of the paths that stands in front of a place: its position, or why none may stand there."""
    paths = tuple(paths)
    image_volumes = stage.image.volumes if stage.image is not None else ()
    for path in paths:
        if any(within(path, volume) for volume in image_volumes):
            return f"{path} is in a volume of the base image, where a change of owner may be lost"
    for position, node in sorted(instructions_of(model, stage)):
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
