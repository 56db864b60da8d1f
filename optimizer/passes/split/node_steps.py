"""Which instructions of a Node stage install and build, and which make the image that runs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from optimizer.ecosystems import Action, Call, unwrapped
from optimizer.model import Model, Stage
from optimizer.model.copied_files import CannotTell
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.paths import context_path
from optimizer.model.reads import reads
from optimizer.passes.split.node_commands import BINS, MANAGERS, is_global
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import FILE_COMMANDS, SYSTEM_COMMANDS, Step, SystemSteps, changes_shell, remaining, steps_of, tells
from optimizer.syntax import Node

# Programs that start or serve what was built, and build nothing.
_ONLY_RUN = frozenset({"serve", "http-server", "pm2", "forever", "nodemon", "sirv-cli"})
# The programs of the language itself.
_PROGRAMS = r"node(js)?|np[mx]|yarn|corepack"
_CHECKS = re.compile(r"(test|lint|check|typecheck|format)([:-].*)?$")


@dataclass(frozen=True)
class Install:
    """One install of a project's dependencies.

    Args:
        position, call: The RUN, and its call.
        folder: The folder of the image that it runs in.
        root: The folder of the context with its package.json.
        manifests: The files of the context that it reads.
        alone: Whether its RUN does nothing else.
    """

    position: int
    call: Call
    folder: str
    root: str
    manifests: tuple[str, ...]
    alone: bool

    @property
    def locked(self) -> bool:
        """Whether a lock file says which versions it installs."""
        from optimizer.context.javascript import LOCKS

        return bool({name for name, _ in LOCKS} & {posixpath.basename(file) for file in self.manifests})


@dataclass(frozen=True)
class Build:
    """One script of a package.json that a RUN builds with, or else a command: its folder in the context and in the image."""

    position: int
    script: str
    command: str
    root: str
    folder: str


@dataclass
class Plan:
    """Where each instruction goes, by position.

    Args:
        installs: The installs of dependencies, in order.
        builds: The scripts that build.
        checks: The RUNs that test, lint or generate.
        prune: The RUN that removes development dependencies.
        generates: Whether a step writes into node_modules.
        globals, global_runs: Programs installed for the whole image, and the RUNs that do.
        tools: The RUNs that set up a package manager.
        system: The system packages.
        rest: What stays in the runtime stage of a RUN that moves.
        build: The instructions of the build stage.
        told: The RUNs that only print.
    """

    installs: list[Install] = field(default_factory=list)
    builds: list[Build] = field(default_factory=list)
    checks: list[int] = field(default_factory=list)
    prune: int | None = None
    generates: bool = False
    globals: list[str] = field(default_factory=list)
    global_runs: list[int] = field(default_factory=list)
    tools: list[int] = field(default_factory=list)
    system: SystemSteps = field(default_factory=lambda: SystemSteps(dividable=True))
    rest: dict[int, list[Node]] = field(default_factory=dict)
    build: list[int] = field(default_factory=list)
    told: list[int] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The position of the last instruction that installs or builds."""
        works = (*(i.position for i in self.installs), *(b.position for b in self.builds), *self.checks)
        return max(0, *works, self.prune or 0, *(p for p in self.rest))

    @property
    def first(self) -> int:
        """The position of the first install."""
        return self.installs[0].position


def sort_instructions(model: Model, stage: Stage, installed: Sequence[Install] = ()) -> Plan:
    """Decide for each instruction of a Node stage whether it builds, runs, or both.

    Args:
        model, stage: The facts.
        installed: What a stage that it starts from installs.

    Raises:
        Refused: That is not known of one, or it cannot be divided.
    """
    plan = Plan(list(installed))
    copies = stage_copies(model, stage)
    for position in stage.positions:
        if model.file.instruction(position).keyword == "RUN":
            _sort_run(model, stage, plan, position, [c for c in copies if c.position < position])
    if not plan.installs:
        return plan
    plan.rest.update({position: [] for position in plan.told if position < plan.last})
    for position in stage.positions:
        node = model.file.instruction(position)
        if position > plan.last or position in plan.system.positions:
            continue
        if position in plan.global_runs and not _builds_with_globals(model, plan):
            continue
        if node.keyword == "ONBUILD" or (node.keyword == "USER" and not _has_account(stage, model.before(plan.last).user)):
            raise Refused(f"{node.keyword} stands above the install or the build", position)
        if node.keyword in ("ENV", "ARG", "WORKDIR", "SHELL", "COPY", "ADD", "RUN", "USER"):
            plan.build.append(position)
    return plan


def _has_account(stage: Stage, user: str | None) -> bool:
    """Whether every image of Node has the account that installs, so that it can do so in another stage as well."""
    known = stage.image.users if stage.image is not None else {}
    return (user or "").partition(":")[0] in {"root", "0", *known, *map(str, known.values())}


def _builds_with_globals(model: Model, plan: Plan) -> bool:
    """Whether the build stage may start a program that is installed for the whole image."""
    from optimizer.context.javascript import package_json

    assert model.context is not None
    if {*MANAGERS, "corepack"} & set(plan.globals):
        return True
    packages = [package_json(model.context, build.root) for build in plan.builds]
    texts = [text for package in packages if package is not None for text in package.scripts.values()]
    known = all(name in _ONLY_RUN for name in plan.globals) and None not in packages and not plan.checks
    return bool(plan.builds or plan.checks) and not (known and not any(name in text for name in plan.globals for text in texts))


def installs_apart(model: Model, stage: Stage, plan: Plan, install: Install) -> bool:
    """Whether the instructions up to an install bring its manifests and nothing else, and can be repeated in a stage of their own."""
    manifests = set(install.manifests)
    early = [c for c in stage_copies(model, stage) if c.position < install.position]
    alone = install.position not in (*(b.position for b in plan.builds), *plan.checks, plan.prune)
    return alone and bool(manifests) and all(set(copied_files(model, c)) <= manifests for c in early)


def copied_files(model: Model, copy: CopyFacts) -> list[str]:
    """The files of the context that an instruction copies."""
    assert model.context is not None
    context = model.context
    matches = [m for s in copy.sources for m in context.match(s)]
    return [f for m in matches for f in (context.under(m) if m == "." or context.is_dir(m) else [m])]


def _sort_run(model: Model, stage: Stage, plan: Plan, position: int, copies: list[CopyFacts]) -> None:
    node = model.file.instruction(position)
    steps = steps_of(node)
    if steps is None:
        raise Refused("which stage it belongs to is not known: exec form, or more than a list of commands", position)
    files: list[Step] = []
    folder = model.before(position).workdir
    alone = sum(not step.cleans and step.program != "cd" for step in steps) == 1
    works = False
    if all(tells(step, _PROGRAMS) for step in steps):
        plan.told.append(position)
        return
    for step in steps:
        call = step.call
        sorter = _Sorter(model, stage, plan, position, copies, folder, alone)
        if step.cleans or tells(step, _PROGRAMS):
            continue
        if call is not None and call.ecosystem == "apt":
            plan.system.take(model, position, call)
        elif call is not None and call.ecosystem in MANAGERS:
            works = sorter.sort(call) or works
        elif [w.value for w in step.command.words[:3]] in (["npx", "prisma", "generate"], ["yarn", "prisma", "generate"]):
            works = plan.generates = True
            plan.checks.append(position)
        elif step.program == "npx":
            works = True
            sorter.run_program(step)
        elif step.program == "corepack":
            plan.tools.append(position)
        elif step.program == "cd" and len(step.command.words) == 2 and step.command.words[1].value is not None:
            folder = posixpath.normpath(posixpath.join(folder, step.command.words[1].value)) if folder is not None else None
        elif step.program in FILE_COMMANDS | SYSTEM_COMMANDS and call is None:
            files.append(step)
            if step.program in SYSTEM_COMMANDS:
                plan.system.commands[position] = step.program or ""
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


def _own_program(model: Model, root: str, words: list[str]) -> bool:
    """Whether Yarn or pnpm is told to start a program of a dependency, as ``pnpm tsc`` does."""
    from optimizer.context.javascript import package_json

    package = package_json(model.context, root) if model.context is not None else None
    if package is None or words[0] == "npm" or len(words) < 2:
        return False
    return BINS.get(words[1], words[1]) in {*package.dependencies, *package.dev_dependencies}


@dataclass
class _Sorter:
    """Notes what the calls of Node's package managers in one RUN do."""

    model: Model
    stage: Stage
    plan: Plan
    position: int
    copies: list[CopyFacts]
    folder: str | None
    alone: bool

    def sort(self, call: Call) -> bool:
        """Note what a call does; whether it belongs to the build stage alone."""
        plan, verb = self.plan, call.verb.value if call.verb else None
        if call.action is Action.INSTALL and is_global(call):
            plan.global_runs.append(self.position)
            plan.globals += [re.sub(r"(?<=.)@.*", "", name) for name in call.packages if name != "add"]
            return False
        if verb in ("config", "set"):
            plan.tools.append(self.position)
            return False
        if call.action is Action.INSTALL:
            self._install(call)
            return True
        if verb == "prune" and plan.installs:
            plan.prune = self.position
            return True
        return self._scripts(call)

    def _install(self, call: Call) -> None:
        model, plan, folder = self.model, self.plan, self.folder or "/"
        if call.packages or any(one.folder == folder for one in plan.installs):
            raise Refused("dependencies are installed in more than one step", self.position)
        try:
            found = reads(model, self.position, self.copies, call.command.end).files
        except CannotTell as error:
            raise Refused(f"what the install reads is not known: {error}", self.position) from error
        files = [file for _, file in found]
        before = [file for one in plan.installs if one.position == self.position for file in one.manifests]
        manifests = tuple(file for file in files if file not in before)
        roots = [posixpath.dirname(file) or "." for file in manifests if posixpath.basename(file) == "package.json"]
        own = next((file for path, file in found if path == posixpath.join(folder, "package.json")), None)
        nearest = min(roots, key=lambda one: 0 if one == "." else one.count("/") + 1, default=".")
        root = nearest if own is None else posixpath.dirname(own) or "."
        plan.installs.append(Install(self.position, call, folder, root, manifests, self.alone))

    def _scripts(self, call: Call) -> bool:
        """The scripts of package.json that a call runs."""
        from optimizer.context.workspaces import scripts_run

        model, plan, verb = self.model, self.plan, call.verb.value if call.verb else None
        assert model.context is not None
        root = self._context_folder()
        words = [word.value or "" for word in unwrapped(call.command).words]
        found = scripts_run(model.context, root, words) if root is not None else None
        bundles = words[:2] == ["bun", "build"]
        if found is None and root is not None and plan.installs and (bundles or _own_program(model, root, words)):
            self._build(root, "", " ".join(words))
            return True
        if found is None:
            raise Refused(f"which stage `{call.ecosystem} {verb or ''}`".rstrip() + " belongs to is not known", self.position)
        if not plan.installs:
            raise Refused("it builds before dependencies are installed", self.position)
        for package, script in found:
            if _CHECKS.match(script):
                plan.checks.append(self.position)
            else:
                self._build(package.folder, script, "")
        return True

    def run_program(self, step: Step) -> None:
        """Note a program of node_modules that a step starts with npx."""
        root = self._context_folder()
        if root is None or not self.plan.installs:
            raise Refused(f"which stage `{step.text}` belongs to is not known", self.position)
        self._build(root, "", step.text)

    def _build(self, root: str, script: str, command: str) -> None:
        start = self._context_folder()
        assert start is not None
        assert self.folder is not None
        place = posixpath.normpath(posixpath.join(self.folder, posixpath.relpath(root, start)))
        self.plan.builds.append(Build(self.position, script, command, root, place))

    def _context_folder(self) -> str | None:
        """The folder of the context whose files lie where the step runs."""
        if self.folder is None:
            return None
        for one in self.plan.installs:
            if f"{self.folder}/".startswith(f"{one.folder.rstrip('/')}/"):
                return posixpath.normpath(posixpath.join(one.root, posixpath.relpath(self.folder, one.folder)))
        return context_path(self.model, self.stage, self.folder, self.position)
