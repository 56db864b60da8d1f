"""Copy manifests, install, and only then copy the source."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from optimizer.ecosystems import Action, read_call
from optimizer.model import Model, Stage
from optimizer.model.copied_files import CannotTell
from optimizer.model.copies import CopyFacts, copy_facts, overlap, stage_copies
from optimizer.model.local_folders import compiles_in_place
from optimizer.model.reads import Reads, reads
from optimizer.model.shipping import shipped
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.text import comments_above, line_end_of, quote_names
from optimizer.syntax import Blank, Comment, Instruction, Node

if TYPE_CHECKING:
    from optimizer.passes.split.steps import Step

_HARMLESS = frozenset({"LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "STOPSIGNAL", "HEALTHCHECK", "MAINTAINER", "SHELL"})
_FLAGS = frozenset({"chown", "chmod"})
_REMOVERS = frozenset({"rm", "rmdir", "mv", "find", "unlink", "shred", "truncate", "xargs"})


class ReorderCopies(Pass):
    """Copy what an install reads before it, and the source behind it.

    What it does
        Moves a COPY or ADD of the source below the RUN instructions that do not read it, such as ``apt-get install``.
        Where an install reads a manifest out of the source (``requirements.txt``, ``package.json`` and their like),
        a COPY of just those files is put in front of it. A RUN that installs and then works on the source
        (``npm ci && npm run build``) is divided, and the source copied in between. Poetry and uv are told to leave out
        the project itself where the program runs from its source; elsewhere they install what it depends on first.

    Why
        A changed file invalidates the cache of the COPY that brings it and of everything below. With the source copied
        first, every edit installs all dependencies again.

    When it refuses
        It proves which files the install reads: ``-r`` and ``-c`` inside requirements, local paths, workspaces, ``file:``
        dependencies and install scripts are followed, and where they lead to the source it says so. It refuses when
        the install writes what the moved COPY brings as well (``node_modules``, a lock file that is out of date), when a
        RUN in between reads the source, and when variables such as ``PYTHONPATH`` lead the installer to it.

    Safety
        Safe with a build context. Without one it is not known which files a manifest names: the change is unsafe
        and says what must hold.
    """

    name = "reorder-copies"
    alters = frozenset({Fact.COPIES, Fact.RUNS})
    examples = (
        Rewrites(
            'FROM python:3.12\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["python", "app.py"]\n',
            "FROM python:3.12\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n"
            'CMD ["python", "app.py"]\n',
            files=(("requirements.txt", "flask==3.0.3\n"), ("app.py", "import flask\n")),
        ),
        Keeps(
            "FROM python:3.12\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\n",
            because="the requirements install the project itself",
            files=(("requirements.txt", "-e .\n"), ("setup.py", "from setuptools import setup\nsetup(name='x')\n")),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        yield from _dependencies_only(model)
        refused: set[int] = set()
        for stage in model.stages:
            installs = [p for p in stage.positions if model.file.instruction(p).keyword == "RUN" and _installs(model.file.instruction(p))]
            copies = stage_copies(model, stage) if installs else ()
            for facts in copies:
                for found in _sink(model, stage, facts, copies) if facts.position < installs[-1] else ():
                    if isinstance(found, Change) or found.position not in refused:
                        yield found
                    if isinstance(found, Refusal):
                        refused.add(found.position)


def _dependencies_only(model: Model) -> Iterator[Change]:
    text = model.file.text
    if model.context is not None and ("poetry" in text or "uv sync" in text):
        from optimizer.passes.reorder.dependencies_only import dependencies_only  # seldom needed

        for stage in model.stages:
            yield from dependencies_only(model, stage)


class _Walk(Struct):
    """The way of a COPY down its stage: what moves with it, what it passes, and what the installs on the way read."""

    moving: list[CopyFacts]
    needs: list[tuple[int, Reads]] = field(default_factory=list)
    last: int | None = None
    cut: int = 0
    """How many commands of the last RUN stay above; 0 for all. The others read the source, and go below it."""

    def ends_above(self, position: int) -> bool:
        """End the way at the last install above an instruction; whether there is one."""
        earlier = [p for p, found in self.needs if found.installs and p < position]
        if not earlier:
            return False
        self.last, self.cut = earlier[-1], 0
        self.needs = [(p, found) for p, found in self.needs if p <= earlier[-1]]
        self.moving = [copy for copy in self.moving if copy.position < earlier[-1]]
        return True


def _sink(model: Model, stage: Stage, facts: CopyFacts, copies: tuple[CopyFacts, ...]) -> Iterator[Change | Refusal]:
    walk = _Walk([facts])
    reason: tuple[str, int] | None = None
    before = [c for c in copies if c.position < facts.position]
    for position in stage.positions:
        if position <= facts.position:
            continue
        node = model.file.instruction(position)
        if node.keyword == "RUN":
            try:
                found = reads(model, position, [*before, *walk.moving])
            except CannotTell as error:
                divided = _divided(model, position, node, [*before, *walk.moving])
                if divided is not None:
                    walk.last, walk.cut = position, divided[1]
                    walk.needs.append((position, divided[0]))
                elif _installs(node):
                    reason = (str(error), position)
                break
            walk.needs.append((position, found))
            if found.installs:
                walk.last = position
        elif not _passes(model, walk, position, node):
            break
    if walk.last is None:
        if reason:
            yield Refusal(f"the install stays below the COPY on line {model.file.line(facts.position)}: {reason[0]}", reason[1])
        return
    walk.ends_above(next((p for p, found in walk.needs if found.assumption), 0))  # as far as nothing has to be assumed, first
    walk.moving = [c for c in walk.moving if c.position < walk.last]
    trouble = _immovable(walk)
    if trouble:
        yield Refusal(f"the install stays below the COPY on line {model.file.line(facts.position)}: {trouble}", walk.last)
        return
    yield from _change(model, facts, walk, before)


def _installs(node: Instruction) -> bool:
    commands = node.script.commands if node.script is not None else ()
    calls = [read_call(command) for command in commands]
    return any(call is not None and call.action is Action.INSTALL for call in calls) or any(map(compiles_in_place, commands))


def _divided(model: Model, position: int, node: Instruction, copies: list[CopyFacts]) -> tuple[Reads, int] | None:
    """How many of a RUN's commands install and read no source, and what they read; None when it cannot be divided behind one."""
    from optimizer.passes.split.steps import changes_shell, in_turn, steps_of  # seldom needed

    steps = steps_of(node)
    if steps is None or node.heredocs or not in_turn(node):
        return None
    ships = model.stage_of(position) in shipped(model)  # the layer is part of an image
    if ships and any(step.cleans and step.program != "set" for step in steps):
        return None
    lead = _lead(steps)
    for count in range(len(steps) - 1, lead, -1):
        if ships and _takes_away(steps[count]):
            return None
        try:
            found = reads(model, position, copies, steps[count - 1].end)
        except CannotTell:
            continue
        call = steps[count - 1].call
        behind = steps[lead:count]
        if found.installs and call is not None and call.action is Action.INSTALL and not changes_shell(behind):
            return None if any(step.program == "set" for step in behind) else (found, count)
    return None


def _lead(steps: tuple[Step, ...]) -> int:
    """How many steps at the start set up the shell for all others: ``set -e``, and ``cd`` to a folder that is written out."""
    count = 0
    for step in steps:
        enters = step.program == "cd" and len(step.command.words) == 2 and step.command.words[1].value is not None
        if not enters and step.program != "set":
            break
        count += 1
    return count


def _takes_away(step: Step) -> bool:
    """Whether a step may remove what an earlier one has made, which a layer of its own would then ship."""
    return step.program in _REMOVERS or (step.call is not None and step.call.action in (Action.REMOVE, Action.CLEAN))


def _halves(model: Model, position: int, count: int) -> tuple[Instruction, Instruction]:
    """A RUN as two: its first commands, and the others with the flags of the first, and what sets up the shell for both."""
    from optimizer.passes.split.steps import steps_of  # seldom needed

    node = model.file.instruction(position)
    text, steps = node.shell_text, steps_of(node)
    assert text is not None
    assert steps is not None
    lead = _lead(steps)
    end, start = text.source_end(steps[count - 1].end), text.source(steps[count].start)
    head = node.text[: node.rest.source(0)] + node.text[text.source(steps[0].start) : text.source(steps[lead].start)]
    return (
        Instruction(node.text[:end] + line_end_of(model.file, node), node.escape),
        Instruction(head + node.text[start:], node.escape),
    )


def _passes(model: Model, walk: _Walk, position: int, node: Instruction) -> bool:
    """Whether the moving instructions may go below this one (a local COPY joins them)."""
    if node.keyword in _HARMLESS:
        return True
    if node.keyword in ("ENV", "ARG"):
        names = [pair.name for pair in node.pairs]
        return not any(re.search(rf"\$\{{?{re.escape(n)}\b", c.node.value) for n in names for c in walk.moving)
    if node.keyword == "WORKDIR":
        return all(_moves_past_workdir(model, position, node, copy) for copy in walk.moving)
    if node.keyword in ("COPY", "ADD"):
        joining = copy_facts(model, position)
        if joining is not None and joining.destination is not None:
            walk.moving.append(joining)
            return True
        target = model.before(position).path(node.words[-1]) if node.words else None
        return node.flag("from") is not None and target is not None and not any(overlap(target, c.destination or "/") for c in walk.moving)
    return False


def _moves_past_workdir(model: Model, position: int, node: Instruction, copy: CopyFacts) -> bool:
    """A WORKDIR makes its folder as the user in force; a COPY behind it must land where it did and find the same owner."""
    words = copy.node.words
    folder = model.before(position).path(node.value)
    if not words or folder is None or copy.destination is None or not (words[-1].startswith("/") or _ends_plainly(copy.node)):
        return False
    single_file = not copy.into and overlap(folder, copy.destination) and not _folders_only(model, copy)
    return model.before(position).user in ("root", "0") and copy.node.flag("chown") is None and not single_file


def _ends_plainly(node: Instruction) -> bool:
    """Whether the destination of a COPY stands at its end as it is, so that it can be written for another WORKDIR."""
    return node.json is None and not node.heredocs and re.search(r"\s[\w./-]+$", node.text.rstrip()) is not None


def _folders_only(model: Model, copy: CopyFacts) -> bool:
    if copy.sources == (".",):
        return True
    return model.context is not None and all(model.context.is_dir(m) for s in copy.sources for m in model.context.match(s))


def _immovable(walk: _Walk) -> str | None:
    """Why the instructions that must move cannot, None when they can."""
    for copy in walk.moving:
        if copy.destination is None:
            return "where the COPY puts its files is not known"
        if {flag.name for flag in copy.node.flags} - _FLAGS:
            return f"it has a flag, --{copy.node.flags[0].name}, that ties it to its place"
        if copy.node.keyword == "ADD" and not copy.plain:
            return "an ADD unpacks or downloads what it brings"
    return None


def _change(model: Model, facts: CopyFacts, walk: _Walk, above: list[CopyFacts]) -> Iterator[Change | Refusal]:
    assert walk.last is not None
    needed: dict[str, str] = {}
    readers: dict[str, int] = {}
    for position, found in walk.needs:
        if position <= walk.last:
            for image, file in found.files:
                if any(copy.image_of(model, file) == image for copy in walk.moving):
                    needed[image] = file
                    readers.setdefault(image, position)
    moved_files = _files(model, walk.moving)
    if moved_files is not None and moved_files <= set(needed.values()):  # it copies the manifests and nothing else
        if not walk.ends_above(min(readers.values(), default=0)):
            return
        needed, readers = {}, {}
    staying = _staying(model, walk, needed)
    if staying is None:
        return
    walk.moving = [c for c in walk.moving if c not in staying]
    for copy in staying:
        for image in [i for i, f in needed.items() if copy.image_of(model, f) == i]:
            del needed[image]
    for image in [i for i, file in needed.items() if _already_there(model, facts, above, i, file)]:
        del needed[image]
    assumption = next((r.assumption for _, r in walk.needs if r.assumption), "")
    new = {
        reader: _manifest_copies(model, walk, {i: f for i, f in needed.items() if readers[i] == reader}, reader)
        for reader in sorted({readers[i] for i in needed})
    }
    nodes, touched = _rearranged(model, walk, new)
    start, end = walk.moving[0].position, walk.last
    reordered = model.file.replaced(comments_above(model.file, start), end + 1, nodes)
    lines = [model.file.line(p) for p, r in walk.needs if r.installs]
    what = (
        f"copy {quote_names(sorted(set(needed.values())))} before the install on line {lines[-1]} and the rest"
        if needed
        else "copy the source"
    )
    evidence = [f"the install on line {line} reads nothing else of what is copied" for line in lines]
    if model.context is not None and needed:
        evidence.append(f"read in the build context: {quote_names(sorted(set(needed.values())))}")
    safety = Safety.UNSAFE if assumption else Safety.SAFE
    yield Change(
        f"{what} behind it" if needed else f"{what} behind the install on line {lines[-1]}",
        reordered,
        touched,
        tuple(evidence),
        safety,
        assumption,
    )


def _files(model: Model, copies: list[CopyFacts]) -> set[str] | None:
    """The files of the context that some instructions copy, None when unknown."""
    if model.context is None or model.context.truncated:
        return {s for c in copies for s in c.sources} if not any(s == "." or "*" in s for c in copies for s in c.sources) else None
    found: set[str] = set()
    for copy in copies:
        for source in copy.sources:
            for match in model.context.match(source):
                found.update(model.context.under(match) if match == "." or model.context.is_dir(match) else [match])
    return found


def _staying(model: Model, walk: _Walk, needed: dict[str, str]) -> list[CopyFacts] | None:
    """The instructions that bring manifests only and may stay above the install; None when the first has to stay itself."""
    staying = []
    for index, copy in enumerate(walk.moving):
        files = _files(model, [copy])
        if files and files <= set(needed.values()) and all(_apart(model, copy, other) for other in walk.moving[:index]):
            staying.append(copy)
    if walk.moving and walk.moving[0] in staying:
        return None
    return staying


def _apart(model: Model, one: CopyFacts, other: CopyFacts) -> bool:
    """Whether two instructions write no file in common, so that their order does not matter."""
    if not overlap(one.destination or "/", other.destination or "/"):
        return True
    files = _files(model, [one]), _files(model, [other])
    if model.context is None or files[0] is None or files[1] is None:
        return False
    images = [{copy.image_of(model, file) for file in found or ()} for copy, found in zip((one, other), files, strict=True)]
    return None not in images[0] | images[1] and not any(overlap(a or "/", b or "/") for a in images[0] for b in images[1])


def _already_there(model: Model, facts: CopyFacts, above: list[CopyFacts], image: str, file: str) -> bool:
    """Whether an instruction above the moving ones has put the same file in the same place, and no RUN stands between."""
    last = next((c for c in reversed(above) if c.image_of(model, file) == image or overlap(c.destination or "/", image)), None)
    if last is None or last.image_of(model, file) != image or last.context_of(model, image) != file:
        return False
    flags = [[(flag.name, flag.value) for flag in node.flags] for node in (last.node, facts.node)]
    between = (model.file.instruction(p) for p in model.file.positions if last.position < p < facts.position)
    return flags[0] == flags[1] and all(node.keyword != "RUN" for node in between)


def _manifest_copies(model: Model, walk: _Walk, needed: dict[str, str], reader: int) -> list[Instruction]:
    """New COPY instructions for the manifests, one a folder, in the style of the one that brought them until now.

    reader: position of the instruction in front of which they go.
    """
    from optimizer.passes.reorder.manifest_copy import copy_of  # seldom needed

    groups: dict[tuple[int, str], list[tuple[str, str]]] = {}
    for image, file in needed.items():
        copy = next(c for c in reversed(walk.moving) if c.image_of(model, file) == image)
        groups.setdefault((copy.position, posixpath.dirname(image)), []).append((file, image))
    found = []
    for (position, folder), files in groups.items():
        copy = next(c for c in walk.moving if c.position == position)
        whole = _whole_folder(model, files)
        pairs = [whole] if whole else sorted(files, key=lambda pair: (_is_lock(pair[0]), pair[0]))
        found.append(copy_of(model, copy, folder, pairs, reader))
    return found


def _below_workdir(model: Model, copy: CopyFacts, position: int) -> Instruction:
    """A COPY as it has to be written behind a position, where another WORKDIR may be in force."""
    from optimizer.passes.reorder.manifest_copy import written_below  # seldom needed

    node, workdir = copy.node, model.before(position).workdir
    written = node.words[-1]
    if written.startswith("/") or copy.destination is None or workdir is None or workdir == model.before(copy.position).workdir:
        return node
    end = len(node.text.rstrip())
    target = written_below(workdir, copy.destination, written)
    target = f"{target}/" if copy.into and not target.endswith("/") else target
    return node.edited((end - len(written), end, target))


def _whole_folder(model: Model, files: list[tuple[str, str]]) -> tuple[str, str] | None:
    """The folder of the context that some files make up, and where it lands; None when it holds others, or one alone is read.

    A patch or schema comes seldom alone for long, so that its folder counts.
    """
    folder = posixpath.dirname(files[0][0])
    enough = len(files) > 1 or files[0][0].endswith((".patch", ".prisma"))
    if not enough or not folder or model.context is None or model.context.truncated:
        return None
    kept_names = all(posixpath.basename(file) == posixpath.basename(image) for file, image in files)
    same = kept_names and {file for file, _ in files} == set(model.context.under(folder))
    return (folder, posixpath.dirname(files[0][1])) if same else None


def _is_lock(file: str) -> bool:
    return "lock" in posixpath.basename(file) or file.endswith((".sum", "npm-shrinkwrap.json"))


def _rearranged(model: Model, walk: _Walk, new: dict[int, list[Instruction]]) -> tuple[list[Node], tuple[int, ...]]:
    """The nodes from the first moving COPY to the last install in their new order, and the indices of what moved.

    new: new instructions by the RUN that they belong in front of.
    """
    assert walk.last is not None
    nodes = model.file.nodes
    moving = {c.position for c in walk.moving}
    blocks = {p: range(comments_above(model.file, p), p + 1) for p in moving}
    taken = {i for block in blocks.values() for i in block}
    start, end = comments_above(model.file, walk.moving[0].position), walk.last + 1
    spaced = any(isinstance(nodes[i], Blank) for i in range(walk.moving[0].position + 1, end))
    leads = {comments_above(model.file, position): copies for position, copies in new.items()}
    halves = _halves(model, walk.last, walk.cut) if walk.cut else None
    out: list[Node] = []
    for i in range(start, end):
        if i in leads:
            out.extend(leads[i])
            if spaced and isinstance(nodes[i], Comment):
                out.append(Blank(model.file.newline))
        if i in taken:
            continue
        if isinstance(nodes[i], Blank) and (
            (not out and (start == 0 or isinstance(nodes[start - 1], Blank) or new)) or (out and isinstance(out[-1], Blank))
        ):
            continue
        if i == walk.last and halves is not None:
            out.append(halves[0])
        else:
            out.append(nodes[i])
    if spaced:
        out.append(Blank(model.file.newline))
    for copy in walk.moving:
        *lead, _ = (nodes[i] for i in blocks[copy.position])
        out += [*lead, _below_workdir(model, copy, walk.last)]
    if halves is not None:
        out.append(halves[1])
    return out, tuple(sorted([*moving, *(p for p, r in walk.needs if p <= walk.last and r.installs)]))
