"""What a program that is not root's has to own: the folders and files that it writes."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from optimizer.model import Model, Stage
from optimizer.model.application import Application, Used
from optimizer.model.paths import context_path, is_folder, origin_of, placements
from optimizer.passes.accounts import Account
from optimizer.passes.rights import command_writes, instructions_of, unreadable_files

_WRITABLE = ("/tmp", "/var/tmp", "/dev", "/proc")
_SYSTEM = (
    "/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin", "/sys", "/usr/bin", "/usr/include",
    "/usr/lib", "/usr/libexec", "/usr/local/bin", "/usr/local/etc", "/usr/local/lib", "/usr/local/sbin", "/usr/sbin", "/usr/share",
    "/var/cache", "/var/run", "/var/spool",
)  # fmt: skip
_SHARED = frozenset({
    "/", "/home", "/media", "/mnt", "/opt", "/srv", "/usr", "/usr/local", "/usr/src", "/var", "/var/lib", "/var/log", "/var/www",
})  # fmt: skip
"""Folders in which every program may have one of its own, and which belong to none."""
_FILE, _FOLDER = "file", "folder"


@dataclass(frozen=True)
class Ownership:
    """What an account has to own.

    Args:
        made: Folders to make first.
        owned: Paths to give away.
        deep: Folders to give away with all that they hold.
        evidence: What is written, and where that was found.
        own_copy: Position of the COPY whose files only their owner may read, None when there is none.
        above: Position of the VOLUME in front of which owners have to be changed, None when it does not matter.
    """

    made: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    deep: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    own_copy: int | None = None
    above: int | None = None

    def commands(self, name: str) -> list[str]:
        """The shell commands that give everything to an account."""
        found = [f"mkdir -p {' '.join(map(_quoted, self.made))}"] if self.made else []
        found += [f"chown {name} {' '.join(map(_quoted, self.owned))}"] if self.owned else []
        return found + ([f"chown -R {name} {' '.join(map(_quoted, self.deep))}"] if self.deep else [])


def ownership_for(model: Model, stage: Stage, application: Application, account: Account, place: int) -> Ownership | str:
    """What has to belong to the account, or the reason why that cannot be arranged.

    Args:
        model, stage, application, account: The facts.
        place: Index of the node in front of which owners are changed.
    """
    written = _written(application)
    if isinstance(written, str):
        return written
    made: dict[str, None] = {}
    owned: dict[str, None] = {}
    deep: dict[str, None] = {}
    evidence: list[str] = []
    for used in written:
        if used.path.startswith(tuple(f"{place}/" for place in _WRITABLE)) or used.path in _WRITABLE:
            continue
        folder = used.path if used.folder or is_folder(model, stage, used.path, len(model.file.nodes)) else posixpath.dirname(used.path)
        if _is_system(folder):
            return f"the program writes {used.path}, which is part of the system"
        left = _left_by_build(model, stage, application, used, folder)
        if left is not None and left not in (_FILE, _FOLDER):
            return left
        if not is_folder(model, stage, folder, len(model.file.nodes)) and _folder_in_context(model, stage, folder) is None:
            made[folder] = None
        whole = left == _FOLDER or (used.folder and not _holds_program(model, stage, application, folder))
        (deep if whole else owned)[folder] = None
        if not whole and folder != used.path and (left == _FILE or context_path(model, stage, used.path) is not None):
            owned[used.path] = None
        evidence.append(f"writes {used.path}" + (f" ({used.where})" if used.where else ""))
    volume = _volume_above(model, stage, [*owned, *deep], place)
    if isinstance(volume, str):
        return volume
    unreadable = unreadable_files(model, stage)
    copy = next(iter(unreadable), None)
    if copy is not None and (len(unreadable) > 1 or account.commands or account.after is not None or copy not in stage.positions):
        return f"others may not read {unreadable[copy]} of the build context"
    if (owned or deep or made) and not account.shell:
        return f"the program writes {next(iter([*owned, *deep]))}, and the image has no shell that could give it away"
    if not account.shell and application.language not in ("go", "python", "node", "java"):
        return "it is not known whether the program runs without an account"
    for path in [*owned]:
        if any(path.startswith(f"{other}/") or path == other for other in deep):
            del owned[path]
    given = _given_already(model, stage, account)
    keep = tuple(path for path in owned if not any(_within(path, other) for other in given))
    keep_deep = tuple(path for path in deep if not any(_within(path, other) for other in given))
    return Ownership(tuple(made), keep, keep_deep, tuple(evidence), copy, volume)


def _written(application: Application) -> list[Used] | str:
    """Everything written: by the source, by redirections and by the file commands of start scripts."""
    found = list(application.written)
    for command in application.start.commands:
        for given in command_writes(command):
            path = posixpath.join(command.folder or "", given) if given is not None else ""
            if not path.startswith("/"):
                return f"{command.source} changes a computed path with {command.name}"
            found.append(Used(posixpath.normpath(path), command.name == "mkdir", command.source))
    return found


def _is_system(folder: str) -> bool:
    return folder in _SHARED or any(_within(folder, place) for place in _SYSTEM) or "/node_modules" in folder or "site-packages" in folder


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _holds_program(model: Model, stage: Stage, application: Application, folder: str) -> bool:
    """Whether a folder is that of the program itself: its new files may belong to the account, its source stays root's."""
    inside = _folder_in_context(model, stage, folder)
    workdir = model.behind(stage).workdir
    return (workdir is not None and _within(workdir, folder)) or any(inside == "." or _within(f, inside or "\0") for f in application.files)


def _folder_in_context(model: Model, stage: Stage, folder: str) -> str | None:
    """The folder of the context that is copied to a folder of the image."""
    inside = context_path(model, stage, folder)
    return inside if inside is not None and model.context is not None and (inside == "." or model.context.is_dir(inside)) else None


def _left_by_build(model: Model, stage: Stage, application: Application, used: Used, folder: str) -> str | None:
    """What a build step that runs the program's code leaves of a written path: its file, its folder, nothing; else a reason.

    Such a step runs as root, and so its log and its database belong to root.
    """
    settings = application.django
    logs = {posixpath.basename(place.path) for place in (settings.logs if settings is not None else ())}
    databases = {posixpath.basename(d.place.path) for d in (settings.databases if settings is not None else ()) if d.place is not None}
    name = posixpath.basename(used.path)
    origin = origin_of(model, stage, used.path)[0]
    steps = [*instructions_of(model, stage), *(instructions_of(model, origin) if origin.index != stage.index else ())]
    for position, node in steps:
        if node.keyword != "RUN" or node.script is None or used.folder:
            continue
        for command in node.script.commands:
            words = [word or "" for word in command.argv]
            if not any(word.endswith("manage.py") for word in words):
                runs_code = re.match(r"(python|node|flask|alembic|npx)", command.name or "") and _runs_own_code(model, position, words)
                if runs_code and not _holds_program(model, stage, application, folder):
                    return _FOLDER
                if runs_code:
                    return f"line {model.file.line(position)} runs the program's code as root, which may leave {used.path} behind"
            elif name in logs or (name in databases and {"migrate", "loaddata", "createsuperuser"} & set(words)):
                return _FILE
    return None


def _runs_own_code(model: Model, position: int, words: list[str]) -> bool:
    """Whether a command runs code of the context."""
    if words[1:2] == ["-m"] and words[2:3] and words[2] in ("pip", "venv", "compileall", "ensurepip", "virtualenv"):
        return False
    if words[0] in ("flask", "alembic"):
        return True
    stage, state = model.stage_of(position), model.before(position)
    if "-c" in words or "-m" in words:
        return True
    paths = [state.path(word) for word in words[1:] if re.search(r"\.(py|[cm]?js|ts)$", word)]
    return stage is not None and any(path is not None and context_path(model, stage, path, position) for path in paths)


def _given_already(model: Model, stage: Stage, account: Account) -> list[str]:
    """The folders that a RUN behind the last COPY gives to an account that the stage makes."""
    found: list[str] = []
    if account.after is None:
        return found
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword in ("COPY", "ADD", "WORKDIR"):
            found = []
        for command in node.script.commands if node.keyword == "RUN" and node.script is not None else ():
            words = [word.value or "" for word in command.words]
            owner = next((w for w in words[1:] if w.split(":")[0] == account.name), None)
            if command.name == "chown" and owner is not None and {"-R", "--recursive"} & set(words):
                state = model.before(position)
                found += [path for w in words[words.index(owner) + 1 :] if (path := state.path(w)) is not None]
    return found


def _volume_above(model: Model, stage: Stage, paths: list[str], place: int) -> int | str | None:
    """The VOLUME over one of the paths behind which the image's files change no more: its position, or a reason."""
    image_volumes = stage.image.volumes if stage.image is not None else ()
    for path in paths:
        if any(_within(path, volume) for volume in image_volumes):
            return f"{path} is in a volume of the base image, where a change of owner may be lost"
    for position, node in instructions_of(model, stage):
        if node.keyword != "VOLUME":
            continue
        state = model.before(position)
        covered = [v for word in node.words if (v := state.path(word, node.escape)) is not None and any(_within(p, v) for p in paths)]
        if not covered or position >= place:
            continue
        if position not in stage.positions or _touched_behind(model, stage, position, paths):
            return f"{covered[0]} is a volume, behind whose declaration a change of owner may be lost"
        return position
    return None


def _touched_behind(model: Model, stage: Stage, position: int, paths: list[str]) -> bool:
    """Whether an instruction behind a position may make or change the paths."""
    for later in (p for p in stage.positions if p > position):
        node = model.file.instruction(later)
        if node.keyword == "RUN" and any(path in node.text or posixpath.basename(path) in node.text for path in paths):
            return True
        if node.keyword == "WORKDIR" and model.before(later).path(node.value, node.escape) in paths:
            return True
        if node.keyword in ("COPY", "ADD"):
            found = placements(model, later)
            if found is None or any(_within(path, p.target) or _within(p.target, path) for p in found for path in paths):
                return True
    return False


def _quoted(path: str) -> str:
    return path if re.fullmatch(r"[\w@%+=:,./-]+", path) else f"'{path}'"
