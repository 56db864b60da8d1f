"""What Node loads before a program, and whether it starts nothing else."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from optimizer.model.launch import NODE, preloads
from optimizer.model.model import Model, Stage
from optimizer.model.paths import context_path
from optimizer.model.start import healthcheck_of
from optimizer.model.started import Start

_STARTERS = frozenset({"node", "nodejs", "sh", "bash", "tini", "dumb-init", "npm", "yarn", "pnpm"})


def preloaded(
    model: Model, stage: Stage, start: Start, environment: Mapping[str, str], folder: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The packages and the files of the context that options tell Node to load before the program.

    Args:
        model, stage, start: The facts.
        environment: Variables known to be set, of which NODE_OPTIONS counts.
        folder: The folder that relative names of NODE_OPTIONS start in.
    """
    packages, files = [], []
    given = [(c.words[1:], c.folder) for c in start.commands if c.name in NODE]
    given.append((tuple(environment.get("NODE_OPTIONS", "").split()), folder))
    for name, place in ((name, place) for words, place in given for name in preloads(words)):
        if name.startswith((".", "/")):
            path = context_path(model, stage, posixpath.join(place or "/", name))
            files += [path] if path is not None else []
        else:
            packages.append("/".join(name.split("/")[: 2 if name.startswith("@") else 1]))
    return tuple(packages), tuple(files)


def starts_alone(model: Model, stage: Stage, start: Start, environment: Mapping[str, str], entry: str) -> bool:
    """Whether a container starts nothing but Node with one entry, and no module before it."""
    health = healthcheck_of(model, stage)
    plain = all(c.name in _STARTERS and not preloads(c.words) for c in start.commands)
    preset = preloads(tuple(environment.get("NODE_OPTIONS", "").split()))
    return start.entries == (entry,) and plain and not preset and (health is None or not health.entries)
