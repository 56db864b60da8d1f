"""The RUN instructions whose commands can be read and edited one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from optimizer.model import Model, Stage
from optimizer.passes.runs.shells import posix_shell, windows
from optimizer.syntax import Instruction
from optimizer.syntax.joined import JoinedText
from optimizer.syntax.shell import Command, Script

# Images whose apt empties its archive of packages by itself. Source: /etc/apt/apt.conf.d/docker-clean, which debuerreotype (Debian)
# and Canonical's image builds put into every official image, and what is built on them inherits.
_SELF_CLEANING = frozenset({"debian", "ubuntu"})


class ReadableRun(Struct, frozen=True):
    """A RUN in shell form (a lone heredoc included) for a POSIX shell, with text and commands."""

    stage: Stage
    position: int
    node: Instruction
    text: JoinedText
    script: Script


def readable_runs(model: Model, *words: str) -> Iterator[ReadableRun]:
    """The RUN instructions that hold one of ``words`` and whose shell text is understood, in order."""
    for stage in model.stages:
        for position in stage.positions:
            node = model.file.instruction(position)
            if node.keyword != "RUN" or not any(word in node.text for word in words) or node.shell_text is None:
                continue
            if (
                node.script is None
                or not node.script.understood
                or not posix_shell(model.before(position), entered=True)
                or windows(model, position)
            ):
                continue
            if other_interpreter(node.script):
                continue
            yield ReadableRun(stage, position, node, node.shell_text, node.script)


def other_interpreter(script: Script) -> bool:
    """Whether the first line of a heredoc gives it to something else than a POSIX shell, whose commands are not these."""
    return script.text.startswith("#!") and not re.match(r"#!\s*(?:/usr)?/bin/(?:env\s+)?(?:ba|da|a)?sh\b", script.text)


def fails_the_run(script: Script, command: Command) -> bool:
    """Whether the RUN is sure to fail when a command fails that it reaches: nothing hides its exit status."""
    for index, statement in enumerate(script.statements):
        for pipeline in statement.pipelines:
            if pipeline.commands[-1] == command:  # a pipe is as its last command is
                plain = not pipeline.negated and "||" not in statement.operators and statement.terminator != "&"
                last = index == len(script.statements) - 1
                return plain and (last or (pipeline is statement.pipelines[-1] and _exits_on_error(script, index)))
    return False


def _exits_on_error(script: Script, before: int) -> bool:
    """Whether ``set -e`` is the first statement of a script, and no later one takes it back."""
    commands = [command for command in script.commands if command.name == "set"]
    first = script.statements[0].pipelines[0].commands[0]
    on = len(commands) == 1 and first is commands[0] and before > 0
    return on and any(word.text.startswith("-") and "e" in word.text for word in commands[0].words[1:2])


def cleans_apt_archive(model: Model, stage: Stage) -> bool:
    """Whether apt of a stage empties its archive by itself: an official Debian or Ubuntu image, and nothing here says otherwise."""
    root = stage
    while root.base is not None:
        root = model.stages[root.base]
    image = root.image
    if image is None or image.package_manager != "apt" or image.distribution not in _SELF_CLEANING:
        return False
    text = model.file.text.lower()
    return not any(word in text for word in ("docker-clean", "keep-downloaded", "apt.conf", "/etc/apt/", "binary::apt"))
