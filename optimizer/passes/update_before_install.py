"""Fetch apt's lists in each RUN that installs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.ecosystems import Action, Call, ecosystem
from optimizer.model import Model, Stage
from optimizer.model.shipping import shipped
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.purposes import calls_of, fetches_repository
from optimizer.passes.runs.readable import ReadableRun, fails_the_run, readable_runs
from optimizer.syntax import Comment

_SOURCES = re.compile(
    r"/etc/apt|sources\.list|apt-key|add-apt-repository|apt\.conf|add-architecture|/var/lib/apt|/var/lib/dpkg|Acquire::|pinning"
)


class UpdateBeforeInstall(Pass):
    """Fetch apt's lists in each RUN that installs.

    What it does
        Writes ``apt-get update &&`` in front of an ``apt-get install`` that relies on the lists of an earlier RUN. Each RUN then
        stands for itself, and the lists can be removed in the layer that fetched them. A RUN that does nothing but fetch lists
        which a later one fetches again goes.

    Why
        The layer with the lists stays in the build cache while the packages move on, and the install asks for versions that the
        archive no longer has. Lists that a later RUN needs have to be shipped.

    When it refuses
        Where the two RUN may see other sources (a key, a repository, an architecture was added between them) or run as other
        users, where the earlier update may fail without stopping the build, where a script that nobody can read may need the
        lists as well, and where the install is not part of a plain list of ``&&``.

    Safety
        Safe: the same sources are asked again.
    """

    name = "update-before-install"
    alters = frozenset({Fact.RUNS})
    mends = ("DL3009",)
    examples = (
        Rewrites(
            "FROM debian:bookworm\nRUN apt-get update -q && apt-get install -y curl\nCOPY a /a\nRUN apt-get install -y make\n",
            "FROM debian:bookworm\nRUN apt-get update -q && apt-get install -y curl\nCOPY a /a\n"
            "RUN apt-get update -q && apt-get install -y make\n",
        ),
        Keeps(
            "FROM debian:bookworm\nRUN apt-get update\nRUN echo 'deb http://example.com/ a main' > /etc/apt/sources.list.d/a.list\n"
            "RUN apt-get install -y make\n",
            because="the second update would ask another archive, too",
        ),
        Keeps(
            "FROM debian:bookworm\nRUN apt-get update\nCOPY . .\nRUN ./install.sh\nRUN apt-get install -y make\n",
            because="nobody knows whether the script needs the lists",
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        runs = {run.position: run for run in readable_runs(model, "apt-get", "apt ", "aptitude")}
        if len(runs) < 2:
            return
        stages = shipped(model)
        for run in runs.values():
            update = next((call for call in _apt_calls(run) if call.action is Action.UPDATE), None)
            if update is None or run.stage not in stages:
                continue
            from optimizer.passes.caches.readers import later_reader

            reader = later_reader(model, run.stage, run.position, ecosystem("apt").caches[0], "apt")
            other = next((r for r in runs.values() if reader == f"line {model.file.line(r.position)} installs from the lists"), None)
            if other is not None and other.stage == run.stage:
                yield _again(model, run.stage, run, update, other)
            elif reader is None and len(run.script.commands) == 1:
                yield _needless(model, run, [r for r in runs.values() if r.stage == run.stage and r.position > run.position])


def _again(model: Model, stage: Stage, first: ReadableRun, update: Call, run: ReadableRun) -> Change | Refusal:
    """The change that fetches the lists of one RUN again in another, or why it is not made."""
    install = next((call for call in _apt_calls(run) if call.action is Action.INSTALL), None)
    chain = run.script.chain or ()
    at = next((p for p in chain if install is not None and p.commands == (install.command,) and not p.negated), None)
    if install is None or at is None or run.node.heredocs or run.script.commented:
        return Refusal("no update before it: the install is not part of a plain list of &&", run.position)
    if not fails_the_run(first.script, update.command) or update.command.redirects or update.command.assignments:
        return Refusal("no update before it: the earlier one may fail without stopping the build", run.position)
    if install.prefix != update.prefix or model.before(first.position).user != model.before(run.position).user:
        return Refusal("no update before it: another user runs it", run.position)
    behind = first.text.text[update.command.end :]
    between = [model.file.instruction(p).text for p in stage.positions if first.position < p < run.position]
    here = run.text.text[: at.start]
    if any(_SOURCES.search(text) or fetches_repository(text) for text in (behind, *between, here)):
        return Refusal("no update before it: its sources may be others than those of the earlier one", run.position)
    words = first.text.text[update.command.start : update.command.end]
    position = run.text.source(at.start)
    node = run.node.edited((position, position, f"{words} && "))
    file = model.file.replaced(run.position, run.position + 1, [node])
    evidence = (f"line {model.file.line(first.position)} fetches the same lists from the same sources",)
    return Change("fetch the lists in the RUN that installs", file, (run.position,), evidence)


def _needless(model: Model, run: ReadableRun, later: list[ReadableRun]) -> Change | Refusal:
    """The change that drops a RUN which does nothing but fetch lists that a later one fetches again."""
    again = next((r for r in later if any(call.action is Action.UPDATE for call in _apt_calls(r))), None)
    if again is None:
        return Refusal("the update stays: no later RUN of the stage fetches the lists", run.position)
    if isinstance(model.file.nodes[run.position - 1], Comment) or run.node.flags:
        return Refusal("the update stays: a comment or a flag stands with it", run.position)
    file = model.file.replaced(run.position, run.position + 1, [])
    evidence = (f"line {model.file.line(again.position)} fetches the lists itself, and nothing between reads them",)
    return Change("drop an update that a later RUN does again", file, (run.position,), evidence)


def _apt_calls(run: ReadableRun) -> list[Call]:
    return [call for call in calls_of(run.text.text) if call is not None and call.ecosystem == "apt"]
