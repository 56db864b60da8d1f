"""Split a Node stage: dependencies and build in stages of their own, the program on the slim image of the same Node."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace

from optimizer.context.javascript import plug_and_play
from optimizer.context.javascript_build import build_outputs
from optimizer.context.workspaces import Workspace, workspace_of
from optimizer.knowledge.debian import build_only
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.runtime import Runtime
from optimizer.passes.base import Change
from optimizer.passes.split.next_standalone import standalone_server
from optimizer.passes.split.node_commands import project_install
from optimizer.passes.split.node_debian import FAMILIES, for_running, installs_node
from optimizer.passes.split.node_distroless import Bare, bare_runtime
from optimizer.passes.split.node_needs import leaves_out_development, runs_without_development, system_packages
from optimizer.passes.split.node_stages import NodeStages
from optimizer.passes.split.node_steps import Install, Plan, sort_instructions
from optimizer.passes.split.shared import Refused, no_twin, reference_text
from optimizer.passes.split.site import split_site
from optimizer.passes.split.steps import steps_of

# Settings beside package.json that the tools of a folder below it look for as well.
_SETTINGS = re.compile(r"(\.?(postcss|tailwind|tsconfig|jsconfig|babel|browserslist|uno|unocss|swc|prettier|env)(rc)?\b|\.env)")


def split_node(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Node project.

    Returns:
        The change, None when the stage is not one of Node's images or there is nothing to gain.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family not in ("node", *FAMILIES) or stage.base is not None or image.package_manager != "apt":
        return None
    debian = image.family in FAMILIES
    if debian and (model.context is None or not installs_node(model, stage)):
        return None
    if image.variant not in ("full", "slim") or not any(project_install(model.file.instruction(p)) for p in stage.positions):
        return None
    if model.context is None:
        if image.variant == "slim":
            return None
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    site = split_site(model, stage, image)
    if site is not None:
        return site
    runtime, reference = _runtime_base(model, stage, image)
    try:
        plan = sort_instructions(model, stage)
        if not plan.installs:
            return None
        application = application_of(model, stage)
        if debian and (application is None or application.language != "node"):
            return None
        if application is None or application.language != "node":
            raise Refused("no program of the build context is recognised in CMD or ENTRYPOINT", stage.position)
        main = _main_install(stage, plan, application)
        workspace = workspace_of(model.context, main.root)
        if workspace is None or workspace.problems:
            reason = workspace.problems[0] if workspace is not None else "there is no package.json in the build context"
            raise Refused(reason, stage.position)
        if main.call.ecosystem == "yarn" and plug_and_play(model.context, workspace.root):
            raise Refused("Yarn leaves the packages in archives of its own and not in node_modules", main.position)
        outputs = _outputs(model, plan)
        if outputs is None and len(plan.installs) > 1:
            raise Refused("what the build writes is not known, and dependencies lie in more than one folder", main.position)
        system = system_packages(model, plan.system, workspace, plan.globals, application, runtime, main.position)
        if debian:
            managers = {"npm", "npx", "yarn", "yarnpkg"} & set(application.programs)
            system = for_running(plan.system, system, bool(managers))
        development = _drops_development(model, plan, main, workspace, application)
    except Refused:
        if runtime is image and not _has_compilers(model, stage) and model.runtime is not Runtime.DISTROLESS:
            return None  # it is small already
        raise
    server = standalone_server(model, stage, plan, main, workspace, outputs, application)
    stages = NodeStages(model, stage, plan, main, workspace, system, runtime, reference, outputs, development, server=server)
    stages = replace(stages, inputs=_inputs(model, plan, main, workspace))
    own = server is not None or stages.carried is not None
    gain = runtime is not image or bool(system.dropped) or (development and bool(plan.builds)) or own
    if model.runtime is not Runtime.DISTROLESS:
        return stages.change() if gain else None
    bare = bare_runtime(model, stage, main.call.ecosystem, application, system)
    if isinstance(bare, Bare):
        try:
            return replace(stages, reference=bare.reference, bare=bare).change()
        except Refused as refused:
            bare = str(refused)
    if not gain:
        raise Refused(f"the slim image stays, since {bare}", stage.position)
    return replace(stages, remark=f"not distroless: {bare}").change()


def _runtime_base(model: Model, stage: Stage, image: BaseImage) -> tuple[BaseImage, str]:
    if image.variant == "slim" or image.family == "ubuntu" or model.runtime is Runtime.SAME:
        return image, model.file.instruction(stage.position).value.split()[0]
    for twin in runtime_twins(image):
        found = lookup(twin)
        text = reference_text(model, stage, image, twin)
        if found is not None and found.variant == "slim" and text is not None:
            return found, text
    raise Refused(no_twin(stage, "Node"), stage.position)


def _has_compilers(model: Model, stage: Stage) -> bool:
    steps = [s for p in stage.positions if model.file.instruction(p).keyword == "RUN" for s in steps_of(model.file.instruction(p)) or ()]
    return any(build_only(package, "apt") for s in steps if s.call is not None and s.call.ecosystem == "apt" for package in s.call.packages)


def _main_install(stage: Stage, plan: Plan, application: Application) -> Install:
    """The install of the project that the program belongs to: the one whose folder lies nearest around it."""
    if len(plan.installs) == 1:
        return plan.installs[0]
    place = application.package.folder if application.package is not None else "."
    around = [i for i in plan.installs if i.root == "." or f"{place}/".startswith(f"{i.root}/")]
    if not around:
        raise Refused("dependencies are installed in several folders, and which are the program's is not known", stage.position)
    return max(around, key=lambda i: len(i.root) if i.root != "." else 0)


def _inputs(model: Model, plan: Plan, main: Install, workspace: Workspace) -> tuple[str, ...]:
    """The folders of the context that all builds take their sources from, none when these may be anywhere."""
    assert model.context is not None
    found: list[str] = []
    for build in plan.builds:
        reads = build_outputs(model.context, build.root, build.script, build.command).reads
        if reads is None or build.root != main.root or build.folder != main.folder:
            return ()
        found += reads
    settings = any(_SETTINGS.match(posixpath.basename(f)) for f in model.context.files() if "/" not in f)
    return () if settings or workspace.members or plan.checks or len(plan.installs) > 1 else tuple(dict.fromkeys(found))


def _outputs(model: Model, plan: Plan) -> tuple[str, ...] | None:
    """What the builds write, as paths of the image; None when that is not known in full."""
    assert model.context is not None
    found: list[str] = []
    for build in plan.builds:
        outputs = build_outputs(model.context, build.root, build.script, build.command)
        if outputs.unknown is not None:
            return None
        found.extend(posixpath.normpath(posixpath.join(build.folder, path)) for path in outputs.paths)
    return tuple(dict.fromkeys(found))


def _drops_development(model: Model, plan: Plan, main: Install, workspace: Workspace, application: Application) -> bool:
    """Whether the runtime stage can do without development dependencies that the install brings."""
    if plan.prune is not None or plan.generates or leaves_out_development(model, main.position, main.call):
        return False
    return model.context is not None and runs_without_development(model.context, workspace, application)
