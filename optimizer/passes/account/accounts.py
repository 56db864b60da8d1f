"""The account that a program can run as: one that the stage or its image has, or how to make one."""

from __future__ import annotations

from msgspec import Struct

from optimizer.model import Model, Stage
from optimizer.syntax.shell import Command

_OWN_USERS = {"node": "node", "bun": "bun", "dotnet-aspnet": "app", "dotnet-runtime": "app", "dotnet-sdk": "app", "gradle": "gradle"}
"""The account that a family of images brings for the programs of its users."""
_VALUED = frozenset({
    "-u", "--uid", "-g", "--gid", "-G", "--groups", "-d", "--home", "--home-dir", "-s", "--shell", "-c", "--comment", "--gecos", "-b",
    "--base-dir", "-e", "--expiredate", "-f", "--inactive", "-k", "--skel", "-K", "--key", "-p", "--password", "-h", "--ingroup",
})  # fmt: skip
_NUMBER = "65532"  # the number of distroless' nonroot


class Account(Struct, frozen=True):
    """An account to run as.

    Args:
        name: What stands behind USER.
        commands: The shell commands that make it, in order; empty when it exists.
        evidence: Where it comes from.
        shell: Whether the stage has a shell that can change owners.
        after: Position of the RUN that makes it, None when the image has it or it is made anew.
    """

    name: str
    commands: tuple[str, ...]
    evidence: str
    shell: bool = True
    after: int | None = None


def account_for(model: Model, stage: Stage) -> Account | str:
    """The account for the program of a stage, or the reason why there is none."""
    image = stage.image
    if image is None:
        return "nothing is known of the base image"
    made = _made_in(model, stage)
    if isinstance(made, str):
        return made
    if made is not None:
        return made
    if (group := _group_in(model, stage)) is not None:
        return f"line {model.file.line(group)} makes a group, and nothing says who belongs to it"
    if not image.shell:
        if image.family == "scratch":
            return Account(_NUMBER, (), f"an image without accounts takes any number, such as {_NUMBER}", shell=False)
        if image.users.get("nonroot") == int(_NUMBER):
            return Account(_NUMBER, (), f"the image has the user nonroot ({_NUMBER})", shell=False)
        return "the image has no shell that could make an account"
    own = _OWN_USERS.get(image.family)
    if own is not None and own in image.users:
        return Account(own, (), f"the image has the user {own} ({image.users[own]})")
    if image.family == "busybox" and "nobody" in image.users:
        number = image.users["nobody"]
        return Account(str(number), (), f"the image has the user nobody ({number})")
    if image.distribution == "alpine" and image.has("adduser") is not False:
        return Account("app", ("addgroup -S app", "adduser -S -D -G app app"), "adduser is part of Alpine's BusyBox")
    if image.distribution in ("debian", "ubuntu") and image.has("useradd") is not False:
        return Account("app", ("useradd --system --create-home app",), f"useradd is part of {image.distribution.capitalize()}")
    full = image.variant == "full" and image.distribution in ("fedora", "rhel")
    if full or (image.distribution in ("rhel", "amazon") and _installs(model, stage, "shadow-utils")):
        return Account("app", ("useradd --system --create-home app",), "useradd is part of shadow-utils")
    return "it is not known whether the image has a command that makes accounts"


def _made_in(model: Model, stage: Stage) -> Account | str | None:
    """The account that a RUN of the stage makes and nobody switches to."""
    found: list[Account] = []
    for position, node in model.instructions_of(stage):
        if node.keyword != "RUN" or node.script is None:
            continue
        for command in node.script.commands:
            if command.name in ("useradd", "adduser"):
                name = _name_of(command)
                if name is None:
                    return f"line {model.file.line(position)} makes an account whose name is not known"
                evidence = f"line {model.file.line(position)} makes the user {name}, which nothing uses"
                found.append(Account(name, (), evidence, after=position))
    if len(found) > 1:
        return "the stage makes several accounts, and nothing says which one is for the program"
    return found[0] if found else None


def _group_in(model: Model, stage: Stage) -> int | None:
    """Position of a RUN of the stage that makes a group."""
    for position, node in model.instructions_of(stage):
        if node.keyword == "RUN" and node.script is not None and {c.name for c in node.script.commands} & {"groupadd", "addgroup"}:
            return position
    return None


def _name_of(command: Command) -> str | None:
    """The name that useradd or adduser makes."""
    words = command.argv[1:]
    operands: list[str | None] = []
    index = 0
    while index < len(words):
        word = words[index]
        if word is not None and word.startswith("-") and len(word) > 1:
            cluster = f"-{word[-1]}" if not word.startswith("--") else word  # -ms is -m and -s
            index += 2 if cluster in _VALUED else 1
        else:
            operands.append(word)
            index += 1
    if command.name == "useradd":
        return operands[0] if len(operands) == 1 else None
    return operands[0] if len(operands) in (1, 2) else None


def _installs(model: Model, stage: Stage, package: str) -> bool:
    return any(node.keyword == "RUN" and package in node.value.split() for _, node in model.instructions_of(stage))
