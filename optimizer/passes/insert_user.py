"""Put a USER line into the stage that runs."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model, Stage
from optimizer.model.state import ROOT_USERS
from optimizer.model.users import decided_user
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites


class InsertUser(Pass):
    """Run the program of the final stage as a user without rights.

    What it does
        Puts a ``USER`` line behind the last build step of the final stage, so that every build step still runs as root and
        every file keeps its owner. The account is the one that the image brings (``node``), one that a RUN makes and nothing
        uses, or a new system account. Only the folders and files that the program writes are given to it.

        A new account is made above the COPY that brings the project, so that an edit of the source does not make it anew, and
        folders that nothing below resets are given away there: a folder that a COPY goes into keeps its owner. What the COPY
        brings, or a later step makes, is given away behind the last step.

        Where the file names a user itself, behind all build steps, that user is given what the program writes and root owns.
        Root said in front of build steps, where root it was, is said for those steps; behind the last of them it is a decision.

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
    mends = ("DL3002",)
    examples = (
        Rewrites(
            'FROM node:20-slim\nWORKDIR /app\nCOPY . .\nEXPOSE 3000\nCMD ["node", "server.js"]\n',
            'FROM node:20-slim\nWORKDIR /app\nCOPY . .\nUSER node\nEXPOSE 3000\nCMD ["node", "server.js"]\n',
            files=(("server.js", "require('http').createServer().listen(3000);\n"),),
        ),
        Rewrites(
            'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "app.py"]\n',
            "FROM python:3.12-slim\nWORKDIR /app\n"
            "RUN useradd --system --create-home app && mkdir -p /app/data && chown app /app/data\n"
            'COPY . .\nUSER app\nCMD ["python", "app.py"]\n',
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
        if command is None:
            return
        user = decided_user(model, stage)
        if user is not None:
            yield from _existing(model, stage, user, command)
            return
        if model.behind(stage).user not in (*ROOT_USERS, None):
            return
        reason = _refusal(model, stage)
        if reason is not None:
            yield Refusal(reason, command)
            return
        from optimizer.passes.account.steps import user_steps  # heavy: it reads the program

        yield user_steps(model, stage, command)


def _existing(model: Model, stage: Stage, user: int, command: int) -> Iterator[Change]:
    """What the user that the stage itself names has to own, where it is root's."""
    if user not in stage.positions or command not in stage.positions or _refusal(model, stage) is not None:
        return
    from optimizer.passes.account.existing import owned_by_user  # heavy: it reads the program

    change = owned_by_user(model, stage, user, command)
    if change is not None:
        yield change


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
    if model.last(stage, "ONBUILD") is not None:
        return "ONBUILD instructions would run as that user in child images"
    if any(other.base == stage.index for other in model.stages):
        return "another stage starts from this one"
    return None
