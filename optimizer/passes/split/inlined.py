"""A stage that starts from another stage of the file, with what that one does written out in it, and the way back."""

from __future__ import annotations

from optimizer.model import Model, Stage
from optimizer.passes.split.shared import from_line
from optimizer.passes.text import has_inner_comments
from optimizer.syntax import Comment, Dockerfile, Instruction, Node


def inlined(model: Model, stage: Stage) -> Model | None:
    """The file with all that a stage inherits from other stages written out in it, so that it starts from an image.

    Returns:
        Facts of that file, in which the stage has the same number; None where it inherits nothing, or triggers of ONBUILD.
    """
    bases = model.bases(stage)
    instructions = [model.file.instruction(p) for base in reversed(bases) for p in base.positions]
    if not instructions or any(node.keyword == "ONBUILD" for node in instructions):
        return None
    nodes: list[Node] = [*instructions]
    if _alone(model, stage, bases):  # what it says goes where its steps go
        nodes = list(model.file.nodes[bases[0].position + 1 : bases[0].positions[-1] + 1])
    written = model.file.instruction(bases[-1].position).value.split()[0]
    start = from_line(model, bases[-1], written, stage.name)
    file = model.file.replaced(stage.position, stage.position + 1, [start, *nodes])
    return Model(file, model.context, model.target, model.runtime, model.digests)


def shared_again(model: Model, stage: Stage, file: Dockerfile) -> Dockerfile:
    """The file that a split of the inlined stage gave, without what stands twice in it.

    A new stage that begins with all that the old base does starts from that, or is that where it does no more. A base that
    nothing else needs gives its name to the new stage that does its work, or gets the new image itself where there is none.

    Args:
        model, stage: The facts before, and the stage that was inlined.
        file: What came out, in which new stages stand in front of that stage.
    """
    after = Model(file)
    count = len(after.stages) - len(model.stages)
    bases = model.bases(stage)
    base = bases[0]
    if base.name is None:
        return file
    first = after.stages[stage.index]
    inherited = [model.file.nodes[p].text for b in reversed(bases) for p in b.positions]
    own = [file.nodes[p].text for p in first.positions[: len(inherited)]]
    alone = _alone(model, stage, bases)
    if own != inherited:
        return _in_place_of(file, after, base, first) if alone and count else file
    start = from_line(after, first, base.name, first.name)
    if not count:
        if not alone:
            return file
        reference = from_line(after, first, first.reference or "", base.name)
        kept = file.replaced(first.position, first.positions[len(own) - 1] + 1, [start])
        return kept.replaced(base.position, base.position + 1, [reference])
    if len(first.positions) == len(own) and first.name is not None:
        end = after.stages[first.index + 1].position
        return _renamed(file.replaced(first.position, end, []), first.name, base.name)
    return file.replaced(first.position, first.positions[len(own) - 1] + 1, [start])


def _in_place_of(file: Dockerfile, after: Model, base: Stage, first: Stage) -> Dockerfile:
    """The file without a base, whose name a new stage takes; as it is where comments stand in the base or numbers name stages."""
    end = after.stages[base.index + 1].position
    elsewhere = {node.text for index, node in enumerate(file.nodes) if not base.position <= index < end}
    noted = any(
        node.text not in elsewhere and (isinstance(node, Comment) or (isinstance(node, Instruction) and has_inner_comments(node)))
        for node in file.nodes[base.position : end]
    )
    numbered = any(name.isdigit() for p in file.positions for name in after.sources(file.instruction(p)))
    if noted or numbered or base.name is None or first.name is None:
        return file
    node = file.instruction(first.position)
    at = node.text.rindex(first.name)
    start = node.edited((at, at + len(first.name), base.name))
    return _renamed(file.replaced(first.position, first.position + 1, [start]).replaced(base.position, end, []), first.name, base.name)


def _renamed(file: Dockerfile, old: str, new: str) -> Dockerfile:
    """The file with every COPY that takes from one stage taking from another."""
    nodes: list[Node] = []
    for node in file.nodes:
        if isinstance(node, Instruction) and node.keyword == "COPY" and node.flag("from") == old:
            at = node.text.index(f"--from={old}") + len("--from=")
            node = node.edited((at, at + len(old), new))
        nodes.append(node)
    return file.replaced(0, len(file.nodes), nodes)


def _alone(model: Model, stage: Stage, bases: tuple[Stage, ...]) -> bool:
    """Whether a stage starts from one other stage, which nothing else needs."""
    return len(bases) == 1 and model.dependants(bases[0]) == (stage,)
