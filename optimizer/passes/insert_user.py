"""Run the program as a user without rights."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.model import Model, Stage
from optimizer.model.application import Application, Used, application_of
from optimizer.model.paths import context_path, is_folder, placements
from optimizer.passes.accounts import Account, account_for
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.rights import (
    closed_to_others,
    command_writes,
    instructions_of,
    kept_at_home,
    service_of,
    unclear_program,
    unreadable_files,
)
from optimizer.passes.shells import posix_shell
from optimizer.passes.text import indent_of, instruction_like, keyword_like, line_end_of, quote_names, style_of
from optimizer.syntax import Blank, Comment, Instruction, Node

_TRAILING = frozenset({"EXPOSE", "HEALTHCHECK", "CMD", "ENTRYPOINT", "STOPSIGNAL", "LABEL", "MAINTAINER", "VOLUME"})
_WRITABLE = ("/tmp", "/var/tmp", "/dev", "/proc")
_SYSTEM = (
    "/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin", "/sys", "/usr/bin", "/usr/include", "/usr/lib",
    "/usr/libexec", "/usr/local/bin", "/usr/local/etc", "/usr/local/lib", "/usr/local/sbin", "/usr/sbin", "/usr/share", "/var/cache", "/var/run",
    "/var/spool",
)  # fmt: skip
_SHARED = frozenset({"/", "/home", "/media", "/mnt", "/opt", "/srv", "/usr", "/usr/local", "/usr/src", "/var", "/var/lib", "/var/log", "/var/www"})
_LINE = 100  # characters up to which the account's RUN stays on one line


class InsertUser(Pass):
    """Run the program of the final stage as a user without rights.

    What it does
        Puts a ``USER`` line behind the last build step of the final stage, so that every build step still runs as root and
        every file keeps its owner. The account is the one that the image brings (``node``), one that a RUN makes and nothing
        uses, or a new system account. Only the folders and files that the program writes are given to it.

    Why
        A program that runs as root inside a container can change every file of it, and what it breaks out of the container
        with is root's identity. Most programs need none of root's rights.

    When it refuses
        When the evidence does not reach: no build context, a base image of which nothing is known, a program whose source
        is not read or that computes what it starts and where it writes. When root is needed: entrypoints that change owners
        or step down by themselves, servers that do, programs that change accounts, devices, networks or packages. When
        something lies in root's home or is closed to others. When a folder cannot be given away: one of the system's, or
        one under a VOLUME. When the image is a base for others (ONBUILD, or a stage that another one starts from).

    Safety
        Safe where it acts, by evidence of the source, the commands and the image. What libraries write on their own account
        is known for common ones only. Ports below 1024 are open to every user in containers of Docker Engine 20.10 and
        later, which sets ``net.ipv4.ip_unprivileged_port_start=0``; other engines may differ.
    """

    name = "insert-user"
    alters = frozenset({Fact.USER, Fact.RUNS, Fact.COPIES})
    examples = (
        Rewrites(
            'FROM node:20-slim\nWORKDIR /app\nCOPY . .\nEXPOSE 3000\nCMD ["node", "server.js"]\n',
            'FROM node:20-slim\nWORKDIR /app\nCOPY . .\nUSER node\nEXPOSE 3000\nCMD ["node", "server.js"]\n',
            files=(("server.js", "require('http').createServer().listen(3000);\n"),),
        ),
        Rewrites(
            'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "app.py"]\n',
            "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\n"
            "RUN useradd --system --create-home app && mkdir -p /app/data && chown app /app/data\n"
            'USER app\nCMD ["python", "app.py"]\n',
            files=(("app.py", "open('/app/data/visits.txt', 'a').write('one')\n"),),
        ),
        Keeps(
            'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "app.py"]\n',
            because="the program computes where it writes",
            files=(("app.py", "import sys\nopen(sys.argv[1], 'a').write('one')\n"),),
        ),
        Keeps("FROM nginx:stable\nCOPY site /usr/share/nginx/html\n", because="nginx starts as root and steps down by itself"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        if not model.stages:
            return
        stage = model.final
        command = model.last(stage, "CMD")
        command = command if command is not None else model.last(stage, "ENTRYPOINT")
        if command is None or model.last(stage, "USER") is not None:
            return
        if model.behind(stage).user not in ("root", "0", "0:0", "root:root", None):
            return
        reason = _refusal(model, stage)
        application = application_of(model, stage) if reason is None else None
        if reason is None and application is not None:
            reason = _program_refusal(model, stage, application)
        if reason is not None or application is None:
            yield Refusal(reason or "nothing is known of the program", command)
            return
        account = account_for(model, stage)
        if isinstance(account, str):
            yield Refusal(account, command)
            return
        plan = _plan(model, stage, application, account)
        if isinstance(plan, str):
            yield Refusal(plan, command)
            return
        yield _change(model, stage, application, account, plan)


def _refusal(model: Model, stage: Stage) -> str | None:
    """The reason why the stage is no place for a USER line, whatever its program is."""
    if model.context is None:
        return "without the build context it is not known what the program writes"
    if model.context.truncated:
        return "the build context has too many files to list"
    if stage.image is None or model.behind(stage).user is None:
        return f"nothing is known of the base image {stage.reference or ''}".rstrip()
    if stage.image.steps_down:
        return f"{stage.image.text} starts as root and steps down by itself"
    if any(node.keyword == "ONBUILD" for _, node in instructions_of(model, stage)):
        return "ONBUILD instructions would run as that user in child images"
    if any(other.base == stage.index for other in model.stages):
        return "another stage starts from this one"
    return None


def _program_refusal(model: Model, stage: Stage, application: Application) -> str | None:
    """The reason why the program needs root or why that is not known."""
    assert model.context is not None
    reason = service_of(application) or kept_at_home(model, stage, application) or closed_to_others(model, stage)
    if reason is not None:
        return reason
    unknown = application.unknown_about("program", "write", "module")
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        return f"the evidence does not reach: {str(unknown[0]).strip()}{more}"
    at_home = next((used.path for used in application.read if used.path.startswith("/root")), None)
    if at_home is not None:
        return f"the program reads {at_home}, which only root may"
    return unclear_program(application, model.context)


@dataclass(frozen=True)
class _Plan:
    """made: folders to make; owned: paths to give away; deep: those given with all they hold; evidence: why."""

    made: tuple[str, ...]
    owned: tuple[str, ...]
    deep: tuple[str, ...]
    evidence: tuple[str, ...]
    own_copy: int | None = None
    above: int | None = None


def _plan(model: Model, stage: Stage, application: Application, account: Account) -> _Plan | str:
    """What has to belong to the account, or the reason why that cannot be arranged."""
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
        if isinstance(left, str):
            return left
        if not is_folder(model, stage, folder, len(model.file.nodes)) and _folder_in_context(model, stage, folder) is None:
            made[folder] = None
        whole = left == "folder" or (used.folder and not _holds_program(model, stage, application, folder))
        (deep if whole else owned)[folder] = None
        if not whole and folder != used.path and (left == "file" or context_path(model, stage, used.path) is not None):
            owned[used.path] = None
        evidence.append(f"writes {used.path}" + (f" ({used.where})" if used.where else ""))
    volume = _volume_above(model, stage, [*owned, *deep])
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
    return _Plan(tuple(made), keep, keep_deep, tuple(evidence), copy, volume)


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
    """What a build step that runs the program's code leaves of a written path: "file", "folder", None; else a reason.

    Such a step runs as root, and so its log and its database belong to root.
    """
    logs = {posixpath.basename(place.path) for place in (application.django.logs if application.django is not None else ())}
    for position, node in instructions_of(model, stage):
        if node.keyword != "RUN" or node.script is None or used.folder:
            continue
        for command in node.script.commands:
            words = [word or "" for word in command.argv]
            if not any(word.endswith("manage.py") for word in words):
                runs_code = re.match(r"(python|node|flask|alembic|npx)", command.name or "") and _runs_own_code(model, position, words)
                if runs_code and not _holds_program(model, stage, application, folder):
                    return "folder"
                if runs_code:
                    return f"line {model.file.line(position)} runs the program's code as root, which may leave {used.path} behind"
            elif posixpath.basename(used.path) in logs or {"migrate", "loaddata", "createsuperuser"} & set(words):
                return "file"
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


def _volume_above(model: Model, stage: Stage, paths: list[str]) -> int | str | None:
    """The VOLUME over one of the paths behind which the image's files change no more: its position, or a reason."""
    image_volumes = stage.image.volumes if stage.image is not None else ()
    for path in paths:
        if any(_within(path, volume) for volume in image_volumes):
            return f"{path} is in a volume of the base image, where a change of owner may be lost"
    last = max((p for p in stage.positions if model.file.instruction(p).keyword in ("RUN", "COPY", "ADD", "WORKDIR")), default=-1)
    for position, node in instructions_of(model, stage):
        if node.keyword != "VOLUME":
            continue
        state = model.before(position)
        covered = [v for word in node.words if (v := state.path(word, node.escape)) is not None and any(_within(p, v) for p in paths)]
        if not covered or position > last:
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


def _change(model: Model, stage: Stage, application: Application, account: Account, plan: _Plan) -> Change:
    """The account's RUN and the USER line in front of the trailing block of CMD, EXPOSE and the like."""
    file = model.file
    start = _place(model, stage)
    neighbour = _neighbour(model, stage)
    commands = list(account.commands)
    if plan.made:
        commands.append(f"mkdir -p {' '.join(map(_quoted, plan.made))}")
    if plan.owned:
        commands.append(f"chown {account.name} {' '.join(map(_quoted, plan.owned))}")
    if plan.deep:
        commands.append(f"chown -R {account.name} {' '.join(map(_quoted, plan.deep))}")
    run = _run(model, neighbour, commands) if commands else None
    if run is not None and not posix_shell(model.before(neighbour)):
        # the words are those of any shell that knows &&; another one would have been set for a reason
        run = _run(model, neighbour, commands)
    user = instruction_like(file, file.instruction(neighbour), "USER", account.name)
    blank = [node for node in file.nodes[start - 1 : start] if isinstance(node, Blank) and start < len(file.nodes)]
    new: list[Node] = [*([run] if run is not None and plan.above is None else []), user, *blank]
    after = file.replaced(start, start, new)
    if run is not None and plan.above is not None:
        after = after.replaced(plan.above, plan.above, [run])
    if plan.own_copy is not None:
        node = file.instruction(plan.own_copy)
        at = node.text.index(node.keyword_text) + len(node.keyword_text)
        shift = 1 if run is not None and plan.above is not None and plan.above <= plan.own_copy else 0
        after = after.replaced(plan.own_copy + shift, plan.own_copy + shift + 1, [node.edited((at, at, f" --chown={account.name}"))])
    evidence = [account.evidence, *_reads(application), *plan.evidence]
    low = [str(port) for port in application.ports if port < 1024]
    if low:
        evidence.append(f"port {', '.join(low)} is open to every user: Docker Engine sets ip_unprivileged_port_start=0 since 20.10")
    touched = tuple(sorted({neighbour, *([plan.own_copy] if plan.own_copy is not None else [])}))
    return Change(f"Run the program as {account.name} instead of root", after, touched, tuple(evidence))


def _reads(application: Application) -> list[str]:
    """What the evidence is about: the files read."""
    files = [f for f in application.files if not f.endswith(".json")]
    started = f"starts {application.start.commands[-1]}" if application.start.commands else ""
    own = f"{len(files)} source files read ({quote_names(files)})" if files else ""
    return [text for text in (started, own, "" if application.written else "writes no files outside of temporary folders") if text]


def _quoted(path: str) -> str:
    return path if re.fullmatch(r"[\w@%+=:,./-]+", path) else f"'{path}'"


def _place(model: Model, stage: Stage) -> int:
    """Index of the node in front of which the USER line goes: the stage's trailing block with the comments above it."""
    file = model.file
    place = (stage.positions[-1] if stage.positions else stage.position) + 1
    for position in reversed(stage.positions):
        if file.instruction(position).keyword not in _TRAILING:
            break
        place = position
    while place > stage.position + 1 and isinstance(file.nodes[place - 1], Comment) and place in stage.positions:
        if not isinstance(file.nodes[place - 1], Comment):
            break
        above = place - 1
        while above > stage.position + 1 and isinstance(file.nodes[above - 1], Comment):
            above -= 1
        return above
    return place


def _neighbour(model: Model, stage: Stage) -> int:
    """Position of the instruction whose style new lines take: the last one in front of them, or the stage's FROM."""
    place = _place(model, stage)
    return max((p for p in (stage.position, *stage.positions) if p < place), default=stage.position)


def _run(model: Model, neighbour: int, commands: list[str]) -> Instruction:
    """A RUN of these commands, on one line or broken as the file breaks its own."""
    file = model.file
    node = file.instruction(neighbour)
    line = " && ".join(commands)
    if len(line) <= _LINE:
        return instruction_like(file, node, "RUN", line)
    style = style_of(file, node)
    newline = line_end_of(file, node)
    glue = f" && {node.escape}{newline}{style.indent}" if style.trailing_and else f" {node.escape}{newline}{style.indent}&& "
    return Instruction(f"{indent_of(node)}{keyword_like(node, 'RUN')} {glue.join(commands)}{newline}", node.escape)
