"""Keep a high user id out of the log of logins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from optimizer.ecosystems import unwrapped
from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.readable import readable_runs
from optimizer.syntax.shell import Command

_HIGH = re.compile(r"\d{6,}")


class SkipLoginLog(Pass):
    """Keep a high user id out of the log of logins.

    What it does
        Adds ``-l`` to ``useradd`` where it is given a user id of six digits or more.

    Why
        The logs of last and of failed logins have a place for every id up to the highest. They are sparse files, but a layer
        stores every byte of them: hundreds of gigabytes for an id of ten digits.

    When it refuses
        Where the id is known only when the command runs, it is left alone.

    Safety
        Safe: nobody logs in to a container through what writes these logs.
    """

    name = "skip-login-log"
    alters = frozenset({Fact.RUNS})
    mends = ("DL3046",)
    examples = (
        Rewrites("FROM debian:bookworm\nRUN useradd -u 123456 app\n", "FROM debian:bookworm\nRUN useradd -l -u 123456 app\n"),
        Keeps("FROM debian:bookworm\nRUN useradd -u 1000 app\n", because="the logs stay small"),
        Keeps("FROM debian:bookworm\nRUN useradd --no-log-init -u 123456 app\n", because="the option is there"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "useradd"):
            for command in run.script.commands:
                words = unwrapped(command).words
                if not _logs_high_id(command):
                    continue
                at = run.text.source_end(words[0].end)
                file = model.file.replaced(run.position, run.position + 1, [run.node.edited((at, at, " -l"))])
                evidence = ("the user id has six digits or more",)
                yield Change("keep a high user id out of the log of logins", file, (run.position,), evidence)


def _logs_high_id(command: Command) -> bool:
    """Whether a command is a useradd of a high id without ``-l``."""
    found = unwrapped(command)
    values = [word.value or "" for word in found.words]
    if found.program != "useradd" or any(value == "--no-log-init" or re.match(r"-[A-Za-z]*l", value) for value in values):
        return False
    following = [after for value, after in pairwise(values) if re.fullmatch(r"-[A-Za-z]*u|--uid", value)]
    attached = [value.removeprefix("--uid=") for value in values if value.startswith("--uid=")]
    return any(_HIGH.fullmatch(each) for each in (*following, *attached))
