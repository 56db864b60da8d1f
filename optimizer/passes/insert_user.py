"""Run the program as a user without rights."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.passes.accounts import Account, account_for
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.ownership import Ownership, ownership_for
from optimizer.passes.rights import (
    closed_to_others,
    instructions_of,
    kept_at_home,
    service_of,
    unclear_program,
)
from optimizer.passes.shells import posix_shell
from optimizer.passes.text import indent_of, instruction_like, keyword_like, line_end_of, quote_names, style_of
from optimizer.syntax import Blank, Comment, Instruction, Node

_TRAILING = frozenset({"EXPOSE", "HEALTHCHECK", "CMD", "ENTRYPOINT", "STOPSIGNAL", "LABEL", "MAINTAINER", "VOLUME"})
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
        plan = ownership_for(model, stage, application, account, _place(model, stage))
        if isinstance(plan, str):
            yield Refusal(plan, command)
            return
        if (account.commands or plan.commands("")) and not posix_shell(model.before(_neighbour(model, stage))):
            yield Refusal("SHELL is none that a RUN of these commands is known to work in", command)
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


def _change(model: Model, stage: Stage, application: Application, account: Account, plan: Ownership) -> Change:
    """The account's RUN and the USER line in front of the trailing block of CMD, EXPOSE and the like."""
    file = model.file
    start = _place(model, stage)
    neighbour = _neighbour(model, stage)
    commands = [*account.commands, *plan.commands(account.name)]
    run = _run(model, neighbour, commands) if commands else None
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


def _place(model: Model, stage: Stage) -> int:
    """Index of the node in front of which the USER line goes: the stage's trailing block with the comments above it."""
    file = model.file
    place = (stage.positions[-1] if stage.positions else stage.position) + 1
    for position in reversed(stage.positions):
        if file.instruction(position).keyword not in _TRAILING:
            break
        place = position
    while isinstance(file.nodes[place - 1], Comment):
        place -= 1
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
