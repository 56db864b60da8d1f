"""Split a Node stage: dependencies and build in stages of their own, the program on the slim image of the same Node."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from optimizer.context.javascript import PackageJson, lock_agrees, lock_files, package_json
from optimizer.context.javascript_build import build_outputs
from optimizer.context.javascript_source import BUILTIN
from optimizer.ecosystems import Action, Call, read_call, unwrapped
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.node_packages import node_package_needs
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.reads import CannotTell, reads
from optimizer.passes.base import Change
from optimizer.passes.splitting import (
    Refused,
    SystemPackages,
    apt_calls,
    apt_install,
    body_nodes,
    from_line,
    line,
    packages_for,
    reference_text,
    sort_packages,
    stage_name,
    with_lead,
)
from optimizer.passes.text import quote_names
from optimizer.syntax import Blank, Instruction, Node

_MANAGERS = frozenset({"npm", "yarn", "pnpm"})
_FILE_COMMANDS = frozenset({"mkdir", "chmod", "chown", "chgrp", "touch", "ln", "rm", "echo", "true", "set", "useradd", "groupadd", "adduser", "addgroup", "usermod"})
_PRODUCTION = {"npm": "--omit=dev", "yarn": "--production", "pnpm": "--prod"}


@dataclass
class _Plan:
    """Where each instruction goes."""

    install: int | None = None
    call: Call | None = None
    folder: str = "/"
    manifests: list[str] = field(default_factory=list)
    separate: bool = False
    builds: list[tuple[int, str]] = field(default_factory=list)
    apt: list[int] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    build: list[int] = field(default_factory=list)
    early: list[int] = field(default_factory=list)


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
    if image.variant != "full" or not any(_project_install(model.file.instruction(p)) for p in stage.positions):
        return None
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    runtime, reference = _runtime_base(model, stage, image)
    plan = _sort(model, stage)
    if plan.install is None or plan.call is None:
        return None
    application = application_of(model, stage)
    if application is None or application.language != "node":
        raise Refused("no program of the build context is recognised in CMD or ENTRYPOINT", stage.position)
    package = _package(model, stage, plan)
    outputs = _outputs(model, plan)
    system = _system_packages(model, plan, package, application, runtime)
    development = _drops_development(model, plan, package, application)
    return _change(model, stage, plan, system, outputs, development, reference)


def _runtime_base(model: Model, stage: Stage, image: BaseImage) -> tuple[BaseImage, str]:
    for twin in runtime_twins(image):
        found = lookup(twin)
        text = reference_text(model, stage, image, twin)
        if found is not None and found.variant == "slim" and text is not None:
            return found, text
    raise Refused(f"no smaller image with the same Node is known for {stage.reference}", stage.position)


def _project_install(node: Instruction) -> Call | None:
    """The call of a RUN that installs the project's dependencies, None in any other."""
    script = node.script if node.keyword == "RUN" else None
    if script is None or not script.understood:
        return None
    for command in script.commands:
        call = read_call(command)
        if call is not None and call.ecosystem in _MANAGERS and call.action is Action.INSTALL and not _is_global(call):
            return call
    return None


def _is_global(call: Call) -> bool:
    return bool(call.options & {"-g", "--global"}) or (call.verb is not None and call.verb.value == "global")


def _sort(model: Model, stage: Stage) -> _Plan:
    plan = _Plan()
    copies = stage_copies(model, stage)
    runs = [p for p in stage.positions if model.file.instruction(p).keyword == "RUN"]
    for position in runs:
        _sort_run(model, plan, position, [c for c in copies if c.position < position])
    if plan.install is None:
        return plan
    last = max([plan.install, *(p for p, _ in plan.builds)])
    for position in stage.positions:
        node = model.file.instruction(position)
        if position > last or position in plan.apt:
            continue
        if node.keyword in ("USER", "ONBUILD"):
            raise Refused(f"{node.keyword} stands above the install or the build", position)
        if node.keyword in ("ENV", "ARG", "WORKDIR", "SHELL", "COPY", "ADD", "RUN"):
            plan.build.append(position)
            if position <= plan.install:
                plan.early.append(position)
    manifests = set(plan.manifests)
    early_copies = [c for c in copies if c.position < plan.install]
    plan.separate = bool(manifests) and all(set(_files(model, c)) <= manifests for c in early_copies)
    return plan


def _files(model: Model, copy: CopyFacts) -> list[str]:
    assert model.context is not None
    context = model.context
    matches = [m for s in copy.sources for m in context.match(s)]
    return [f for m in matches for f in (context.under(m) if m == "." or context.is_dir(m) else [m])]


def _sort_run(model: Model, plan: _Plan, position: int, copies: list[CopyFacts]) -> None:
    node = model.file.instruction(position)
    calls = apt_calls(node)
    if calls is not None:
        plan.apt.append(position)
        for call in calls:
            if call.action is Action.INSTALL:
                if call.verb is None or call.verb.value != "install" or any(p.startswith((".", "/")) for p in call.packages):
                    raise Refused("it installs packages in a way that cannot be divided", position)
                plan.packages.extend(call.packages)
                plan.options.extend(w.value or "" for w in call.command.words if w.text.startswith("-"))
        return
    script = node.script
    if script is None or not script.understood or node.heredocs:
        raise Refused("which stage it belongs to is not known: exec form, heredoc or not understood", position)
    found = [(unwrapped(c).program, read_call(c)) for c in script.commands]
    managers = [call for _, call in found if call is not None and call.ecosystem in _MANAGERS]
    others = [program for program, call in found if call is None and program not in _FILE_COMMANDS]
    if not managers:
        if others or any(call is not None for _, call in found):
            raise Refused(f"which stage `{others[0] if others else node.value}` belongs to is not known", position)
        return
    if others:
        raise Refused(f"which stage `{others[0]}` belongs to is not known", position)
    installs = [call for call in managers if call.action is Action.INSTALL and not _is_global(call)]
    if installs:
        if plan.install is not None or len(installs) > 1 or len([m for m in managers if m.action is not Action.CLEAN]) > 1:
            raise Refused("dependencies are installed together with something else", position)
        try:
            plan.manifests = [file for _, file in reads(model, position, copies).files]
        except CannotTell as error:
            raise Refused(f"what the install reads is not known: {error}", position) from error
        plan.install, plan.call = position, installs[0]
        plan.folder = model.before(position).workdir or "/"
        return
    for call in managers:
        if call.action is Action.BUILD:
            name = _script_name(call)
            if name is None or len(managers) > 1:
                raise Refused("which script it runs is not known", position)
            if plan.install is None:
                raise Refused("it builds before dependencies are installed", position)
            plan.builds.append((position, name))
        elif call.action is not Action.INSTALL and call.action is not Action.CLEAN:
            raise Refused(f"which stage `{call.ecosystem} {call.verb.value if call.verb else ''}` belongs to is not known", position)


def _script_name(call: Call) -> str | None:
    """The package.json script that a call runs."""
    verb = call.verb.value if call.verb else None
    if verb in ("run", "run-script"):
        return call.packages[0] if call.packages else None
    if verb == "build":
        return "build"
    return call.packages[0] if verb is None and call.packages else None


def _package(model: Model, stage: Stage, plan: _Plan) -> PackageJson:
    assert model.context is not None
    manifest = next((m for m in plan.manifests if posixpath.basename(m) == "package.json"), "package.json")
    package = package_json(model.context, posixpath.dirname(manifest) or ".")
    if package is None:
        raise Refused("there is no package.json in the build context", stage.position)
    return package


def _outputs(model: Model, plan: _Plan) -> tuple[str, ...] | None:
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


def _system_packages(model: Model, plan: _Plan, package: PackageJson, application: Application, runtime: BaseImage) -> SystemPackages:
    where = plan.apt[0] if plan.apt else plan.install or 0
    needs: list[str] = []
    for name in (*package.dependencies, *package.optional_dependencies):
        found = node_package_needs(name)
        if found is None:
            raise Refused(f"what {name} needs of the system depends on how it is used", where)
        needs.extend(found)
    programs = {p for p in application.programs if p not in package.scripts and p not in ("node", "npm", "npx", "yarn", "yarnpkg", "corepack", "nodejs")}
    programs = {p for p in programs if p not in {*package.dependencies, *package.dev_dependencies}}
    unknown = application.unknown_about("program")
    if unknown:
        raise Refused(f"which programs it starts is not known: {unknown[0]}", where)
    extra = [*needs, *packages_for(programs, runtime, plan.packages, where)]
    return sort_packages(plan.packages, programs, runtime.release, extra, True, where)


def _drops_development(model: Model, plan: _Plan, package: PackageJson, application: Application) -> bool:
    """Whether evidence shows that the program runs without development dependencies, and an install can leave them out."""
    assert model.context is not None and plan.call is not None and plan.install is not None
    if not package.dev_dependencies or not plan.separate:
        return False
    if plan.call.options & {"--omit", "--omit=dev", "--production", "--prod", "--only", "--only=production"}:
        return False
    environment = model.before(plan.install)
    if environment.lookup("NODE_ENV") == "production":
        return False
    if application.unknown_about("module"):
        return False
    used = set(application.modules) - BUILTIN
    commands = {name for command in application.start.commands if (name := command.name)}
    if used & set(package.dev_dependencies) or commands & set(package.dev_dependencies):
        return False
    if not used <= {*package.dependencies, *package.optional_dependencies, *package.peer_dependencies}:
        return False
    if plan.call.ecosystem == "npm":
        return lock_agrees(model.context, package.folder) is True
    options = plan.call.options
    return bool(lock_files(model.context, package.folder)) and bool(options & {"--frozen-lockfile", "--immutable"}) and "--immutable" not in options


def _production_install(model: Model, plan: _Plan) -> Instruction:
    """The install without development dependencies; exactly what the lock file says."""
    assert plan.call is not None and plan.install is not None and plan.call.verb is not None
    node = model.file.instruction(plan.install)
    text = node.shell_text
    assert text is not None
    verb = plan.call.verb
    name = "ci" if plan.call.ecosystem == "npm" and verb.value in ("install", "i", "ci", "clean-install") else verb.text
    option = _PRODUCTION[plan.call.ecosystem]
    return node.edited((text.source(verb.start), text.source_end(verb.end), f"{name} {option}"))


def _change(
    model: Model, stage: Stage, plan: _Plan, system: SystemPackages, outputs: tuple[str, ...] | None, development: bool, reference: str
) -> Change:
    assert plan.install is not None
    file = model.file
    written = file.instruction(stage.position).value.split()[0]
    name = stage_name(model)
    steps = sorted({*plan.build, *plan.apt})
    nodes: list[Node] = [from_line(model, stage, written, name)]
    for position in steps:
        nodes.extend(with_lead(file, position))
    nodes.append(Blank(file.newline))
    source = name
    dropped = bool(plan.builds) and development and outputs is not None
    if dropped:
        source = stage_name(model, "dependencies")
        nodes.append(from_line(model, stage, written, source))
        for position in sorted({*plan.early, *(p for p in plan.apt if p < plan.install)}):
            nodes.append(_production_install(model, plan) if position == plan.install else file.instruction(position))
        nodes.append(Blank(file.newline))
    elif development and not plan.builds:
        nodes = [_production_install(model, plan) if n is file.nodes[plan.install] else n for n in nodes]
    replaced: dict[int, list[Node]] = dict.fromkeys(plan.apt, [])
    copies = stage_copies(model, stage)
    for copy in copies:
        if copy.position < plan.install and _copied_again(model, copy, copies):
            replaced[copy.position] = []
    place = plan.folder.rstrip("/")
    if outputs is None:  # everything that the build may have written lies in the project's folder
        last = max(p for p, _ in plan.builds)
        for copy in copies:
            if copy.position < last and copy.destination is not None and (copy.destination + "/").startswith(place + "/"):
                replaced[copy.position] = []
        replaced[plan.install] = []
        replaced.update({p: [] for p, _ in plan.builds})
        replaced[last] = [_copy(model, stage, name, plan.folder, last)]
    else:
        replaced[plan.install] = [_copy(model, stage, source, f"{place}/node_modules", plan.install)]
        for index, (position, _) in enumerate(plan.builds):
            mine = outputs if index == len(plan.builds) - 1 else ()
            replaced[position] = [_copy(model, stage, name, f"{place}/{path}", position) for path in mine]
    if system.kept:
        install = apt_install(model, stage, system.kept, plan.options)
        first = plan.apt[0] if plan.apt and plan.apt[0] < plan.install else plan.install
        replaced[first] = [install, *replaced[first]]
    end = next((s.position for s in model.stages if s.position > stage.position), len(file.nodes))
    nodes += [from_line(model, stage, reference, stage.name), *body_nodes(file, stage, end, replaced)]
    evidence = ["the dependencies were installed for the same Node on the same Debian"]
    if outputs:
        evidence.append(f"the build writes {quote_names(outputs)}")
    if development:
        evidence.append("the program imports no development dependency")
    if system.dropped:
        evidence.append(f"only building needs {quote_names(system.dropped)}")
    if system.kept:
        evidence.append(f"the program needs {quote_names(system.kept)} when it runs")
    touched = (stage.position, plan.install, *(p for p, _ in plan.builds), *plan.apt)
    return Change(f"install and build in stages of their own and run on {reference}", file.replaced(stage.position, end, nodes), touched, tuple(evidence))


def _copied_again(model: Model, copy: CopyFacts, copies: tuple[CopyFacts, ...]) -> bool:
    """Whether later instructions bring everything that this one brings to the same places."""
    later = [c for c in copies if c.position > copy.position]
    files = _files(model, copy)
    return bool(files) and all(any(c.image_of(model, f) == copy.image_of(model, f) for c in later) for f in files)


def _copy(model: Model, stage: Stage, source: str, path: str, position: int) -> Instruction:
    """A COPY of a path out of another stage to the same path, which is written relative to WORKDIR where it lies below it."""
    workdir = model.before(position).workdir
    below = workdir not in (None, "/") and path.startswith(f"{workdir}/")
    target = f"./{posixpath.relpath(path, workdir)}" if below else path
    return line(model, stage, "COPY", f"--from={source} {_quoted(path)} {_quoted(target)}")


def _quoted(path: str) -> str:
    return f'"{path}"' if re.search(r"\s", path) else path
