"""Leave the development dependencies of a Node project out of what a multi-stage build runs."""

from __future__ import annotations

import posixpath

from msgspec import Struct

from optimizer.context.javascript import lock_suffices
from optimizer.context.javascript_build import build_outputs
from optimizer.context.workspaces import Workspace, workspace_of
from optimizer.model import Model, Stage
from optimizer.model.application import application_of
from optimizer.model.paths import placements
from optimizer.passes.base import Change
from optimizer.passes.split.node_commands import production_install, project_install
from optimizer.passes.split.node_needs import can_leave_out, leaves_out_development, runs_without_development
from optimizer.passes.split.node_steps import Build, Install, Plan, installs_apart, sort_instructions
from optimizer.passes.split.shared import Refused, from_line, renumbered, stage_name, with_lead
from optimizer.passes.text import instruction_like
from optimizer.syntax import Blank, Instruction, Node


def omit_development(model: Model, final: Stage) -> Change | None:
    """The change of what is installed for the final stage of a Node project, None when there is nothing to leave out."""
    sources = [model.stages[i] for i in sorted(model.dependencies[final.index])]
    for stage in (final, *sources):
        try:
            change = _omit(model, final, stage) if stage.base is None else _omit_below(model, final, stage)
        except Refused:
            continue
        if change is not None:
            return change
    return None


def _omit(model: Model, final: Stage, stage: Stage) -> Change | None:
    """The change of the install of one stage, None when there is nothing to leave out."""
    if not _installs(model, stage) or any(other is not final for other in model.dependants(stage)):
        return None
    plan = sort_instructions(model, stage)
    found = _can_do_without(model, final, plan)
    if found is None or (stage is not final and not _copies_packages(model, final, stage, found.install)):
        return None
    file, install, context = model.file, found.install, model.context
    node = file.instruction(install.position)
    if not plan.builds and not plan.checks:
        if not can_leave_out(model, found.workspace.root, install):
            return None
        new = production_install(node, install.call, install.locked)
        changed = file.replaced(install.position, install.position + 1, [new])
        return Change("install without development dependencies", changed, (install.position,), found.evidence)
    if (
        context is None
        or stage is final
        or install.call.ecosystem != "npm"
        or not install.locked
        or not lock_suffices(context, install.root)
    ):
        return None
    apart = _in_stage_of_its_own(model, final, stage, plan, found)
    if apart is not None:
        return apart
    last = stage.positions[-1]
    if model.before(last).workdir != install.folder or model.before(last).user not in ("root", "0"):
        return None
    run = instruction_like(file, file.instruction(last), "RUN", "npm prune --omit=dev")
    changed = file.replaced(last + 1, last + 1, [run])
    return Change("remove development dependencies behind the build", changed, (last,), found.evidence)


def _omit_below(model: Model, final: Stage, stage: Stage) -> Change | None:
    """The change of the install of the stage that a building stage starts from: the packages come from a stage of their own."""
    chain = [stage]
    while chain[-1].base is not None:
        chain.append(model.stages[chain[-1].base])
    *builders, first = chain
    if not _installs(model, first) or any(_installs(model, builder) for builder in builders):
        return None
    plan = sort_instructions(model, first)
    found = _can_do_without(model, final, plan)
    if found is None or plan.builds or plan.checks or not _copies_packages(model, final, stage, found.install):
        return None
    for builder in builders:
        built = sort_instructions(model, builder, plan.installs)
        if built.prune is not None or built.generates or not all(_keeps_packages(model, build) for build in built.builds):
            return None
    return _in_stage_of_its_own(model, final, first, plan, found)


class _Found(Struct, frozen=True):
    """An install with development dependencies that the program does without."""

    install: Install
    workspace: Workspace
    evidence: tuple[str, ...]


def _installs(model: Model, stage: Stage) -> bool:
    return any(project_install(model.file.instruction(p)) for p in stage.positions)


def _can_do_without(model: Model, final: Stage, plan: Plan) -> _Found | None:
    """The only install of a plan, when the program of the final stage imports none of the development dependencies that it brings."""
    application = application_of(model, final)
    if len(plan.installs) != 1 or plan.prune is not None or plan.generates or application is None or application.language != "node":
        return None
    (install,) = plan.installs
    workspace = workspace_of(model.context, install.root) if model.context is not None else None
    if model.context is None or workspace is None or workspace.problems or leaves_out_development(model, install.position, install.call):
        return None
    if not runs_without_development(model.context, workspace, application):
        return None
    locks = ("the lock file agrees with package.json",) if install.locked else ()
    return _Found(install, workspace, ("the program imports no development dependency", *locks))


def _keeps_packages(model: Model, build: Build) -> bool:
    """Whether all that a build writes is known, and lies outside of the packages."""
    if model.context is None:
        return False
    outputs = build_outputs(model.context, build.root, build.script, build.command)
    return outputs.unknown is None and not any("node_modules" in path.split("/") for path in outputs.paths)


def _in_stage_of_its_own(model: Model, final: Stage, stage: Stage, plan: Plan, found: _Found) -> Change | None:
    """The change to a stage that installs for production, from which the final one copies the packages.

    None unless what stands up to the install can be repeated alone, and the final stage copies node_modules by itself: a build
    that is repeated then leaves the packages in their layer.
    """
    file, install, root = model.file, found.install, found.workspace
    packages = posixpath.join(install.folder, "node_modules")
    copies = [p for p in final.positions if (node := file.instruction(p)).flag("from") is not None and packages in node.words[:-1]]
    if len(copies) != 1 or renumbered(model, final) or root.members or root.linked or not can_leave_out(model, root.root, install):
        return None
    written = file.instruction(copies[0])
    if not installs_apart(model, stage, plan, install) or len(written.words) != 2 or written.json is not None:
        return None
    name = stage_name(model, "dependencies")
    base = file.instruction(stage.position).value.split()[0]
    early = [p for p in sorted({*plan.build, *plan.system.positions}) if p <= install.position]
    nodes: list[Node] = [from_line(model, stage, base, name)]
    nodes += [
        production_install(file.instruction(p), install.call, install.locked) if p == install.position else file.instruction(p)
        for p in early
    ]
    nodes.append(Blank(file.newline))
    moved = Instruction(written.text.replace(f"--from={written.flag('from')}", f"--from={name}", 1), written.escape)
    start = final.position - len(with_lead(file, final.position)) + 1
    nodes += [moved if index == copies[0] else file.nodes[index] for index in range(start, len(file.nodes))]
    summary = "install without development dependencies in a stage of its own"
    return Change(summary, file.replaced(start, len(file.nodes), nodes), (install.position, final.position), found.evidence)


def _copies_packages(model: Model, final: Stage, stage: Stage, install: Install) -> bool:
    """Whether the final stage copies the packages that another one installs."""
    packages = posixpath.join(install.folder, "node_modules")
    for position in final.positions:
        for one in placements(model, position) or () if model.file.instruction(position).keyword in ("COPY", "ADD") else ():
            if one.stage == stage.index and one.source is not None and f"{packages}/".startswith(f"{one.source.rstrip('/')}/"):
                return True
    return False
