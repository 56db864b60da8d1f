"""Merge adjacent RUN instructions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.ecosystems import SYSTEM, Action, read_call, unwrapped
from optimizer.model import Model, Stage
from optimizer.model.shipping import shipped
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.shells import (
    STATEFUL,
    loop_variables,
    mentions_variable,
    names_own_process,
    posix_shell,
    script_of,
    starts_daemon,
    top_commands,
)
from optimizer.passes.text import line_end_of, style_of
from optimizer.syntax import Comment, Dockerfile, Instruction
from optimizer.syntax.shell import Command, Script

# Commands that take no time and whose text rarely changes, so that they go with whatever stands beside them.
_CHEAP = frozenset({
    "mkdir", "rm", "rmdir", "mv", "cp", "ln", "chmod", "chown", "chgrp", "touch", "echo", "printf", "cat", "tee", "sed", "install", "test", "[",
    "true", ":", "ldconfig", "update-ca-certificates", "locale-gen",
    "localedef", "update-locale", "dpkg-reconfigure", "update-alternatives", "chpasswd", "passwd", "ls", "pwd", "id", "whoami", "env", "find",
    "truncate", "sync", "cd", "set", "export", "umask", "grep", "basename", "dirname", "stat", "setcap", "a2enmod", "a2dismod", "a2ensite",
    "docker-php-ext-enable", "su-exec", "command", "which", "type", "hostname", "dd", "sort", "cut", "tr", "head", "tail", "wc", "xargs", "awk",
})  # fmt: skip
# What prepares a package manager: keys and repositories.
_SETUP = frozenset({"useradd", "adduser", "usermod", "groupadd", "addgroup", "groupmod", "deluser", "apt-key", "add-apt-repository", "gpg", "debconf-set-selections", "rpm", "rpmkeys", "dpkg", "apt-mark", "yum-config-manager"})
_PRAGMA = re.compile(r"#\s*(hadolint|dopt|checkov|trivy|tally|dockle|semgrep|nosemgrep|kics|snyk|grype|codacy|escape|syntax|check)\b", re.I)
_UPGRADES = {"pip": ("pip", "install"), "pip3": ("pip", "install"), "npm": ("npm", "install")}
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
        shells that it cannot read, and ``$$`` and its kin. It keeps apart what is slow and what changes at another time:
        packages of the system, dependencies of the language, the build of the project.

    Safety
        Safe: the same commands run in the same order, with the same files as their result.
    """

    name = "merge-runs"
    alters = frozenset[Fact]()
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
        Keeps("FROM python:3.12\nRUN pip install flask\nRUN python -m compileall /srv\n", because="dependencies and build change at different times"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        ships = {stage.index for stage in shipped(model)}
        for stage in model.stages:
            yield from (found for found in _stage_changes(model, stage) if isinstance(found, Change) or stage.index in ships)


def _stage_changes(model: Model, stage: Stage) -> Iterator[Change | Refusal]:
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
        part = _Part(position, node, script, _kinds(script))
        reason = _reason(model, group, part) if group else None
        if reason:
            yield Refusal(f"not merged with the RUN above it: {reason}", position)
            yield from _merge(model, group)
            group = []
        group.append(part)
    yield from _merge(model, group)


@dataclass(frozen=True)
class _Part:
    """One RUN of a group, and what it is about."""

    position: int
    node: Instruction
    script: Script
    kinds: frozenset[str]


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


def _reason(model: Model, group: list[_Part], part: _Part) -> str | None:
    """Why a RUN cannot join the group above it, None when it can."""
    last = group[-1]
    between = model.file.nodes[last.position + 1 : part.position]
    if any(_PRAGMA.search(node.text) for node in between if isinstance(node, Comment)):
        return "the comment between them speaks to a tool about the second one"
    if [(f.name, f.value) for f in last.node.flags] != [(f.name, f.value) for f in part.node.flags]:
        return "they have different mounts or flags"
    if not posix_shell(model.before(part.position)):
        return "the shell is not one whose text can be read"
    if _looks_windows(model, part.position):
        return "the base image runs Windows"
    for one in (last, part):
        reason = _structure(one)
        if reason:
            return reason
    for one in group:
        reason = _leak(one.script, part.script) or _replaced_program(one.script, part.script)
        if reason:
            return reason
    return _cache_reason(group, part)


def _looks_windows(model: Model, position: int) -> bool:
    stage = model.stage_of(position)
    reference = (stage.reference or "").lower() if stage else ""
    return any(word in reference for word in ("windows", "nanoserver", "servercore"))


def _structure(part: _Part) -> str | None:
    script = part.script
    if script.commented:
        return "one of them holds a shell comment"
    if len(script.statements) != 1:
        return "a `;` in one of them lets a command fail without stopping the build"
    if script.statements[0].terminator == "&":
        return "one of them leaves a command in the background"
    if _cut(part) is None:
        return "one of them ends in something other than a command"
    return None


def _leak(one: Script, two: Script) -> str | None:
    """Why what the first does to its shell would be seen by the second."""
    daemon = starts_daemon(one) or starts_daemon(two)
    if daemon:
        return f"`{daemon}` may leave a process running, which ends with its own RUN"
    if names_own_process(two.text) or names_own_process(one.text):
        return "one of them uses a variable that belongs to its own shell process"
    if any("function" in enclosing for _, enclosing in one.walk()) or re.search(r"\w+\s*\(\)", one.text):
        return "the first defines a function"
    if ":=" in one.text or re.search(r"\$\(\(.*(\+\+|--|=)", one.text):
        return "an expansion in the first assigns a variable"
    variable = mentions_variable(two.text, loop_variables(one.text))
    if variable:
        return f"the loop variable {variable} of the first would reach the second"
    for command, _, _ in top_commands(one):
        if not command.words:
            return "the first assigns a variable, which would reach the second"
        if command.name == "set" and _harmless_set(command, two):
            continue
        if command.name in STATEFUL and command.name != "cd":
            return f"`{command.name}` in the first would reach the second"
        if command.words[0].value is None:
            return "a command's name is known only when it runs"
    return None


def _harmless_set(command: Command, two: Script) -> bool:
    """``set -e`` and ``set -x`` do nothing to a plain list of ``&&``: it stops at the first failure anyway."""
    flags = command.argv[1:]
    plain = all(enclosing in ((), ("&&",)) for _, enclosing in two.walk()) and set(two.statements[0].operators) <= {"&&"}
    return plain and bool(flags) and all(f is not None and re.fullmatch(r"-[exv]+", f) is not None for f in flags)


def _kinds(script: Script) -> frozenset[str]:
    """What a script is about: system, project, or a language's package manager; empty when it only moves files about."""
    kinds = set()
    for command, _ in script.walk():
        call = read_call(command)
        name = unwrapped(command).program
        if call is not None and call.ecosystem in SYSTEM:
            kinds.add("system")
        elif call is not None and call.action in (Action.INSTALL, Action.CLEAN, Action.REMOVE):
            kinds.add(call.ecosystem)
        elif name in _SETUP or (name in ("curl", "wget") and re.search(r"\.(asc|gpg|key|pub|list|repo|deb)\b", script.text)):
            kinds.add("system")
        elif command.words and name not in _CHEAP:
            kinds.add("project")
    if "system" in kinds and kinds == {"system", "project"} and re.search(r"\b(gpg|apt-key|sources\.list)\b", script.text):
        kinds.discard("project")
    return frozenset(kinds)


def _cache_reason(group: list[_Part], part: _Part) -> str | None:
    """Why one layer would throw a good cache away."""
    above = frozenset[str]().union(*(p.kinds for p in group))
    if not above or not part.kinds:
        return None
    if above != part.kinds:
        left, right = (" and ".join(_NAMES.get(k, f"{k} dependencies") for k in sorted(kinds)) for kinds in (above, part.kinds))
        return f"{left} and {right} change at different times, and one layer would lose the cache of both"
    if len(above) > 1 or (above == {"project"} and _step(part) and any(_step(p) for p in group)):
        return "each is a step of several commands that is worth a cached layer of its own"
    return None


def _step(part: _Part) -> bool:
    """Whether an author has put several commands of the project together already."""
    return sum(1 for command in part.script.commands if command.words and unwrapped(command).program not in _CHEAP) > 2


def _replaced_program(one: Script, two: Script) -> str | None:
    """A shell remembers where it found a program: one that the first RUN replaces must not be called by the second."""
    used = {unwrapped(command).program for command in two.commands}
    for command in one.commands:
        call = read_call(command)
        if call is None or call.action is not Action.INSTALL or call.ecosystem not in ("pip", "npm"):
            continue
        for package in call.packages:
            name = re.split(r"[=<>@\[]", package)[0]
            program_called = unwrapped(command).program
            if name == call.ecosystem and program_called in used and program_called in ("pip", "pip3", "npm"):
                return f"the first replaces {program_called}, and one shell would go on using the old one"
    return None


def _joined(file: Dockerfile, group: list[_Part]) -> Instruction:
    """All parts as one RUN in the style of the first, comments above the command that they stood above."""
    first = group[0].node
    newline, style = line_end_of(file, first), style_of(file, first)
    text = first.text[: first.rest.source(0)] + _command(group, 0)
    for index, part in enumerate(group[1:], 1):
        between = file.nodes[group[index - 1].position + 1 : part.position]
        comments = "".join(f"{style.indent}{node.text.strip()}{newline}" for node in between if isinstance(node, Comment))
        if style.trailing_and:
            text += f" && {first.escape}{newline}{comments}{style.indent}"
        else:
            text += f" {first.escape}{newline}{comments}{style.indent}&& "
        text += _command(group, index)
    return Instruction(text + (newline if group[-1].node.text.endswith("\n") else ""), first.escape)


def _command(group: list[_Part], index: int) -> str:
    """The source of one part, in parentheses when it holds ``||`` or its ``cd`` would move a later part."""
    part = group[index]
    source = _cut(part) or ""
    moves = any(command.name == "cd" for command, _, _ in top_commands(part.script))
    if (moves and not all(_starts_absolute(later.script) for later in group[index + 1 :])) or "||" in part.script.statements[0].operators:
        return f"({source})"
    return source


def _cut(part: _Part) -> str | None:
    """The source of a RUN's only statement; None when more than a ``;`` follows it."""
    text = part.node.shell_text
    if text is None:
        return None
    statement = part.script.statements[0]
    start, end = text.source(0), text.source_end(statement.end)
    tail = part.node.text[end:].strip().strip("\\`").strip()
    return part.node.text[start:end] if tail in ("", ";") else None


def _starts_absolute(script: Script) -> bool:
    """Whether a script begins with ``cd /somewhere &&``, so that it does not matter where it starts."""
    statement = script.statements[0]
    command = statement.pipelines[0].commands[0]
    if not isinstance(command, Command) or command.name != "cd" or len(command.words) != 2:
        return False
    return (command.words[1].value or "").startswith("/") and set(statement.operators) == {"&&"}
