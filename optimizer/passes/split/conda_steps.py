"""Which instructions of a stage make an environment of conda, which make the image that runs, and which do both."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from msgspec.structs import replace

from optimizer.ecosystems import Action, Call, unwrapped
from optimizer.ecosystems.conda import target
from optimizer.ecosystems.conda_run import PROGRAMS, activates, entered
from optimizer.model import Model, Stage
from optimizer.model.copied_files import CannotTell, CopiedFiles
from optimizer.model.copies import CopyFacts, overlap, stage_copies
from optimizer.model.installs.conda import conda_files, environments
from optimizer.model.paths import search_path
from optimizer.model.state import State
from optimizer.passes.split.python_managers import without_manager
from optimizer.passes.split.python_plan import Plan
from optimizer.passes.split.python_steps import sets_for_building, sort_pip
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import FILE_COMMANDS, Step, changes_shell, remaining, steps_of
from optimizer.syntax import Instruction

_ENVIRONMENTS = "/opt/conda/envs"
_BASE = ("base", "root", "/opt/conda")
# Packages of conda's own, which only installing needs.
_OWN = frozenset({"conda", "mamba", "conda-libmamba-solver", "libmamba", "conda-pack", "conda-lock", "pip", "setuptools"})
_KNOWN = frozenset({"config", "init", "info", "list", "clean", "create", "env", "install", "update", "upgrade", "remove", "tos"})
_OPTIONS = frozenset({
    "-n", "--name", "-p", "--prefix", "-c", "--channel", "-f", "--file", "-y", "--yes", "-q", "--quiet", "-v", "--verbose", "--solver",
    "--override-channels", "--strict-channel-priority", "--no-channel-priority", "--no-default-packages", "--force", "--prune",
    "--freeze-installed", "--update-all", "--all", "--no-deps", "--update-deps", "--no-update-deps", "--copy", "-yq", "-qy", "-k",
    "--experimental-solver",
})  # fmt: skip
# Python that only tries whether a package is there.
_IMPORTS = re.compile(r"import [\w., ]+(;\s*print\([^()]*\))?\s*$")


@dataclass
class Environment:
    """The environment of a stage.

    Args:
        plan: Where each instruction goes.
        prefix, name: Its folder, and how commands name it besides.
        packages: Conda packages that it is asked for by name, without what they bring along.
        variables: Variables that entering it sets.
    """

    plan: Plan = field(default_factory=Plan)
    prefix: str = ""
    name: str = ""
    packages: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def is_meant(self, state: State, written: str) -> bool:
        """Whether a name or path means it."""
        return written == self.name or ("/" in written and state.path(written) == self.prefix)


def sort_conda(model: Model, stage: Stage) -> Environment | None:
    """Decide for each instruction of a stage whether it makes an environment, runs, or both; None where it makes none.

    Raises:
        Refused: That is not known of one, or it cannot be divided.
    """
    found = Environment()
    copies = stage_copies(model, stage)
    runs = [p for p in stage.positions if model.file.instruction(p).keyword == "RUN"]
    sorted_steps = {p: steps_of(model.file.instruction(p)) or () for p in runs}
    if not any(_makes(step.call) for steps in sorted_steps.values() for step in steps):
        return None
    for position in runs:
        _sort_run(model, found, position, model.file.instruction(position), [c for c in copies if c.position < position])
    last = found.plan.build[-1]
    text = "\n".join(model.file.instruction(p).value for p in stage.positions if p <= last)
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword == "USER" and position < last and model.before(last).user not in ("root", "0"):
            raise Refused("the environment is made by another user than root", position)
        if node.keyword == "ONBUILD":
            raise Refused("it is a base for other images", position)
        copied = node.keyword == "COPY" and node.flag("from") is not None
        if position < last and (copied or sets_for_building(node, text)):
            found.plan.build.append(position)
        elif position < last and node.keyword == "RUN" and all(step.cleans for step in sorted_steps[position]):
            found.plan.runtime[position] = []
    return found


def _makes(call: Call | None) -> bool:
    """Whether a call makes an environment beside the one that conda itself lives in."""
    if call is None or call.ecosystem not in PROGRAMS or call.verb is None or call.action is not Action.INSTALL:
        return False
    named = target(call)
    return call.verb.value == "create" or (call.verb.value == "env" and named not in _BASE)


def _installs(call: Call | None) -> bool:
    return call is not None and call.action is Action.INSTALL and call.ecosystem in (*PROGRAMS, "pip")


def _sort_run(model: Model, found: Environment, position: int, node: Instruction, copies: list[CopyFacts]) -> None:
    plan, state = found.plan, model.before(position)
    steps = steps_of(node)
    if steps is None:
        raise Refused("which stage it belongs to is not known: exec form, or more than a list of commands", position)
    managed = [step for step in steps if step.call is not None and step.call.ecosystem in PROGRAMS]
    pip = [step for step in steps if step.call is not None and step.call.ecosystem == "pip"]
    system = [step for step in steps if step.call is not None and step.call.ecosystem == "apt"]
    entering = [step for step in steps if _enters(step) is not None]
    for step in system:
        assert step.call is not None
        plan.system.take(model, position, step.call)
    active = _active(model, found, position)
    for step in steps:
        if (name := _enters(step)) is not None:
            active = name if not found.is_meant(state, name) else found.prefix
        elif step in managed and step.call is not None:
            _sort_call(model, found, position, step.call, active, copies)
        elif step in pip and step.call is not None:
            _check_pip(model, found, position, step, active)
    building = [step for step in steps if step in (*managed, *pip, *entering) or _serves_conda(step, found)]
    left = [step for step in steps if step not in (*building, *system) and not step.cleans]
    if left and (changes_shell(steps) or (entering and any(step.program not in FILE_COMMANDS for step in left))):
        raise Refused("it changes the state of the shell that installs, so it cannot be divided", position)
    if any(step.program in ("chown", "chgrp") for step in building):
        raise Refused("it gives the environment away, and a copy between stages takes that back", position)
    if building:
        plan.build.append(position)
    if any(_installs(step.call) for step in building):
        if pip:
            sort_pip(model, plan, position, [step.call for step in pip if step.call is not None], copies, True)
        else:
            plan.pip.append(position)
    if building or system:
        rest = remaining(model.file, node, steps, lambda step: step in left)
        plan.runtime[position] = [without_manager(rest) or rest] if rest is not None else []
    elif (changed := without_manager(node)) is not None:
        plan.runtime[position] = [changed]
    plan.commands += [(position, _plain(step)) for step in left]


def _plain(step: Step) -> Step:
    """A step without the words that only enter an environment."""
    return replace(step, command=replace(step.command, words=unwrapped(step.command).words))


def _enters(step: Step) -> str | None:
    """The environment that a step enters for those behind it; empty for one that only teaches the shell to."""
    words = [word.value for word in step.command.words]
    if words[:1] in (["."], ["source"]) and len(words) == 2 and re.search(r"/etc/profile\.d/(conda|mamba)\.sh$|bashrc$", words[1] or ""):
        return ""
    return activates(words)


def _serves_conda(step: Step, found: Environment) -> bool:
    """Whether a step changes or shows what building with conda alone needs."""
    words = [word.value or "" for word in unwrapped(step.command).words]
    if re.fullmatch(r"python[\d.]*", step.program or ""):
        return words[1:2] in (["--version"], ["-V"]) or (
            words[1:2] == ["-c"] and _IMPORTS.match(words[2] if len(words) > 2 else "") is not None
        )
    if step.program == "which":
        return True
    if step.program == "ln" and found.prefix and any(word.startswith(f"{found.prefix}/") for word in words):
        return False  # where the program runs, the environment lies at the same place
    inside = bool(found.prefix) and re.search(rf"{re.escape(found.prefix)}(?![\w.-])", step.text) is not None
    return step.program in FILE_COMMANDS and (inside or re.search(r"\b(conda|mamba|activate)\b", step.text) is not None)


def _active(model: Model, found: Environment, position: int) -> str:
    """The folder of the environment in which a RUN starts, or the name of another one."""
    state = model.before(position)
    shell = entered(state.shell)
    if shell is not None and shell[0] is not None:
        return found.prefix if found.is_meant(state, shell[0]) else shell[0]
    stage = model.stage_of(position)
    on_path = search_path(model, stage, position) if stage is not None else ()
    return found.prefix if found.prefix and f"{found.prefix}/bin" in on_path else "base"


def _sort_call(model: Model, found: Environment, position: int, call: Call, active: str, copies: list[CopyFacts]) -> None:
    """Note what one call of conda installs, where, and what of the context it reads."""
    state = model.before(position)
    verb = call.verb.value if call.verb is not None else ("activate" if call.packages[:1] == ("activate",) else None)
    if verb == "activate" or call.action is Action.CLEAN:
        return
    if "envs_dirs" in call.packages:
        raise Refused("a setting says where environments lie", position)
    if verb not in _KNOWN or not call.complete:
        raise Refused(f"what `{call.ecosystem} {verb or ''}`".rstrip() + " does to the environment is not known", position)
    if call.action is Action.OTHER:
        return
    if strange := sorted(call.options - _OPTIONS):
        raise Refused(f"what `{call.ecosystem} {verb} {strange[0]}` does is not known", position)
    named = target(call)
    read = environments(model, copies, state.workdir, call)
    files = conda_files(model, copies, state.workdir, call)
    if isinstance(read, str) or isinstance(files, str):
        raise Refused(f"what conda reads is not known: {read if isinstance(read, str) else files}", position)
    if named is None and verb == "env":
        named = next((environment.name for _, environment in read), None)
    _check_settings(model, state, position, call, copies)
    if _makes(call) and named not in _BASE:
        _note_place(state, found, position, named)
    elif not (found.is_meant(state, named) if named is not None else active == found.prefix):
        if named in (None, *_BASE) and set(call.packages) <= _OWN and not read and call.packages:
            return
        raise Refused("packages are installed beside the environment", position)
    plan = found.plan
    plan.manifests += dict(files).values()
    found.packages += [package.partition("=")[0].rpartition("::")[2].lower() for package in call.packages]
    for _, environment in read:
        found.packages += environment.packages
        plan.requirements += environment.requirements
        found.variables |= environment.variables


def _check_settings(model: Model, state: State, position: int, call: Call, copies: list[CopyFacts]) -> None:
    """No file that is copied may steer conda, which the build stage would not have.

    Raises:
        Refused: One may.
    """
    try:
        CopiedFiles(model, state, tuple(copies)).outside_the_system()
    except CannotTell as error:
        raise Refused(f"what {call.ecosystem} reads is not known: {error}", position) from error
    if any(copy.destination is None or overlap(copy.destination, "/opt/conda") for copy in copies):
        raise Refused("files are copied to where conda lies", position)


def _note_place(state: State, found: Environment, position: int, named: str | None) -> None:
    """Note where an environment is made, which is the only one."""
    if named is None:
        raise Refused("nothing names the environment", position)
    place = state.path(named) if "/" in named else posixpath.join(_ENVIRONMENTS, named)
    moved = any(name in state.env or name in state.args for name in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS", "MAMBA_ROOT_PREFIX"))
    if place is None or moved or (found.prefix and place != found.prefix):
        raise Refused("the place of the environment is not clear, or there is more than one", position)
    found.prefix, found.name, found.plan.venv = place, named, place


def _check_pip(model: Model, found: Environment, position: int, step: Step, active: str) -> None:
    """pip has to install into the environment.

    Raises:
        Refused: It does not, or may not.
    """
    state = model.before(position)
    words = step.command.words
    run = entered([word.value for word in words])
    by_path = words[0].value if "/" in (words[0].value or "") else None
    if run is not None and run[0] is not None:
        inside = found.is_meant(state, run[0])
    elif by_path is not None and run is None:
        inside = by_path.startswith(f"{found.prefix}/bin/")
    else:
        inside = active == found.prefix
    if not inside or not found.prefix:
        raise Refused("pip installs beside the environment", position)
