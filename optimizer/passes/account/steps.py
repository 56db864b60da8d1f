"""The account of a program without rights, what it owns, and the lines that say so."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.paths import is_folder
from optimizer.passes.account.accounts import Account, account_for
from optimizer.passes.account.bare import with_folders
from optimizer.passes.account.ownership import Ownership, ownership_for
from optimizer.passes.account.place import Gap, gap_above_source, keeps_owner, lost_behind, neighbour_above, volume_over
from optimizer.passes.account.rights import (
    closed_to_others,
    kept_at_home,
    service_of,
    unclear_program,
)
from optimizer.passes.base import Change, Refusal
from optimizer.passes.runs.continuation import run_style
from optimizer.passes.runs.shells import posix_shell
from optimizer.passes.text import indent_of, instruction_like, keyword_like, line_end_of, quote_names
from optimizer.syntax import Blank, Comment, Dockerfile, Instruction, Node

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
    gap = gap_above_source(model, stage)
    plan = ownership_for(model, stage, application, account, gap.copy if gap is not None else None)
    if isinstance(plan, str):
        return Refusal(plan, command)
    if plan.paths and not account.shell:
        return _with_copied_folders(model, stage, command, application, account, plan)
    steps = _steps_for(model, stage, application, account, plan, gap)
    if isinstance(steps, str):
        return Refusal(steps, command)
    if not all(posix_shell(model.before(run.neighbour)) for run in steps):
        return Refusal("SHELL is none that a RUN of these commands is known to work in", command)
    return _change(model, stage, application, account, plan, steps)


def _with_copied_folders(
    model: Model, stage: Stage, command: int, application: Application, account: Account, plan: Ownership
) -> Change | Refusal:
    """The USER line for an image without a shell, whose folders are copied with their owner."""
    file = with_folders(model, stage, application, account, plan)
    if isinstance(file, str):
        return Refusal(file, command)
    after = Model(file, model.context, model.target, model.runtime)
    change = _change(after, after.final, application, account, replace(plan, made=(), owned=(), deep=()), ())
    evidence = (*change.evidence, f"{quote_names(plan.paths)} would be root's, so an empty folder is copied there with its owner")
    return replace(change, touched=(stage.position,), evidence=evidence)


class _Run(Struct, frozen=True):
    """A new RUN: its commands, the index of the node in front of which it goes, the instruction whose style it takes."""

    commands: tuple[str, ...]
    index: int
    neighbour: int


def _steps_for(
    model: Model, stage: Stage, application: Application, account: Account, plan: Ownership, gap: Gap | None
) -> tuple[_Run, ...] | str:
    """The RUN instructions that make the account and give it what it has to own, or why a VOLUME forbids that.

    The first stands above what brings the project, so that an edit of the source does not make it run again; the second
    behind the last step, for what does not exist before.
    """
    place = _place(model, stage)
    volume = volume_over(model, stage, plan.paths, place)
    if isinstance(volume, str):
        return volume
    if gap is not None and volume is not None:
        gap = replace(gap, copy=min(gap.copy, volume)) if volume > gap.floor else None
    early: list[str] = []
    found: list[_Run] = []
    if gap is not None:
        early = [path for path in plan.paths if _keeps(model, stage, application, plan, path, gap.copy - 1)]
        neighbour = neighbour_above(model, stage, gap, lambda position: _fits(model, stage, application, plan, early, position, gap))
        absent = tuple(path for path in early if not is_folder(model, stage, path, neighbour + 1))
        part = plan.part(early)
        part = replace(
            part,
            made=absent,
            owned=tuple(path for path in part.paths if path in part.owned or path in absent),
            deep=tuple(path for path in part.deep if path not in absent),  # what is made there is empty
        )
        commands = (*account.commands, *part.commands(account.name))
        found += [_Run(commands, neighbour + 1, neighbour)] if commands else []
    late = plan.part([path for path in plan.paths if path not in early])
    commands = (*(account.commands if gap is None else ()), *late.commands(account.name))
    if volume is not None and volume_over(model, stage, late.paths, place) is not None:
        reason = lost_behind(model, stage, volume, late.paths)
        if reason is not None:
            return reason
        place = volume
    elif gap is not None and commands:
        place = _behind_what_resets(model, stage, application, plan, late, gap, place)
    return (*found, _Run(commands, place, _neighbour(model, stage, place))) if commands else tuple(found)


def _behind_what_resets(
    model: Model, stage: Stage, application: Application, plan: Ownership, late: Ownership, gap: Gap, place: int
) -> int:
    """Index of the node in front of which folders can be given away already, so that a COPY behind it does not make that run again."""
    copies = [p for p in stage.positions if p < place and model.file.instruction(p).keyword in ("COPY", "ADD")]
    for position in (p for p in stage.positions if gap.copy <= p < max(copies, default=0)):
        if all(_keeps(model, stage, application, plan, path, position) for path in late.paths):
            return position + 1
    return place


def _keeps(model: Model, stage: Stage, application: Application, plan: Ownership, path: str, position: int) -> bool:
    """Whether a path can be given away behind a position: a folder that nothing resets from there on."""
    folder = path in plan.made or path in plan.deep or is_folder(model, stage, path, len(model.file.nodes))
    return folder and keeps_owner(model, stage, application, path, position, deep=path in plan.deep)


def _fits(model: Model, stage: Stage, application: Application, plan: Ownership, paths: list[str], position: int, gap: Gap) -> bool:
    """Whether paths that can be given away above the first COPY can be so behind an earlier position, with no more to make there."""
    exist = (is_folder(model, stage, path, position + 1) or not is_folder(model, stage, path, gap.copy) for path in paths)
    return all(exist) and all(_keeps(model, stage, application, plan, path, position) for path in paths)


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


def _change(model: Model, stage: Stage, application: Application, account: Account, plan: Ownership, steps: tuple[_Run, ...]) -> Change:
    """The RUN instructions, and the USER line in front of the trailing block of CMD, EXPOSE and the like."""
    file = model.file
    place = _place(model, stage)
    neighbour = _neighbour(model, stage, place)
    user = instruction_like(file, file.instruction(neighbour), "USER", account.name)
    blank = [node for node in file.nodes[place - 1 : place] if isinstance(node, Blank) and place < len(file.nodes)]
    new: dict[int, list[Node]] = {}
    for run in steps:
        above = [*_blank_above(file, run.neighbour)] if run.index == run.neighbour + 1 != place else []
        new.setdefault(run.index, []).extend([*above, _instruction(file, run)])
    new.setdefault(place, []).extend([user, *blank])
    after = file
    for index in sorted(new, reverse=True):
        after = after.replaced(index, index, new[index])
    if plan.own_copy is not None:
        node = file.instruction(plan.own_copy)
        at = node.text.index(node.keyword_text) + len(node.keyword_text)
        position = plan.own_copy + sum(len(nodes) for index, nodes in new.items() if index <= plan.own_copy)
        after = after.replaced(position, position + 1, [node.edited((at, at, f" --chown={account.name}"))])
    evidence = [account.evidence, *_reads(application), *plan.evidence]
    low = [str(port) for port in application.ports if port < 1024]
    if low:
        evidence.append(f"port {', '.join(low)} is open to every user: Docker Engine sets ip_unprivileged_port_start=0 since 20.10")
    touched = tuple(sorted({neighbour, *([plan.own_copy] if plan.own_copy is not None else [])}))
    return Change(f"run the program as {account.name} instead of root", after, touched, tuple(evidence))


def _blank_above(file: Dockerfile, neighbour: int) -> list[Blank]:
    """The blank line for a new instruction behind another, where blank lines stand around that."""
    first = neighbour
    while first > 0 and isinstance(file.nodes[first - 1], Comment):
        first -= 1
    below = file.nodes[neighbour + 1] if neighbour + 1 < len(file.nodes) else None
    alone = file.instruction(neighbour).keyword == "FROM" or first == 0 or isinstance(file.nodes[first - 1], Blank)
    return [below] if isinstance(below, Blank) and alone else []


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


def _neighbour(model: Model, stage: Stage, place: int) -> int:
    """Position of the instruction whose style new lines take: the last one in front of them, or the stage's FROM."""
    return max((p for p in (stage.position, *stage.positions) if p < place), default=stage.position)


def _instruction(file: Dockerfile, run: _Run) -> Instruction:
    """A RUN on one line, or broken as the file breaks its own: when it is long, or could go on from a RUN that is no list on one line."""
    node = file.instruction(run.neighbour)
    line = " && ".join(run.commands)
    broken = node.keyword == "RUN" and not node.heredocs and ("\n" in node.text.rstrip() or "&&" not in node.text)
    if len(line) <= _LINE and not (broken and len(run.commands) > 1):
        return instruction_like(file, node, "RUN", line)
    style = run_style(file, *([node] if node.keyword == "RUN" else []))
    newline = line_end_of(file, node)
    glue = f" && {node.escape}{newline}{style.indent}" if style.trailing_and else f" {node.escape}{newline}{style.indent}&& "
    return Instruction(f"{indent_of(node)}{keyword_like(node, 'RUN')} {glue.join(run.commands)}{newline}", node.escape)
