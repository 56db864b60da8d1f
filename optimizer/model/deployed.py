"""Folders that ``pnpm deploy`` fills with one member of a workspace and the packages that it needs.

Source: pnpm.io/cli/deploy.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from optimizer.context.workspaces import workspace_of
from optimizer.model.model import Model, Stage
from optimizer.model.paths import context_path
from optimizer.syntax.shell import Command

_SELECTORS = ("--filter", "-F")
_FLAGS = frozenset({"--prod", "-P", "--production", "--legacy", "--no-optional", "--frozen-lockfile", "--offline", "--prefer-offline"})


def deployed_path(model: Model, stage: Stage, path: str, positions: Iterable[int]) -> str | None:
    """The path of the context behind a path of a stage that lies in a folder deployed to; None when there is no such folder.

    Args:
        model: The facts, with the context at hand.
        stage: The stage to look in.
        path: An absolute path of the image.
        positions: The RUN instructions of the stage that may deploy.
    """
    assert model.context is not None
    for position in positions:
        script, state = model.file.instruction(position).script, model.before(position)
        for command in script.commands if script is not None and script.understood else ():
            named = _deployment(command)
            target = state.path(named[1]) if named is not None else None
            if named is None or target is None or not f"{path}/".startswith(f"{target}/") or state.workdir is None:
                continue
            top = context_path(model, stage, state.workdir, position)
            workspace = workspace_of(model.context, top) if top is not None else None
            members = workspace.named(named[0]) if workspace is not None else ()
            inside = posixpath.relpath(path, target)
            if len(members) == 1 and not inside.startswith("node_modules/"):
                return posixpath.normpath(posixpath.join(members[0].folder, inside))
    return None


def _deployment(command: Command) -> tuple[str, str] | None:
    """The selector and the folder of a call of ``pnpm deploy``, None for any other command."""
    words = list(command.argv)
    if command.name != "pnpm" or None in words or "deploy" not in words:
        return None
    selectors: list[str] = []
    plain: list[str] = []
    rest = [word for word in words[1:] if word is not None]
    while rest:
        word = rest.pop(0)
        name, sign, value = word.partition("=")
        if name in _SELECTORS and (sign or rest):
            selectors.append(value if sign else rest.pop(0))
        elif word in _FLAGS:
            continue
        elif word.startswith("-"):
            return None
        else:
            plain.append(word)
    return (selectors[0], plain[1]) if len(selectors) == 1 and len(plain) == 2 and plain[0] == "deploy" else None
