"""Split a Node stage: dependencies and build in stages of their own, the program on the slim image of the same Node."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from optimizer.context.javascript import PackageJson, lock_agrees, lock_files, package_json
from optimizer.context.javascript_build import build_outputs
from optimizer.context.javascript_source import BUILTIN
from optimizer.knowledge.debian import build_only
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.node_packages import node_package_needs
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.launch import LANGUAGES
from optimizer.model.start import Started
from optimizer.passes.base import Change
from optimizer.passes.split.node_commands import BINS, as_ci, production_install, project_install
from optimizer.passes.split.node_steps import Plan, copied_files, sort_instructions
from optimizer.passes.split.shared import (
    Refused,
    SystemPackages,
    apt_install,
    body_nodes,
    from_line,
    install_options,
    line,
    no_twin,
    packages_for,
    reference_text,
    sort_packages,
    spaced,
    stage_name,
    with_certificates,
    with_lead,
)
from optimizer.passes.split.steps import steps_of
from optimizer.passes.text import quote_names
from optimizer.syntax import Blank, Instruction, Node

_OWN = frozenset({"node", "npm", "npx", "yarn", "yarnpkg", "corepack", "nodejs", "pnpm"})
# They run TypeScript or watch files: with them the program is started as in development.
_DEVELOPMENT = frozenset({"ts-node", "ts-node-dev", "ts-node-esm", "nodemon", "tsx", "babel-node"})


def split_node(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Node project.

    Returns:
        The change, None when the stage is not one of Node's images or there is nothing to gain.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family != "node" or stage.base is not None or image.package_manager != "apt":
        return None
    if image.variant not in ("full", "slim") or not any(project_install(model.file.instruction(p)) for p in stage.positions):
        return None
    if model.context is None:
        if image.variant == "slim":
            return None
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    runtime, reference = _runtime_base(model, stage, image)
    try:
        plan = sort_instructions(model, stage)
        if plan.install is None or plan.call is None:
            return None
        application = application_of(model, stage)
        if application is None or application.language != "node":
            raise Refused("no program of the build context is recognised in CMD or ENTRYPOINT", stage.position)
        package = _package(model, stage, plan)
        outputs = _outputs(model, plan)
        system = system_packages(model, plan, package, application, runtime)
        development = _drops_development(model, plan, package, application)
    except Refused:
        if image.variant == "slim" and not _has_compilers(model, stage):
            return None  # it is small already
        raise
    if image.variant == "slim" and not system.dropped and not (development and plan.builds):
        return None
    return _Split(model, stage, plan, system, runtime, reference, outputs, development).change()


def _runtime_base(model: Model, stage: Stage, image: BaseImage) -> tuple[BaseImage, str]:
    if image.variant == "slim":
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


def _package(model: Model, stage: Stage, plan: Plan) -> PackageJson:
    assert model.context is not None
    manifest = next((m for m in plan.manifests if posixpath.basename(m) == "package.json"), "package.json")
    package = package_json(model.context, posixpath.dirname(manifest) or ".")
    if package is None:
        raise Refused("there is no package.json in the build context", stage.position)
    if package.workspaces:
        raise Refused("the project has workspaces, whose dependencies lie in more than one folder", plan.install or stage.position)
    return package


def _outputs(model: Model, plan: Plan) -> tuple[str, ...] | None:
    """What the builds write, None when that is not known in full."""
    assert model.context is not None
    found: list[str] = []
    for position, script in plan.builds:
        manifest = next((m for m in plan.manifests if posixpath.basename(m) == "package.json"), "package.json")
        outputs = build_outputs(model.context, posixpath.dirname(manifest) or ".", script)
        if outputs.unknown is not None or model.before(position).workdir != plan.folder:
            return None
        found.extend(outputs.paths)
    return tuple(dict.fromkeys(found))


def system_packages(model: Model, plan: Plan, package: PackageJson, application: Application, runtime: BaseImage) -> SystemPackages:
    """The system packages that the runtime stage needs. Refused when that is not known."""
    installed = plan.system.packages
    where = plan.system.positions[0] if plan.system.positions else plan.install or 0
    needs: list[str] = []
    for name in (*package.dependencies, *package.optional_dependencies):
        found = node_package_needs(name)
        if found is None:
            raise Refused(f"what {name} needs of the system depends on how it is used", where)
        needs.extend(found)
    if "@prisma/client" in package.dependencies:
        needs.append("openssl")  # its engine looks for OpenSSL and its version
    unknown = application.unknown_about("program")
    if unknown:
        raise Refused(f"which programs it starts is not known: {unknown[0]}", where)
    scripts = {posixpath.basename(f) for f in (*application.start.scripts, *application.start.entries)}
    own = {*package.scripts, *_OWN, *scripts}
    named = {*package.dependencies, *package.dev_dependencies, *package.optional_dependencies, *plan.globals}
    programs = {p for p in application.programs if p not in own and posixpath.basename(p) not in scripts and BINS.get(p, p) not in named}
    asked = {w.words[1] for w in application.start.commands if w.name in ("npx", "bunx") and len(w.words) > 1}
    for program in sorted(programs):
        if program in asked or program in BINS or (LANGUAGES.get(program) == "node"):
            raise Refused(f"it starts {program}, which package.json does not name", where)
    runs = [model.file.instruction(p).value for p in model.final.positions if model.file.instruction(p).keyword == "RUN"]
    if any("/usr/share/zoneinfo" in text for text in runs) and runtime.time_zones is not True:
        needs.append("tzdata")
    extra = [*needs, *packages_for(programs, runtime, installed, where)]
    return sort_packages(installed, programs, runtime.release, extra, True, where)


def _drops_development(model: Model, plan: Plan, package: PackageJson, application: Application) -> bool:
    """Whether evidence shows that the program runs without development dependencies, and an install can leave them out."""
    assert model.context is not None
    assert plan.call is not None
    assert plan.install is not None
    options = plan.call.options
    if not package.dev_dependencies or plan.prune is not None or plan.generates or "@prisma/client" in package.dependencies:
        return False
    if options & {"--omit", "--production", "--prod", "--only", "-P"}:
        return False
    if model.before(plan.install).lookup("NODE_ENV") == "production" and "--include" not in options:
        return False
    if application.unknown_about("module"):
        return False
    used = {*(set(application.modules) - BUILTIN), *(BINS.get(c.name, c.name) for c in application.start.commands if c.name)}
    if used & {*package.dev_dependencies, *_DEVELOPMENT}:
        return False
    if not set(application.modules) - BUILTIN <= {*package.dependencies, *package.optional_dependencies, *package.peer_dependencies}:
        return False
    locks = lock_files(model.context, package.folder)
    match plan.call.ecosystem:
        case "npm":
            return lock_agrees(model.context, package.folder) is True
        case "yarn":
            modern = model.context.exists(posixpath.join(package.folder, ".yarnrc.yml")) or re.match(
                r"yarn@[2-9]", package.package_manager or ""
            )
            return bool(locks) and not modern and "--immutable" not in options
    return bool(locks) and "--frozen-lockfile" in options


@dataclass
class _Split:
    """The two or three stages that come out of one."""

    model: Model
    stage: Stage
    plan: Plan
    system: SystemPackages
    runtime: BaseImage
    reference: str
    outputs: tuple[str, ...] | None
    development: bool

    def __post_init__(self) -> None:
        assert self.plan.install is not None
        assert self.plan.call is not None
        self.file = self.model.file
        self.install, self.call = self.plan.install, self.plan.call
        self.written = self.file.instruction(self.stage.position).value.split()[0]
        self.name = stage_name(self.model)
        known = self.outputs is not None and self.plan.separate
        builds = bool(self.plan.builds or self.plan.checks)
        self.third = self.development and builds and known
        self.lean = self.development and not builds
        self.prunes = self.development and builds and not known and self.call.ecosystem == "npm"
        self.ci = False

    def change(self) -> Change:
        """The change."""
        model, stage, file, plan = self.model, self.stage, self.file, self.plan
        nodes = self.build_stage()
        source = self.name
        if self.third:
            source = stage_name(model, "dependencies")
            nodes += [Blank(file.newline), from_line(model, stage, self.written, source)]
            for position in sorted({*plan.early, *(p for p in plan.system.positions if p < self.install)}):
                node = file.instruction(position)
                nodes.append(production_install(node, self.call) if position == self.install else node)
        replaced = self.replaced(source)
        packages = [plan.system.written.get(p, p) for p in with_certificates(self.system.kept, stage.image, self.runtime)]
        options = install_options(packages, plan.system.options)
        if packages:
            first = plan.system.positions[0] if plan.system.positions and plan.system.positions[0] < self.install else self.install
            replaced[first] = [apt_install(model, stage, packages, options), *replaced[first]]
        end = next((s.position for s in model.stages if s.position > stage.position), len(file.nodes))
        nodes += [Blank(file.newline), from_line(model, stage, self.reference, stage.name), *body_nodes(file, stage, end, replaced)]
        touched = (stage.position, *sorted({self.install, *plan.rest, *plan.system.positions}))
        summary = f"install and build in stages of their own and run on {self.reference}"
        return Change(summary, file.replaced(stage.position, end, nodes), touched, self.evidence(packages, options))

    def build_stage(self) -> list[Node]:
        """The stage that installs everything and builds."""
        model, file, plan = self.model, self.file, self.plan
        nodes: list[Node] = [from_line(model, self.stage, self.written, self.name)]
        for position in sorted({*plan.build, *plan.system.positions}):
            block = with_lead(file, position)
            if position == self.install:
                node = file.instruction(position)
                assert model.context is not None
                manifest = next((m for m in plan.manifests if posixpath.basename(m) == "package.json"), "package.json")
                agrees = lock_agrees(model.context, posixpath.dirname(manifest) or ".") is True
                block[-1] = production_install(node, self.call) if self.lean else as_ci(node, self.call, agrees)
                self.ci = block[-1] is not node
            nodes.extend(spaced(file, position, block) if len(nodes) > 1 else block)
        if self.prunes:
            nodes.append(line(model, self.stage, "RUN", "npm prune --omit=dev"))
        return nodes

    def replaced(self, source: str) -> dict[int, list[Node]]:
        """What stands in the runtime stage in the place of instructions that moved; ``source`` has the node_modules."""
        model, stage, plan = self.model, self.stage, self.plan
        replaced: dict[int, list[Node]] = {**{p: [] for p in plan.system.positions}, **plan.rest}
        copies = stage_copies(model, stage)
        for copy in copies:
            if copy.position < self.install and _copied_again(model, copy, copies):
                replaced[copy.position] = []
        managers = {name for name in (c.name for c in self._commands()) if name in ("yarn", "pnpm", "corepack", "yarnpkg")}
        if not managers:
            replaced.update({p: [] for p in plan.tools if p not in plan.rest})
        place = plan.folder.rstrip("/")
        if self.outputs is None:  # everything that the build may have written lies in the project's folder
            last = max(p for p, _ in plan.builds)
            for copy in copies:
                if copy.position < last and copy.destination is not None and (copy.destination + "/").startswith(place + "/"):
                    replaced[copy.position] = []
            replaced[last] = [_copy(model, stage, self.name, plan.folder, last), *replaced[last]]
            return replaced
        made = [_copy(model, stage, self.name, f"{place}/{path}", plan.last) for path in self.outputs]
        if plan.builds:
            last = max(p for p, _ in plan.builds)
            replaced[last] = [*made, *replaced[last]]
        if not self._serves_files():
            replaced[self.install] = [_copy(model, stage, source, f"{place}/node_modules", self.install), *replaced[self.install]]
        return replaced

    def _serves_files(self) -> bool:
        """Whether all that runs is a server of files that is installed beside the project, whose dependencies only built it."""
        names = {c.name for c in self._commands() if c.name not in ("sh", "bash", "exec", "npx", "tini", "dumb-init")}
        return bool(names) and names <= {"serve", "http-server"} & set(self.plan.globals) and bool(self.plan.builds)

    def _commands(self) -> tuple[Started, ...]:
        application = application_of(self.model, self.stage)
        return application.start.commands if application is not None else ()

    def evidence(self, packages: list[str], options: tuple[str, ...]) -> tuple[str, ...]:
        """What the split rests on."""
        found = ["the dependencies were installed for the same Node on the same Debian"]
        if self.outputs:
            found.append(f"the build writes {quote_names(self.outputs)}")
        if self.third or self.lean or self.prunes:
            found.append("the program imports no development dependency")
        if self.ci and self.call.ecosystem == "npm" and self.call.verb is not None and self.call.verb.value != "ci":
            found.append("the lock file agrees with package.json, so `npm ci` installs what it names")
        if self.system.dropped:
            found.append(f"only building needs {quote_names(self.system.dropped)}")
        if packages:
            found.append(f"the program needs {quote_names(packages)} when it runs")
        if packages and "--no-install-recommends" in options and "--no-install-recommends" not in self.plan.system.options:
            found.append("they work without the packages that they recommend")
        return tuple(found)


def _copied_again(model: Model, copy: CopyFacts, copies: tuple[CopyFacts, ...]) -> bool:
    """Whether later instructions bring everything that this one brings to the same places."""
    later = [c for c in copies if c.position > copy.position]
    files = copied_files(model, copy)
    return bool(files) and all(any(c.image_of(model, f) == copy.image_of(model, f) for c in later) for f in files)


def _copy(model: Model, stage: Stage, source: str, path: str, position: int) -> Instruction:
    """A COPY of a path out of another stage to the same path, which is written relative to WORKDIR where it lies below it."""
    workdir = model.before(position).workdir
    below = workdir not in (None, "/") and path.startswith(f"{workdir}/")
    target = f"./{posixpath.relpath(path, workdir)}" if below else path
    return line(model, stage, "COPY", f"--from={source} {_quoted(path)} {_quoted(target)}")


def _quoted(path: str) -> str:
    return f'"{path}"' if re.search(r"\s", path) else path
