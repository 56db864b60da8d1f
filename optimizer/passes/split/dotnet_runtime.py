"""The runtime stage of a .NET build that is split already: the runtime's image in place of the SDK's."""

from __future__ import annotations

from optimizer.model import Model, Stage
from optimizer.model.runtime import Runtime
from optimizer.passes.base import Change
from optimizer.passes.split.compiled_runtime import only_files
from optimizer.passes.split.dotnet_program import DotnetProgram
from optimizer.passes.split.shared import apt_install, from_line
from optimizer.syntax import Node


def dotnet_runtime(model: Model, stage: Stage) -> Change | None:
    """Put the final stage of a multi-stage build, which runs a program that another one published, on the runtime's image.

    Returns:
        The change, None when the stage does more than to copy what another one published.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    command = model.last(stage, "ENTRYPOINT") or model.last(stage, "CMD")
    if stage.image is None or stage.image.family != "dotnet-sdk" or command is None or model.runtime is Runtime.SAME:
        return None
    if model.context is None or not model.dependencies[stage.index] or not only_files(model, stage):
        return None
    program = DotnetProgram(model, stage, command, model.context)
    runtime, reference = program.base()
    program.check_address(runtime)
    program.check_user(runtime, stage.position)
    packages = program.packages(runtime, stage.position)
    new: list[Node] = [from_line(model, stage, reference, stage.name)]
    if packages:
        new.append(apt_install(model, stage, packages, ("--no-install-recommends",)))
    file = model.file.replaced(stage.position, stage.position + 1, new)
    evidence = ("the stage copies what another one published, and builds nothing", *program.evidence)
    return Change(f"run on {reference}", file, (stage.position,), evidence)
