"""The repair of packages that ``pip install --user`` puts into root's home, where the program that runs does not find them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from optimizer.passes.base import Change
from optimizer.passes.repair.installed import USER_BASE, pip_calls
from optimizer.passes.text import comments_above
from optimizer.syntax import Instruction, Node

if TYPE_CHECKING:
    from optimizer.passes.repair.python import Repair

VENV = "/opt/venv"


def whole_user_base(repair: Repair, position: int) -> bool:
    """Whether a COPY brings root's own packages and nothing else."""
    words = repair.model.file.instruction(position).words
    return len(words) == 2 and words[0].rstrip("/") == USER_BASE


def found_by_user(repair: Repair, at: str) -> bool:
    """Whether the interpreter of the stage that runs looks for packages below a folder; an unknown user's home may be it."""
    state = repair.model.behind(repair.stage)
    if at.startswith("/root"):
        return False
    paths = [state.env.get(name, "") for name in ("PYTHONPATH", "PYTHONUSERBASE", "HOME")]
    named = any(value is None or at.removesuffix("/.local") in value for value in paths)
    home = state.user not in ("root", "0") and at.startswith("/home/")
    return named or home or at in ("/usr/local", "/usr")


def environment(repair: Repair, instead: int | None = None, at: str = USER_BASE, why: str = "") -> Change:
    """Install into a virtual environment in the build stage, and copy that.

    Args:
        repair: The stage.
        instead: Position of the COPY of root's own packages that this stands in for, None where nothing copies them.
        at: Where that COPY puts them.
        why: What is wrong with that; by default that they are not found there.
    """
    model, stage, builder = repair.model, repair.stage, repair.installed.builder
    path = f"PATH={VENV}/bin:$PATH"
    made = [repair.line(builder, "RUN", f"python -m venv {VENV}"), repair.line(builder, "ENV", path)]
    brought = [repair.line(stage, "COPY", f"--from={repair.name} {VENV} {VENV}"), repair.line(stage, "ENV", path)]
    copies = [p for p in stage.positions if model.file.instruction(p).flag("from") is not None]
    place = comments_above(model.file, copies[0]) if copies else stage.position + 1
    first = comments_above(model.file, repair.installed.positions[0])
    old = _old_path(repair, at) if instead is not None else None
    nodes: list[Node] = []
    for index, node in enumerate(model.file.nodes):
        nodes += made if index == first else []
        nodes += brought if index == (place if instead is None else instead) else []
        if index in (instead, old):
            continue
        nodes.append(_without_user(model.file.instruction(index)) if index in repair.installed.positions else node)
    file = model.file.replaced(0, len(model.file.nodes), nodes)
    closed = "root's home, where they are, is closed to every other user"
    hidden = why or (closed if at.startswith("/root") else f"nothing looks for packages in {at}")
    summary = f"copy the packages that stage {repair.name} installs into the stage that runs"
    touched = (repair.installed.positions[0], *copies[:1], *([old] if old is not None else []), stage.position)
    return Change(summary, file, touched, (*repair.evidence, *((hidden,) if instead is not None else ())))


def _old_path(repair: Repair, at: str) -> int | None:
    """The ENV that does nothing but put root's own commands, wherever they are copied to, on PATH."""
    for position in repair.stage.positions:
        node = repair.model.file.instruction(position)
        alone = node.keyword == "ENV" and len(node.pairs) == 1 and node.pairs[0].name == "PATH"
        if alone and re.fullmatch(rf"[\"']?{re.escape(at)}/bin:\$\{{?PATH\}}?[\"']?", node.pairs[0].value or ""):
            return position
    return None


def _without_user(node: Instruction) -> Instruction:
    """``pip install --user`` installs past a virtual environment, so the option goes."""
    text = node.shell_text
    assert text is not None
    edits = [
        (text.source_end(word.start - 1), text.source_end(word.end), "")
        for call in pip_calls(node)
        for word in call.command.words
        if word.value == "--user"
    ]
    return node.edited(*edits) if edits else node
