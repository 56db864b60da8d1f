"""Start the program itself, not a shell that starts it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.runs.shells import STATEFUL, posix_shell, reads_startup_files, windows
from optimizer.passes.text import has_inner_comments
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command

# Builtins of POSIX shells besides those that change the shell; some exist as programs, too, with other options.
_BUILTINS = STATEFUL | {"echo", "printf", "test", "[", "[[", "true", "false", ":", "kill", "type", "command", "pwd", "time", "env"}


class ExecFormCommands(Pass):
    """Start the program itself, not a shell that starts it.

    What it does
        Writes a CMD or ENTRYPOINT in shell form as a JSON list where its text is one plain command.

    Why
        In shell form ``/bin/sh`` is process 1. Signals such as the one of ``docker stop`` go to it, and where it does not hand
        them on, the program is killed after ten seconds without a chance to clean up.

    When it refuses
        Where the shell is needed: variables, ``&&``, redirections, patterns, builtins, files that a login shell reads.
        Where the program may be a script without a first line that names its interpreter, which only a shell can start.
        Where an ENTRYPOINT would see other arguments than before, and where one becomes the JSON list to which CMD is
        then appended.

    Safety
        Safe for CMD. An ENTRYPOINT in shell form ignores what is given behind the image's name, in exec form it takes it: the
        change is unsafe.
    """

    name = "exec-form-commands"
    alters = frozenset({Fact.COMMAND})
    mends = ("DL3025", "JSONArgsRecommended")
    examples = (
        Rewrites(
            "FROM python:3.12-slim\nCMD python -m http.server 8000\n",
            'FROM python:3.12-slim\nCMD ["python", "-m", "http.server", "8000"]\n',
        ),
        Keeps("FROM python:3.12-slim\nCMD python -m http.server $PORT\n", because="the shell puts in the variable"),
        Keeps("FROM python:3.12-slim\nENTRYPOINT python app.py\nCMD debug\n", because="CMD would become arguments of the program"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            for keyword in ("CMD", "ENTRYPOINT"):
                position = next((p for p in reversed(stage.positions) if model.file.instruction(p).keyword == keyword), None)
                node = model.file.instruction(position) if position is not None else None
                if position is None or node is None or node.json is not None or not node.value or node.heredocs:
                    continue
                words = _plain_words(model, position, node)
                if isinstance(words, str):
                    yield Refusal(f"stays in shell form: {words}", position)
                    continue
                reason = _started_otherwise(model, stage, keyword) or _needs_a_shell(model, stage, words)
                if reason is not None:
                    yield Refusal(f"stays in shell form: {reason}", position)
                    continue
                import json

                new = node.edited((node.rest.source(0), node.rest.source_end(len(node.value)), json.dumps(words, ensure_ascii=False)))
                if new.json != words or has_inner_comments(node):
                    continue
                file = model.file.replaced(position, position + 1, [new])
                evidence = ("it is one plain command: nothing in it is for a shell",)
                summary = f"start {words[0]} without a shell"
                if keyword == "CMD":
                    yield Change(summary, file, (position,), evidence)
                else:
                    assumption = "nobody gives arguments behind the image's name, which shell form ignores"
                    yield Change(summary, file, (position,), evidence, Safety.UNSAFE, assumption)


def _plain_words(model: Model, position: int, node: Instruction) -> tuple[str, ...] | str:
    """The words of a lone command, or why a shell has to read it."""
    script = node.script
    if script is None or not script.understood or not posix_shell(model.before(position)) or windows(model, position):
        return "its text or its shell is not understood"
    if reads_startup_files(model.before(position)):
        return "the shell reads files of its own before it starts the program"
    statement = script.statements[0] if len(script.statements) == 1 else None
    command = statement.pipelines[0].commands[0] if statement is not None and len(script.commands) == 1 else None
    if statement is None or not isinstance(command, Command) or statement.terminator == "&" or script.commented:
        return "it is more than one command"
    if command.redirects or command.assignments or not command.words:
        return "the shell sets a variable or redirects"
    if len(statement.pipelines) != 1 or len(statement.pipelines[0].commands) != 1 or script.text.lstrip().startswith("!"):
        return "it is more than one command"
    words = command.words[1:] if command.words[0].value == "exec" else command.words
    values = tuple(word.value for word in words if word.value is not None)
    if not words or len(values) < len(words) or any(word.glob or word.text.startswith("~") or "=~" in word.text for word in words):
        return "the shell puts in what only running tells"
    if values[0] in _BUILTINS or not values[0] or values[0].startswith("-"):
        return f"`{values[0]}` is the shell's own"
    return values


def _started_otherwise(model: Model, stage: Stage, keyword: str) -> str | None:
    """Why ENTRYPOINT and CMD together would start something else than before."""
    if keyword == "ENTRYPOINT":
        if model.last(stage, "CMD") is not None:
            return "CMD, which it ignores now, would be appended to it"
        return None
    position = model.last(stage, "ENTRYPOINT")
    if position is not None:
        node = model.file.instruction(position)
        return "the ENTRYPOINT is given other arguments then" if node.json is None or node.json else None
    image = stage.image
    if image is not None and image.passes_on:
        return None
    if image is None or image.entrypoint is None:
        return "whether the base image has an ENTRYPOINT is not known"
    return "the base image's ENTRYPOINT is given other arguments then" if image.entrypoint else None


def _needs_a_shell(model: Model, stage: Stage, words: tuple[str, ...]) -> str | None:
    """Why the program may be a script that only a shell can start: one without a line that names its interpreter."""
    program, name = words[0], posixpath.basename(words[0])
    doubt = f"{program} may be a script without a line that names its interpreter"
    path = model.behind(stage).path(program) if "/" in program else None
    for copy in reversed(stage_copies(model, stage)):
        found = copy.context_of(model, path) if path is not None else None
        if path is None:
            found = next((s for s in copy.sources if posixpath.basename(s) == name), None)
            if found is None and copy.destination is not None and posixpath.basename(copy.destination) == name:
                found = copy.sources[0] if copy.sources else None
        if found is not None:
            start = model.context.first_bytes(found) if model.context is not None else None
            return None if start is not None and start.startswith((b"#!", b"\x7fELF")) else doubt
    written = re.compile(rf"(?:>|tee|-O|-o)\s*\S*{re.escape(name)}(?![\w.-])")
    nodes = (model.file.instruction(p) for p in stage.positions)
    made = any(written.search(node.text) for node in nodes if node.keyword in ("RUN", "COPY", "ADD"))
    return doubt if made or "/" in program or name.endswith((".sh", ".bash", ".py", ".pl", ".rb", ".js")) else None
