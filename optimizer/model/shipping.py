"""Which stages end up in an image."""

from __future__ import annotations

from optimizer.model.model import Model, Stage


def shipped(model: Model) -> list[Stage]:
    """The stages whose layers end up in an image: the target, or every stage that no other one needs, and their bases."""
    leaves = [model.final] if model.target is not None else [s for s in model.stages if not model.dependants(s)]
    found = {stage.index for leaf in leaves for stage in (leaf, *model.bases(leaf))}
    return [s for s in model.stages if s.index in found]
