"""Whether a stage can run on an image of an interpreter alone, without a shell, other programs and a place to write to."""

from __future__ import annotations

from collections.abc import Iterable

from optimizer.model import Model
from optimizer.model.application import Application
from optimizer.syntax import Instruction, Node

_KEEPS = frozenset({"FROM", "ENV", "ARG", "WORKDIR", "COPY", "EXPOSE", "LABEL", "CMD", "ENTRYPOINT", "STOPSIGNAL", "MAINTAINER", "VOLUME"})


def needs_more(application: Application, packages: Iterable[str], own: Iterable[str]) -> str | None:
    """What a program needs that such an image has not, None when it is enough.

    Args:
        application: The program.
        packages: The system packages that the runtime stage would install.
        own: The programs that are the interpreter's own, or its modules.
    """
    kept = tuple(packages)
    if kept:
        return f"the program needs {', '.join(kept)}"
    if application.start.scripts or application.start.unknown:
        return "a script starts the program"
    programs = sorted(set(application.programs) - set(own))
    if programs or application.unknown_about("program"):
        return f"it starts {programs[0]}" if programs else "which programs it starts is not known"
    if application.written or application.unknown_about("write", "module"):
        return "it writes files, and an image without a shell cannot give a folder away"
    return None


def needs_shell(model: Model, nodes: Iterable[Node]) -> str | None:
    """The instruction among those of a stage that needs a shell or an account, None when there is none."""
    for node in nodes:
        if isinstance(node, Instruction) and (node.keyword not in _KEEPS or (node.keyword == "COPY" and node.flag("chown"))):
            line = next((f" on line {model.file.line(p)}" for p in model.file.positions if model.file.nodes[p] is node), "")
            return f"{node.keyword}{line} needs a shell or an account"
    return None
