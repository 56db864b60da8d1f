"""Merge adjacent RUN instructions."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cached_property

from msgspec import Struct

from optimizer.ecosystems import unwrapped
from optimizer.model import Model, Stage, State
from optimizer.model.model import mounts
from optimizer.model.shipping import shipped
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.continuation import run_style
from optimizer.passes.runs.leaks import Leaves, leak
from optimizer.passes.runs.purposes import Purpose, fetches_index_for, purpose_of
from optimizer.passes.runs.shells import posix_shell, reads_startup_files, script_of, starts_absolute, top_commands, windows
from optimizer.passes.text import TOOL_COMMENT, line_end_of
from optimizer.syntax import Comment, Dockerfile, Instruction
from optimizer.syntax.nodes import Node
from optimizer.syntax.shell import Script

_OWN_PRAGMA = re.compile(r"#\s*(dopt:|syntax=|escape=|check=)", re.I)  # the engine heeds the first, the others are about the whole file
_BANNER = re.compile(r"\s*#[\s#*=~_+-]{7,}$")
_TIDYING = re.compile(r"clean|remov|delet|tid[iy]|purge|permission|rights|owner|chown|chmod", re.I)
_NAMES = {"system": "packages of the system", "project": "the project's own steps"}


class MergeRuns(Pass):
    """Merge adjacent RUN instructions into one layer.

    What it does
        Joins RUN instructions that stand one behind the other with ``&&``. Comments between them stay above
        the command that they explain.

    Why
        Every RUN is a layer. A file that one layer makes and a later one deletes still ships; an ``apt-get update`` in
        a layer of its own goes stale in the build cache while the ``apt-get install`` below it changes.

    When it refuses
        Each RUN is a shell of its own, so nothing that one leaves behind in its shell may reach the next: ``export``,
        ``set``, ``umask``, ``exit``, functions, processes left running. A ``cd`` is kept inside parentheses. It
        refuses across different mounts and flags, around ``;`` that hides a failure, heredocs, the exec form,
        shells that it cannot read or that read files of their own at their start, a ``/bin/sh`` that the first RUN
        replaces, and ``$$`` and its kin. It keeps apart what is slow and what changes at another time: packages of the
        system, dependencies of the language, the build of the project; steps under a heading of their own; and steps of
        a stage that only hands on files, whose layers nobody ships.

    Safety
        Safe: the same commands run in the same order, with the same files as their result.
    """

    name = "merge-runs"
    alters = frozenset[Fact]()
    mends = ("DL3059",)
    examples = (
        Rewrites(
            "FROM debian:bookworm\nRUN apt-get update\nRUN apt-get install -y curl\n",
            "FROM debian:bookworm\nRUN apt-get update \\\n    && apt-get install -y curl\n",
        ),
        Rewrites(
            "FROM debian:bookworm\nRUN cd /tmp && touch a\n# in the root folder\nRUN touch b\n",
            "FROM debian:bookworm\nRUN (cd /tmp && touch a) \\\n    # in the root folder\n    && touch b\n",
        ),
        Keeps("FROM debian:bookworm\nRUN umask 077 && touch a\nRUN touch b\n", because="umask would reach the second command"),
        Keeps(
            "FROM python:3.12\nRUN pip install flask\nRUN python -m compileall /srv\n",
            because="dependencies and build change at different times",
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        ships = {stage.index for stage in shipped(model)}
        for stage in model.stages:
            here = stage.index in ships
            yield from (found for found in _stage_changes(model, stage, here) if isinstance(found, Change) or here)


def _stage_changes(model: Model, stage: Stage, ships: bool) -> Iterator[Change | Refusal]:
    group: list[_Part] = []
    for position in stage.positions:
        node = model.file.instruction(position)
        script = script_of(node) if node.keyword == "RUN" else None
        if script is None:
            yield from _merge(model, group)
            group = []
            if node.keyword == "RUN" and _run_above(model, position):
                yield Refusal("not merged with the RUN above it: it is in exec form, has a heredoc or is not understood", position)
            continue
        part = _Part(position, node, script, purpose_of(script.text), Leaves(script, model.before(position).user))
        reason = _reason(model, group, part, ships) if group else None
        if reason:
            yield Refusal(f"not merged with the RUN above it: {reason}", position)
            yield from _merge(model, group)
            group = []
        group.append(part)
    yield from _merge(model, group)


class _Part(Struct, frozen=True, dict=True):
    """One RUN of a group, and what it is for."""

    position: int
    node: Instruction
    script: Script
    purpose: Purpose
    leaves: Leaves

    @cached_property
    def source(self) -> str | None:
        """The source of its only statement; None when more than a ``;`` follows it."""
        text = self.node.shell_text
        if text is None:
            return None
        start, end = text.source(0), text.source_end(self.script.statements[0].end)
        tail = self.node.text[end:].strip().strip("\\`").strip()
        return self.node.text[start:end] if tail in ("", ";") else None

    @cached_property
    def moves(self) -> bool:
        """Whether it changes the folder of its shell."""
        return any(command.name == "cd" for command, _, _ in top_commands(self.script))

    @cached_property
    def anywhere(self) -> bool:
        """Whether it does not depend on the folder that it starts in."""
        return starts_absolute(self.script)


def _run_above(model: Model, position: int) -> bool:
    above = [p for p in model.file.positions if p < position]
    return bool(above) and model.file.instruction(above[-1]).keyword == "RUN"


def _merge(model: Model, group: list[_Part]) -> Iterator[Change]:
    if len(group) < 2:
        return
    start, end = group[0].position, group[-1].position
    merged = _joined(model.file, group)
    touched = tuple(part.position for part in group)
    evidence = ("each command runs in the same folder, environment and user as before, and leaves nothing in its shell for the next",)
    yield Change(f"merge {len(group)} RUN instructions into one layer", model.file.replaced(start, end + 1, [merged]), touched, evidence)


def _reason(model: Model, group: list[_Part], part: _Part, ships: bool) -> str | None:
    """Why a RUN cannot join the group above it, None when it can."""
    last = group[-1]
    nodes = model.file.nodes[last.position + 1 : part.position]
    between = [node.text for node in nodes if isinstance(node, Comment)]
    if any(map(TOOL_COMMENT.search, between)):
        return "the comment between them speaks to a tool about the second one"
    if len(group) == 1 and any(TOOL_COMMENT.search(t) and not _OWN_PRAGMA.search(t) for t in _comments_above(model.file, last.position)):
        return "the comment above the first speaks to a tool about that one alone"
    if [(f.name, f.value) for f in last.node.flags] != [(f.name, f.value) for f in part.node.flags]:
        return "they have different mounts or flags"
    if part.node.flags and _lost_with_the_run(part.node):
        return "what is written to their mounts is gone at the end of each RUN"
    state = model.before(part.position)
    if not posix_shell(state, entered=True):
        return "the shell is not one whose text can be read"
    if reads_startup_files(state):
        return "the shell reads files of its own before every RUN"
    if windows(model, last.position) or windows(model, part.position):
        return "this looks like an image that runs Windows"
    reason = _structure(last) or _structure(part) or _folder_gone(last.script, state) or leak([p.leaves for p in group], part.leaves)
    reason = reason or _cache_reason(group, part, nodes, ships)
    if reason is None:
        row = [*group, part]
        broken = any("\n" in (one.source or "") for one in row)
        if broken and any(enclosed and "\n" in (one.source or "") for one, enclosed in zip(row, _enclosed(row), strict=True)):
            return "a `cd` or `||` in one of them would need parentheses around several lines"
    return reason


def _folder_gone(script: Script, state: State) -> str | None:
    """Why the next RUN needs a folder of its own to begin in: the builder makes the working directory anew where a RUN removes it."""
    if state.workdir is None or state.workdir == "/":
        return None
    above = [state.workdir]
    while (parent := posixpath.dirname(above[-1])) != "/":
        above.append(parent)
    moves = any(command.name == "cd" for command in script.commands)
    for command in script.commands:
        if (found := unwrapped(command)).program not in ("rm", "rmdir", "mv"):
            continue
        for word in found.words[1:]:
            text = word.text.strip("\"'")
            path = state.path(text) if not text.startswith("-") else None
            names = {posixpath.basename(folder) for folder in above} if moves and not text.startswith("/") else set[str]()
            if "pwd" in text.lower() or text.rstrip("/") in names or (path is not None and any(fnmatch(folder, path) for folder in above)):
                return "the first may remove the folder that both work in"
    return None


def _comments_above(file: Dockerfile, position: int) -> list[str]:
    """The comment lines right above a node."""
    found = []
    while position > 0 and isinstance(file.nodes[position - 1], Comment):
        position -= 1
        found.append(file.nodes[position].text)
    return found


def _lost_with_the_run(node: Instruction) -> bool:
    """Whether a mount takes writes that nothing keeps: a tmpfs, or a bind mount made writable (RUN --mount, Dockerfile reference)."""
    for mount in mounts(node):
        writable = next((mount.options[k] for k in ("rw", "readwrite") if k in mount.options), "false")
        read_only = next((mount.options[k] for k in ("ro", "readonly") if k in mount.options), "true")
        if mount.type == "tmpfs" or (mount.type == "bind" and (writable.lower() != "false" or read_only.lower() == "false")):
            return True
    return False


def _structure(part: _Part) -> str | None:
    script = part.script
    if script.commented:
        return "one of them holds a shell comment"
    if len(script.statements) != 1:
        return "a `;` in one of them lets a command fail without stopping the build"
    if script.statements[0].terminator == "&":
        return "one of them leaves a command in the background"
    if part.source is None:
        return "one of them ends in something other than a command"
    return None


def _cache_reason(group: list[_Part], part: _Part, between: tuple[Node, ...], ships: bool) -> str | None:
    """Why one layer would throw a good cache away, or put under one heading what the author has under two."""
    if fetches_index_for([p.script for p in group], part.script):
        return None  # an index in a layer of its own goes stale
    comments = [node.text for node in between if isinstance(node, Comment)]
    if any(_BANNER.match(text) for text in comments) or _paragraphs(between) > 1:
        return "a heading between them begins another section"
    above = frozenset[str]().union(*(p.purpose.kinds for p in group))
    kinds = part.purpose.kinds
    if not above and not kinds:
        return None
    last = group[-1].purpose
    tidies = part.purpose.tidies and any(map(_TIDYING.search, comments))
    packages = above == kinds == {"system"} and part.purpose.calls_manager and any(p.purpose.calls_manager for p in group)
    if comments and not tidies and not packages:
        return "the comment between them heads a step of its own"
    if not above or not kinds:
        return None
    if above != kinds:
        left, right = (" and ".join(_NAMES.get(k, f"{k} dependencies") for k in sorted(kinds)) for kinds in (above, kinds))
        return f"{left} and {right} change at different times, and one layer would lose the cache of both"
    if kinds == {"system"}:
        alone = last.installs and part.purpose.updates
        return "the second fetches the package index itself, so each is a cached layer of its own" if alone else None
    if not ships:
        return "nobody ships the layers of this stage, and each is a cache of its own"
    if len(above) > 1 or (above == {"project"} and part.purpose.steps > 2 and any(p.purpose.steps > 2 for p in group)):
        return "each is a step of several commands that is worth a cached layer of its own"
    return None


def _paragraphs(between: tuple[Node, ...]) -> int:
    """How many groups of comment lines stand between two instructions; one that is not right above the second counts as two."""
    kinds = [isinstance(node, Comment) for node in between]
    starts = sum(1 for i, comment in enumerate(kinds) if comment and not (i and kinds[i - 1]))
    return starts + (1 if starts and not kinds[-1] else 0)


def _joined(file: Dockerfile, group: list[_Part]) -> Instruction:
    """All parts as one RUN in the style of the first that has one, comments above the command that they stood above."""
    first = group[0].node
    newline, style = line_end_of(file, first), run_style(file, *(part.node for part in group))
    commands = _commands(group)
    text = first.text[: first.rest.source(0)] + commands[0]
    for index, part in enumerate(group[1:], 1):
        between = file.nodes[group[index - 1].position + 1 : part.position]
        comments = "".join(f"{style.indent}{node.text.strip()}{newline}" for node in between if isinstance(node, Comment))
        if style.trailing_and:
            text += f" && {first.escape}{newline}{comments}{style.indent}"
        else:
            text += f" {first.escape}{newline}{comments}{style.indent}&& "
        text += commands[index]
    return Instruction(text + (newline if group[-1].node.text.endswith("\n") else ""), first.escape)


def _commands(group: list[_Part]) -> list[str]:
    """The source of each part, in parentheses where its ``||`` would reach over or its ``cd`` would move a later part."""
    sources = [part.source or "" for part in group]
    # `((` would begin arithmetic
    return [
        f"({' ' * source.startswith('(')}{source})" if enclosed else source
        for source, enclosed in zip(sources, _enclosed(group), strict=True)
    ]


def _enclosed(group: list[_Part]) -> list[bool]:
    """Which parts need parentheses."""
    found: list[bool] = []
    anywhere = True  # whether what follows does not depend on the folder that it starts in
    for part in reversed(group):
        found.append("||" in part.script.statements[0].operators or (part.moves and not anywhere))
        anywhere = part.anywhere and (anywhere or not found[-1])
    return found[::-1]
