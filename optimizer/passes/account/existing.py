"""What the user that a Dockerfile names itself has to own."""

from __future__ import annotations

import re

from optimizer.model import Model, Stage
from optimizer.passes.account.steps import user_steps
from optimizer.passes.base import Change
from optimizer.syntax import Blank, Instruction

_SETS_RIGHTS = re.compile(r"\b(chown|chmod|chgrp|setfacl|umask)\b|\b(install|mkdir)\s+-\w*m")
_LATE = frozenset({"RUN", "COPY", "ADD", "WORKDIR", "ONBUILD"})


def owned_by_user(model: Model, stage: Stage, user: int, command: int) -> Change | None:
    """Give the folders that the program writes to the user of a USER line behind all that makes the image.

    Args:
        model: Facts of the Dockerfile, with a build context.
        stage: The final stage.
        user: Index of its last USER line.
        command: Index of the CMD or ENTRYPOINT that starts the program.

    Returns:
        None when the file sets owners, modes or users somewhere else as well, so that some may belong to the user already, or
        when it is not known what has to.
    """
    file = model.file
    written = file.instruction(user)
    others = [file.instruction(p) for p in file.positions if p != user]
    if any(node.keyword == "USER" or _SETS_RIGHTS.search(node.text) for node in others):
        return None
    if any(file.instruction(p).keyword in _LATE for p in stage.positions if p > user) or model.before(user).user not in ("root", "0"):
        return None
    without = Model(file.replaced(user, user + 1, []), model.context, model.target, model.runtime)
    found = user_steps(without, without.final, command - (user < command))
    if not isinstance(found, Change) or stage.image is None:
        return None
    old = {id(node) for node in without.file.nodes}
    nodes = list(found.file.nodes)
    added = [node for node in nodes if id(node) not in old and isinstance(node, Instruction)]
    users, runs = ([node for node in added if node.keyword == keyword] for keyword in ("USER", "RUN"))
    number = stage.image.users.get(users[0].value) if len(users) == 1 else None
    if number is None or written.value.partition(":")[0] not in (users[0].value, str(number)) or not runs or len(added) > len(runs) + 1:
        return None
    at = nodes.index(users[0])
    doubled = isinstance(nodes[at + 1], Blank) and sum(node is nodes[at + 1] for node in nodes) > 1
    del nodes[at : at + (2 if doubled else 1)]
    behind = next(node for node in file.nodes[user + 1 :] if isinstance(node, Instruction))
    place = next(index for index, node in enumerate(nodes) if node is behind)
    changed = file.replaced(0, len(file.nodes), [*nodes[:place], written, *nodes[place:]])
    return Change(f"give {users[0].value} what the program writes", changed, (user,), found.evidence)
