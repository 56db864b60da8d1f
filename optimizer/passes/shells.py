"""What passes ask of a RUN's shell: is it one whose text we read, and what does a command leave behind in it."""

from __future__ import annotations

import re

from optimizer.model import State
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command, Compound, Pipeline, Script, Statement

_POSIX = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
STATEFUL = frozenset({
    "export", "declare", "typeset", "local", "readonly", "unset", "set", "shopt", "alias", "unalias", "umask", "ulimit", "exec", "exit", "return",
    "trap", "source", ".", "eval", "read", "readarray", "mapfile", "getopts", "shift", "hash", "wait", "pushd", "popd", "cd", "enable", "break",
    "continue", "times", "jobs", "disown", "bg", "fg",
})  # fmt: skip
"""Builtins that change the shell they run in, or end it."""
_DAEMONS = frozenset({
    "service", "invoke-rc.d", "rc-service", "systemctl", "nohup", "setsid", "start-stop-daemon", "mysqld", "mysqld_safe", "mariadbd", "pg_ctl",
    "pg_ctlcluster", "redis-server", "dockerd", "Xvfb", "supervisord", "daemon", "screen", "tmux", "postgres", "mongod", "slapd", "apachectl",
    "httpd", "nginx", "gpg-agent", "ssh-agent", "dbus-daemon", "dbus-launch",
})  # fmt: skip
_OWN_PROCESS = re.compile(r"\$(?:[$!?_]|\{[$!?_]\})|\$\{?(?:RANDOM|SECONDS|LINENO|BASHPID|BASH_SUBSHELL|PPID|SHLVL|OLDPWD)\b")


def posix_shell(state: State) -> bool:
    """Whether SHELL is a POSIX shell that is given its text with ``-c`` and no option that changes its meaning."""
    words = state.shell
    if len(words) < 2 or words[0].replace("\\", "/").rpartition("/")[2] not in _POSIX:
        return False
    options = words[1:]
    known = {"-c", "-o", "pipefail", "-x", "-u", "-l", "-i"}
    return all(o in known or re.fullmatch(r"-[xucl]+", o) is not None or re.fullmatch(r"-[xuc]*o", o) is not None for o in options) and any(
        "c" in o for o in options if o.startswith("-")
    )


def script_of(node: Instruction) -> Script | None:
    """The script of a shell-form instruction without heredocs, None when there is none or it has a syntax error."""
    if node.heredocs or node.json is not None or node.script is None or not node.script.understood:
        return None
    return node.script


def top_commands(script: Script) -> list[tuple[Command, Pipeline, Statement]]:
    """The simple commands that run in the shell itself: not in a pipe of several, not inside a subshell."""
    return [found for statement in script.statements for found in _top(statement)]


def _top(statement: Statement) -> list[tuple[Command, Pipeline, Statement]]:
    found: list[tuple[Command, Pipeline, Statement]] = []
    if statement.terminator == "&":
        return found
    for pipeline in statement.pipelines:
        if len(pipeline.commands) > 1:
            continue
        only = pipeline.commands[0]
        if isinstance(only, Command):
            found.append((only, pipeline, statement))
        elif isinstance(only, Compound) and only.kind != "subshell":
            found.extend(entry for inner in only.statements for entry in _top(inner))
    return found


def starts_daemon(script: Script) -> str | None:
    """The name of the first command that may leave a process behind, None when none does."""
    for command, enclosing in script.walk():
        if "&" in enclosing:
            return f"{command.name or 'a command'} &"
        name = command.name
        arguments = command.argv[1:]
        if name in _DAEMONS and not (set(arguments) & {"--version", "-v", "-V", "-t", "--help", "enable", "disable", "mask", "stop"}):
            return name
        if command.words and (command.words[0].value or "").startswith("/etc/init.d/") and "stop" not in arguments:
            return command.words[0].value
    return None


def names_own_process(text: str) -> bool:
    """Whether text uses a variable that differs between two shells and one: ``$$``, ``$!``, ``$RANDOM``…"""
    return _OWN_PROCESS.search(text) is not None


def loop_variables(text: str) -> frozenset[str]:
    """The variables that loops in shell text leave set."""
    return frozenset(re.findall(r"\bfor\s+([A-Za-z_]\w*)", text))


def mentions_variable(text: str, names: frozenset[str]) -> str | None:
    """The first of these variables that shell text expands."""
    return next((n for n in sorted(names) if re.search(rf"\$\{{?{re.escape(n)}\b", text)), None)
