"""A chmod behind a COPY as a ``--chmod`` of it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from msgspec import Struct

from optimizer.model import Model, Stage
from optimizer.model.copies import copy_facts
from optimizer.model.paths import Placement, placements, within
from optimizer.passes.base import Change, Refusal, Safety
from optimizer.passes.copied.moved import with_copies
from optimizer.passes.copied.rights import Rights, mode_after, rights_of
from optimizer.passes.copied.without import with_flag
from optimizer.passes.runs.keeps import command_keeps, run_keeps
from optimizer.passes.runs.readable import ReadableRun
from optimizer.passes.text import quote_names

_PROGRAM = re.compile(r"(?:a|ugo)?\+r?x|0?755")
_AS_CHECKED_OUT = 0o644


class _Copied(Struct, frozen=True):
    """The COPY of a file: its position, and what it brings, by target: the path in the context, None when only the name is known."""

    position: int
    files: dict[str, str | None]


def while_copied(model: Model, run: ReadableRun) -> Iterator[Change | Refusal]:
    """The first chmod of a RUN that the COPY instructions above can make, or why they cannot."""
    for rights in rights_of(model.before(run.position), run, "chmod"):
        found = _change(model, run, rights)
        if isinstance(found, str):
            yield Refusal(found, run.position)
        elif found is not None:
            yield found
            return


def _change(model: Model, run: ReadableRun, rights: Rights) -> Change | str | None:
    """The change, a reason where one is worth telling, None where the chmod is about something else."""
    if rights.value.value is None or run.node.flags:
        return None
    copies: dict[int, _Copied] = {}
    state = model.before(run.position)
    earlier = [command for command in run.script.commands if command.start < rights.command.start]
    for path in rights.paths:
        if not all(command_keeps(state, command, path, None, deep=True) for command in earlier):
            return f"the RUN may read or change {path} before it sets its mode"
        copied = _copy_of(model, run.stage, path, run.position)
        if copied is None or isinstance(copied, str):
            return copied
        copies[copied.position] = copied
    nodes, modes = {}, set()
    for copied in copies.values():
        others = [target for target in copied.files if target not in rights.paths]
        if others:
            line = model.file.line(copied.position)
            return f"the COPY on line {line} brings {quote_names(others)} as well, which would get the mode, too"
        mode = _mode(model, copied, rights.value.value)
        if mode is None:
            return f"it is not known what mode chmod {rights.value.value} gives to {quote_names(list(copied.files))}"
        node = model.file.instruction(copied.position)
        if any(flag.name == "chmod" for flag in node.flags):
            return f"the COPY on line {model.file.line(copied.position)} sets a mode already"
        nodes[copied.position] = with_flag(node, "chmod", f"{mode:o}".zfill(3))
        modes.add(f"{mode:o}")
    file = with_copies(model.file, run, rights.at, nodes)
    if isinstance(file, str):
        return file
    sources = [source for copied in copies.values() for source in copied.files.values() if source is not None]
    known = len(sources) == sum(len(copied.files) for copied in copies.values())
    evidence = (f"chmod {rights.value.value} makes the mode of {quote_names(list(rights.paths))} {', '.join(sorted(modes))}",)
    return Change(
        summary="give files their mode while they are copied",
        file=file,
        touched=(*sorted(copies), run.position),
        evidence=evidence,
        safety=Safety.SAFE if known else Safety.UNSAFE,
        assumption="" if known else f"{quote_names(list(rights.paths))} are files that anyone may read, not folders",
    )


def _copy_of(model: Model, stage: Stage, path: str, before: int) -> _Copied | str | None:
    """The last COPY of a file by its name, a reason where something may come between, None where there is no such COPY."""
    for position in reversed([p for p in stage.positions if p < before]):
        node = model.file.instruction(position)
        if node.keyword in ("COPY", "ADD"):
            from_context = node.flag("from") is None
            brought = _by_name(model, position) if from_context and model.context is None else placements(model, position)
            if brought is None:
                return None
            here = [p for p in brought if within(path, p.target) or within(p.target, path)]
            if here:
                alone = all(p.folder is False and p.stage is None and p.source is not None for p in brought)
                files = {p.target: p.source if model.context is not None else None for p in brought}
                return _Copied(position, files) if alone and path in files and len(files) == len(brought) else None
        elif node.keyword == "RUN" and not run_keeps(model, position, path, None, deep=True):
            return f"the RUN on line {model.file.line(position)} may read or change {path} before its mode is set"
        elif node.keyword == "VOLUME":
            return None
    return None


def _by_name(model: Model, position: int) -> tuple[Placement, ...] | None:
    """What a COPY of one source brings where there is no context: a file of that name."""
    facts = copy_facts(model, position)
    if facts is None or not facts.plain or facts.destination is None or len(facts.sources) != 1 or re.search(r"[*?\[]", facts.sources[0]):
        return None
    source = facts.sources[0]
    if source in (".", "..") or facts.node.words[0].endswith("/"):
        return (Placement(source, facts.destination, True),)
    target = posixpath.join(facts.destination, posixpath.basename(source)) if facts.into else facts.destination
    return (Placement(source, target, False),)


def _mode(model: Model, copied: _Copied, change: str) -> int | None:
    """The one mode that all files of a COPY have behind a chmod."""
    modes: set[int | None] = set()
    for source in copied.files.values():
        if source is None or model.context is None:
            modes.add(mode_after(change, _AS_CHECKED_OUT) if _PROGRAM.fullmatch(change) or re.fullmatch(r"[0-7]{3,4}", change) else None)
        else:
            mode = model.context.permissions(source)
            modes.add(None if mode is None else mode_after(change, mode))
    return modes.pop() if len(modes) == 1 else None
