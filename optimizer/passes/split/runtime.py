"""The runtime stage of a build that is split already: the slim image of the same version under what it copies."""

from __future__ import annotations

from itertools import pairwise

from optimizer.ecosystems import Action, Call
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
    from_line,
    install_options,
    no_twin,
    reference_text,
    with_certificates,
)
from optimizer.passes.split.steps import FILE_COMMANDS, SystemSteps, steps_of, tells
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction, Node

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
    bases = _bases(model, stage)
    settings = _settings(model, bases)
    if settings is None or (image.variant != "full" and not (image.variant == "slim" and any(map(sets_up_manager, _runs(model, bases))))):
        return None
    sources = [s for i in sorted(model.dependencies[stage.index]) if (s := model.stages[i]) not in bases]
    installed = _installed(model, stage)
    if not sources or model.context is None or installed is None or (image.family != "node" and any(base.positions for base in bases)):
        return None
    if any(s.image is None or (s.image.family, s.image.version, s.image.distribution) != _kind(image) for s in sources):
        return None  # what another image built may need what only that one has
    application = application_of(model, stage)
    if application is None or application.language != image.family:
        raise Refused("no program of the build context is recognised in CMD or ENTRYPOINT", stage.position)
    if any(base.positions for base in bases) and INSTALLED_MANAGERS & set(application.programs):
        return None
    runtime, reference = _twin(model, stage, [stage, *bases][-1], image)
    system = _needs(model, stage, application, runtime, installed)
    file = model.file
    new: list[Node] = [from_line(model, stage, reference, stage.name), *settings]
    packages = tuple(p for p in with_certificates((*system.kept, *installed), image, runtime) if p not in installed)
    if packages:
        new.append(apt_install(model, stage, packages, install_options(packages, ())))
    evidence = ["the stage copies what was built for the same version on the same Debian, and builds nothing itself"]
    if any(base.positions for base in bases):
        evidence.append("nothing starts the package manager of the stage that it started from")
    if system.kept:
        evidence.append(f"the program needs {quote_names(system.kept)} when it runs")
    changed = file.replaced(stage.position, stage.position + 1, new)
    return Change(f"run on {reference}", changed, (stage.position,), tuple(evidence))


def _kind(image: BaseImage) -> tuple[str, str | None, str | None]:
    return image.family, image.version, image.distribution


def _bases(model: Model, stage: Stage) -> list[Stage]:
    """The stages that a stage starts from, the nearest first."""
    found: list[Stage] = []
    while stage.base is not None:
        stage = model.stages[stage.base]
        found.append(stage)
    return found


def _runs(model: Model, bases: list[Stage]) -> list[Instruction]:
    return [node for base in bases for p in base.positions if (node := model.file.instruction(p)).keyword == "RUN"]


def _settings(model: Model, bases: list[Stage]) -> list[Node] | None:
    """What stages set for those that start from them, in order; None when they do more than that and set up package managers."""
    nodes = [model.file.instruction(p) for base in reversed(bases) for p in base.positions]
    if any(node.keyword not in ("ENV", "ARG", "WORKDIR", "LABEL", "RUN") for node in nodes) or not all(
        map(sets_up_manager, _runs(model, bases))
    ):
        return None
    return [node for node in nodes if node.keyword != "RUN"]


def _installed(model: Model, stage: Stage) -> tuple[str, ...] | None:
    """The Debian packages that a stage installs; None when a RUN does more than that and making and changing files."""
    system = SystemSteps(dividable=True)
    for position in stage.positions:
        instruction = model.file.instruction(position)
        if instruction.keyword == "ONBUILD":
            return None
        if instruction.keyword == "RUN":
            found = steps_of(instruction)
            steps = [step for step in found or () if not tells(step, _PROGRAMS)]
            calls = [step.call for step in steps if step.call is not None and not _installs_wheels(model, stage, position, step.call)]
            others = [step for step in steps if step.call is None and step.program not in FILE_COMMANDS]
            if found is None or others or any(call.ecosystem != "apt" for call in calls):
                return None
            try:
                for call in calls:
                    system.take(model, position, call)
            except Refused:
                return None
    return tuple(system.packages)


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


def _needs(model: Model, stage: Stage, application: Application, runtime: BaseImage, installed: tuple[str, ...]) -> SystemPackages:
    """The system packages that the program needs and neither the slim image nor the stage itself brings.

    Raises:
        Refused: That is not known.
    """
    if application.language == "node":
        from optimizer.context.workspaces import workspace_of
        from optimizer.passes.split import node_needs

        workspace = workspace_of(model.context, application.package.folder) if application.package is not None and model.context else None
        if workspace is None:
            raise Refused("there is no package.json in the build context", stage.position)
        return _without(node_needs.system_packages(model, SystemSteps(), workspace, [], application, runtime, stage.position), installed)
    if application.language == "ruby":
        return _without(_ruby_needs(model, stage, application, runtime), installed)
    from optimizer.passes.split import python_plan, python_system

    if application.requirements is None or application.requirements.problems:
        raise Refused("which packages are installed is not known", stage.position)
    plan = python_plan.Plan(requirements=list(application.requirements.packages))
    return _without(python_system.system_packages(model, plan, application, runtime, stage), installed)


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


def _without(system: SystemPackages, installed: tuple[str, ...]) -> SystemPackages:
    return SystemPackages(tuple(p for p in system.kept if p not in installed), system.dropped, system.options)
