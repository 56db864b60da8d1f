"""Which instructions of a Node stage install and build, and which make the image that runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from optimizer.ecosystems import Action, Call
from optimizer.model import Model, Stage
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.reads import CannotTell, reads
from optimizer.passes.split.node_commands import MANAGERS, is_global, script_name
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import FILE_COMMANDS, Step, SystemSteps, changes_shell, remaining, steps_of
from optimizer.syntax import Node

_CHECKS = re.compile(r"(test|lint|check|typecheck|format)([:-].*)?$")


@dataclass
class Plan:
    """Where each instruction goes, by position.

    Args:
        install, call: The RUN that installs the project's dependencies, and its call.
        folder: The working directory it runs in.
        manifests: The files of the context that it reads.
        separate: Whether nothing else is copied before it, so that it can be repeated in a stage of its own.
        builds: The RUNs that build, with the script of package.json that they run.
        checks: The RUNs that test, lint or generate.
        prune: The RUN that removes development dependencies.
        generates: Whether a step writes into node_modules.
        globals, global_runs: Programs installed for the whole image, and the RUNs that do.
        tools: The RUNs that set up a package manager.
        system: The system packages.
        rest: What stays in the runtime stage of a RUN that moves.
        build, early: The instructions of the build stage, and those of them up to the install.
    """

    install: int | None = None
    call: Call | None = None
    folder: str = "/"
    manifests: list[str] = field(default_factory=list)
    separate: bool = False
    builds: list[tuple[int, str]] = field(default_factory=list)
    checks: list[int] = field(default_factory=list)
    prune: int | None = None
    generates: bool = False
    globals: list[str] = field(default_factory=list)
    global_runs: list[int] = field(default_factory=list)
    tools: list[int] = field(default_factory=list)
    system: SystemSteps = field(default_factory=SystemSteps)
    rest: dict[int, list[Node]] = field(default_factory=dict)
    build: list[int] = field(default_factory=list)
    early: list[int] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The position of the last instruction that installs or builds."""
        return max(self.install or 0, *(p for p, _ in self.builds), *self.checks, self.prune or 0, *(p for p in self.rest))


def sort_instructions(model: Model, stage: Stage) -> Plan:
    """Decide for each instruction of a Node stage whether it builds, runs, or both.

    Raises:
        Refused: That is not known of one, or it cannot be divided.
    """
    plan = Plan()
    copies = stage_copies(model, stage)
    for position in stage.positions:
        if model.file.instruction(position).keyword == "RUN":
            _sort_run(model, plan, position, [c for c in copies if c.position < position])
    if plan.install is None:
        return plan
    for position in stage.positions:
        node = model.file.instruction(position)
        if position > plan.last or position in plan.system.positions:
            continue
        if position in plan.global_runs and not (plan.builds or plan.checks or {*MANAGERS, "corepack"} & set(plan.globals)):
            continue
        if node.keyword == "ONBUILD" or (node.keyword == "USER" and model.before(plan.last).user not in ("root", "0")):
            raise Refused(f"{node.keyword} stands above the install or the build", position)
        if node.keyword in ("ENV", "ARG", "WORKDIR", "SHELL", "COPY", "ADD", "RUN"):
            plan.build.append(position)
            if position <= plan.install:
                plan.early.append(position)
    manifests = set(plan.manifests)
    early_copies = [c for c in copies if c.position < plan.install]
    alone = plan.install not in (*(p for p, _ in plan.builds), *plan.checks, plan.prune)
    plan.separate = alone and bool(manifests) and all(set(copied_files(model, c)) <= manifests for c in early_copies)
    return plan


def copied_files(model: Model, copy: CopyFacts) -> list[str]:
    """The files of the context that an instruction copies."""
    assert model.context is not None
    context = model.context
    matches = [m for s in copy.sources for m in context.match(s)]
    return [f for m in matches for f in (context.under(m) if m == "." or context.is_dir(m) else [m])]


def _sort_run(model: Model, plan: Plan, position: int, copies: list[CopyFacts]) -> None:
    node = model.file.instruction(position)
    steps = steps_of(node)
    if steps is None:
        raise Refused("which stage it belongs to is not known: exec form, or more than a list of commands", position)
    files: list[Step] = []
    works = False
    for step in steps:
        call = step.call
        if step.cleans:
            continue
        if call is not None and call.ecosystem == "apt":
            plan.system.take(model, position, call)
        elif call is not None and call.ecosystem in MANAGERS:
            works = _sort_call(model, plan, position, call, copies) or works
        elif [w.value for w in step.command.words[:3]] in (["npx", "prisma", "generate"], ["yarn", "prisma", "generate"]):
            works = plan.generates = True
            plan.checks.append(position)
        elif step.program == "corepack":
            plan.tools.append(position)
        elif step.program in FILE_COMMANDS and call is None:
            files.append(step)
        else:
            raise Refused(f"which stage `{step.program or step.text}` belongs to is not known", position)
    is_system = position in plan.system.positions
    if not works and not is_system:
        return
    if files and changes_shell(steps):
        raise Refused("it changes the state of the shell that installs, so it cannot be divided", position)
    if any("/etc/apt" in step.text or "/usr/share/keyrings" in step.text for step in files):
        raise Refused("it changes where system packages come from", position)
    if works and is_system:
        raise Refused("system packages and those of the project are installed in one RUN", position)
    rest = remaining(model.file, node, steps, lambda step: step in files)
    plan.rest[position] = [rest] if rest is not None else []


def _sort_call(model: Model, plan: Plan, position: int, call: Call, copies: list[CopyFacts]) -> bool:
    """Note what a call of Node's package managers does; whether it belongs to the build stage alone."""
    verb = call.verb.value if call.verb else None
    if call.action is Action.INSTALL and is_global(call):
        plan.global_runs.append(position)
        plan.globals += [re.sub(r"(?<=.)@.*", "", name) for name in call.packages if name != "add"]
        return False
    if verb in ("config", "set"):
        plan.tools.append(position)
        return False
    if call.action is Action.INSTALL:
        if plan.install is not None or call.packages:
            raise Refused("dependencies are installed in more than one step", position)
        text = model.file.instruction(position).script
        assert text is not None
        try:
            plan.manifests = [file for _, file in reads(model, position, copies, call.command.end).files]
        except CannotTell as error:
            raise Refused(f"what the install reads is not known: {error}", position) from error
        plan.install, plan.call = position, call
        plan.folder = model.before(position).workdir or "/"
        return True
    if call.action is Action.BUILD or verb in ("test", "t"):
        name = "test" if verb in ("test", "t") else script_name(call)
        if name is None:
            raise Refused("which script it runs is not known", position)
        if plan.install is None:
            raise Refused("it builds before dependencies are installed", position)
        if _CHECKS.match(name):
            plan.checks.append(position)
        else:
            plan.builds.append((position, name))
        return True
    if verb == "prune" and plan.install is not None:
        plan.prune = position
        return True
    raise Refused(f"which stage `{call.ecosystem} {verb or ''}` belongs to is not known", position)
