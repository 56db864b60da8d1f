"""The account of a program without rights, what it owns, and the lines that say so."""

from __future__ import annotations

from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.passes.accounts import Account, account_for
from optimizer.passes.base import Change, Refusal
from optimizer.passes.ownership import Ownership, ownership_for
from optimizer.passes.rights import (
    closed_to_others,
    kept_at_home,
    service_of,
    unclear_program,
)
from optimizer.passes.shells import posix_shell
from optimizer.passes.text import indent_of, instruction_like, keyword_like, line_end_of, quote_names, style_of
from optimizer.syntax import Blank, Comment, Instruction, Node

_TRAILING = frozenset({"EXPOSE", "HEALTHCHECK", "CMD", "ENTRYPOINT", "STOPSIGNAL", "LABEL", "MAINTAINER", "VOLUME"})
_LINE = 100  # characters up to which the account's RUN stays on one line


def user_steps(model: Model, stage: Stage, command: int) -> Change | Refusal:
    """The account, what it must own, and the USER line; or why not.

    Args:
        model: Facts of the Dockerfile, with a build context.
        stage: The final stage, known to run as root.
        command: Index of the CMD or ENTRYPOINT that starts the program.
    """
    application = application_of(model, stage)
    if application is None:
        return Refusal("nothing is known of the program", command)
    reason = _program_refusal(model, stage, application)
    if reason is not None:
        return Refusal(reason, command)
    account = account_for(model, stage)
    if isinstance(account, str):
        return Refusal(account, command)
    plan = ownership_for(model, stage, application, account, _place(model, stage))
    if isinstance(plan, str):
        return Refusal(plan, command)
    if (account.commands or plan.commands("")) and not posix_shell(model.before(_neighbour(model, stage))):
        return Refusal("SHELL is none that a RUN of these commands is known to work in", command)
    return _change(model, stage, application, account, plan)


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
    own = f"read as its source: {quote_names(files)}" if files else ""
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
