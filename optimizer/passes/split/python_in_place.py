"""A Python stage whose packages have to stay beside the interpreter, on the slim image."""

from __future__ import annotations

from collections.abc import Callable

from optimizer.knowledge.debian import build_only
from optimizer.knowledge.images import BaseImage
from optimizer.knowledge.python_packages import python_package
from optimizer.knowledge.pythons import python_version
from optimizer.model import Model, Stage
from optimizer.model.runtime import Runtime
from optimizer.passes.base import Change
from optimizer.passes.split.python_headers import compiles_nothing, install_texts
from optimizer.passes.split.python_plan import Plan
from optimizer.passes.split.shared import Refused, SystemPackages, from_line, with_certificates


def in_place(
    model: Model, stage: Stage, plan: Plan, twin: tuple[BaseImage, str], system: Callable[[], SystemPackages], refused: Refused
) -> Change:
    """The stage on the slim image, where pip installs as before since it compiles nothing.

    Args:
        model, stage, plan: The facts.
        twin: The slim image, and how FROM names it.
        system: Tells which system packages the program needs.
        refused: Why the packages cannot move into a virtual environment.

    Raises:
        Refused: That, where something is compiled or more than the slim image is needed; or what is needed is not known.
    """
    runtime, reference = twin
    image = stage.image
    full = image is not None and image.family == "python" and image.variant == "full" and runtime.variant == "slim"
    if not full or model.runtime is Runtime.DISTROLESS or plan.manager is not None or plan.project or plan.exported:
        raise refused
    known = {r.name: python_package(r.name, r.extras) for r in plan.requirements if r.name}
    if not compiles_nothing(plan.requirements, known, python_version(runtime), install_texts(model, plan)):
        raise refused
    needed = with_certificates(system().kept, stage.image, runtime)
    if set(needed) - set(plan.system.packages) or any(build_only(p, "apt") for p in plan.system.packages):
        raise refused
    new = from_line(model, stage, reference, stage.name)
    evidence = ("every package that pip installs is known to have a wheel, so nothing is compiled", f"no build stage: {refused}")
    return Change(f"run on {reference}", model.file.replaced(stage.position, stage.position + 1, [new]), (stage.position,), evidence)
