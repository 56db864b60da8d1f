"""A distroless image for a Python program: whether it has all that the program needs, and how the program starts on it."""

from __future__ import annotations

import json
import re

from msgspec import Struct

from optimizer.knowledge.python_packages import python_package
from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.launch import PYTHON, RUN_AS_MODULE
from optimizer.passes.split.bare import needs_more, needs_shell
from optimizer.passes.split.python_plan import Plan
from optimizer.passes.split.shared import SystemPackages
from optimizer.passes.split.started import exec_form
from optimizer.passes.text import instruction_like
from optimizer.syntax import Instruction

REFERENCE = "gcr.io/distroless/python3-debian12:nonroot"
PACKAGES = "/opt/packages"
VERSION = "3.11"
"""The version of Debian 12's Python (packages.debian.org/bookworm/python3)."""


class Bare(Struct, frozen=True):
    """The program on a distroless image. started: the instructions that start it, by position."""

    started: dict[int, Instruction]


def bare_runtime(model: Model, stage: Stage, plan: Plan, application: Application, system: SystemPackages) -> Bare | str:
    """How a stage runs on Debian 12's distroless Python, or why it cannot."""
    image = stage.image
    if image is None or not re.match(rf"{re.escape(VERSION)}(\.|$)", image.version or "") or image.release not in (None, "bookworm"):
        return f"the distroless image has Python {VERSION} of Debian 12"
    if image.release is None and any((p := python_package(r.name or "")) is not None and p.has_wheels is False for r in plan.requirements):
        return "a package is compiled on a Debian release that the tag does not name"
    reason = _needs_more(model, stage, plan, application, system)
    if reason is not None:
        return reason
    started: dict[int, Instruction] = {}
    entry, command = model.last(stage, "ENTRYPOINT"), model.last(stage, "CMD")
    position = entry if entry is not None else command
    if position is None:
        return "neither CMD nor ENTRYPOINT says what starts"
    node = started_node(model, position, plan)
    words = node.json if node is not None else None
    if node is None or not words:
        return "a shell starts the program"
    kept = _arguments(words)
    if kept is None:
        return f"whether {words[0]} runs as a module of Python is not known"
    if entry is not None and command is not None and model.file.instruction(command).json is None:
        return "CMD is in shell form"
    text = json.dumps(["python3", *kept] if entry is not None else list(kept), ensure_ascii=False)
    started[position] = instruction_like(model.file, node, node.keyword, text)
    return Bare(started)


def started_node(model: Model, position: int, plan: Plan) -> Instruction | None:
    """The instruction that starts the program in exec form, without a package manager; None when it needs a shell."""
    from optimizer.passes.split.python_managers import without_manager

    node = model.file.instruction(position)
    node = (without_manager(node) if plan.manager is not None else None) or node
    return node if node.json is not None else exec_form(node)


def _arguments(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """What the interpreter is given to start a command; None when that is not known."""
    if PYTHON.fullmatch(words[0]):
        return words[1:] or None
    module = RUN_AS_MODULE.get(words[0])
    return ("-m", module, *words[1:]) if module is not None else None


def _needs_more(model: Model, stage: Stage, plan: Plan, application: Application, system: SystemPackages) -> str | None:
    """What the program needs that an image of the interpreter alone has not."""
    if plan.system.upgrade:
        return "the program needs upgraded packages"
    if plan.editable or (plan.manager is not None and plan.project):
        return "the project is installed in place, which only the environment's own interpreter finds"
    modules = {command.words[0] for command in application.start.commands if "-m" in command.words[:2]}
    own = {p for p in application.programs if PYTHON.fullmatch(p)} | {*RUN_AS_MODULE, *(m for m in modules if m), "poetry", "uv", "pipenv"}
    reason = needs_more(application, system.kept, own)
    if reason is not None:
        return reason
    stays = [
        p for p in stage.positions if not ((p in plan.pip or p in plan.tools or p in plan.system.positions) and not plan.runtime.get(p))
    ]
    nodes = [model.file.instruction(p) for p in stays]
    if any(node.keyword == "ENV" and any(pair.name == "PYTHONPATH" for pair in node.pairs) for node in nodes):
        return "PYTHONPATH is set"
    return needs_shell(model, nodes)
