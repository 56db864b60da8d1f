"""Leave development dependencies out of the image that runs."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING

from optimizer.model import Model, Stage
from optimizer.model.paths import placements
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import instruction_like
from optimizer.syntax import Blank, Instruction, Node

if TYPE_CHECKING:
    from optimizer.passes.split.node_steps import Install, Plan

_PACKAGE = '{"name": "app", "version": "1.0.0", "dependencies": {"express": "4.19.2"}, "devDependencies": {"mocha": "10.4.0"}}\n'
_LOCK = (
    '{"lockfileVersion": 3, "packages": {"": {"name": "app", "version": "1.0.0", "dependencies": {"express": "4.19.2"}, '
    '"devDependencies": {"mocha": "10.4.0"}}, "node_modules/express": {"version": "4.19.2"}, '
    '"node_modules/mocha": {"version": "10.4.0", "dev": true}}}\n'
)


class OmitDevelopment(Pass):
    """Leave development dependencies out of the image that runs.

    What it does
        Where the program of a Node project runs without its ``devDependencies``: tells the install to leave them out when
        nothing is built. Where a later stage copies ``node_modules`` of a stage that builds, installs for it in a stage of
        its own, or removes them behind the build. Where uv or Poetry install for a Python program: leaves out the groups that
        are for development and that are installed unless somebody says otherwise.

    Why
        Compilers, test runners and linters make half of many a ``node_modules``.

    When it refuses
        It does nothing when the program, or a script that an install runs, loads or starts one of them, when modules are
        loaded by a computed name, and when no lock file agrees with package.json. With uv and Poetry it needs the lock file, and
        does nothing when an instruction, a script or a text of the source names a package of such a group, and when the program
        imports a module that belongs to no package that stays.

    Safety
        Safe: the sources are read from the program's entry on, and the lock decides what is installed.
    """

    name = "omit-development"
    alters = frozenset({Fact.STAGES, Fact.BASES, Fact.COPIES, Fact.RUNS})
    examples = (
        Rewrites(
            'FROM node:20-slim\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\nCMD ["node", "server.js"]\n',
            'FROM node:20-slim\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci --omit=dev\nCOPY . .\nCMD ["node", "server.js"]\n',
            files=(("package.json", _PACKAGE), ("package-lock.json", _LOCK), ("server.js", "require('express')().listen(3000);\n")),
        ),
        Keeps(
            'FROM node:20-slim\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\nCMD ["npx", "mocha"]\n',
            because="a development dependency is what runs",
            files=(("package.json", _PACKAGE), ("package-lock.json", _LOCK)),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        final = model.final if model.stages else None
        if model.context is None or final is None or final.base is not None or final.image is None:
            return
        if final.image.family in ("python", "distroless-python3"):
            yield from _of_python(model, final)
            return
        if final.image.family not in ("node", "distroless-nodejs"):
            return
        from optimizer.passes.split.shared import Refused

        sources = [model.stages[i] for i in sorted(model.dependencies[final.index])]
        for stage in (final, *sources):
            try:
                change = _omit(model, final, stage)
            except Refused:
                continue
            if change is not None:
                yield change
                return


def _of_python(model: Model, final: Stage) -> Iterator[Change]:
    """The changes of what uv and Poetry install for the final stage."""
    if "uv" not in model.file.text and "poetry" not in model.file.text:
        return
    from optimizer.passes.omit.python import omit_development

    for stage in (final, *(model.stages[i] for i in sorted(model.dependencies[final.index]))):
        if all(other is final for other in model.dependants(stage)):
            change = omit_development(model, final, stage)
            if change is not None:
                yield change


def _omit(model: Model, final: Stage, stage: Stage) -> Change | None:
    """The change of the install of one stage, None when there is nothing to leave out."""
    from optimizer.passes.split.node_commands import production_install, project_install

    if stage.base is not None or not any(project_install(model.file.instruction(p)) for p in stage.positions):
        return None
    if any(other is not final for other in model.dependants(stage)):
        return None
    from optimizer.context.javascript import lock_agrees
    from optimizer.context.workspaces import workspace_of
    from optimizer.model.application import application_of
    from optimizer.passes.split.node_needs import can_leave_out, leaves_out_development, runs_without_development
    from optimizer.passes.split.node_steps import sort_instructions

    assert model.context is not None
    plan = sort_instructions(model, stage)
    application = application_of(model, final)
    if len(plan.installs) != 1 or plan.prune is not None or plan.generates or application is None or application.language != "node":
        return None
    install = plan.installs[0]
    workspace = workspace_of(model.context, install.root)
    if workspace is None or workspace.problems or leaves_out_development(model, install.position, install.call):
        return None
    if not runs_without_development(model.context, workspace, application):
        return None
    if stage is not final and not _copies_packages(model, final, stage, install):
        return None
    file = model.file
    node = file.instruction(install.position)
    locks = ("the lock file agrees with package.json",) if install.locked else ()
    evidence = ("the program imports no development dependency", *locks)
    if not plan.builds and not plan.checks:
        if not can_leave_out(model, workspace.root, install):
            return None
        new = production_install(node, install.call, install.locked)
        changed = file.replaced(install.position, install.position + 1, [new])
        return Change("install without development dependencies", changed, (install.position,), evidence)
    if stage is final or install.call.ecosystem != "npm" or not install.locked or lock_agrees(model.context, install.root) is not True:
        return None
    from optimizer.passes.split.shared import with_lead

    apart = _in_stage_of_its_own(model, final, stage, plan)
    if apart is not None:
        changed = file.replaced(final.position - len(with_lead(file, final.position)) + 1, len(file.nodes), apart)
        summary = "install without development dependencies in a stage of its own"
        return Change(summary, changed, (install.position, final.position), evidence)
    last = stage.positions[-1]
    if model.before(last).workdir != install.folder or model.before(last).user not in ("root", "0"):
        return None
    run = instruction_like(file, file.instruction(last), "RUN", "npm prune --omit=dev")
    changed = file.replaced(last + 1, last + 1, [run])
    return Change("remove development dependencies behind the build", changed, (last,), evidence)


def _in_stage_of_its_own(model: Model, final: Stage, stage: Stage, plan: Plan) -> list[Node] | None:
    """A stage that installs for production, and the final one, which copies the packages from there.

    None unless what stands up to the install can be repeated alone, and the final stage copies node_modules by itself: a build
    that is repeated then leaves the packages in their layer.
    """
    from optimizer.context.workspaces import workspace_of
    from optimizer.passes.split.node_commands import production_install
    from optimizer.passes.split.node_needs import can_leave_out
    from optimizer.passes.split.node_steps import installs_apart
    from optimizer.passes.split.shared import from_line, renumbered, stage_name, with_lead

    file, install = model.file, plan.installs[0]
    packages = posixpath.join(install.folder, "node_modules")
    copies = [p for p in final.positions if (node := file.instruction(p)).flag("from") is not None and packages in node.words[:-1]]
    root = workspace_of(model.context, install.root) if model.context is not None else None
    if len(copies) != 1 or renumbered(model, final) or root is None or root.members or not can_leave_out(model, root.root, install):
        return None
    written = file.instruction(copies[0])
    if not installs_apart(model, stage, plan, install) or len(written.words) != 2 or written.json is not None:
        return None
    name = stage_name(model, "dependencies")
    base = file.instruction(stage.position).value.split()[0]
    early = [p for p in sorted({*plan.build, *plan.system.positions}) if p <= install.position]
    nodes: list[Node] = [from_line(model, stage, base, name)]
    nodes += [production_install(file.instruction(p), install.call) if p == install.position else file.instruction(p) for p in early]
    nodes.append(Blank(file.newline))
    moved = Instruction(written.text.replace(f"--from={written.flag('from')}", f"--from={name}", 1), written.escape)
    for index in range(final.position - len(with_lead(file, final.position)) + 1, len(file.nodes)):
        nodes.append(moved if index == copies[0] else file.nodes[index])
    return nodes


def _copies_packages(model: Model, final: Stage, stage: Stage, install: Install) -> bool:
    """Whether the final stage copies the packages that another one installs."""
    packages = posixpath.join(install.folder, "node_modules")
    for position in final.positions:
        for one in placements(model, position) or () if model.file.instruction(position).keyword in ("COPY", "ADD") else ():
            if one.stage == stage.index and one.source is not None and f"{packages}/".startswith(f"{one.source.rstrip('/')}/"):
                return True
    return False
