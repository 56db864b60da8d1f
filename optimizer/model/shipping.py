"""Which stages end up in an image."""

from __future__ import annotations

from optimizer.model.model import Model, Stage


def shipped(model: Model) -> list[Stage]:
    """The stages whose layers end up in an image: the target, or every stage that no other one needs, and their bases."""
    leaves = [model.final] if model.target is not None else [s for s in model.stages if not model.dependants(s)]
    found: set[int] = set()
    for leaf in leaves:
        stage: Stage | None = leaf
        while stage is not None:
            found.add(stage.index)
            stage = model.stages[stage.base] if stage.base is not None else None
    return [s for s in model.stages if s.index in found]
