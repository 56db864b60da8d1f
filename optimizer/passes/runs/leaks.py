"""What one RUN's shell would hand to the commands of the next if they shared it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct

from optimizer.ecosystems import Action, read_call, unwrapped
from optimizer.model.state import ROOT_USERS
from optimizer.passes.runs.shells import (
    STATEFUL,
    loop_variables,
    mentions_variable,
    names_mounted_anew,
    names_own_process,
    replaces_shell,
    starts_daemon,
    top_commands,
)
from optimizer.syntax.shell import Command, Compound, Script

_ACCOUNTS = frozenset({"usermod", "gpasswd", "groupmod", "groupmems", "addgroup", "adduser", "useradd", "groupadd", "chsh"})
# A package of a language by the programs that it replaces; others bring one of their own name.
_BRINGS = {
    "pip": ("pip", "pip3"),
    "npm": ("npm", "npx"),
    "n": ("node", "npm", "npx"),
    "python": ("python", "python3", "pip", "pip3"),
    "nodejs": ("node", "npm", "npx"),
    "setuptools": ("easy_install",),
}


class Leaves(Struct, frozen=True, dict=True):
    """What a script leaves in its shell, looked at once each.

    Args:
        script: What the shell is given.
        user: The user that it runs as, None when unknown.
    """

    script: Script
    user: str | None

    @cached_property
    def daemon(self) -> str | None:
        """A command that may leave a process behind, None without one."""
        return starts_daemon(self.script)

    @cached_property
    def own_process(self) -> bool:
        """Whether it uses a variable that belongs to its own shell process."""
        return names_own_process(self.script.text)

    @cached_property
    def anything(self) -> str | None:
        """Why nothing may follow it in its shell, None when much may."""
        return _leaves_anything(self.script)

    @cached_property
    def loops(self) -> frozenset[str]:
        """The variables that its loops leave set."""
        return loop_variables(self.script.text)

    @cached_property
    def stateful(self) -> tuple[Command, ...]:
        """The commands of its own shell that may change it."""
        return tuple(c for c, _, _ in top_commands(self.script) if c.name == "set" or _command_leak(c) is not None)

    @cached_property
    def brings(self) -> tuple[tuple[str | None, frozenset[str]], ...]:
        """For each command, its program and the programs that it may put into place."""
        found = []
        for command in self.script.commands:
            program = unwrapped(command).program
            found.append((program, frozenset(_written(command) | (_brought(command) if program in _BRINGERS else set()))))
        return tuple(found)

    @cached_property
    def brings_any(self) -> bool:
        """Whether it may put any program into place."""
        return any(brought for _, brought in self.brings)


def leak(group: Sequence[Leaves], two: Leaves) -> str | None:
    """Why what a row of scripts does to its shell, or to what a new shell would see, must not reach the next script.

    Args:
        group: The scripts that would run first, in one shell; each may follow those before it, as this function has said.
        two: The script that would follow them in that shell.

    Returns:
        The reason, None when the next script cannot tell the difference.
    """
    for one in group:
        if one is group[-1] or one.loops or one.stateful:  # of the others, nothing depends on what follows
            reason = _leak(one, two)
            if reason:
                return reason
    return _replaced_program(group, two)


def _leaves_anything(one: Script) -> str | None:
    if replaces_shell(one):
        return "the first replaces the shell, and the second is for the new one"
    mounted = names_mounted_anew(one.text)
    if mounted:
        return f"every RUN gets its own {mounted}, and the first names it"
    if any("function" in enclosing for _, enclosing in one.walk()) or re.search(r"\w+\s*\(\)", one.text):
        return "the first defines a function"
    if re.search(r"\$\{\w+:?=|\$\(\(.*(\+\+|--|=)", one.text) or _has_arithmetic(one):
        return "an expansion in the first assigns a variable"
    return None


def _leak(one: Leaves, two: Leaves) -> str | None:
    daemon = one.daemon or two.daemon
    if daemon:
        return f"`{daemon}` may leave a process running, which ends with its own RUN"
    if one.own_process or two.own_process:
        return "one of them uses a variable that belongs to its own shell process"
    if one.anything:
        return one.anything
    variable = mentions_variable(two.script.text, one.loops) if one.loops else None
    if variable:
        return f"the loop variable {variable} of the first would reach the second"
    if any(map(_links_hard, one.script.commands)):
        return "the first makes a hard link, which a layer of its own would part where the second writes to the file"
    if _changes_own_account(one.script, one.user):
        return "the first changes the account that the second runs as"
    return next((why for c in one.stateful if not (c.name == "set" and _harmless_set(c, two.script)) and (why := _command_leak(c))), None)


def _links_hard(command: Command) -> bool:
    """Whether a command gives a file a second name: on an overlay file system, writing to it in a later layer makes two files of it."""
    found = unwrapped(command)
    options = [word.text for word in found.words[1:] if word.text.startswith("-")]
    if found.program == "ln":
        return not any(option == "--symbolic" or re.match(r"-\w*s", option) for option in options)
    return found.program == "link" or (found.program == "cp" and any(re.match(r"-\w*l|--link", option) for option in options))


def _command_leak(command: Command) -> str | None:
    if not command.words or (command.assignments and command.name == ":"):  # those in front of a special builtin stay
        return "the first assigns a variable, which would reach the second"
    name = command.name
    if name == "command":
        name = next((value for value in command.argv[1:] if not (value or "").startswith("-")), name)
    if name in STATEFUL and command.name != "cd":
        return f"`{name}` in the first would reach the second"
    if command.name == "printf" and command.argv[1:2] == ("-v",):
        return "the first assigns a variable, which would reach the second"
    if command.words[0].value is None and "/" not in command.words[0].text:  # a path is no builtin
        return "a command's name is known only when it runs"
    return None


def _has_arithmetic(script: Script) -> bool:
    commands = (command for s in script.statements for p in s.pipelines for command in p.commands)
    return "((" in script.text and any(isinstance(c, Compound) and c.kind == "arithmetic" for c in commands)


def _harmless_set(command: Command, two: Script) -> bool:
    """``set -e`` and ``set -x`` do nothing to a plain list of ``&&``: it stops at the first failure anyway."""
    flags = command.argv[1:]
    plain = all(enclosing in ((), ("&&",)) for _, enclosing in two.walk()) and set(two.statements[0].operators) <= {"&&"}
    return plain and bool(flags) and all(f is not None and re.fullmatch(r"-[exv]+", f) is not None for f in flags)


def _changes_own_account(one: Script, user: str | None) -> bool:
    """Whether a script changes groups or home of the user that runs it: the next RUN would begin with the new ones."""
    for command in one.commands:
        words = unwrapped(command)
        if words.program in _ACCOUNTS:
            names = {w.value for w in words.words[1:]}
            if (user not in ROOT_USERS and user is not None) or (
                words.program in ("usermod", "chsh", "gpasswd") and names & {"root", None}
            ):
                return True
    return False


def _replaced_program(group: Sequence[Leaves], two: Leaves) -> str | None:
    """A shell remembers where it found a program: one that it has called and that is replaced must not be called by the next RUN."""
    if not any(one.brings_any for one in group):
        return None
    used = {program for program, _ in two.brings}
    called: set[str | None] = set()
    for one in group:
        for program, brought in one.brings:
            called.add(program)
            again = sorted(name for name in brought if name in called and name in used)
            if again:
                return f"the first replaces {again[0]}, and one shell would go on using the old one"
    return None


_FILERS = frozenset({"cp", "mv", "ln", "install", "curl", "wget"})
_BRINGERS = _FILERS | {"pip", "pip2", "pip3", "python", "python2", "python3", "npm", "conda", "mamba", "yarn", "gem", "easy_install"}


def _written(command: Command) -> set[str]:
    """The programs whose files a command writes: by a redirection, or as ``tee`` does."""
    targets = [redirect.target.value for redirect in command.redirects if redirect.target and ">" in redirect.operator]
    if command.name == "tee":
        targets += [word.value for word in command.words[1:]]
    return {target.rpartition("/")[2] for target in targets if target and "bin/" in target}


def _brought(command: Command) -> set[str]:
    """The programs that a command may put into place."""
    words = unwrapped(command)
    if words.program in _FILERS:
        paths = [w.value for w in words.words[1:] if w.value and "bin/" in w.value]
        return {path.rpartition("/")[2] for path in paths}
    call = read_call(command)
    if call is None:
        return {w.value for w in words.words[2:] if w.value} if words.program in ("gem", "easy_install") else set()
    if call.action is not Action.INSTALL:
        return set()
    names = {re.split(r"(?<!^)[=<>~@\[]", package)[0] for package in call.packages}
    return {program for name in names for program in _BRINGS.get(name, (name,))}
