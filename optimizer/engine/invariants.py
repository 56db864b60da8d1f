"""What must hold after every change. A change that breaks one of these is dropped and reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from optimizer.model import Model, Stage
from optimizer.passes.base import Fact
from optimizer.syntax import Directive, Dockerfile, Instruction, Node, parse, parse_nodes

_COMMANDS = ("CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL")
_METADATA = ("LABEL", "EXPOSE", "VOLUME", "ONBUILD", "MAINTAINER")


def broken(before: Model, after: Model, alters: frozenset[Fact]) -> str | None:
    """The first invariant that a change breaks, as a sentence, or None.

    Args:
        before, after: Facts of the Dockerfile on both sides of the change.
        alters: What the pass may change.
    """
    if not reads_back(before.file, after.file):
        return "the new text parses to another tree"
    if after.file.problems and not before.file.problems:
        problem = after.file.problems[0]
        return f"the new text has an error on line {problem.line}: {problem.message}"
    facts = (Fact.RUNS,) if _others(before) == _others(after) else Fact
    return next((f"{fact.value} changed" for fact in facts if fact not in alters and not _same(fact, before, after)), None)


def reads_back(before: Dockerfile, after: Dockerfile) -> bool:
    """Whether the text of a changed tree parses to that very tree.

    Only what is new is parsed, with one node before and behind it, which it may draw in or be drawn in by; the others were
    read that way already. Where directives or the beginning of the file are part of it, all of it is parsed.

    Args:
        before: The tree before the change, as ``parse`` made it or as it was checked.
        after: The tree behind it.
    """
    old, new = before.nodes, after.nodes
    shared = min(len(old), len(new))
    start = next((i for i in range(shared) if old[i] is not new[i]), shared)
    end = next((i for i in range(shared - start) if old[-1 - i] is not new[-1 - i]), shared - start)
    window = new[start - 1 : len(new) - end + 1] if start else ()
    past_directives = any(not isinstance(node, Directive) for node in new[:start])
    if before.escape != after.escape or before.bom != after.bom or not past_directives or any(isinstance(n, Directive) for n in window[1:]):
        again = parse(after.text)
        return again.escape == after.escape and _texts(again.nodes) == _texts(new)
    return _texts(parse_nodes("".join(_texts(window)), after.escape)) == _texts(window)


def _texts(nodes: Iterable[Node]) -> list[str]:
    return [node.text for node in nodes]


def _others(model: Model) -> list[Instruction]:
    """The instructions but RUN, which alone decide all facts but one."""
    return [node for node in model.file.nodes if isinstance(node, Instruction) and node.keyword != "RUN"]


def _same(fact: Fact, before: Model, after: Model) -> bool:
    """Whether a fact is the same on both sides."""
    if fact is not Fact.RUNS:
        return _VALUES[fact](before) == _VALUES[fact](after)
    return len(before.stages) == len(after.stages) and all(
        _same_commands(_runs(before, old), _runs(after, new)) for old, new in zip(before.stages, after.stages, strict=True)
    )


def _commands(model: Model) -> object:
    return [_meaning(model, model.last(model.final, keyword)) for keyword in _COMMANDS]


def _all(model: Model, keywords: tuple[str, ...]) -> object:
    """What the final stage says of the image by some instructions, with what it has from the stages that it starts from."""
    positions = [p for stage in reversed((model.final, *model.bases(model.final))) for p in stage.positions]
    return [_meaning(model, p) for p in positions if model.file.instruction(p).keyword in keywords]


def _meaning(model: Model, position: int | None) -> object:
    if position is None:
        return None
    node = model.file.instruction(position)
    value = node.value.lower() if node.keyword == "EXPOSE" else node.json or node.value  # the case of protocols means nothing
    read = node.json is None and node.keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK")
    return node.keyword, value, model.before(position).shell if read else None


def _copies(model: Model) -> object:
    stages = [[model.file.instruction(p) for p in stage.positions] for stage in model.stages]
    return [[(n.keyword, [(f.name, f.value) for f in n.flags], n.words) for n in nodes if n.keyword in ("COPY", "ADD")] for nodes in stages]


_VALUES: dict[Fact, Callable[[Model], object]] = {
    Fact.STAGES: lambda model: [stage.name for stage in model.stages],
    Fact.BASES: lambda model: [stage.reference for stage in model.stages],
    Fact.COMMAND: _commands,
    Fact.ENV: lambda model: model.behind(model.final).env,
    Fact.WORKDIR: lambda model: model.behind(model.final).workdir,
    Fact.USER: lambda model: model.behind(model.final).user,
    Fact.METADATA: lambda model: _all(model, _METADATA),
    Fact.SHELL: lambda model: _all(model, ("SHELL",)),
    Fact.COPIES: _copies,
}
"""What each fact but the commands of RUN is, comparable."""


def _runs(model: Model, stage: Stage) -> list[Instruction]:
    nodes = map(model.file.instruction, stage.positions)
    return [node for node in nodes if node.keyword == "RUN"]


def _same_commands(old: list[Instruction], new: list[Instruction]) -> bool:
    """Whether two lists of RUN run the same simple commands in one row; those that both begin or end with need no look."""
    while old and new and old[0] is new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] is new[-1]:
        old, new = old[:-1], new[:-1]
    return _one_row(old) == _one_row(new)


def _one_row(nodes: list[Instruction]) -> list[object]:
    """The commands of several RUN. A ``cd`` that repeats the last one counts once: both parts of a divided RUN enter their folder."""
    found: list[object] = []
    folder: object = None
    for command in (command for node in nodes for command in _row(node)):
        enters = isinstance(command, tuple) and command[0][:1] == ("cd",)
        found.extend([] if enters and command == folder else [command])
        folder = command if enters else folder
    return found


def _row(node: Instruction) -> list[object]:
    """The simple commands of a RUN."""
    if node.script is None or not node.script.understood:
        return [node.value]
    return [(tuple(w.text for w in c.words), tuple(n for n, _ in c.assignments)) for c in node.script.commands]
