"""Answer a package manager's question, since nobody else can in a build."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.ecosystems import unwrapped
from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.runs.readable import fails_the_run, readable_runs
from optimizer.syntax.shell import Command, Word

_APT = frozenset({"install", "upgrade", "dist-upgrade", "full-upgrade", "build-dep", "remove", "purge", "autoremove"})
_RPM = frozenset(
    {"install", "localinstall", "groupinstall", "reinstall", "update", "upgrade", "distro-sync", "remove", "erase", "autoremove"}
)
_ASKS = {
    "apt-get": _APT, "apt": _APT, "dnf": _RPM, "yum": _RPM,
    "zypper": frozenset({"install", "in", "update", "up", "patch", "dist-upgrade", "dup", "remove", "rm"}),
}  # fmt: skip
# Options that answer the question, or with which there is none. -qq implies -y in apt-get(8).
_ANSWERED = re.compile(
    r"-(?!-)[A-Za-z]*(?:y|qq|s)|-q=|--(?:yes|assume|no-confirm|non-interactive|quiet|force-yes|dry-run|simulate|just-print|recon|no-act"
    r"|download|print-uris|trivial|help|version)"
)
_ZYPPER = re.compile(r"-[A-Za-z]*n")
_CONFIGURED = ("assume-yes", "assumeyes", "assume_yes", "zypp_non", "get::force")


class AssumeYes(Pass):
    """Answer a package manager's question, since nobody else can in a build.

    What it does
        Adds ``-y`` to ``apt-get``, ``dnf``, ``yum`` and ``zypper`` where they install, upgrade or remove and nothing answers
        their question.

    Why
        A build has no terminal. Where the manager asks, which depends on what else a package needs at the day of the build, it
        reads the end of its input, and the build fails.

    When it refuses
        Where something is fed to the command, where a variable may hold the option, and where a configuration file or
        variable that the Dockerfile names gives the answer.

    Safety
        Safe where a failure of the command ends the build: a build that works was not asked. Where the failure is
        swallowed, the command would now do what it did not, and the change is unsafe.
    """

    name = "assume-yes"
    alters = frozenset({Fact.RUNS})
    mends = ("DL3014", "DL3030", "DL3034", "DL3038")
    examples = (
        Rewrites("FROM debian:bookworm\nRUN apt-get install curl\n", "FROM debian:bookworm\nRUN apt-get install -y curl\n"),
        Keeps("FROM debian:bookworm\nRUN apt-get install -qq curl\n", because="-qq implies -y"),
        Keeps("FROM debian:bookworm\nRUN yes | apt-get install curl\n", because="the question is answered"),
        Keeps("FROM debian:bookworm\nRUN apt-get upgrade || true\n", because="the upgrade may never have been made"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        lowered = ""
        for run in readable_runs(model, "apt", "yum", "dnf", "zypper"):
            lowered = lowered or model.file.text.lower()
            if any(word in lowered for word in _CONFIGURED):
                return
            for command, enclosing in run.script.walk():
                verb = _unanswered(command)
                if verb is None:
                    continue
                if "|" in enclosing or any(redirect.operator.startswith("<") for redirect in command.redirects):
                    yield Refusal("no -y: something is fed to the command", run.position)
                    continue
                if any(_may_hold_option(word) for word in command.words):
                    yield Refusal("no -y: a variable may hold the option", run.position)
                    continue
                at = run.text.source_end(verb.end)
                file = model.file.replaced(run.position, run.position + 1, [run.node.edited((at, at, " -y"))])
                what = f"answer {unwrapped(command).program}'s question with -y"
                if fails_the_run(run.script, command):
                    evidence = ("a build has no terminal, so the command fails where it asks",)
                    yield Change(what, file, (run.position,), evidence)
                else:
                    assumption = "the command was meant to do its work, although its failure does not end the build"
                    yield Change(what, file, (run.position,), (), Safety.UNSAFE, assumption)


def _unanswered(command: Command) -> Word | None:
    """The sub-command of a call that asks before it goes on, None for any other command."""
    words = unwrapped(command).words
    asks = _ASKS.get(words[0].value or "") if words else None
    if asks is None:
        return None
    zypper = words[0].value == "zypper"
    if any(_ANSWERED.match(w.text) or (zypper and _ZYPPER.match(w.text)) for w in words[1:]):
        return None
    if sum(w.text == "-q" for w in words) > 1:
        return None
    return next((w for w in words[1:] if not w.text.startswith("-")), None) if _first(words) in asks else None


def _first(words: tuple[Word, ...]) -> str:
    return next((w.text for w in words[1:] if not w.text.startswith("-")), "")


def _may_hold_option(word: Word) -> bool:
    return word.value is None and word.text.lstrip("\"'").startswith(("$", "`"))
