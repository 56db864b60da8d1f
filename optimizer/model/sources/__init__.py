"""What the source of a program says it uses, one module a language.

Each has a function ``evidence(model, stage, start, environment)`` that reads what a container starts. Node is read in
``model.node_program``, Python, Go, C and Rust in ``model.application``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from optimizer.model.model import Model, Stage
from optimizer.model.sources.evidence import SourceUse
from optimizer.model.started import Start

__all__ = ["SOURCES", "SourceUse", "source_use"]

SOURCES = frozenset({"java", "dotnet", "ruby", "php"})
"""The languages that have a module here."""


def source_use(language: str, model: Model, stage: Stage, start: Start, environment: Mapping[str, str]) -> SourceUse:
    """What the source of the programs that a container starts uses.

    Args:
        language: One of ``SOURCES``; its module is imported when it is asked for.
        model: The facts, with the context at hand.
        stage: The stage that runs.
        start: What it starts.
        environment: Variables known to be set then.
    """
    evidence: Callable[[Model, Stage, Start, Mapping[str, str]], SourceUse] = import_module(f"{__name__}.{language}").evidence
    return evidence(model, stage, start, environment)
