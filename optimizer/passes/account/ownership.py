"""What a program that is not root's has to own: the folders and files that it writes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection

from msgspec import Struct
from msgspec.structs import replace

from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.paths import Placement, context_path, is_folder, origin_of, placements, within
from optimizer.model.used import Used
from optimizer.passes.account.accounts import Account
from optimizer.passes.account.rights import command_writes, unreadable_files
from optimizer.passes.runs.keeps import run_keeps

_WRITABLE = ("/tmp", "/var/tmp", "/dev", "/proc", "/var/lock", "/run/lock")
_SYSTEM = (
    "/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/sbin", "/sys", "/usr/bin", "/usr/include",
    "/usr/lib", "/usr/libexec", "/usr/local/bin", "/usr/local/etc", "/usr/local/lib", "/usr/local/sbin", "/usr/sbin", "/usr/share",
    "/var/cache/apt", "/var/cache/debconf", "/var/cache/fontconfig", "/var/cache/ldconfig", "/var/cache/man", "/var/spool/cron",
    "/var/spool/mail", "/var/spool/postfix", "/var/spool/rsyslog",
)  # fmt: skip
_SHARED = frozenset({
    "/", "/home", "/media", "/mnt", "/opt", "/run", "/srv", "/usr", "/usr/local", "/usr/src", "/var", "/var/cache", "/var/lib", "/var/log",
    "/var/run", "/var/spool", "/var/www",
})  # fmt: skip
"""Folders in which every program may have one of its own, and which belong to none."""
_FOR_PROGRAMS = frozenset({"/home", "/mnt", "/opt", "/srv", "/usr/src", "/var/www"})
"""Those of them that are one program's own where its container works in them."""
_INTERPRETERS = re.compile(r"python|node|flask|alembic|npx|ruby|bundle|rails|rake|php")
_PACKAGES = r"/node_modules(?!/\.(?!bin\b|pnpm\b|bun\b|store\b)\w)"
"""What belongs to packages; a folder with a dot beside them is the cache of a tool."""
_FILE, _FOLDER = "file", "folder"


class Ownership(Struct, frozen=True):
    """What an account has to own.

    Args:
        made: Folders to make first.
        owned: Paths to give away.
        deep: Folders to give away with all that they hold.
        evidence: What is written, and where that was found.
        own_copy: Position of the COPY whose files only their owner may read, None when there is none.
    """

    made: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    deep: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    own_copy: int | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Everything to give away."""
        return (*self.owned, *self.deep)

    def commands(self, name: str) -> list[str]:
        """The shell commands that give everything to an account."""
        found = [f"mkdir -p {' '.join(map(_quoted, self.made))}"] if self.made else []
        found += [f"chown {name} {' '.join(map(_quoted, self.owned))}"] if self.owned else []
        return found + ([f"chown -R {name} {' '.join(map(_quoted, self.deep))}"] if self.deep else [])

    def part(self, paths: Collection[str]) -> Ownership:
        """The share of it that is about some of its paths."""
        made, owned, deep = (tuple(p for p in kept if p in paths) for kept in (self.made, self.owned, self.deep))
        return replace(self, made=made, owned=owned, deep=deep)


def ownership_for(model: Model, stage: Stage, application: Application, account: Account, first_copy: int | None) -> Ownership | str:
    """What has to belong to the account, or the reason why that cannot be arranged.

    Args:
        model, stage, application, account: The facts.
        first_copy: Position of the first COPY in front of which an account can be made, None when it is made behind them all.
    """
    written = _written(application)
    if isinstance(written, str):
        return written
    made: dict[str, None] = {}
    owned: dict[str, None] = {}
    deep: dict[str, None] = {}
    evidence: dict[str, None] = {}
    for used in written:
        if used.path.startswith(tuple(f"{place}/" for place in _WRITABLE)) or used.path in _WRITABLE:
            continue
        folder = used.path if used.folder or is_folder(model, stage, used.path, len(model.file.nodes)) else posixpath.dirname(used.path)
        own = folder in _FOR_PROGRAMS and folder == model.behind(stage).workdir
        if _is_system(folder) and not own:
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
        evidence[f"writes {used.path}" + (f" ({used.where})" if used.where else "")] = None
    unreadable = unreadable_files(model, stage)
    copy = next(iter(unreadable), None)
    if copy is not None and (len(unreadable) > 1 or copy not in stage.positions or not _made_above(account, copy, first_copy)):
        return f"others may not read {unreadable[copy]} of the build context"
    if not account.shell and application.language not in ("go", "c", "rust", "python", "node", "java"):
        return "it is not known whether the program runs without an account"
    for path in [*owned]:
        if any(within(path, other) for other in deep):
            del owned[path]
    for path in [*deep]:
        if any(path != other and within(path, other) for other in deep):
            del deep[path]
    given = _given_already(model, stage, application, account)
    keep = tuple(path for path in owned if path not in given and not any(whole and within(path, other) for other, whole in given.items()))
    keep_deep = tuple(path for path in deep if not any(whole and within(path, other) for other, whole in given.items()))
    return Ownership(tuple(made), keep, keep_deep, tuple(evidence), copy)


def _made_above(account: Account, copy: int, first_copy: int | None) -> bool:
    """Whether the account exists when a COPY runs, so that the COPY can name it."""
    exists = not account.commands and account.after is None
    return exists or (first_copy is not None and first_copy <= copy)


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
    packages = "site-packages" in folder or re.search(_PACKAGES, folder) is not None
    return packages or folder in _SHARED or any(within(folder, place) for place in _SYSTEM)


def _holds_program(model: Model, stage: Stage, application: Application, folder: str) -> bool:
    """Whether a folder is that of the program itself: its new files may belong to the account, its source stays root's."""
    inside = _folder_in_context(model, stage, folder)
    workdir = model.behind(stage).workdir
    return (workdir is not None and within(workdir, folder)) or any(inside == "." or within(f, inside or "\0") for f in application.files)


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
    steps = [*model.instructions_of(stage), *(model.instructions_of(origin) if origin.index != stage.index else ())]
    for position, node in steps:
        if node.keyword != "RUN" or node.script is None or used.folder:
            continue
        for command in node.script.commands:
            words = [word or "" for word in command.argv]
            if not any(word.endswith("manage.py") for word in words):
                runs_code = _INTERPRETERS.match(command.name or "") and _runs_own_code(model, position, words)
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
    if words[0] in ("flask", "alembic") or posixpath.basename(words[0]) in ("rails", "rake") or words[:2] == ["bundle", "exec"]:
        return True
    stage, state = model.stage_of(position), model.before(position)
    if "-c" in words or "-m" in words:
        return True
    paths = [state.path(word) for word in words[1:] if re.search(r"\.(py|[cm]?js|ts|rb|php)$", word)]
    return stage is not None and any(path is not None and context_path(model, stage, path, position) for path in paths)


def _given_already(model: Model, stage: Stage, application: Application, account: Account) -> dict[str, bool]:
    """The paths that the stage gives to the account itself, with ``chown`` or ``COPY --chown``, and whether with all they hold."""
    found: dict[str, bool] = {}
    number = stage.image.users.get(account.name) if stage.image is not None else None
    names = {account.name} | ({str(number)} if number is not None else set())
    for position in stage.positions if not account.commands else ():
        node, state = model.file.instruction(position), model.before(position)
        if node.keyword in ("COPY", "ADD"):
            placed = placements(model, position)
            brought = _brought(model, placed) if placed is not None else None
            found = {path: deep for path, deep in found.items() if brought is not None and not any(within(p, path) for p in brought)}
            if brought is not None and (node.flag("chown") or "").split(":")[0] in names:
                found |= dict.fromkeys(brought, True)
        if node.keyword != "RUN":
            continue
        chowns = [command for command in node.script.commands if command.name == "chown"] if node.script is not None else []
        if not chowns:
            kept = {path: deep for path, deep in found.items() if run_keeps(model, position, path, application, deep=False)}
            found = {path: deep and run_keeps(model, position, path, application, deep=True) for path, deep in kept.items()}
            continue
        found = {}  # the others may be part of what changes hands
        for command in chowns:
            words = [word.value or "" for word in command.words]
            owner = next((w for w in words[1:] if w.split(":")[0] in names), None)
            deep = bool({"-R", "--recursive"} & set(words))
            given = words[words.index(owner) + 1 :] if owner is not None else []
            found |= {path: deep for word in given if (path := state.path(word)) is not None}
    return found


def _brought(model: Model, placed: tuple[Placement, ...]) -> list[str]:
    """The paths that sources of the context bring: files, and the folders in a folder that is copied."""
    context = model.context
    found: list[str] = []
    for placement in placed:
        if placement.source is None or placement.stage is not None or placement.foreign or context is None:
            continue
        inside = context.under(placement.source) if placement.folder else (placement.source,)
        paths = {parent for path in inside for parent in _with_folders(path, placement.source)}
        if placement.folder:
            paths.discard(placement.source)  # the folder that it goes into keeps its owner
        found += [target for path in paths if (target := placement.outside(path)) is not None]
    return sorted(found)


def _with_folders(path: str, around: str) -> list[str]:
    """A path and the folders above it up to one around it."""
    found = [path]
    while (path := posixpath.dirname(path)) not in ("", around):
        found.append(path)
    return found


def _quoted(path: str) -> str:
    return path if re.fullmatch(r"[\w@%+=:,./-]+", path) else f"'{path}'"
