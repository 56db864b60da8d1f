"""The runtime stage of a build that is split already: the slim image of the same version under what it copies."""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct

from optimizer.ecosystems import Action, Call
from optimizer.knowledge.debian import build_only
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.paths import placements
from optimizer.passes.base import Change
from optimizer.passes.split.node_commands import INSTALLED_MANAGERS, sets_up_manager
from optimizer.passes.split.shared import (
    Refused,
    SystemPackages,
    apt_install,
    body_nodes,
    from_line,
    install_options,
    no_twin,
    reference_text,
    with_certificates,
)
from optimizer.passes.split.steps import FILE_COMMANDS, Step, SystemSteps, remaining, steps_of, tells
from optimizer.passes.text import quote_names
from optimizer.syntax import Dockerfile, Instruction, Node

_PROGRAMS = r"(python|pip)[\d.]*|node|np[mx]|yarn|ruby|gem|bundler?"
_LANGUAGES = frozenset({"python", "node", "ruby"})


def slim_runtime(model: Model, stage: Stage) -> Change | None:
    """Put the final stage of a multi-stage build on the slim image.

    Returns:
        The change, None when the stage does not only copy and set, or its base is not a full image of Python, Node or Ruby.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family not in _LANGUAGES or image.package_manager != "apt":
        return None
    bases = model.bases(stage)
    settings = _settings(model, bases)
    own = _own_steps(model, stage, image)
    if settings is None or own is None or not (image.variant == "full" or (image.variant == "slim" and _spare(model, bases, own))):
        return None
    sources = [s for i in sorted(model.dependencies[stage.index]) if (s := model.stages[i]) not in bases]
    if not sources or model.context is None or (image.family != "node" and _runs(model, bases)):
        return None
    if any(s.image is None or (s.image.family, s.image.version, s.image.distribution) != _kind(image) for s in sources):
        return None  # what another image built may need what only that one has
    application = application_of(model, stage)
    if application is None or application.language != image.family:
        raise Refused("no program of the build context is recognised in CMD or ENTRYPOINT", stage.position)
    if any(base.positions for base in bases) and INSTALLED_MANAGERS & set(application.programs):
        return None
    runtime, reference = _twin(model, stage, [stage, *bases][-1], image)
    system = _needs(model, stage, application, runtime, own)
    if runtime is image and not bases and not system.dropped:
        return None
    evidence = ["the stage copies what was built for the same version on the same Debian, and builds nothing itself"]
    if any(base.positions for base in bases):
        evidence.append("nothing starts the package manager of the stage that it started from")
    if system.dropped:
        evidence.append(f"only building needs {quote_names(system.dropped)}")
    if system.kept:
        evidence.append(f"the program needs {quote_names(system.kept)} when it runs")
    start = [from_line(model, stage, reference, stage.name), *settings]
    file = _with_packages(model, stage, own, system, runtime, start)
    summary = f"run on {reference}" if runtime is not image or bases else "install nothing that only building needs"
    return Change(summary, file, (stage.position, *(own.system.positions if system.dropped else ())), tuple(evidence))


def _with_packages(model: Model, stage: Stage, own: _Own, system: SystemPackages, runtime: BaseImage, start: list[Node]) -> Dockerfile:
    """The file with the stage on its new image, and with the system packages that the program needs."""
    file, installed = model.file, own.system.packages
    packages = [p for p in with_certificates((*system.kept, *installed), stage.image, runtime) if p not in installed or p in system.kept]
    replaced: dict[int, list[Node]] = {}
    if system.dropped:
        for position in own.system.positions:
            node = file.instruction(position)
            rest = remaining(file, node, steps_of(node) or (), lambda step: step.call is None and not step.cleans)
            replaced[position] = [rest] if rest is not None else []
        written = [own.system.written.get(p, p) for p in packages]
        options, upgrade = install_options(written, own.system.options), own.system.upgrade
        install = [apt_install(model, stage, written, options, upgrade)] if written or upgrade else []
        replaced[own.system.positions[0]] = [*install, *replaced[own.system.positions[0]]]
    else:
        missing = [p for p in packages if p not in installed]
        start = [*start, *([apt_install(model, stage, missing, install_options(missing, ()))] if missing else [])]
    end = next((s.position for s in model.stages if s.position > stage.position), len(file.nodes))
    return file.replaced(stage.position, end, [*start, *body_nodes(file, stage, end, replaced)])


def _kind(image: BaseImage) -> tuple[str, str | None, str | None]:
    return image.family, image.version, image.distribution


def _runs(model: Model, bases: tuple[Stage, ...]) -> list[Instruction]:
    return [node for base in bases for p in base.positions if (node := model.file.instruction(p)).keyword == "RUN"]


def _settings(model: Model, bases: tuple[Stage, ...]) -> list[Node] | None:
    """What stages set for those that start from them, in order; None when they do more than that and set up package managers."""
    nodes = [model.file.instruction(p) for base in reversed(bases) for p in base.positions]
    if any(node.keyword not in ("ENV", "ARG", "WORKDIR", "LABEL", "RUN") for node in nodes) or not all(
        map(sets_up_manager, _runs(model, bases))
    ):
        return None
    return [node for node in nodes if node.keyword != "RUN"]


class _Own(Struct):
    """What a stage does by itself: the system packages it installs, and the project's commands that it runs."""

    system: SystemSteps
    commands: list[tuple[int, Step]]


def _spare(model: Model, bases: tuple[Stage, ...], own: _Own) -> bool:
    """Whether a stage on a slim image holds a package manager of the project, or system packages that only building needs."""
    return any(map(sets_up_manager, _runs(model, bases))) or any(build_only(package, "apt") for package in own.system.packages)


def _own_steps(model: Model, stage: Stage, image: BaseImage) -> _Own | None:
    """What a stage does by itself; None when a RUN does more than that and making and changing files."""
    own = _Own(SystemSteps(dividable=True), [])
    for position in stage.positions:
        instruction = model.file.instruction(position)
        if instruction.keyword == "ONBUILD":
            return None
        if instruction.keyword == "RUN":
            found = steps_of(instruction)
            steps = [step for step in found or () if not tells(step, _PROGRAMS)]
            calls = [step.call for step in steps if step.call is not None and not _installs_wheels(model, stage, position, step.call)]
            others = [step for step in steps if step.call is None and step.program not in FILE_COMMANDS]
            if found is None or (others and image.family != "python") or any(call.ecosystem != "apt" for call in calls):
                return None
            own.commands += [(position, step) for step in others]
            try:
                for call in calls:
                    own.system.take(model, position, call)
            except Refused:
                return None
    return own


def _installs_wheels(model: Model, stage: Stage, position: int, call: Call) -> bool:
    """Whether a call of pip installs nothing but what another stage has built: files below folders that are copied from it."""
    state = model.before(position)
    if call.ecosystem != "pip" or call.action is not Action.INSTALL or call.prefix:
        return False
    copied = [p for p in stage.positions if p < position and model.file.instruction(p).flag("from") is not None]
    targets = [one.target for p in copied for one in placements(model, p) or () if one.stage is not None]
    if "--no-index" in call.options:
        found = _folders(call)
        return bool(found) and all(state.path(folder) in targets for folder in found)
    inside = ((path := state.path(word)) is not None and any(path.startswith(f"{t}/") for t in targets) for word in call.packages)
    return bool(call.packages) and not call.manifests and all(inside)


def _folders(call: Call) -> list[str]:
    """Where a call of pip is told to look for wheels."""
    words = [word.value or word.text for word in call.command.words]
    apart = [following for word, following in pairwise(words) if word in ("-f", "--find-links")]
    return apart + [word.partition("=")[2] for word in words if word.startswith("--find-links=")]


def _twin(model: Model, stage: Stage, root: Stage, image: BaseImage) -> tuple[BaseImage, str]:
    if image.variant == "slim":
        return image, model.file.instruction(root.position).value.split()[0]
    for twin in runtime_twins(image):
        found, text = lookup(twin), reference_text(model, root, image, twin)
        if found is not None and found.variant == "slim" and text is not None:
            return found, text
    raise Refused(no_twin(stage, image.family.capitalize()), stage.position)


def _needs(model: Model, stage: Stage, application: Application, runtime: BaseImage, own: _Own) -> SystemPackages:
    """The system packages that the program needs beside the slim image, and those of the stage that only building does.

    Raises:
        Refused: That is not known.
    """
    if application.language == "node":
        from optimizer.context.workspaces import workspace_of
        from optimizer.passes.split import node_needs

        workspace = workspace_of(model.context, application.package.folder) if application.package is not None and model.context else None
        if workspace is None:
            raise Refused("there is no package.json in the build context", stage.position)
        return node_needs.system_packages(model, own.system, workspace, [], application, runtime, stage.position)
    if application.language == "ruby":
        return _ruby_needs(model, stage, application, runtime)
    from optimizer.passes.split import python_plan, python_system

    if application.requirements is None or application.requirements.problems:
        raise Refused("which packages are installed is not known", stage.position)
    requirements = list(application.requirements.packages)
    plan = python_plan.Plan(requirements=requirements, system=own.system, commands=own.commands)
    return python_system.system_packages(model, plan, application, runtime, stage)


def _ruby_needs(model: Model, stage: Stage, application: Application, runtime: BaseImage) -> SystemPackages:
    from optimizer.context.bundler_project import bundler_project
    from optimizer.model.sources.ruby import project_of
    from optimizer.passes.split import ruby_needs, ruby_steps

    found = project_of(model, stage, application.start)
    project = bundler_project(model.context, found[1]) if found is not None and model.context is not None else None
    if found is None or project is None:
        raise Refused("the Gemfile of the program is not in the build context", stage.position)
    plan = ruby_steps.Plan(found[0], installs=[stage.position])
    return ruby_needs.system_packages(model, stage, plan, project, application, runtime)
