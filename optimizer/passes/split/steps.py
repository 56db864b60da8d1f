"""The steps of a RUN that is to be divided between two stages: system packages, packages of a language, and the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from optimizer.ecosystems import Action, Call, asks_version, read_call, unwrapped
from optimizer.model import Model
from optimizer.passes.split.shared import Refused
from optimizer.passes.text import run_of
from optimizer.syntax import Dockerfile, Instruction
from optimizer.syntax.heredocs import is_marker
from optimizer.syntax.shell import Command, Compound, Pipeline, Script, Statement

# Commands that change files and accounts only, by programs that every Debian image has.
FILE_COMMANDS = frozenset({
    "mkdir", "chmod", "chown", "chgrp", "touch", "ln", "mv", "cp", "rm", "echo", "printf", "cat", "sed", "useradd", "adduser",
    "groupadd", "addgroup", "usermod", "test", "[", "true", ":", "install", "find", "tee", "grep", "ls",
})  # fmt: skip
# Commands of the same kind that set up what packages have brought; each belongs where its package is.
SYSTEM_COMMANDS = frozenset({"locale-gen", "localedef", "update-locale", "update-ca-certificates", "ldconfig", "fc-cache"})
# Commands that tell something of the system and leave nothing.
TELLING = frozenset({"date", "pwd", "whoami", "id", "uname", "hostname", "env", "printenv", "nproc", "df", "free", "ps"})
_LISTS = frozenset({"list", "ls", "freeze", "check", "show"})
# Builtins that change the shell for the commands behind them.
_STATE = frozenset(
    {"cd", "export", "umask", "alias", ".", "source", "exec", "exit", "trap", "eval", "unset", "pushd", "popd", "shopt", "ulimit"}
)
_CACHE = re.compile(r"/var/lib/apt/lists|/var/cache|/tmp/|/var/tmp|/root/\.(cache|npm)|~/\.(cache|npm)|/usr/share/(doc|man)")


class Step(Struct, frozen=True):
    """One command of a RUN.

    Args:
        command: The command.
        text: Its source, with the ``|| true`` that belongs to it.
        call: What it does when it is a package manager's.
        start, end: Where the text stands in the script.
    """

    command: Command
    text: str
    call: Call | None
    start: int
    end: int

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


def tells(step: Step, programs: str) -> bool:
    """Whether a step only prints: of the system, or what one of a language's own programs says of itself and of packages.

    Args:
        step: The step.
        programs: A regular expression of those programs.
    """
    if not step.plain:
        return False
    words = [word.value or "" for word in step.command.words]
    if step.program is None or step.program in TELLING:
        return step.command.name in TELLING
    if step.program == "ls":
        return all(word.startswith("-") for word in words[1:])
    if re.fullmatch(programs, step.program) is None:
        return False
    return asks_version(words) or (step.call is not None and step.call.verb is not None and step.call.verb.value in _LISTS)


_STARTERS = frozenset({"tini", "dumb-init", "gosu"})
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
        if isinstance(command, Compound):
            command = _tried(command.statements) if command.kind == "subshell" and not command.redirects else None
        if not isinstance(command, Command) or pipeline.negated or not command.words:
            return None
        if any(word.substitutions for word in command.words):
            return None
        found.append(Step(command, script.text[pipeline.start : pipeline.end], read_call(command), pipeline.start, pipeline.end))
    tried = _tried(script.statements)
    if tried is not None:
        only = script.statements[0]
        found = [Step(tried, script.text[only.start : only.end].rstrip("; \n"), read_call(tried), only.start, only.end)]
    return tuple(found) or None


def _tried(statements: tuple[Statement, ...]) -> Command | None:
    """The command of statements that are nothing but one command, and ``|| true`` behind it: its failure does not matter."""
    (only,) = statements if len(statements) == 1 else (None,)
    if only is None or only.operators != ("||",) or only.terminator == "&":
        return None
    first, second = (p.commands[0] if len(p.commands) == 1 and not p.negated else None for p in only.pipelines)
    if not isinstance(first, Command) or not isinstance(second, Command) or second.name not in ("true", ":", "echo") or not first.words:
        return None
    return first if not second.redirects and not any(word.substitutions for word in (*first.words, *second.words)) else None


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
        commands: Commands that set up what packages bring, by the position of their RUN.
    """

    positions: list[int] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    dividable: bool = False
    upgrade: str = ""
    removed: set[str] = field(default_factory=set)
    commands: dict[int, str] = field(default_factory=dict)

    @property
    def packages(self) -> list[str]:
        """The names of the packages that stay."""
        return [name for name in self.written if name not in self.removed]

    @property
    def for_building(self) -> list[int]:
        """The RUNs that building may need: none where the packages only bring programs that start another one."""
        only = bool(self.packages) and set(self.packages) <= _STARTERS and not self.upgrade
        return [] if only else self.positions

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
    return run_of(file, node, kept) if kept else None
