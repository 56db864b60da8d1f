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
from optimizer.syntax.shell import Command, Script, parse_script

# Builtins of POSIX shells besides those that change the shell; some exist as programs, too, with other options.
_BUILTINS = STATEFUL | {"echo", "printf", "test", "[", "[[", "true", "false", ":", "kill", "type", "command", "pwd", "time", "env"}
# Folders of packages, whose scripts name their interpreter. Source: Debian Policy 10.4, Fedora's packaging guidelines on shebangs.
_SYSTEM = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin"})
_FAILURE = re.compile(r"\s*\|\|\s*exit\s+[1-9]\d?\s*$")


class ExecFormCommands(Pass):
    """Start the program itself, not a shell that starts it.

    What it does
        Writes a CMD or ENTRYPOINT in shell form as a JSON list where its text is one plain command. Where a shell is needed
        (variables, ``&&``, redirections, patterns, builtins), the list names the shell.

    Why
        In shell form ``/bin/sh`` is process 1. Signals such as the one of ``docker stop`` go to it, and where it does not hand
        them on, the program is killed after ten seconds without a chance to clean up. Where a shell has to be process 1, the
        Dockerfile should say so.

    When it refuses
        Where the program may be a script without a first line that names its interpreter, which only a shell can start.
        Where an ENTRYPOINT would see other arguments than before, and where one becomes the JSON list to which CMD is
        then appended. Where the text is not understood or holds a tab, which JSON does not take.

    Safety
        Safe for a CMD that is one plain command, and wherever the shell is named: the image is configured as before, to the
        byte. That needs a base image whose SHELL is known; with another it is unsafe. An ENTRYPOINT in shell form ignores what
        is given behind the image's name, in exec form it takes it: that change is unsafe.
    """

    name = "exec-form-commands"
    alters = frozenset({Fact.COMMAND})
    mends = ("DL3025", "JSONArgsRecommended")
    examples = (
        Rewrites(
            "FROM python:3.12-slim\nCMD python -m http.server 8000\n",
            'FROM python:3.12-slim\nCMD ["python", "-m", "http.server", "8000"]\n',
        ),
        Rewrites(
            "FROM python:3.12-slim\nCMD python -m http.server $PORT\n",
            'FROM python:3.12-slim\nCMD ["/bin/sh", "-c", "python -m http.server $PORT"]\n',
        ),
        Keeps("FROM python:3.12-slim\nENTRYPOINT python app.py\nCMD debug\n", because="CMD would become arguments of the program"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            for keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
                position = next((p for p in reversed(stage.positions) if model.file.instruction(p).keyword == keyword), None)
                node = model.file.instruction(position) if position is not None else None
                if position is None or node is None or node.json is not None or not node.command_text.text or node.heredocs:
                    continue
                if not posix_shell(model.before(position)) or windows(model, position):
                    yield Refusal("stays in shell form: its shell is not understood", position)
                elif keyword == "HEALTHCHECK":
                    yield from _check(model, position, node)
                else:
                    yield from _command(model, stage, position, node)


def _command(model: Model, stage: Stage, position: int, node: Instruction) -> Iterator[Change | Refusal]:
    """What to do with a CMD or ENTRYPOINT in shell form."""
    words = _plain_words(model, position, node.script)
    if isinstance(words, str):
        yield _named_shell(model, stage, position, node, words)
        return
    reason = _started_otherwise(model, stage, node.keyword)
    if reason is not None:
        yield Refusal(f"stays in shell form: {reason}", position)
        return
    assumptions = [] if node.keyword == "CMD" else ["nobody gives arguments behind the image's name, which shell form ignores"]
    image = stage.image
    unknown = image is None or (image.entrypoint is None and not image.passes_on)
    if node.keyword == "CMD" and unknown and model.last(stage, "ENTRYPOINT") is None:
        assumptions.append("the base image has no ENTRYPOINT, or one that starts what it is given")
    if (script := _needs_a_shell(model, stage, words)) is not None:
        assumptions.append(f"{script} is no script, or its first line names its interpreter")
    yield from _plain(model, position, node, words, " and ".join(assumptions))


def _check(model: Model, position: int, node: Instruction) -> Iterator[Change | Refusal]:
    """What to do with a HEALTHCHECK in shell form: an ``|| exit 1`` at its end says what a failure is anyway."""
    script = node.script
    if node.value.upper() == "NONE":
        return
    if script is not None and (found := _FAILURE.search(script.text)):
        script = parse_script(script.text[: found.start()])
    words = _plain_words(model, position, script)
    if isinstance(words, str):
        yield Refusal(f"stays in shell form: {words}", position)
        return
    stage = model.stage_of(position)
    script_name = _needs_a_shell(model, stage, words) if stage is not None else words[0]
    yield from _plain(
        model, position, node, words, f"{script_name} is no script, or its first line names its interpreter" if script_name else ""
    )


def _plain(model: Model, position: int, node: Instruction, words: tuple[str, ...], assumption: str) -> Iterator[Change]:
    """The instruction as a list of its words."""
    import json

    text = node.command_text
    new = node.edited((text.source(0), text.source_end(len(text.text)), json.dumps(words, ensure_ascii=False)))
    if new.json != words or has_inner_comments(node):
        return
    file = model.file.replaced(position, position + 1, [new])
    evidence = ("it is one plain command: nothing in it is for a shell",)
    safety = Safety.UNSAFE if assumption else Safety.SAFE
    yield Change(f"start {words[0]} without a shell", file, (position,), evidence, safety, assumption)


def _named_shell(model: Model, stage: Stage, position: int, node: Instruction, reason: str) -> Change | Refusal:
    """The instruction as a list that names the shell, which is what the builder makes of shell form."""
    text, shell = node.command_text, model.before(position).shell
    if text.text.startswith("["):
        return Refusal("stays in shell form: it looks like a list with a mistake in it", position)
    if any(character < " " for character in text.text):
        return Refusal("stays in shell form: it holds a tab, which JSON does not take", position)
    import json

    start = json.dumps(shell, ensure_ascii=False)[:-1] + ', "'
    escapes = [(text.source(i), text.source(i), "\\") for i, character in enumerate(text.text) if character in '"\\']
    first, last = text.source(0), text.source_end(len(text.text))
    new = node.edited((last, last, '"]'), *escapes).edited((first, first, start))
    if new.json != (*shell, text.text):
        return Refusal(f"stays in shell form: {reason}", position)
    file = model.file.replaced(position, position + 1, [new])
    setting = model.last(stage, "SHELL")
    known = stage.image is not None or stage.reference == "scratch" or (setting is not None and setting < position)
    evidence = (f"{reason}; the list is what the builder makes of shell form",)
    if known:
        return Change("name the shell that reads the command", file, (position,), evidence)
    assumption = "the base image sets no SHELL of its own"
    return Change("name the shell that reads the command", file, (position,), evidence, Safety.UNSAFE, assumption)


def _plain_words(model: Model, position: int, script: Script | None) -> tuple[str, ...] | str:
    """The words of a lone command, or why a shell has to read it."""
    if script is None or not script.understood:
        return "its text is not understood"
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
    if image is None or image.entrypoint is None or image.passes_on:
        return None  # where it is not known, `_command` names an assumption
    return "the base image's ENTRYPOINT is given other arguments then" if image.entrypoint else None


def _needs_a_shell(model: Model, stage: Stage, words: tuple[str, ...]) -> str | None:
    """The program where it may be a script that only a shell can start: one without a line that names its interpreter."""
    program, name = words[0], posixpath.basename(words[0])
    path = model.behind(stage).path(program) if "/" in program else None
    others = [copy for other in model.stages if other != stage for copy in stage_copies(model, other)] if path is None else []
    for copy in (*reversed(stage_copies(model, stage)), *others):
        found = copy.context_of(model, path) if path is not None else None
        if path is None:
            found = next((s for s in copy.sources if posixpath.basename(s) == name), None)
            if found is None and copy.destination is not None and posixpath.basename(copy.destination) == name:
                found = copy.sources[0] if copy.sources else None
        if found is not None:
            start = model.context.first_bytes(found) if model.context is not None else None
            return None if start is not None and start.startswith((b"#!", b"\x7fELF")) else program
    redirected = rf"(?:>|\btee\b)\s*\S*{re.escape(name)}(?![\w.-])"
    fetched = rf"-[Oo]\s*\S*{re.escape(name)}(?![\w.-])"
    made = any(
        re.search(redirected if p not in stage.positions else f"{redirected}|{fetched}", node.text)
        for p in model.file.positions  # of other stages, too, which this one may copy it from; there -o is a compiler's more often
        if (node := model.file.instruction(p)).keyword in ("RUN", "COPY", "ADD")
    )
    placed = "/" in program and posixpath.dirname(program) not in _SYSTEM
    return program if made or placed or name.endswith((".sh", ".bash", ".py", ".pl", ".rb", ".js")) else None
