"""What passes ask of a RUN's shell: is it one whose text we read, and what does a command leave behind in it."""

from __future__ import annotations

import re

from optimizer.ecosystems import unwrapped
from optimizer.ecosystems.conda_run import shell_inside
from optimizer.model import Model, State
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command, Compound, Pipeline, Script, Statement, parse_script

_POSIX = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
STATEFUL = frozenset({
    "export", "declare", "typeset", "local", "readonly", "unset", "set", "shopt", "alias", "unalias", "umask", "ulimit", "exec", "exit",
    "return", "trap", "source", ".", "eval", "read", "readarray", "mapfile", "getopts", "shift", "hash", "wait", "pushd", "popd", "cd",
    "enable", "break", "continue", "times", "jobs", "disown", "bg", "fg", "let", "coproc", "select", "builtin",
})  # fmt: skip
"""Builtins that change the shell they run in, or end it."""
_DAEMONS = frozenset({
    "service", "invoke-rc.d", "rc-service", "systemctl", "nohup", "setsid", "start-stop-daemon", "mysqld", "mysqld_safe", "mariadbd",
    "pg_ctl", "pg_ctlcluster", "redis-server", "dockerd", "Xvfb", "supervisord", "daemon", "screen", "tmux", "postgres", "mongod", "slapd",
    "apachectl", "httpd", "nginx", "gpg-agent", "ssh-agent", "dbus-daemon", "dbus-launch", "sshd", "cron", "crond", "rsyslogd",
    "memcached", "rabbitmq-server",
})  # fmt: skip
_NO_DAEMON = frozenset({"--version", "-v", "-V", "-t", "--help", "enable", "disable", "mask", "stop"})
_RUNS_TEXT = frozenset({"su", "runuser", "sh", "bash", "dash", "ash", "zsh", "ksh"})
_OWN_PROCESS = re.compile(
    r"\$(?:[$!?_-]|\{[$!?_-]\})|\$\{?(?:RANDOM|SECONDS|LINENO|BASHPID|BASH_(?!VERS)\w+|PIPESTATUS|SHELLOPTS|OPTIND|REPLY|PPID|SHLVL|OLDPWD)\b"
)
# Files that the builder mounts anew for every RUN, and file systems that live no longer than it.
_MOUNTED_ANEW = re.compile(
    r"/etc/(?:hosts|resolv\.conf|hostname)(?![\w.-])|/dev/(?!null|std(?:in|out|err)|tty|u?random|zero|full|fd)[a-z][\w/]*|/proc/sys/\S*"
)
_SHELLS = frozenset({"/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash", "/bin/dash", "/usr/bin/dash", "/bin/ash", "sh"})
_WINDOWS = ("windows", "nanoserver", "servercore", "dotnet-framework", "dotnet/framework", "microsoft/aspnet", "microsoft/iis")
_WINDOWS_PROGRAMS = frozenset({"powershell", "powershell.exe", "cmd", "cmd.exe", "msiexec", "choco", "setx", "icacls", "dism", "certutil"})


def posix_shell(state: State, *, entered: bool = False) -> bool:
    """Whether SHELL is a POSIX shell that is given its text with ``-c`` and no option that changes its meaning.

    entered: whether one that conda starts in an environment counts as well, as it does for a RUN that keeps its SHELL.
    """
    words = shell_inside(state.shell) if entered else state.shell
    if len(words) < 2 or words[0].replace("\\", "/").rpartition("/")[2] not in _POSIX:
        return False
    options = words[1:]
    known = {"-c", "-o", "pipefail", "-x", "-u", "-l", "-i"}
    return all(o in known or re.fullmatch(r"-[xucl]+", o) is not None or re.fullmatch(r"-[xuc]*o", o) is not None for o in options) and any(
        "c" in o for o in options if o.startswith("-")
    )


def reads_startup_files(state: State) -> bool:
    """Whether the shell runs files of its own before every RUN: a login or interactive shell, or BASH_ENV."""
    options = (o for o in state.shell[1:] if o.startswith("-"))
    return "BASH_ENV" in state.env or "BASH_ENV" in state.args or any("l" in o or "i" in o for o in options)


def windows(model: Model, position: int) -> bool:
    """Whether a RUN is most likely one of a Windows image: by the image's name, the escape character or the program it calls."""
    stage = model.stage_of(position)
    if stage is None:
        return False
    reference = (stage.reference or model.file.instruction(stage.position).value).lower()
    if any(word in reference for word in _WINDOWS) or (model.file.escape == "`" and stage.image is None):
        return True
    first = re.match(r"[^\s;|&]*", model.file.instruction(position).command_text.text)
    return first is not None and first[0].lower() in _WINDOWS_PROGRAMS


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
        words = unwrapped(command)
        name, values = words.program, [w.value for w in words.words]
        if name in _DAEMONS and not _NO_DAEMON.intersection(v for v in values if v):
            return name
        if values and (values[0] or "").startswith("/etc/init.d/") and "stop" not in values:
            return values[0]
        if name in _RUNS_TEXT:
            for text in values[1:]:
                inner = starts_daemon(parse_script(text)) if text and " " in text else None
                if inner:
                    return inner
    return None


def names_own_process(text: str) -> bool:
    """Whether text uses a variable that differs between two shells and one: ``$$``, ``$!``, ``$RANDOM``…"""
    return "$" in text and _OWN_PROCESS.search(text) is not None


def names_mounted_anew(text: str) -> str | None:
    """The first file that shell text names which every RUN gets anew, so that what is written there ends with the RUN."""
    found = _MOUNTED_ANEW.search(text)
    return found[0] if found else None


def replaces_shell(script: Script) -> bool:
    """Whether a script puts another program in the place of a shell, as in ``ln -sf bash /bin/sh``."""
    for command in script.commands:
        words = unwrapped(command)
        values = [w.value for w in words.words[1:] if w.value is not None and not w.value.startswith("-")]
        if words.program in ("ln", "mv", "cp", "install") and _SHELLS.intersection(values[-1:]):
            return True
        if words.program in ("rm", "unlink", "update-alternatives", "dpkg-divert") and _SHELLS.intersection(values):
            return True
        if words.program == "dpkg-reconfigure" and _SHELLS.intersection(f"/bin/{v}" for v in values):
            return True
    return False


def loop_variables(text: str) -> frozenset[str]:
    """The variables that loops in shell text leave set."""
    return frozenset(re.findall(r"\bfor\s+([A-Za-z_]\w*)", text))


def mentions_variable(text: str, names: frozenset[str]) -> str | None:
    """The first of these variables that shell text expands."""
    return next((n for n in sorted(names) if re.search(rf"\$\{{?{re.escape(n)}\b", text)), None)


def starts_absolute(script: Script) -> bool:
    """Whether a script begins with ``cd /somewhere &&`` and never goes back, so that it does not matter where it starts."""
    if not script.statements:
        return False  # nothing but a comment
    statement = script.statements[0]
    command = statement.pipelines[0].commands[0]
    if not isinstance(command, Command) or command.name != "cd" or len(command.words) != 2 or command.redirects or command.assignments:
        return False
    back = any(c.name == "cd" and c.argv[1:2] in ((), ("-",)) for c in script.commands)
    return (command.words[1].value or "").startswith("/") and set(statement.operators) == {"&&"} and not back
