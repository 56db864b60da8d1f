"""A .NET program that ``dotnet run`` compiles when the container starts: published by the build instead, and started as such."""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any

from optimizer.context.csharp_source import csharp_evidence
from optimizer.context.dotnet_project import DotnetProject, dotnet_project, project_files
from optimizer.context.folder import BuildContext
from optimizer.model import Model, Stage
from optimizer.model.paths import context_path
from optimizer.model.start import start_of
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import steps_of
from optimizer.passes.text import instruction_like
from optimizer.syntax import Dockerfile, Instruction

_OUTPUT = "/out"
_FLAGS = frozenset({"--no-build", "--no-restore", "--no-launch-profile", "--no-self-contained", "--interactive"})
_VALUED = {"-c": "-c", "--configuration": "-c", "--project": "--project", "-p": "--project", "-f": "-f", "--framework": "-f"}
_PROFILE = frozenset({"--launch-profile", "-lp"})
_DEBUG = re.compile(r"#\s*if\b[^\n]*\bDEBUG\b|\bDebug\s*\.|\bConditional\s*\(")


def published_instead(model: Model, stage: Stage, command: int) -> tuple[Model, tuple[int, ...]] | None:
    """The Dockerfile with a publish in place of ``dotnet run``, and the instructions that differ; None where nothing runs so.

    Args:
        model: Facts of the Dockerfile, with the context at hand.
        stage: The stage.
        command: Index of its CMD or ENTRYPOINT.

    Raises:
        Refused: What it runs, or with which settings, is not known.
    """
    start = start_of(model, stage)
    words = start.commands[-1].words if start is not None and start.commands else ()
    if words[:2] != ("dotnet", "run"):
        return None
    both = model.last(stage, "ENTRYPOINT") is not None and model.last(stage, "CMD") is not None
    if start is None or len(start.commands) != 1 or start.scripts or both or None in words:
        raise Refused("how `dotnet run` is started is not plain", command)
    options, rest = _options([word for word in words[2:] if word is not None])
    context = model.context
    assert context is not None
    workdir = model.before(command).workdir
    if workdir is None:
        raise Refused("the folder in which `dotnet run` starts is not known", command)
    place = posixpath.normpath(posixpath.join(workdir, options.get("--project", ".")))
    project = _project(model, stage, place, command)
    place = posixpath.dirname(place) if place.endswith("proj") else place
    if project.assembly is None:
        raise Refused(f"the name of the program in {project.path} is computed", command)
    variables = _profile(context, project, options, rest, command)
    node = model.file.instruction(command)
    started = json.dumps(["dotnet", f"{_OUTPUT}/{project.assembly}.dll", *rest], ensure_ascii=False)
    configuration = options.get("-c") or ("Debug" if _differs(context, project) else "Release")
    named = [options["--project"]] if "--project" in options else []
    framework = ["-f", options["-f"]] if "-f" in options else []
    text = " ".join(["dotnet", "publish", *named, "-c", configuration, *framework, "-o", _OUTPUT])
    position, replaces = _place(model, stage, command)
    lines = [instruction_like(model.file, node, "ENV", f"{name}={value}") for name, value in variables.items()]
    if project.sdk == "Microsoft.NET.Sdk.Web" and place != workdir:
        lines.append(instruction_like(model.file, node, "WORKDIR", place))  # where its SDK has `dotnet run` start it
    lines.append(instruction_like(model.file, node, node.keyword, started))
    file: Dockerfile = model.file.replaced(command, command + 1, lines)
    beside = model.file.instruction(position)
    publish = instruction_like(model.file, beside, "RUN", text)
    file = file.replaced(position if replaces else position + 1, position + 1, [publish])
    return Model(file, context, model.target, model.runtime), tuple(sorted({position, command}))


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """The options of ``dotnet run``, and the arguments of the program: all that it does not know, and what stands behind ``--``."""
    options: dict[str, str] = {}
    rest: list[str] = []
    index = 0
    while index < len(words):
        word, sign, value = words[index].partition("=")
        index += 1
        if words[index - 1] == "--":
            return options, rest + words[index:]
        if word in _FLAGS:
            options[word] = ""
        elif word in _VALUED or word in _PROFILE:
            if not sign:
                value = words[index] if index < len(words) else ""
                index += 1
            options[_VALUED.get(word, "--launch-profile")] = value
        else:
            rest.append(words[index - 1])
    return options, rest


def _project(model: Model, stage: Stage, place: str, command: int) -> DotnetProject:
    context = model.context
    assert context is not None
    inside = context_path(model, stage, place)
    if inside is not None and (inside == "." or context.is_dir(inside)):
        files = project_files(context, inside)
        inside = files[0] if len(files) == 1 else None
    found = dotnet_project(context, inside) if inside is not None else f"there is not just one project file in {place}"
    if isinstance(found, str):
        raise Refused(found, command)
    return found


def _profile(context: BuildContext, project: DotnetProject, options: dict[str, str], rest: list[str], command: int) -> dict[str, str]:
    """The variables that the launch profile sets.

    Raises:
        Refused: The profile cannot be read, or leads to an address that nobody outside of the container reaches.
    """
    path = posixpath.normpath(posixpath.join(project.folder, "Properties/launchSettings.json"))
    text = context.read_text(path)
    if text is None or "--no-launch-profile" in options:
        return {}
    try:
        data: Any = json.loads(text.removeprefix("\ufeff"))
        profiles = {name: p for name, p in data["profiles"].items() if p.get("commandName") == "Project"}
        chosen = profiles[options["--launch-profile"]] if "--launch-profile" in options else next(iter(profiles.values()), {})
        variables = {str(name): str(value) for name, value in chosen.get("environmentVariables", {}).items()}
        address, arguments = str(chosen.get("applicationUrl", "")), str(chosen.get("commandLineArgs", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(f"{path} cannot be read", command) from None
    if arguments or any(re.search(r"[\s\"'$\\]", value) for value in variables.values()):
        raise Refused(f"{path} gives the program arguments or settings of its own", command)
    if address and not any(word.startswith("--urls") for word in rest):
        raise Refused(f"{path} has it listen on {address}, which is heard inside of the container alone", command)
    return variables


def _differs(context: BuildContext, project: DotnetProject) -> bool:
    """Whether the source asks how it is compiled."""
    folders = {posixpath.dirname(path) or "." for path in project.projects}
    files = sorted({f for folder in folders for f in context.under(folder) if f.endswith(".cs")})
    return _DEBUG.search(csharp_evidence(context, files, project.folder, None, {}, sqlite=False).code) is not None


def _place(model: Model, stage: Stage, command: int) -> tuple[int, bool]:
    """The last step of the stage, and whether it is a ``dotnet build`` whose place a publish takes."""
    early = [p for p in stage.positions if p < command and model.file.instruction(p).keyword in ("RUN", "COPY", "ADD")]
    if not early:
        raise Refused("nothing is copied that `dotnet run` could compile", command)
    return early[-1], _builds_alone(model.file.instruction(early[-1]))


def _builds_alone(node: Instruction) -> bool:
    steps = steps_of(node) if node.keyword == "RUN" and node.json is None else None
    call = steps[0].call if steps is not None and len(steps) == 1 else None
    return call is not None and call.ecosystem == "dotnet" and call.verb is not None and call.verb.value == "build"
