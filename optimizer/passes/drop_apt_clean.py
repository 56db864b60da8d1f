"""Drop an apt-get clean that has nothing to clean."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.readable import ReadableRun, cleans_apt_archive, readable_runs
from optimizer.syntax.shell import Command, Pipeline

_CALLS = (("apt-get", "clean"), ("apt", "clean"))
_DOWNLOADS = ("download", "-d ", "--download-only", "dpkg", ".deb", "/var/cache", "aptitude", "--mount")


class DropAptClean(Pass):
    """Drop an apt-get clean that has nothing to clean.

    What it does
        Removes ``apt-get clean`` from a RUN that also removes the package lists, on official images of Debian and Ubuntu
        and what is built on them.

    Why
        Those images are configured to empty apt's archive after every run of dpkg (``/etc/apt/apt.conf.d/docker-clean``), so
        the command does nothing, and readers take it for what keeps the layer small.

    When it refuses
        On other images, where the Dockerfile touches apt's configuration, its archive or single packages, and where the
        command is not one of a plain list of ``&&``.

    Safety
        Safe: the archive is empty already.
    """

    name = "drop-apt-clean"
    alters = frozenset({Fact.RUNS})
    examples = (
        Rewrites(
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y curl && apt-get clean && rm -rf /var/lib/apt/lists/*\n",
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*\n",
        ),
        Keeps(
            "FROM example/base\nRUN apt-get install -y curl && apt-get clean && rm -rf /var/lib/apt/lists/*\n",
            because="nobody knows what the image is",
        ),
        Keeps("FROM debian:bookworm\nRUN apt-get install -y curl && apt-get clean\n", because="it does not remove the lists"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "apt-get clean", "apt clean"):
            chain = run.script.chain
            if chain is None or len(chain) < 2 or "rm -" not in run.text.text or "/var/lib/apt/lists" not in run.text.text:
                continue
            at = next((i for i, pipeline in enumerate(chain) if _cleans(pipeline)), None)
            if at is None or not any(_installs(pipeline) for pipeline in chain[:at]):
                continue
            if any(word in run.node.text for word in _DOWNLOADS) or not cleans_apt_archive(model, run.stage):
                yield Refusal("apt-get clean stays: apt's archive may hold packages", run.position)
                continue
            start, end = chain[at - 1].end, chain[at].end
            if "#" in _source(run, start, end) or run.node.heredocs:
                yield Refusal("apt-get clean stays: a comment stands beside it", run.position)
                continue
            text = run.text
            edited = run.node.edited((text.source_end(start), text.source_end(end), ""))
            file = model.file.replaced(run.position, run.position + 1, [edited])
            evidence = ("the image empties apt's archive by itself",)
            yield Change("drop an apt-get clean that has nothing to clean", file, (run.position,), evidence)


def _command(pipeline: Pipeline) -> Command | None:
    only = pipeline.commands[0]
    return only if len(pipeline.commands) == 1 and isinstance(only, Command) and not pipeline.negated else None


def _cleans(pipeline: Pipeline) -> bool:
    command = _command(pipeline)
    if command is None or command.redirects or command.assignments:
        return False
    return tuple(v for v in command.argv if v not in ("-y", "-q", "-qq", "-yqq", "-qqy", "-qy", "-yq")) in _CALLS


def _installs(pipeline: Pipeline) -> bool:
    command = _command(pipeline)
    return command is not None and command.name in ("apt-get", "apt") and "install" in command.argv


def _source(run: ReadableRun, start: int, end: int) -> str:
    return run.node.text[run.text.source_end(start) : run.text.source_end(end)]
