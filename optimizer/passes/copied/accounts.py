"""Where the account that files are given to comes from, and whether it can be made above the COPY that brings them."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from optimizer.model import Model
from optimizer.passes.account.place import may_make_accounts
from optimizer.passes.runs.readable import ReadableRun
from optimizer.passes.runs.shells import script_of
from optimizer.syntax.shell import Command

MAKES_ACCOUNTS = frozenset({"useradd", "adduser", "groupadd", "addgroup"})
_MOVES = MAKES_ACCOUNTS | {"mkdir"}


class Makers(Struct, frozen=True):
    """What has to stand above the COPY instructions.

    Args:
        positions: Positions of the RUN instructions that make accounts and have to move above them, in order.
        with_run: Whether the RUN that gives the files away has to move, too, since it makes accounts itself.
    """

    positions: tuple[int, ...] = ()
    with_run: bool = False


def makers_of(model: Model, run: ReadableRun, at: int, names: Collection[str], first: int) -> Makers | str:
    """What makes the accounts, or the reason why a COPY cannot name them.

    Args:
        model: The facts.
        run: The RUN that gives files away.
        at: The index of its ``chown`` in its list of ``&&``.
        names: The users and groups as the command writes them.
        first: Position of the first COPY that shall name them.
    """
    state, there = model.before(first), model.before(run.position)
    known = {state.expand(name) for name in names}
    if None in known or known != {there.expand(name) for name in names}:
        return "a build argument or a shell decides who it is"
    wanted = {name for name in known if name and not name.isdigit() and name != "root"}
    image = run.stage.image
    above = [p for p in run.stage.positions if p < first]
    between = [p for p in run.stage.positions if first <= p < run.position]
    missing = {name for name in wanted if (image is None or name not in image.users) and not any(_makes(model, p, name) for p in above)}
    if not missing:
        changed = any(name in model.file.instruction(p).text and may_make_accounts(model, p) for p in between for name in wanted)
        return "the account is changed behind the COPY" if changed else Makers()
    makers = tuple(p for p in between if may_make_accounts(model, p))
    own = [c for i, c in enumerate(run.script.commands) if i != at and c.name in MAKES_ACCOUNTS]
    for name in sorted(missing):
        if not any(_makes(model, p, name) for p in makers) and not any(_names(command, name) for command in own):
            return f"it is not known where {name} comes from"
    for position in makers:
        script = script_of(model.file.instruction(position))
        if script is None or not all(command.name in _MOVES for command in script.commands) or not movable(model, position, first):
            return f"line {model.file.line(position)} may make accounts, in an order that would change"
    if own and not (movable(model, run.position, first) and all(c.name in _MOVES | {"chown"} for c in run.script.commands)):
        return "the account is made in a RUN that does more"
    return Makers(makers, bool(own))


def movable(model: Model, position: int, first: int) -> bool:
    """Whether a RUN does the same in front of the node at ``first``: its shell, its user, its folder and its variables are the same."""
    node = model.file.instruction(position)
    script, here, there = script_of(node), model.before(position), model.before(first)
    if (
        script is None
        or script.chain is None
        or node.flags
        or (here.shell, here.user, here.workdir) != (there.shell, there.user, there.workdir)
    ):
        return False
    if any(command.redirects or command.assignments for command in script.commands):
        return False
    words = [word for command in script.commands for word in command.words]
    return not any(word.glob or word.substitutions for word in words) and (
        all(word.value is not None for word in words) or (here.env, here.args) == (there.env, there.args)
    )


def _makes(model: Model, position: int, name: str) -> bool:
    """Whether a RUN makes an account of that name."""
    node = model.file.instruction(position)
    script = script_of(node) if node.keyword == "RUN" else None
    state = model.before(position)
    return script is not None and any(
        command.name in MAKES_ACCOUNTS and any(name == (word.value or state.expand(word.text)) for word in command.words[1:])
        for command in script.commands
    )


def _names(command: Command, name: str) -> bool:
    return any(name == word.value for word in command.words[1:])
