"""What the ``dotnet publish`` commands of a stage make: which project, in which folder, started how."""

from __future__ import annotations

import posixpath
import re

from msgspec import Struct

from optimizer.context.dotnet_project import DotnetProject, dotnet_project, project_files
from optimizer.ecosystems import read_call, unwrapped
from optimizer.ecosystems.base import Arguments
from optimizer.ecosystems.dotnet import arguments_of
from optimizer.model.model import Model, Stage
from optimizer.model.paths import context_path
from optimizer.model.state import State
from optimizer.syntax.shell import Command

_CONFIGURATION = re.compile(r"^[/-]p(?:roperty)?:(\w+)=(.*)$", re.I)


class Publish(Struct, frozen=True):
    """One ``dotnet publish``.

    Args:
        position: Index of its RUN.
        project: What it builds.
        place: The folder of the image in which the project file lies.
        output: The folder that it writes, absolute.
        runtime: The identifier of the platform that it is for, such as ``linux-x64``; None for any.
        self_contained: Whether it takes the runtime along; None where that is not known.
    """

    position: int
    project: DotnetProject
    place: str
    output: str
    runtime: str | None
    self_contained: bool | None

    @property
    def library(self) -> str:
        """What ``dotnet`` is given to start it."""
        return posixpath.join(self.output, f"{self.project.assembly}.dll")

    @property
    def program(self) -> str:
        """The program that starts it by itself."""
        return posixpath.join(self.output, self.project.assembly or "")


def publishes(model: Model, stage: Stage) -> tuple[Publish | str, ...]:
    """The publishes of a stage in order; a reason in the place of one that is not followed."""
    found: list[Publish | str] = []
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword != "RUN" or "publish" not in node.text:
            continue
        commands = _exec_form(node.json) if node.json is not None else node.script.commands if node.script is not None else ()
        folder: str | None = model.before(position).workdir
        for command in commands:
            call = read_call(command)
            if command.name == "cd":
                folder = None
            elif call is not None and call.ecosystem == "dotnet" and call.verb is not None and call.verb.value == "publish":
                state = model.before(position)
                arguments = arguments_of(unwrapped(command))
                found.append(
                    _publish(model, stage, position, state, folder, arguments) if arguments is not None else "it is not understood"
                )
    return tuple(found)


def _exec_form(words: tuple[str, ...]) -> tuple[Command, ...]:
    from shlex import join

    from optimizer.syntax.shell import parse_script

    return parse_script(join(words)).commands


def _publish(model: Model, stage: Stage, position: int, state: State, folder: str | None, found: Arguments) -> Publish | str:
    context = model.context
    if context is None or folder is None:
        return "the folder in which it publishes is not known"
    options: dict[str, str | None] = {name: None if value is None else state.expand(value) for name, value in found.options}
    plain = [w for w in found.operands if w.value not in ("true", "false")]  # what an option may be followed by
    operands = [state.expand(w.text) for w in plain if not w.text.startswith(("/p:", "-p:", "/property:"))]
    properties = {m[1].lower(): m[2] for w in found.operands if (m := _CONFIGURATION.match(w.value or ""))}
    properties |= {
        m[1].lower(): f"{m[2]}{'' if value is None else f'={value}'}"
        for name, value in found.options
        if (m := re.match(r"^-p(?:roperty)?:(\w+)(.*)$", name, re.I))
    }
    properties = {name: value.lstrip("=") for name, value in properties.items()}
    if len(operands) > 1 or None in operands:
        return "which project it publishes is not known"
    given = posixpath.normpath(posixpath.join(folder, operands[0])) if operands and operands[0] else folder
    project = _project(model, stage, given, position)
    if isinstance(project, str):
        return project
    if project.assembly is None:
        return f"the name of the program in {project.path} is computed"
    place = posixpath.dirname(given) if given.endswith("proj") else given
    output = next((options[name] for name in ("-o", "--output") if name in options), properties.get("publishdir"))
    if output is None and ({"-o", "--output"} & options.keys() or {"--artifacts-path"} & options.keys()):
        return "the folder that it writes is not known"
    runtime = next(
        (options[name] for name in ("-r", "--runtime") if name in options),
        properties.get("runtimeidentifier") or project.properties.get("runtimeidentifier"),
    )
    target = next((options[name] for name in ("-f", "--framework") if name in options), project.target)
    if output is None:
        configuration = next((options[name] for name in ("-c", "--configuration") if name in options), None)
        configuration = configuration or ("Release" if _since(project, 8) else "Debug")
        if target is None or "baseoutputpath" in project.properties or "outputpath" in project.properties:
            return "the folder that it writes is not known"
        output = posixpath.join(place, "bin", configuration, target, *([runtime] if runtime else []), "publish")
    return Publish(
        position,
        project,
        place,
        posixpath.normpath(posixpath.join(folder, output)),
        runtime,
        _self_contained(found, options, properties, project, runtime),
    )


def _project(model: Model, stage: Stage, given: str, position: int) -> DotnetProject | str:
    """The project at a path of the image: its file, or the only one in its folder, or the only one of a solution that is a program."""
    context = model.context
    assert context is not None
    inside = context_path(model, stage, given, position)
    if inside is None:
        # A folder into which a project file alone was copied.
        named = {posixpath.dirname(path) or "." for path in context.files() if path.endswith("proj")}
        around = [
            f
            for f in sorted(named)
            for p in project_files(context, f)
            if context_path(model, stage, posixpath.join(given, posixpath.basename(p)), position) == p
        ]
        inside = around[0] if len(around) == 1 else None
    if inside is None:
        return f"{given} is not copied from the build context"
    if inside.endswith((".sln", ".slnx")):
        return "a solution publishes all its projects into one folder"
    if inside != "." and not context.is_dir(inside):
        return dotnet_project(context, inside)
    files = project_files(context, inside)
    if len(files) != 1:
        return f"there is not just one project file in {inside}"
    return dotnet_project(context, files[0])


def _since(project: DotnetProject, version: int) -> bool:
    return project.version is not None and int(project.version.split(".")[0]) >= version


def _self_contained(
    found: Arguments, options: dict[str, str | None], properties: dict[str, str], project: DotnetProject, runtime: str | None
) -> bool | None:
    """Whether a publish takes the runtime along. Source: https://learn.microsoft.com/dotnet/core/compatibility/sdk/8.0/runtimespecific-app-default"""
    if "--no-self-contained" in options:
        return False
    for name in ("--self-contained", "--sc"):
        if name in options:
            return options[name] != "false" and not any(w.value == "false" for w in found.operands)
    value = properties.get("selfcontained", project.properties.get("selfcontained", "")).lower()
    if "selfcontained" in project.conditional or "publishselfcontained" in project.properties or "publishaot" in project.properties:
        return None
    if value:
        return {"true": True, "false": False}.get(value)
    if "publishsinglefile" in {*properties, *project.properties, *project.conditional}:
        return None
    return runtime is not None and not _since(project, 8) if project.version is not None else None if runtime else False
