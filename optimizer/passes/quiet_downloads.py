"""Keep wget's progress bar out of build logs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.ecosystems import unwrapped
from optimizer.model import Model, Stage
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.readable import readable_runs
from optimizer.syntax.shell import Command

_OPTION, _BUSYBOX_OPTION = "--progress=dot:giga", "-q"
_MANAGER = re.compile(r"\b(apk|apt-get|apt|yum|dnf|microdnf|zypper)(?:\s+-\S+)*\s+(?:add|install|-y)\b")
_SAYS_HOW = re.compile(
    r"--(progress|show-progress|no-verbose|quiet|append-output|output-file|background|version|help)\b|-(?!-)\w*[qoabVh]|-nv"
)
_GNU = frozenset({"apt", "dnf", "microdnf", "yum", "zypper"})


class QuietDownloads(Pass):
    """Keep wget's progress bar out of build logs.

    What it does
        Adds ``--progress=dot:giga`` to a ``wget`` that says nothing about its output: one dot a megabyte in place of a
        line for every few kilobytes. BusyBox's wget, which has no such option, gets ``-q``.

    Why
        A build has no terminal, so wget prints a row of dots for every 50 kilobytes; a large download buries what matters.

    When it refuses
        It leaves alone a wget that is quiet or logs elsewhere, one whose messages a later command reads, and stages of which
        nothing tells whose wget they have.

    Safety
        Safe: the same files are fetched.
    """

    name = "quiet-downloads"
    alters = frozenset({Fact.RUNS})
    mends = ("DL3047",)
    examples = (
        Rewrites(
            "FROM debian:bookworm\nRUN wget https://example.com/data.zip\n",
            "FROM debian:bookworm\nRUN wget --progress=dot:giga https://example.com/data.zip\n",
        ),
        Keeps("FROM debian:bookworm\nRUN wget -q https://example.com/data.zip\n", because="it is quiet already"),
        Rewrites(
            "FROM alpine:3.20\nRUN wget https://example.com/data.zip\n",
            "FROM alpine:3.20\nRUN wget -q https://example.com/data.zip\n",
        ),
        Keeps("FROM example/base\nRUN wget https://example.com/data.zip\n", because="nobody knows which wget it is"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "wget"):
            if (option := _option(model, run.stage)) is None:
                continue
            ends = [run.text.source_end(end) for command in run.script.commands if (end := _behind_wget(command)) is not None]
            if ends:
                edited = run.node.edited(*((end, end, f" {option}") for end in ends))
                file = model.file.replaced(run.position, run.position + 1, [edited])
                yield Change("keep wget's progress bar out of the log", file, (run.position,), ("wget fetches the same",))


def _option(model: Model, stage: Stage) -> str | None:
    """The option that the wget of a stage knows, None where nothing tells whose it is."""
    image = stage.image
    if image is not None and image.package_manager in _GNU:
        return _OPTION
    nodes = (model.file.instruction(p) for p in stage.positions)
    managers = {name for node in nodes if node.keyword == "RUN" for name in _MANAGER.findall(node.text)}
    if managers == {"apk"} or (image is not None and (image.package_manager == "apk" or image.family == "busybox")):
        return _BUSYBOX_OPTION  # which GNU's wget knows, too, should apk have installed that
    return _OPTION if managers and "apk" not in managers and (image is None or image.package_manager is None) else None


def _behind_wget(command: Command) -> int | None:
    """Where in the script the options of a wget begin that says nothing about its output; None for any other command."""
    words = unwrapped(command).words
    if not words or words[0].value not in ("wget", "/usr/bin/wget") or len(words) < 2:
        return None
    if any(_SAYS_HOW.match(word.text) for word in words[1:]):
        return None
    if any(redirect.descriptor == "2" or redirect.operator.startswith("&") for redirect in command.redirects):
        return None
    if any(word.value is None and not re.search(r"[:/.]", word.text) for word in words[1:]):
        return None  # a variable may hold options
    return words[0].end
