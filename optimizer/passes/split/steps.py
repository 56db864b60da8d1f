"""The steps of a RUN that is to be divided between two stages: system packages, packages of a language, and the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from optimizer.ecosystems import Action, Call, read_call, unwrapped
from optimizer.model import Model
from optimizer.passes.split.shared import Refused
from optimizer.passes.text import indent_of, keyword_like, line_end_of, style_of
from optimizer.syntax import Dockerfile, Instruction
from optimizer.syntax.heredocs import is_marker
from optimizer.syntax.shell import Command, Pipeline, Script

# Commands that change files and accounts only, by programs that every Debian image has.
FILE_COMMANDS = frozenset({
    "mkdir", "chmod", "chown", "chgrp", "touch", "ln", "mv", "cp", "rm", "echo", "printf", "cat", "sed", "useradd", "adduser",
    "groupadd", "addgroup", "usermod", "test", "[", "true", ":", "install", "find", "tee", "grep", "ls",
})  # fmt: skip
# Builtins that change the shell for the commands behind them.
_STATE = frozenset(
    {"cd", "export", "umask", "alias", ".", "source", "exec", "exit", "trap", "eval", "unset", "pushd", "popd", "shopt", "ulimit"}
)
_CACHE = re.compile(r"/var/lib/apt/lists|/var/cache|/tmp/|/var/tmp|/root/\.(cache|npm)|~/\.(cache|npm)|/usr/share/(doc|man)")


class Step(Struct, frozen=True):
    """One command of a RUN. ``text`` is its source; ``call`` what it does when it is a package manager's."""

    command: Command
    text: str
    call: Call | None

    @property
    def program(self) -> str | None:
        """The name of its program."""
        return unwrapped(self.command).program

    @property
    def plain(self) -> bool:
        """Whether it writes to no file through a redirection."""
        return not any(
            ">" in r.operator and (r.target is None or r.target.value not in ("/dev/null", "1", "2")) for r in self.command.redirects
        )

    @property
    def cleans(self) -> bool:
        """Whether it only empties caches, or does nothing."""
        if self.call is not None:
            verb = self.call.verb.value if self.call.verb is not None else None
            return self.call.action is Action.CLEAN or (self.call.ecosystem == "apt" and verb in _TIDYING)
        if self.program == "rm":
            return all(w.text.startswith("-") or _CACHE.match(w.text.strip("\"'")) for w in self.command.words[1:])
        return self.program in ("true", "set", ":", "echo") and self.plain


_UPGRADES = frozenset({"upgrade", "dist-upgrade", "full-upgrade"})
_TIDYING = frozenset({"clean", "autoclean", "autoremove"})


def steps_of(node: Instruction) -> tuple[Step, ...] | None:
    """The commands of a RUN, each of which runs after the one before; None where that is not so or it is not understood."""
    script = node.script
    if script is None or not script.understood or (node.heredocs and not lone_heredoc(node)):
        return None
    found: list[Step] = []
    for pipeline in _pipelines(script) or ():
        (command,) = pipeline.commands if len(pipeline.commands) == 1 else (None,)
        if not isinstance(command, Command) or pipeline.negated or not command.words:
            return None
        if any(word.substitutions for word in command.words):
            return None
        found.append(Step(command, script.text[pipeline.start : pipeline.end], read_call(command)))
    return tuple(found) or None


def in_turn(node: Instruction) -> bool:
    """Whether the first command of a RUN that fails ends it: they are joined by ``&&``, or stand behind ``set -e``."""
    script = node.script
    if script is None or script.chain is not None:
        return script is not None
    first = script.commands[0] if script.commands else None
    return first is not None and first.name == "set" and any(re.fullmatch(r"-[a-z]*e[a-z]*", word.text) for word in first.words[1:])


def lone_heredoc(node: Instruction) -> bool:
    """Whether a RUN is one heredoc that the shell itself runs."""
    script = node.script
    return len(node.heredocs) == 1 and is_marker(node.value) and script is not None and not script.text.startswith("#!")


def _pipelines(script: Script) -> list[Pipeline] | None:
    found: list[Pipeline] = []
    for statement in script.statements:
        if set(statement.operators) - {"&&"} or statement.terminator == "&":
            return None
        found.extend(statement.pipelines)
    return found


def changes_shell(steps: tuple[Step, ...]) -> bool:
    """Whether a step changes the shell for those behind it."""
    return any(step.program in _STATE for step in steps)


@dataclass
class SystemSteps:
    """The system packages of a stage.

    Args:
        positions: The RUN instructions that install, update or clean with apt.
        written: Package to install as written, its version included, by name; in order.
        options: Options of the calls that install.
        dividable: Whether the splitter can divide upgrades and removals between the stages.
        upgrade: The verb of ``apt-get upgrade`` where there is one.
        removed: Packages that are installed and removed again.
    """

    positions: list[int] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    dividable: bool = False
    upgrade: str = ""
    removed: set[str] = field(default_factory=set)

    @property
    def packages(self) -> list[str]:
        """The names of the packages that stay."""
        return [name for name in self.written if name not in self.removed]

    def take(self, model: Model, position: int, call: Call) -> None:
        """Note a call of apt.

        Raises:
            Refused: Its packages cannot be divided between stages.
        """
        if position not in self.positions:
            self.positions.append(position)
        if call.action is Action.REMOVE and not (self.dividable and set(call.packages) <= set(self.written)):
            raise Refused("it removes packages, which may belong to either stage", position)
        if call.action is not Action.INSTALL:
            self.removed |= set(call.packages) if call.action is Action.REMOVE else set()
            return
        if self.dividable and call.verb is not None and call.verb.value in _UPGRADES and not call.packages:
            self.upgrade = call.verb.value or ""
            return
        if call.verb is None or call.verb.value != "install" or not call.complete or any(p.startswith((".", "/")) for p in call.packages):
            raise Refused("it installs packages in a way that cannot be divided", position)
        if call.options & {"-t", "--target-release", "--default-release", "-o", "--option", "-c", "--config-file"}:
            raise Refused("an option of the install chooses versions or places", position)
        words = [w.value or w.text for w in call.command.words]
        for package in call.packages:
            self.written[package] = next((w for w in words if re.match(rf"{re.escape(package)}([=:/]|$)", w)), package)
        self.options += [w for w in words if w.startswith("-")]


def remaining(file: Dockerfile, node: Instruction, steps: tuple[Step, ...], keep: Callable[[Step], bool]) -> Instruction | None:
    """A RUN of those steps that stay, in the style of the one they come from; None when none does."""
    kept = [step.text for step in steps if keep(step)]
    if not kept:
        return None
    newline, style = line_end_of(file, node), style_of(file, node)
    joint = f" && {node.escape}{newline}{style.indent}" if style.trailing_and else f" {node.escape}{newline}{style.indent}&& "
    flags = "".join(f"--{flag.name}={flag.value} " for flag in node.flags)
    return Instruction(f"{indent_of(node)}{keyword_like(node, 'RUN')} {flags}{joint.join(kept)}{newline}", node.escape)
