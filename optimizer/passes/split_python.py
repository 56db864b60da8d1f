"""Split a Python stage: packages are installed into a virtual environment in a build stage and copied over."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from optimizer.context.requirements import Requirement, requirement_files
from optimizer.ecosystems import Action, Call, read_call, unwrapped
from optimizer.ecosystems.pip import project_name
from optimizer.knowledge.debian import build_only
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.python_packages import packages_of_script, python_package, resolve
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.reads import CannotTell, reads
from optimizer.passes.base import Change
from optimizer.passes.splitting import (
    IN_SLIM,
    Refused,
    SystemPackages,
    apt_calls,
    apt_install,
    body_nodes,
    from_line,
    installs_of,
    line,
    packages_for,
    reference_text,
    sort_packages,
    stage_name,
    with_lead,
)
from optimizer.passes.text import quote_names
from optimizer.syntax import Blank, Instruction, Node

VENV = "/opt/venv"
# Variables that only the running program reads.
_RUNTIME_ONLY = re.compile(r"(PYTHONUNBUFFERED|PYTHONDONTWRITEBYTECODE|PYTHONFAULTHANDLER|PORT|HOST|TZ|DEBUG|(FLASK|DJANGO|GUNICORN|UVICORN|CELERY|APP)_\w+)$")
# Commands that make and change files of the application and may run in the runtime stage as they are.
_FILE_COMMANDS = frozenset({
    "mkdir", "chmod", "chown", "chgrp", "touch", "ln", "mv", "cp", "rm", "echo", "printf", "cat", "sed", "useradd", "adduser", "groupadd", "addgroup",
    "usermod", "test", "[", "true", "set", "cd", "install", "find", "tee", "grep", "ls",
})  # fmt: skip
_ABSOLUTE = re.compile(r"/usr/(local/)?(bin|lib)/(python|pip)|/usr/local/lib/python|site-packages")


@dataclass
class _Plan:
    """Where each instruction goes."""

    build: list[int] = field(default_factory=list)
    runtime: dict[int, list[Node]] = field(default_factory=dict)
    pip: list[int] = field(default_factory=list)
    apt: list[int] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    commands: list[tuple[int, str]] = field(default_factory=list)
    requirements: list[Requirement] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)


def split_python(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Python project.

    Returns:
        The change, None when the stage is not one of Python's images or there is nothing to gain.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family != "python" or stage.base is not None or image.package_manager != "apt":
        return None
    calls = [c for p in stage.positions if model.file.instruction(p).keyword == "RUN" for c in installs_of(model.file.instruction(p))]
    compilers = any(build_only(package, "apt") for c in calls if c.ecosystem == "apt" for package in c.packages)
    if not any(c.ecosystem == "pip" for c in calls) or (image.variant == "slim" and not compilers):
        return None
    runtime, reference = _runtime_base(model, stage, image)
    plan = _sort(model, stage)
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    application = application_of(model, stage)
    if application is None or application.language != "python":
        raise Refused("no program of the build context is recognised in CMD or ENTRYPOINT", stage.position)
    _check_paths(model, stage, plan, application)
    system = _system_packages(model, plan, application, runtime, stage)
    return _change(model, stage, plan, system, reference, application)


def _runtime_base(model: Model, stage: Stage, image: BaseImage) -> tuple[BaseImage, str]:
    if image.variant == "slim":
        return image, model.file.instruction(stage.position).value.split()[0]
    for twin in runtime_twins(image):
        found = lookup(twin)
        text = reference_text(model, stage, image, twin)
        if found is not None and found.variant == "slim" and text is not None:
            return found, text
    raise Refused(f"no smaller image with the same Python is known for {stage.reference}", stage.position)


def _sort(model: Model, stage: Stage) -> _Plan:
    """Decide for each instruction whether it builds, runs, or both."""
    plan = _Plan()
    copies = stage_copies(model, stage)
    installs = [p for p in stage.positions if any(c.ecosystem == "pip" for c in installs_of(model.file.instruction(p)))]
    last = installs[-1] if installs else -1
    for position in stage.positions:
        node = model.file.instruction(position)
        match node.keyword:
            case "RUN":
                _sort_run(model, plan, position, node, [c for c in copies if c.position < position])
            case "ENV" | "ARG" if position < last:
                names = [pair.name for pair in node.pairs]
                if not all(_RUNTIME_ONLY.match(n) for n in names):
                    plan.build.append(position)
            case "WORKDIR" | "SHELL" if position < last:
                plan.build.append(position)
            case "USER" if position < last:
                raise Refused("packages are installed as another user than root", position)
            case "COPY" | "ADD" if node.flag("from") is not None and position < last:
                plan.build.append(position)
            case "ONBUILD":
                raise Refused("it is a base for other images", position)
    _sort_copies(model, plan, copies)
    plan.build.sort()
    return plan


def _sort_run(model: Model, plan: _Plan, position: int, node: Instruction, copies: list[CopyFacts]) -> None:
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
    pip = [c for c in (read_call(command) for command in script.commands) if c is not None and c.ecosystem == "pip"]
    if pip:
        _sort_pip(model, plan, position, pip, copies)
        return
    for command in script.commands:
        program = unwrapped(command).program
        if read_call(command) is not None or program is None:
            raise Refused(f"which stage `{program or command.words[0].text if command.words else 'it'}` belongs to is not known", position)
        plan.commands.append((position, program))


def _sort_pip(model: Model, plan: _Plan, position: int, calls: list[Call], copies: list[CopyFacts]) -> None:
    """A RUN that installs with pip goes to the build stage whole, when all it reads is known."""
    node = model.file.instruction(position)
    try:
        found = reads(model, position, copies)
    except CannotTell as error:
        raise Refused(f"what pip reads is not known: {error}", position) from error
    assert node.script is not None
    for command in node.script.commands:
        other = read_call(command)
        if (other is None or other.ecosystem != "pip") and unwrapped(command).program not in ("rm", "set", "cd", "true", "echo"):
            raise Refused(f"`{unwrapped(command).program}` and pip are in one RUN, and belong to different stages", position)
    for call in calls:
        if call.options & {"--user", "--target", "-t", "--prefix", "--root"} or call.prefix:
            raise Refused("pip installs to a place of its own", position)
        if call.command.words[0].text.startswith("/"):
            raise Refused("pip is called by its path", position)
        if call.action is Action.INSTALL:
            plan.requirements += [Requirement(project_name(p)) for p in call.packages]
    plan.manifests += [file for _, file in found.files]
    plan.pip.append(position)
    plan.build.append(position)
    if model.context is not None:
        for call in calls:
            for manifest in call.manifests:
                path = model.before(position).path(manifest)
                file = next((f for image, f in found.files if image == path), None)
                if file is not None:
                    plan.requirements += requirement_files(model.context, file).packages


def _sort_copies(model: Model, plan: _Plan, copies: tuple[CopyFacts, ...]) -> None:
    """A COPY of what pip reads is needed to build; it stays in the runtime stage unless a later COPY brings the same."""
    needed = set(plan.manifests)
    for copy in copies:
        if not plan.pip or copy.position > plan.pip[-1] or not any(copy.image_of(model, file) for file in needed):
            continue
        plan.build.append(copy.position)
        files = {f for s in copy.sources for m in (model.context.match(s) if model.context else ()) for f in [m, *_below(model, m)]}
        again = [c for c in copies if c.position > copy.position]
        if files and all(any(c.image_of(model, f) == copy.image_of(model, f) for c in again) for f in files if copy.image_of(model, f)):
            plan.runtime[copy.position] = []


def _below(model: Model, path: str) -> tuple[str, ...]:
    assert model.context is not None
    return model.context.under(path) if model.context.is_dir(path) else ()


def _check_paths(model: Model, stage: Stage, plan: _Plan, application: Application) -> None:
    """Nothing may reach past PATH to the Python that the packages were installed for until now."""
    for position in stage.positions:
        node = model.file.instruction(position)
        if position not in plan.pip and _ABSOLUTE.search(node.value):
            raise Refused("it names Python's own folders, which a virtual environment leaves", position)
    assert model.context is not None
    for script in application.start.scripts:
        text = model.context.read_text(script) or ""
        if _ABSOLUTE.search(text):
            raise Refused(f"{script} names Python's own folders, which a virtual environment leaves", stage.position)
    for entry in application.start.entries:
        first = (model.context.read_text(entry) or "").partition("\n")[0]
        if first.startswith("#!") and "env " not in first and "python" in first:
            raise Refused(f"{entry} names its interpreter by path", stage.position)


def _system_packages(model: Model, plan: _Plan, application: Application, runtime: BaseImage, stage: Stage) -> SystemPackages:
    where = plan.apt[0] if plan.apt else stage.position
    names = {r.name for r in plan.requirements if r.name}
    known = {n: python_package(n) for n in names}
    local = {s for n in names for s in (known[n].scripts if known[n] else ())}  # type: ignore[union-attr]
    programs = set(application.programs)
    for position, program in plan.commands:
        if program in local or program.startswith(("python", "pip")) or names & set(packages_of_script(program)):
            continue
        if program not in _FILE_COMMANDS:
            raise Refused(f"which stage `{program}` belongs to is not known", position)
    programs = {p for p in programs if p not in local and not re.match(r"(python|pip)[\d.]*$", p) and not names & set(packages_of_script(p))}
    complete = not application.unknown_about("program") and all(known.values())
    libraries: list[str] = []
    for name in sorted(names):
        package = known[name]
        if package is None:
            continue
        if package.runtime_packages is None:
            if runtime is not stage.image and not plan.packages:
                raise Refused(f"what {name} needs of the system depends on how it is used", where)
            complete = False
            continue
        wanted = [p for p in package.runtime_packages if p not in IN_SLIM]
        resolved = resolve(wanted, runtime.release)
        if resolved is None:
            raise Refused(f"which libraries {name} needs in this Debian release is not known; a tag such as -bookworm tells", where)
        libraries.extend(resolved)
    if application.unknown_about("program") and runtime is not stage.image and not complete:
        unknown = application.unknown_about("program")
        raise Refused(f"which programs it starts is not known: {unknown[0]}", where)
    extra = [*libraries, *packages_for(programs, runtime, plan.packages, where)]
    return sort_packages(plan.packages, programs, runtime.release, extra, complete, where)


def _change(model: Model, stage: Stage, plan: _Plan, system: SystemPackages, reference: str, application: Application) -> Change:
    file = model.file
    name = stage_name(model)
    written = file.instruction(stage.position).value.split()[0]
    build: list[Node] = [from_line(model, stage, written, name)]
    needs_packages = any(build_only(p, "apt") for p in plan.packages) or any(r.vcs for r in plan.requirements)
    steps = sorted({*plan.build, *(plan.apt if needs_packages else ())})
    venv = [line(model, stage, "RUN", f"python -m venv {VENV}"), line(model, stage, "ENV", f"PATH={VENV}/bin:$PATH")]
    made = False
    for position in steps:
        if not made and (position in plan.pip or position in plan.runtime or file.instruction(position).keyword == "COPY"):
            build.extend(venv)
            made = True
        build.extend(with_lead(file, position))
    copied = [line(model, stage, "COPY", f"--from={name} {VENV} {VENV}"), line(model, stage, "ENV", f"PATH={VENV}/bin:$PATH")]
    replaced: dict[int, list[Node]] = dict(plan.runtime)
    replaced.update(dict.fromkeys(plan.pip, []))
    replaced.update(dict.fromkeys(plan.apt, []))
    place = plan.pip[0]
    install = [apt_install(model, stage, system.kept, plan.options)] if system.kept else []
    replaced[place] = list(copied)
    if plan.apt and plan.apt[0] < place:
        replaced[plan.apt[0]] = list(install)
    else:
        replaced[place] = [*install, *copied]
    end = next((s.position for s in model.stages if s.position > stage.position), len(file.nodes))
    final = from_line(model, stage, reference, stage.name)
    body = body_nodes(file, stage, end, replaced)
    newline = file.newline
    nodes = [*build, Blank(newline), final, *body]
    entries = quote_names([e for e in application.start.entries]) or "a package"
    evidence = [f"the container starts {entries}", f"packages live in {VENV}, which is copied whole to the same Python"]
    if system.dropped:
        evidence.append(f"only building needs {quote_names(system.dropped)}")
    if system.kept:
        evidence.append(f"the program needs {quote_names(system.kept)} when it runs")
    touched = (stage.position, *plan.pip, *plan.apt)
    return Change(f"install packages in a build stage and run on {reference}", file.replaced(stage.position, end, nodes), touched, tuple(evidence))
