"""A Python that is copied whole over the same one, for the sake of its packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from optimizer.knowledge.pythons import python_version
from optimizer.model.paths import placements
from optimizer.passes.base import Change
from optimizer.passes.repair.installed import Kind, arrival
from optimizer.passes.repair.user_base import environment
from optimizer.passes.split.steps import steps_of

if TYPE_CHECKING:
    from optimizer.passes.repair.python import Repair

_PREFIX = "/usr/local"
_BY_PATH = re.compile(rf"{_PREFIX}/(bin|lib)\b|\bsite-packages\b")
_OWN_PATH = frozenset({"su", "sudo", "cron", "crond", "runuser"})


def once(repair: Repair) -> Change | None:
    """Install into a virtual environment, and copy that in the place of ``/usr/local``, most of which the image has.

    Returns:
        The change; None where something else of that folder may be needed, or names what lies in it.
    """
    model, stage, builder = repair.model, repair.stage, repair.installed.builder
    found = arrival(model, stage, builder, _PREFIX)
    if repair.installed.kind is not Kind.SYSTEM or found is None or found[1] != _PREFIX or repair.bare:
        return None
    versions = {python_version(image) for image in (builder.image, stage.image) if image is not None}
    if model.file.instruction(found[0]).words != (_PREFIX, _PREFIX) or len(versions) != 1 or None in versions:
        return None
    nodes = [model.file.instruction(p) for p in stage.positions if p != found[0]]
    texts = [node.value for node in nodes if node.keyword not in ("COPY", "ADD", "LABEL")]
    context, start = model.context, repair.application.start
    texts += [context.read_text(f) or "" for f in (*start.scripts, *start.entries)] if context is not None else []
    if any(_BY_PATH.search(text) for text in texts) or _OWN_PATH & set(repair.application.programs):
        return None
    if any(node.keyword == "RUN" and "pip" in node.value for node in nodes) or _more(repair):
        return None
    return environment(repair, found[0], _PREFIX, "the image has the Python that the COPY of /usr/local brings once more")


def _more(repair: Repair) -> bool:
    """Whether the build stage may put more than packages of Python below ``/usr/local``."""
    model, builder = repair.model, repair.installed.builder
    for position in builder.positions:
        node = model.file.instruction(position)
        if node.keyword in ("COPY", "ADD"):
            placed = placements(model, position)
            if placed is None or any(f"{one.target}/".startswith(f"{_PREFIX}/") for one in placed):
                return True
        if node.keyword == "RUN":
            steps = steps_of(node)
            known = all(s.cleans or (s.call is not None and s.call.ecosystem in ("pip", "apt")) for s in steps or ())
            if steps is None or not known:
                return True
    return False
