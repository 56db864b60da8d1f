"""Which USER of a stage decides who its program runs as."""

from __future__ import annotations

from optimizer.model.model import Model, Stage
from optimizer.model.state import ROOT_USERS


def decided_user(model: Model, stage: Stage) -> int | None:
    """The position of the USER that says who a stage's program runs as, in the stage or one that it starts from.

    None where nothing says it. That counts root, said where root it was and in front of steps: it is said for these.
    """
    position = model.last(stage, "USER")
    if position is None:
        return None
    said = model.file.instruction(position).value.strip()
    behind = [p for p in stage.positions if p > position and model.file.instruction(p).keyword in ("RUN", "COPY", "ADD")]
    idle = said in ROOT_USERS and model.before(position).user in ROOT_USERS
    return None if idle and behind else position
