"""What a RUN or a COPY leaves of a folder: its owner and what it holds."""

from __future__ import annotations

import posixpath
import re

from msgspec.structs import replace

from optimizer.ecosystems import SYSTEM, Action, read_call
from optimizer.model import Model, Stage, State, mounts
from optimizer.model.application import Application
from optimizer.model.paths import Placement, placements, within
from optimizer.passes.runs.shells import posix_shell, script_of
from optimizer.syntax.shell import Command

_HARMLESS = frozenset({
    "echo", "printf", "true", ":", "cat", "id", "which", "set", "export", "sed", "grep", "curl", "wget", "ldconfig",
    "update-ca-certificates", "locale-gen", "sleep", "date",
})  # fmt: skip
"""Commands that change no owner of a folder and need none."""
_LEAVES_FILES = frozenset({"curl", "wget", "sed"})  # of those: where their options or their folder say
_FILES = frozenset({"test", "[", "ls", "rm", "rmdir", "mkdir", "mv", "cp", "ln", "chmod", "chown", "chgrp", "touch", "strip", "truncate"})
_OF_THE_IMAGE = ("/usr", "/var", "/etc", "/home", "/root", "/lib", "/bin", "/sbin")
_DEPTH = 8  # of stages that copy from stages


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
    for position, node in model.instructions_of(stage):
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


def installs_system_packages(command: Command) -> bool:
    """Whether a command installs packages of the distribution, which bring accounts."""
    call = read_call(command)
    return call is not None and call.ecosystem in SYSTEM and call.action is Action.INSTALL
