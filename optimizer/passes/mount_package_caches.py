"""Keep a package manager's downloads from one build to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.ecosystems import Action, Cache, Call, ecosystem
from optimizer.model import Model, Stage, mounts
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.caches.readers import covers, later_reader
from optimizer.passes.runs.purposes import calls_of
from optimizer.passes.runs.readable import ReadableRun, readable_runs
from optimizer.syntax import Directive, Dockerfile, Instruction

_MANAGERS = frozenset({"pip", "npm", "uv", "conda", "mamba"})
"""Package managers whose cache is one folder, holds nothing else, and is never part of what they install."""
# Images whose conda lies in /opt/conda, which is root's.
_CONDA = frozenset({"conda", "miniforge"})
# docker/dockerfile knows cache mounts since 1.2, and before that in its experimental channel (release notes of BuildKit's frontend).
_OLD_FRONTEND = re.compile(r"docker/dockerfile:1\.[01](\.\d+)?$")
_ROOT = frozenset({"root", "0", "root:root", "0:0"})


class MountPackageCaches(Pass):
    """Keep a package manager's downloads from one build to the next.

    What it does
        Puts a cache mount over the folder in which pip, npm, uv or conda keep what they have downloaded.

    Why
        When a manifest changes, everything is installed anew. With the mount only what is new is downloaded, and
        the image holds no cache.

    When it refuses
        Where the cache is switched off, moved or emptied, where a later step reads it, and where the home of the user that
        installs is not known.

    Safety
        Safe where the Dockerfile shows that BuildKit builds it: by a ``# syntax=`` line, a mount, a heredoc, ``COPY --link``.
        Otherwise unsafe: builders before BuildKit, as in Docker Engine before 23, stop at the option.
    """

    name = "mount-package-caches"
    alters = frozenset({Fact.RUNS})
    examples = (
        Rewrites(
            "# syntax=docker/dockerfile:1\nFROM python:3.12-slim\nRUN pip install flask\n",
            "# syntax=docker/dockerfile:1\nFROM python:3.12-slim\nRUN --mount=type=cache,target=/root/.cache/pip pip install flask\n",
        ),
        Keeps(
            "# syntax=docker/dockerfile:1\nFROM python:3.12-slim\nRUN pip install --no-cache-dir flask\n",
            because="the cache is switched off by its author",
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        shown: str | None = None
        for run in readable_runs(model, *_MANAGERS):
            shown = _shows_buildkit(model.file) if shown is None else shown
            yield from _mount(model, run, shown)


def _mount(model: Model, run: ReadableRun, shown: str) -> Iterator[Change | Refusal]:
    stage, position, node = run.stage, run.position, run.node
    calls = [call for call in calls_of(run.script.text) if call is not None]
    for name in dict.fromkeys(call.ecosystem for call in calls if call.ecosystem in _MANAGERS):
        own = [call for call in calls if call.ecosystem == name]
        cache = ecosystem(name).caches[0]
        if not any(call.action in cache.filled_by for call in own) or not _kept(model, position, node, own, cache):
            continue
        place = _place(model, stage, position, cache)
        reader = later_reader(model, stage, position, cache, name)
        if place is None or reader:
            why = reader or "the home of the user that installs, or the place of the cache, is not known"
            yield Refusal(f"no cache mount for {name}: {why}", position)
            continue
        start = node.rest.source(0)
        new = node.edited((start, start, f"--mount=type=cache,{place} "))
        file = model.file.replaced(position, position + 1, [new])
        evidence = (shown or f"no step reads {cache.folders[0]}",)
        safety, assumption = (Safety.SAFE, "") if shown else (Safety.UNSAFE, "the builder is BuildKit")
        yield Change(f"keep {name}'s downloads in a cache mount", file, (position,), evidence, safety, assumption)


def _kept(model: Model, position: int, node: Instruction, calls: list[Call], cache: Cache) -> bool:
    """Whether calls fill the cache where it lies by default, and nothing in the RUN empties it or lies over it already."""
    state = model.before(position)
    if any(name in state.env or name in state.args for name in cache.variables) or any(name in node.value for name in cache.variables):
        return False
    if any(call.action is Action.CLEAN or call.prefix or (call.verb is not None and call.verb.text == "cache") for call in calls):
        return False
    if any(option.startswith(("--no-cache", "--cache")) for call in calls for option in call.options):
        return False
    if ".cache" in node.value:
        return False
    targets = [mount.target for mount in mounts(node) if mount.type not in ("secret", "ssh")]
    return not any(target is None or covers(target, folder) for target in targets for folder in cache.folders)


def _place(model: Model, stage: Stage, position: int, cache: Cache) -> str | None:
    """The mount's target and owner, None when it is not known where the user in force keeps the cache."""
    state = model.before(position)
    folder = cache.folders[0].removeprefix("~")
    if folder == cache.folders[0]:
        image = stage.image
        return f"target={folder}" if state.user in _ROOT and image is not None and image.family in _CONDA else None
    if "HOME" in state.env or "HOME" in state.args:
        return None
    if state.user in _ROOT:
        return f"target=/root{folder}"
    uid = stage.image.users.get(state.user) if stage.image is not None and state.user is not None else None
    return None if uid is None or uid < 1000 else f"target=/home/{state.user}{folder},uid={uid},gid={uid}"


def _shows_buildkit(file: Dockerfile) -> str:
    """What in a file only BuildKit understands, empty when nothing does."""
    for node in file.nodes:
        if isinstance(node, Directive) and node.name == "syntax":
            return "" if _OLD_FRONTEND.search(node.value) else "the syntax line names a frontend of BuildKit"
    for position in file.positions:
        node = file.instruction(position)
        if node.keyword == "RUN" and node.flags:
            return f"line {file.line(position)} has an option of BuildKit's RUN"
        if node.heredocs:
            return f"line {file.line(position)} has a heredoc, which only BuildKit reads"
        if node.keyword in ("COPY", "ADD") and any(flag.name in ("link", "chmod", "parents", "exclude") for flag in node.flags):
            return f"line {file.line(position)} has an option of BuildKit's {node.keyword}"
    return ""
