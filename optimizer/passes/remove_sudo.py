"""Remove sudo where root runs it already."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.model.state import ROOT_USERS
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.runs.purposes import calls_of
from optimizer.passes.runs.readable import ReadableRun, fails_the_run, readable_runs
from optimizer.passes.text import quote_names
from optimizer.syntax.shell import Command, Word

_HARMLESS = frozenset({"-n", "--non-interactive", "-E", "--preserve-env"})
# Programs that do the same whatever variables they are given (apart from those that are unsafe to rely on, such as PATH).
_PLAIN = frozenset({
    "mkdir", "rm", "rmdir", "chmod", "chown", "chgrp", "ln", "cp", "mv", "touch", "tee", "cat", "sed", "install", "truncate",
    "useradd", "usermod", "groupadd", "groupmod", "userdel", "update-ca-certificates", "ldconfig", "tar", "unzip",
})  # fmt: skip
_MANAGERS = frozenset({"apt-get", "apt", "dpkg", "yum", "dnf", "apk", "zypper"})
_IN_THE_SHELL = frozenset({
    "cd", "export", "source", ".", "echo", "printf", "test", "[", "eval", "exec", "set", "umask", "su", "sudo", "time",
})  # fmt: skip


class RemoveSudo(Pass):
    """Remove sudo where root runs it already.

    What it does
        Takes ``sudo`` off commands of a RUN whose user is root. The package ``sudo`` stays installed.

    Why
        Root gains nothing by it, and what sudo does to variables and signals is hard to foresee.

    When it refuses
        When the user is another one or not known, for ``sudo -u`` and options that change more than the user, for builtins of
        the shell, where variables are set in front of ``sudo``, which hides them, and where nothing shows that sudo is there.

    Safety
        Safe for programs that do not look at variables (files, accounts), for package managers where the Dockerfile
        sets none, and with ``sudo -E`` where it sets no PATH, of which sudo has one of its own. For others it is
        unsafe, since they now see the build's variables.
    """

    name = "remove-sudo"
    alters = frozenset({Fact.RUNS})
    mends = ("DL3004",)
    examples = (
        Rewrites("FROM debian:bookworm\nRUN sudo mkdir /data\n", "FROM debian:bookworm\nRUN mkdir /data\n"),
        Keeps("FROM debian:bookworm\nUSER app\nRUN sudo mkdir /data\n", because="the user is not root"),
        Keeps("FROM debian:bookworm\nRUN sudo -u www-data mkdir /tmp/a\n", because="another user runs the command"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "sudo "):
            calls = [command for command in run.script.commands if command.argv[:1] == ("sudo",)]
            if not calls:
                continue
            state = model.before(run.position)
            if state.user not in ROOT_USERS:
                yield Refusal("sudo stays: the user is not root or not known", run.position)
                continue
            if "umask" in run.text.text:
                yield Refusal("sudo stays: it sets the umask anew", run.position)
                continue
            if not _installed(model, run):
                yield Refusal("sudo stays: where it is missing, the RUN goes on without what it would have run", run.position)
                continue
            bare, path = _sets_no_variable(model, run), "PATH" in state.env or "PATH" in state.args
            safe: list[tuple[int, int, str]] = []
            unsafe: list[tuple[int, int, str]] = []
            names: list[str] = []
            for command in calls:
                program, keeps_env = _program(command)
                if program is None or command.assignments:
                    yield Refusal("sudo stays: the command may do something else without it", run.position)
                    continue
                start, end = run.text.source(command.words[0].start), run.text.source(program.start)
                if "\n" in run.node.text[start:end]:
                    yield Refusal("sudo stays: its line is broken behind it", run.position)
                elif (keeps_env and not path) or program.value in _PLAIN or (program.value in _MANAGERS and bare):
                    safe.append((start, end, ""))
                else:
                    unsafe.append((start, end, ""))
                    names.append(program.value or program.text)
            if safe:
                file = model.file.replaced(run.position, run.position + 1, [run.node.edited(*safe)])
                yield Change("remove sudo, since root runs the command", file, (run.position,), ("the user is root",))
            if unsafe:
                file = model.file.replaced(run.position, run.position + 1, [run.node.edited(*unsafe)])
                assumption = f"{quote_names(list(dict.fromkeys(names)))} does the same with the build's variables, which sudo hides"
                yield Change("remove sudo, since root runs the command", file, (run.position,), (), Safety.UNSAFE, assumption)


def _installed(model: Model, run: ReadableRun) -> bool:
    """Whether sudo is sure to be there: a call of it would end the build if it were not, or its package is installed."""
    here = [each for each in readable_runs(model, "sudo") if each.position <= run.position]
    if any(fails_the_run(each.script, c) for each in here if each.stage == run.stage for c in each.script.commands if c.name == "sudo"):
        return True
    return any(call is not None and "sudo" in call.packages for each in here for call in calls_of(each.text.text))


def _sets_no_variable(model: Model, run: ReadableRun) -> bool:
    """Whether a RUN sees no variables but those that its official image sets."""
    state, root = model.before(run.position), run.stage
    while root.base is not None:
        root = model.stages[root.base]
    return not state.args and root.image is not None and set(state.env) <= set(root.image.env)


def _program(command: Command) -> tuple[Word | None, bool]:
    """The program that sudo starts, None where more is going on; and whether it keeps the variables."""
    keeps = False
    for word in command.words[1:]:
        if word.text in _HARMLESS:
            keeps = keeps or word.text in ("-E", "--preserve-env")
        elif word.value is None or word.text.startswith("-") or "=" in word.text or word.value in _IN_THE_SHELL:
            return None, keeps
        else:
            return word, keeps
    return None, keeps
