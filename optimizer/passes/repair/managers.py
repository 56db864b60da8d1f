"""The repair of a command that a package manager would run which only the build stage has."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from optimizer.passes.base import Change, Refusal
from optimizer.passes.split.python_managers import MANAGERS, without_manager
from optimizer.passes.split.shared import Refused

if TYPE_CHECKING:
    from optimizer.passes.repair.python import Repair


def start_without_manager(repair: Repair) -> Change | Refusal | None:
    """A command behind ``poetry run``, ``uv run`` or ``pipenv run`` without that, where the environment has the program already."""
    model, stage = repair.model, repair.stage
    copies = [node for p in stage.positions if (node := model.file.instruction(p)).keyword == "COPY"]
    brought = {posixpath.basename(word) for node in copies for word in node.words}
    managers = set(repair.application.start.programs) & set(MANAGERS) - brought
    for position in [p for keyword in ("CMD", "ENTRYPOINT") if managers and (p := model.last(stage, keyword)) is not None]:
        try:
            new = without_manager(model.file.instruction(position))
        except Refused as refused:
            return Refusal(f"not repaired: {refused}", position)
        if new is not None:
            evidence = (*repair.evidence, f"the image has no {' and no '.join(sorted(managers))}")
            file = model.file.replaced(position, position + 1, [new])
            return Change("start the program without a package manager that the image lacks", file, (position,), evidence)
    return None
