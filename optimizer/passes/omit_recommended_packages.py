"""Leave out the packages that Debian only recommends."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.ecosystems import Action, Call, unwrapped
from optimizer.knowledge.debian import programs
from optimizer.knowledge.recommends import left_out
from optimizer.model import Model, Stage
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.runs.purposes import calls_of, fetches_repository
from optimizer.passes.runs.readable import ReadableRun, readable_runs
from optimizer.passes.text import line_end_of, quote_names
from optimizer.syntax.shell import Word

_OPTION = "--no-install-recommends"
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+$")
_OTHER_SOURCES = ("/etc/apt", "add-apt-repository", "apt-key", "sources.list", "backports")
_USUAL = "bookworm"
# Needed by whoever installs what recommends them: certificates for TLS, the C library's headers for a compiler.
_NEEDED = frozenset({"ca-certificates", "libc6-dev"})
_FOR_PIP = frozenset({"build-essential", "python3-dev"})
_VIRTUAL = {"ssh-client": "openssh-client", "libc-dev": "libc6-dev"}


class OmitRecommendedPackages(Pass):
    """Leave out the packages that Debian only recommends.

    What it does
        Adds ``--no-install-recommends`` to ``apt-get install``. Where that would leave out certificates, the headers of the C
        library, what pip builds with, or a package whose programs the Dockerfile names, it adds them to the list.

    Why
        Recommended packages are often larger than what was asked for, and a container seldom uses them.

    When it refuses
        When a name in the list is not known, or the Dockerfile says anything about recommended packages itself.

    Safety
        Safe where Debian's index shows that the packages and all that they depend on recommend nothing else, so that the very
        same packages are installed. Otherwise unsafe, with the names of those that are left out.
    """

    name = "omit-recommended-packages"
    alters = frozenset({Fact.RUNS})
    mends = ("DL3015",)
    examples = (
        Rewrites(
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y make\n",
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y --no-install-recommends make\n",
        ),
        Rewrites(
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y curl\n",
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y --no-install-recommends curl ca-certificates\n",
        ),
        Keeps(
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y git\n",
            because="git recommends certificates, less, patch and ssh",
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        if "apt::install-recommends" in model.file.text.lower():
            return
        for run in readable_runs(model, "apt-get", "apt "):
            for call in calls_of(run.text.text):
                if call is None or call.ecosystem != "apt" or call.action is not Action.INSTALL or call.verb is None:
                    continue
                if call.options & {_OPTION, "--install-recommends"} or unwrapped(call.command).program == "aptitude":
                    continue
                if call.verb.text == "install" and call.packages:
                    yield _omit(model, run, call, call.verb)


def _omit(model: Model, run: ReadableRun, call: Call, verb: Word) -> Change | Refusal:
    words = _packages(call, verb)
    if not call.complete or not words:
        return Refusal("recommended packages stay: the names of all packages are not known", run.position)
    names = [word.text.partition("=")[0] for word in words]
    release, exact = _release(model, run.stage)
    found = [left_out(name, release) for name in names]
    unknown = [name for name, out in zip(names, found, strict=True) if out is None]
    if unknown:
        return Refusal(f"recommended packages stay: nothing is known of {quote_names(unknown)}", run.position)
    out = sorted({_VIRTUAL.get(p, p) for row in found for p in row or ()} - set(names))
    keep = [package for package in out if _is_needed(model, package)]
    gone = [package for package in out if package not in keep]
    edits = [*_option(run, call, verb), *_additions(model, run, words, keep)]
    file = model.file.replaced(run.position, run.position + 1, [run.node.edited(*edits)])
    what = "leave out packages that are only recommended"
    sourced = any(word in model.file.text for word in _OTHER_SOURCES) or fetches_repository(model.file.text)
    if exact and not sourced and not out and not any("=" in word.text for word in words):
        evidence = (f"in {release}, {quote_names(names)} and what they depend on recommend nothing more",)
        return Change(what, file, (run.position,), evidence)
    assumption = f"nothing needs {quote_names(gone, 12)}" if gone else f"the packages recommend what they do in Debian {release}"
    return Change(what, file, (run.position,), (), Safety.UNSAFE, assumption)


def _packages(call: Call, verb: Word) -> list[Word]:
    """The words that name packages, none when one of them is no plain name."""
    words = [w for w in call.command.words if w.start > verb.end and not w.text.startswith("-")]
    plain = len(words) == len(call.packages) and all(_NAME.match(w.text.partition("=")[0]) and w.text[-1] not in "-" for w in words)
    return words if plain else []


def _release(model: Model, stage: Stage) -> tuple[str, bool]:
    """The Debian release of a stage and whether it is known to be it."""
    root = stage
    while root.base is not None:
        root = model.stages[root.base]
    image = root.image
    if image is not None and image.distribution == "debian" and image.release and left_out("make", image.release) is not None:
        return image.release, True
    return _USUAL, False


def _is_needed(model: Model, package: str) -> bool:
    text = model.file.text
    if package in _NEEDED:
        return True
    if package in _FOR_PIP:
        return re.search(r"\bpip3? install\b|-m pip\b", text) is not None
    mentioned = (program for program in programs(package) or () if program in text)
    return any(re.search(rf"(?<![\w./-]){re.escape(program)}(?![\w.-])", text) for program in mentioned)


def _option(run: ReadableRun, call: Call, verb: Word) -> list[tuple[int, int, str]]:
    """The option behind those that follow the sub-command on its line."""
    end = verb.end
    for word in call.command.words:
        if word.start > verb.end:
            if not re.match(r"-[yqf]+$|--(yes|assume-yes|quiet|fix-missing)$", word.text):
                break
            end = word.end
    at = run.text.source_end(end)
    return [(at, at, f" {_OPTION}")]


def _additions(model: Model, run: ReadableRun, words: list[Word], names: list[str]) -> list[tuple[int, int, str]]:
    """Names put behind the last package, each on its own line where that one stands so."""
    if not names:
        return []
    start, end = run.text.source(words[-1].start), run.text.source_end(words[-1].end)
    line = run.node.text[run.node.text.rfind("\n", 0, start) + 1 : start]
    alone = not line.strip() and run.node.text[:start].count("\n") > 0 and not run.node.heredocs
    glue = f" {run.node.escape}{line_end_of(model.file, run.node)}{line}" if alone else " "
    return [(end, end, "".join(glue + name for name in names))]
