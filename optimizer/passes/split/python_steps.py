"""Which instructions of a Python stage install packages, which make the image that runs, and which do both."""

from __future__ import annotations

import posixpath
import re

from optimizer.context.python_projects import project_requirements
from optimizer.context.requirements import Requirement, requirement_files
from optimizer.ecosystems import Action, Call
from optimizer.ecosystems.conda_run import behind_run
from optimizer.ecosystems.pip import activated, project_name
from optimizer.model import Model, Stage
from optimizer.model.copied_files import CannotTell, InstallsProject
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.local_folders import compiles_in_place, is_local
from optimizer.model.paths import placements, search_path
from optimizer.model.reads import reads
from optimizer.model.state import State
from optimizer.passes.split.python_exports import exported
from optimizer.passes.split.python_installers import puts_on_path, runs_installer
from optimizer.passes.split.python_managers import (
    MANAGERS,
    check_python,
    environment,
    installs_manager,
    manager_of,
    packages,
    project_folder,
    without_system,
)
from optimizer.passes.split.python_plan import Plan
from optimizer.passes.split.python_setup import checks, installs_by_setup, sets_up
from optimizer.passes.split.shared import Refused, installs_of
from optimizer.passes.split.steps import FILE_COMMANDS, SYSTEM_COMMANDS, Step, changes_shell, remaining, steps_of, tells
from optimizer.syntax import Instruction

RUNTIME_ONLY = re.compile(
    r"(PYTHONUNBUFFERED|PYTHONDONTWRITEBYTECODE|PYTHONFAULTHANDLER|PORT|HOST|TZ|DEBUG|(FLASK|DJANGO|GUNICORN|UVICORN|CELERY|APP)_\w+)$"
)
"""Variables that only the running program reads."""
# Accounts and settings of what fetches packages, which installing needs as well.
_SETTINGS = re.compile(r"(~|/root|\$HOME)/?\.?|/etc/(pip|ssh|ssl|hosts|apt|wgetrc|gitconfig)")
# Commands that change files.
_EDITORS = frozenset({"sed", "cp", "mv", "rm", "ln", "touch", "echo", "printf", "tee", "cat", "install", "find"})
# Variables that lead pip to another place.
_ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_PYTHON", "PYTHONUSERBASE")
# The programs of the language itself.
PROGRAMS = r"(python|pip)[\d.]*"
_SHELL = frozenset({"cd", "set", "export", "umask"})


def sort_instructions(model: Model, stage: Stage) -> Plan:
    """Decide for each instruction of a Python stage whether it builds, runs, or both.

    Raises:
        Refused: That is not known of one, or it cannot be divided.
    """
    plan = Plan()
    copies = stage_copies(model, stage)
    calls = {p: installs_of(model.file.instruction(p)) for p in stage.positions if model.file.instruction(p).keyword == "RUN"}
    installs = [
        p for p, found in calls.items() if any(c.ecosystem in ("pip", *MANAGERS) for c in found) or sets_up(model.file.instruction(p))
    ]
    plan.manager = manager_of([call for found in calls.values() for call in found])
    plan.checks = [p for p in calls if any(map(checks, steps_of(model.file.instruction(p)) or ()))]
    last = max([*installs, *plan.checks], default=-1)
    early = [(p, model.file.instruction(p)) for p in stage.positions if p <= last]
    text = "\n".join(n.value for p, n in early if n.keyword in ("COPY", "ADD", "WORKDIR", "ENV") or p in installs)
    for position in stage.positions:
        node = model.file.instruction(position)
        match node.keyword:
            case "RUN":
                _sort_run(model, plan, position, node, [c for c in copies if c.position < position], position < last)
            case "ENV" | "ARG" | "WORKDIR" | "SHELL" if position < last and (plan.checks or sets_for_building(node, text)):
                plan.build.append(position)
            case "USER" if position < last and model.before(last).user not in ("root", "0"):
                raise Refused("packages are installed as another user than root", position)
            case "COPY" | "ADD" if node.flag("from") is not None and position < last:
                plan.build.append(position)
                if plan.manager == "uv" and re.search(r"(^|/)astral-sh/uv([:@]|$)", node.flag("from") or ""):
                    plan.runtime[position] = []
            case "ONBUILD":
                raise Refused("it is a base for other images", position)
    _leave_exports(model, stage, plan)
    if plan.fetched:
        plan.runtime.update({p: [] for p, node in early if puts_on_path(node)})
    for position, step in plan.commands:
        named = plan.project or any(posixpath.basename(m) in step.text for m in (*plan.manifests, *plan.exported))
        if step.program in _EDITORS and plan.pip and position < plan.pip[-1] and named:
            raise Refused(f"`{step.program}` may change what pip reads afterwards", position)
        if position < max(plan.checks, default=-1):
            plan.build.append(position)
    return plan


def sets_for_building(node: Instruction, text: str) -> bool:
    """Whether an instruction above an install may matter to it. text: what the instructions say that may use its variables."""
    if node.keyword not in ("ENV", "ARG"):
        return node.keyword in ("WORKDIR", "SHELL")
    return not all(RUNTIME_ONLY.match(pair.name) and not re.search(rf"\$\{{?{re.escape(pair.name)}\b", text) for pair in node.pairs)


def _leave_exports(model: Model, stage: Stage, plan: Plan) -> None:
    """A COPY that brings nothing but requirements which another stage wrote is for pip alone."""
    for position in stage.positions if plan.exported else ():
        node = model.file.instruction(position)
        if node.keyword == "COPY" and node.flag("from") is not None:
            targets = {one.target for one in placements(model, position) or ()}
            near = {path for path in plan.exported if targets & {path, posixpath.dirname(path)}}
            names = {posixpath.basename(path) for path in near}
            if near and all(posixpath.basename(word) in names for word in node.words[:-1]):
                plan.runtime[position] = []


def _sort_run(model: Model, plan: Plan, position: int, node: Instruction, copies: list[CopyFacts], early: bool) -> None:
    if plan.manager in ("poetry", "uv") and early and runs_installer(node):
        plan.tools[position] = node
        plan.build.append(position)
        plan.runtime[position] = []
        plan.fetched = True
        return
    steps = steps_of(node)
    if steps is None:
        raise Refused("which stage it belongs to is not known: exec form, or more than a list of commands", position)
    pip = [step for step in steps if step.call is not None and step.call.ecosystem == "pip"]
    tools = [step for step in pip if plan.manager is not None and installs_manager(step.call)]
    pip = [step for step in pip if step not in tools]
    managed = [step for step in steps if step.call is not None and step.call.ecosystem in MANAGERS and not step.cleans and not checks(step)]
    venv = next((v for step in steps if (v := _makes_venv(step, model.before(position)))), None)
    system = [step for step in steps if step.call is not None and step.call.ecosystem == "apt"]
    checked = [step for step in steps if checks(step)]
    entering = [step for step in steps if activated(step.command) is not None]
    compiled = [step for step in steps if compiles_in_place(step.command)]
    installed = [step for step in steps if installs_by_setup(step)]
    others = [
        step
        for step in steps
        if step not in (*entering, *compiled, *installed, *pip, *tools, *managed, *system, *checked)
        and not step.cleans
        and not _makes_venv(step, model.before(position))
    ]
    if all(tells(step, PROGRAMS) for step in steps):
        plan.build.append(position)
        plan.runtime[position] = []
        return
    installs = bool(pip or tools or managed or system or venv or compiled or installed)
    if not (installs or checked):
        plan.commands += [(position, step) for step in steps if step.program not in _SHELL and not step.cleans]
        if early and any("/etc/apt" in step.text or _SETTINGS.search(step.text) for step in steps):
            plan.sources.append(position)
        return
    for step in others if installs else ():
        if (
            step.program not in FILE_COMMANDS | SYSTEM_COMMANDS
            and not tells(step, PROGRAMS)
            and not (step.program in _SHELL and (pip or managed) and not [o for o in others if o.program not in _SHELL])
        ):
            raise Refused(
                f"`{step.program}` and {'pip' if pip else 'apt' if system else 'checks'} are in one RUN, and belong to different stages",
                position,
            )
        if "/etc/apt" in step.text or "/usr/share/keyrings" in step.text:
            raise Refused("it changes where system packages come from", position)
    left = [step for step in others if step.program not in _SHELL and not tells(step, PROGRAMS)]
    if left and changes_shell(steps):
        raise Refused("it changes the state of the shell that installs, so it cannot be divided", position)
    for step in system:
        assert step.call is not None
        plan.system.take(model, position, step.call)
    if venv is not None:
        moved = not venv.startswith("/") and any(step.program == "cd" for step in steps)
        place = model.before(position).path(venv)
        if plan.venv is not None or place is None or moved:
            raise Refused("the place of its virtual environment is not clear", position)
        plan.venv = place
    if pip or venv or tools or managed or compiled or installed or checked:
        plan.build.append(position)
    if installed:
        _sort_setup(model, plan, position, copies)
    if compiled:
        if model.before(position).workdir is None or any(step.program == "cd" for step in steps):
            raise Refused("the folder that it compiles in is not clear", position)
        plan.project.append(position)
        plan.editable = True
        plan.pip += [] if pip else [position]
    if tools or managed:
        _sort_managed(model, plan, position, steps, tools, managed, copies)
    if pip:
        active = {model.before(position).path(activated(step.command) or "") for step in entering} == {plan.venv}
        active = active and steps.index(entering[0]) < steps.index(pip[0])
        sort_pip(model, plan, position, [step.call for step in pip if step.call is not None], copies, active)
    rest = remaining(model.file, node, steps, lambda step: step in left)
    plan.runtime[position] = [rest] if rest is not None else []
    plan.commands += [(position, step) for step in left]


def _sort_managed(
    model: Model, plan: Plan, position: int, steps: tuple[Step, ...], tools: list[Step], managed: list[Step], copies: list[CopyFacts]
) -> None:
    """A RUN that installs a package manager, or calls one, goes to the build stage, its two parts on either side of the environment."""
    node, state = model.file.instruction(position), model.before(position)
    others = [step for step in steps if step not in tools and not step.cleans]
    changed = without_system(node, steps)
    if tools and not others:
        plan.tools[position] = node
    elif tools:
        kept = steps_of(changed) or ()
        first = remaining(model.file, node, steps, lambda step: step in tools)
        rest = remaining(model.file, changed, kept, lambda step: steps[kept.index(step)] not in tools)
        assert first is not None
        assert rest is not None
        plan.tools[position], plan.installs[position] = first, rest
    elif changed is not node:
        plan.installs[position] = changed
    if not managed:
        return
    runs = "\n".join(model.file.instruction(p).value for p in model.file.positions if model.file.instruction(p).keyword == "RUN")
    for step in managed:
        assert step.call is not None
        try:
            _sort_manager_call(model, plan, position, step.call, copies, environment(step.call, state, runs))
        except Refused as refused:
            raise Refused(str(refused), position) from refused
    plan.pip.append(position)


def _sort_manager_call(model: Model, plan: Plan, position: int, call: Call, copies: list[CopyFacts], venv: str | None) -> None:
    """Note what one call of a manager installs, where, and what of the context it reads."""
    state = model.before(position)
    if call.ecosystem != plan.manager or call.prefix:
        raise Refused("more than one package manager installs", position)
    if venv is not None:
        if plan.venv not in (None, venv) or (plan.venv is None and plan.pip):
            raise Refused("packages are installed into more than one environment", position)
        plan.venv, plan.made = venv, True
    if call.action is not Action.INSTALL:
        return
    try:
        plan.manifests += dict(reads(model, position, copies).files).values()
    except CannotTell:  # it may read all that is copied so far, and so all of that goes with it
        plan.project.append(position)
    if call.manifests:
        assert model.context is not None
        for manifest in call.manifests:
            path = state.path(manifest)
            file = next((f for c in copies if path is not None and (f := c.context_of(model, path)) is not None), None)
            if file is None:
                raise Refused(f"{manifest} is not among the files that are copied", position)
            plan.requirements += requirement_files(model.context, file).packages
    else:
        plan.requirements += [Requirement(name) for name in packages(model, call, state, copies)]
    if call.ecosystem == "uv" and (folder := project_folder(model, state, copies)) is not None:
        stage = model.stage_of(position)
        assert stage is not None
        check_python(model, stage, folder)


def _sort_setup(model: Model, plan: Plan, position: int, copies: list[CopyFacts]) -> None:
    """A RUN of ``setup.py install`` goes to the build stage, when what the project depends on is known."""
    assert model.context is not None
    place = model.before(position).workdir
    folder = next((f for c in reversed(copies) if place is not None and (f := _folder_at(model, c, place)) is not None), None)
    names = project_requirements(model.context, folder) if folder is not None else None
    if names is None:
        raise Refused("what setup.py installs is not known: its dependencies are computed or not declared", position)
    plan.requirements += [Requirement(name) for name in names]
    plan.checked = True
    plan.project.append(position)
    plan.pip += [position] if position not in plan.pip else []


def _makes_venv(step: Step, state: State) -> str | None:
    """The folder of the virtual environment that a step makes."""
    values = [
        word.value if word.value is not None or word.substitutions or state.args else state.expand(word.text) for word in step.command.words
    ]
    if None in values or not values:
        return None
    names = [value or "" for value in values]
    if re.fullmatch(r"python[\d.]*", step.program or "") and names[1:3] == ["-m", "venv"] and len(names) == 4:
        return names[3]
    return names[1] if step.program == "virtualenv" and len(names) == 2 else None


def sort_pip(model: Model, plan: Plan, position: int, calls: list[Call], copies: list[CopyFacts], active: bool) -> None:
    """A RUN that installs with pip goes to the build stage whole, when all it reads is known. active: it enters the environment."""
    try:
        files = dict(reads(model, position, copies).files)
        if any(is_local(package) for call in calls for package in call.packages):
            files |= _project(model, plan, position, calls, copies, "it installs the project itself")
    except InstallsProject as error:
        files = _project(model, plan, position, calls, copies, str(error))
    except CannotTell as error:
        stage = model.stage_of(position)
        names = exported(model, stage, calls, position) if stage is not None else None
        if names is None:
            raise Refused(f"what pip reads is not known: {error}", position) from error
        files = {}
        plan.exported |= set(names)
        plan.requirements += [Requirement(name) for found in names.values() for name in found]
    state = model.before(position)
    for call in calls:
        if call.options & {"--user", "--target", "-t", "--prefix", "--root"} or _elsewhere(call.prefix):
            raise Refused("pip installs to a place of its own", position)
        program = call.command.words[0].text
        by_path = "/" in program
        if by_path and (plan.venv is None or not (state.path(program) or "").startswith(f"{plan.venv}/bin/")):
            raise Refused("pip is called by its path", position)
        if any(name in state.env or name in state.args for name in _ELSEWHERE):
            raise Refused("a variable leads pip to a place of its own", position)
        stage = model.stage_of(position)
        on_path = active or (stage is not None and f"{plan.venv}/bin" in search_path(model, stage, position))
        if plan.venv is not None and not by_path and not on_path:
            raise Refused("packages are installed beside the virtual environment", position)
        if call.action is Action.INSTALL:
            plan.requirements += [_requirement(p) for p in call.packages if not p.startswith(("$", "."))]
    plan.manifests += files.values()
    plan.pip.append(position)
    assert model.context is not None
    for call in calls:
        for manifest in call.manifests:
            path = state.path(manifest)
            file = files.get(path or "") or next((f for image, f in files.items() if image.endswith(f"/{manifest}")), None)  # behind cd
            if file is not None:
                plan.requirements += requirement_files(model.context, file).packages


def _elsewhere(prefix: str) -> bool:
    """Whether what stands in front of a command does more than to enter an environment of conda."""
    return bool(prefix) and behind_run((*prefix.split(), "")) is None


def _requirement(word: str) -> Requirement:
    """A requirement as an argument of pip."""
    found = re.match(r"[\w.-]+\s*(?:\[([^\]]*)\])?(.*)", word)
    extras = tuple(part.strip().lower() for part in found[1].split(",")) if found is not None and found[1] else ()
    return Requirement(project_name(word), found[2].strip() if found is not None else "", extras=extras)


def _project(model: Model, plan: Plan, position: int, calls: list[Call], copies: list[CopyFacts], reason: str) -> dict[str, str]:
    """The manifests of a RUN that installs the project itself, whose dependencies are noted; image path to context path."""
    assert model.context is not None
    state = model.before(position)
    manifests = {
        path: f for call in calls for m in call.manifests if (path := state.path(m)) for c in copies if (f := c.context_of(model, path))
    }
    sources = {w for call in calls for w in call.packages if w.startswith((".", "/"))}
    found = [
        r for file in manifests.values() for r in requirement_files(model.context, file).packages if r.url is not None and r.vcs is None
    ]
    plan.editable = plan.editable or any(r.editable for r in found) or any(call.options & {"-e", "--editable"} for call in calls)
    places = {state.path(re.sub(r"\[.*", "", w)) for w in (*sources, *(r.url for r in found if r.url))} - {None}
    for place in places:
        folder = next((f for c in reversed(copies) if (f := _folder_at(model, c, place or "/")) is not None), None)
        names = project_requirements(model.context, folder) if folder is not None else None
        if names is None:
            raise Refused(f"what pip reads is not known: {reason}, and its dependencies are computed or not declared", position)
        plan.requirements += [Requirement(name) for name in names]
        plan.depends |= set(names)
    if places != {state.workdir} and plan.editable:
        raise Refused(f"what pip reads is not known: {reason}", position)
    plan.project.append(position)
    return manifests


def _folder_at(model: Model, copy: CopyFacts, place: str) -> str | None:
    """The folder of the context whose files an instruction puts into a folder of the image."""
    assert model.context is not None
    for file in model.context.files():
        if posixpath.basename(file) in ("pyproject.toml", "setup.py") and copy.image_of(model, file) == posixpath.join(
            place, posixpath.basename(file)
        ):
            return posixpath.dirname(file) or "."
    return None
