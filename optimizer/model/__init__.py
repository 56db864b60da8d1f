"""Read-only facts about a Dockerfile, computed once for a tree and never changed by a pass."""

from optimizer.model.model import Model, Mount, Stage, mounts, stage_number
from optimizer.model.state import State

__all__ = ["Model", "Mount", "Stage", "State", "mounts", "stage_number"]
