"""The repairs of a Python program whose packages are in another stage, or where the interpreter does not look."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.python_packages import packages_of_script
from optimizer.knowledge.pythons import python_version
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.launch import RUN_AS_MODULE
from optimizer.model.paths import context_path, image_path, search_path
from optimizer.passes.base import Change, Refusal
from optimizer.passes.repair.installed import (
    Installed,
    Kind,
    arrival,
    compiled,
    pip_calls,
)
from optimizer.passes.repair.managers import start_without_manager
from optimizer.passes.repair.moved import keep_in_place
from optimizer.passes.repair.user_base import environment, found_by_user, whole_user_base
from optimizer.passes.repair.whole_python import once
from optimizer.passes.split.started import exec_form
from optimizer.passes.text import comments_above, instruction_like, quote_names
from optimizer.syntax import Instruction, Node

PACKAGES = "/opt/packages"
_DISTROLESS = "distroless-python3"
_FALLS_BACK = frozenset(
    {"markupsafe", "pyyaml", "wrapt", "simplejson", "sqlalchemy", "msgpack", "yarl", "multidict", "frozenlist", "coverage"}
)
"""Packages whose compiled part is a faster double of one in Python."""
_ALPINE_ONLY = frozenset({"apk", "adduser", "addgroup"})


class Missing(Struct, frozen=True):
    """What the program needs of the packages: commands it starts, modules it imports."""

    commands: tuple[str, ...]
    modules: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.commands or self.modules)


class Repair(Struct, frozen=True):
    """One stage to repair: the facts that every repair looks at."""

    model: Model
    stage: Stage
    application: Application
    installed: Installed
    needed: Missing

    @property
    def name(self) -> str:
        """How the runtime stage names the build stage."""
        return self.installed.builder.name or str(self.installed.builder.index)

    @property
    def bare(self) -> bool:
        """Whether the stage that runs is a distroless image."""
        return self.stage.image is not None and self.stage.image.family == _DISTROLESS

    @property
    def evidence(self) -> tuple[str, ...]:
        """What the container needs, and which stage has it."""
        found = []
        if self.needed.commands:
            found.append(f"the container starts {quote_names(self.needed.commands)}, which only stage {self.name} installs")
        if self.needed.modules:
            found.append(f"the program imports {quote_names(self.needed.modules)}, which only stage {self.name} installs")
        return tuple(found)

    def line(self, stage: Stage, keyword: str, rest: str) -> Instruction:
        """A new instruction in the style of a stage's FROM."""
        return instruction_like(self.model.file, self.model.file.instruction(stage.position), keyword, rest)

    def behind(self, position: int, summary: str, nodes: list[Node], evidence: Iterable[str] = ()) -> Change:
        """A change that puts nodes behind an instruction."""
        file = self.model.file.replaced(position + 1, position + 1, nodes)
        return Change(summary, file, (position,), (*self.evidence, *evidence))


def needed_of(model: Model, stage: Stage, application: Application, installed: Installed) -> Missing:
    """What the program of a stage needs of the packages that a build stage installs."""
    named = [p for p in application.start.programs if _brings(installed, p)]
    for command in application.start.commands:
        if stage.image is not None and stage.image.family == _DISTROLESS and re.match(r"python[\d.]*$", command.name or ""):
            word = command.words[1] if len(command.words) > 1 else None
            if word is not None and re.fullmatch(r"[\w-]+", word) and _brings(installed, word):
                named.append(word)
    modules = [m for m in application.modules if re.sub(r"[-_.]+", "-", m).lower() in installed.names]
    return Missing(tuple(dict.fromkeys(named)), tuple(modules))


def _brings(installed: Installed, command: str) -> bool:
    return bool(installed.names & set(packages_of_script(command))) or command in installed.names | installed.scripts


def repairs(repair: Repair) -> Iterator[Change | Refusal]:
    """The next repair that a stage needs, or why it cannot be made; nothing when the program finds all it needs."""
    base = _base(repair)
    if base is not None:
        yield base
        return
    installed = repair.installed
    arrives = arrival(repair.model, repair.stage, installed.builder, installed.folder) if installed.kind is Kind.ENVIRONMENT else None
    found = (start_without_manager(repair) or keep_in_place(repair, *arrives)) if arrives is not None else None
    if found is not None:
        yield found
        return
    steps = (
        (_commands_alone, _left_behind, _not_searched, _as_module, once) if not repair.bare else (_left_behind, _not_searched, _as_module)
    )
    for step in steps:
        found = step(repair)
        if found is not None:
            yield found
            return


def _base(repair: Repair) -> Change | Refusal | None:
    """The base image, where what the build stage installs cannot run on it."""
    one, other = repair.installed.builder.image, repair.stage.image
    assert one is not None
    assert other is not None
    arrives = _arrives(repair) is not None
    version, runs = python_version(one), python_version(other)
    if version is None or runs is None or version != runs:
        if arrives and not compiled(repair.installed.names):
            return None  # it may well be pure Python
        return Refusal("not repaired: the packages are installed for another Python than the one that runs", repair.stage.position)
    if one.libc == other.libc or repair.bare:
        return None
    broken = tuple(n for n in compiled(repair.installed.names) if n not in _FALLS_BACK)
    if arrives and not broken:
        return None
    twin = _same_libc(repair, one)
    if twin is None or one.libc != "glibc":
        return Refusal(f"not repaired: what is built with {one.libc} does not run with {other.libc}", repair.stage.position)
    for position in repair.stage.positions:
        script = repair.model.file.instruction(position).script if repair.model.file.instruction(position).keyword == "RUN" else None
        if script is not None and _ALPINE_ONLY & {command.name for command in script.commands}:
            reason = "not repaired: what is built with glibc does not run with musl, and the stage that runs uses Alpine's own commands"
            return Refusal(reason, position)
    node = repair.model.file.instruction(repair.stage.position)
    new = node.edited((node.text.index(written := node.value.split()[0]), node.text.index(written) + len(written), twin))
    file = repair.model.file.replaced(repair.stage.position, repair.stage.position + 1, [new])
    what = f"{quote_names(broken)} hold code that is compiled for glibc" if broken else "what is built with glibc need not run with musl"
    return Change(f"run on {twin}, which has the C library of stage {repair.name}", file, (repair.stage.position,), (what,))


def _same_libc(repair: Repair, image: BaseImage) -> str | None:
    """The slim image of the Python of the build stage."""
    written = repair.model.file.instruction(repair.stage.position).value.split()[0]
    if image.reference.digest or "@" in written:
        return None
    if "$" in written:
        return re.sub(r"-alpine[\d.]*$", "-slim", written) if re.search(r"-alpine[\d.]*$", written) and image.default_release else None
    choices = (image.text, *runtime_twins(image))
    return next((text for text in choices if (found := lookup(text)) is not None and found.variant == "slim"), None)


def _arrives(repair: Repair) -> tuple[int, str] | None:
    """The COPY that brings the packages, and the folder they lie in then."""
    installed = repair.installed
    folder = _site_packages(installed, "/usr/local") if installed.kind is Kind.SYSTEM else installed.folder
    return arrival(repair.model, repair.stage, installed.builder, folder) or _modules_alone(repair)


def _modules_alone(repair: Repair) -> tuple[int, str] | None:
    """The COPY that brings the modules of an environment without the rest of it."""
    installed = repair.installed
    if installed.kind is not Kind.ENVIRONMENT or arrival(repair.model, repair.stage, installed.builder, installed.folder) is not None:
        return None
    return arrival(repair.model, repair.stage, installed.builder, _site_packages(installed, installed.folder))


def _site_packages(installed: Installed, prefix: str) -> str:
    image = installed.builder.image
    return f"{prefix}/lib/python{python_version(image) if image is not None else None}/site-packages"


def _left_behind(repair: Repair) -> Change | Refusal | None:
    """Packages that no COPY brings, or that lie where only root may read."""
    arrives = _arrives(repair)
    kind, folder = repair.installed.kind, repair.installed.folder
    if arrives is not None:
        lost = kind is Kind.USER and not repair.bare and whole_user_base(repair, arrives[0]) and not found_by_user(repair, arrives[1])
        return environment(repair, *arrives) if lost else None
    if kind is Kind.ENVIRONMENT and not repair.bare:
        return _bring(repair, folder, [f"PATH={folder}/bin:$PATH"])
    if kind is Kind.TARGET:
        return _bring(repair, folder, [])
    if kind is Kind.PREFIX and not repair.bare:
        return _bring(repair, folder, [], "/usr/local")
    if repair.bare and kind is Kind.SYSTEM:
        return _to_target(repair)
    return environment(repair) if not repair.bare else Refusal(
        f"not repaired: what is installed {kind.value} has no place in an image without a shell", repair.stage.position
    )  # fmt: skip


def _bring(repair: Repair, folder: str, variables: list[str], target: str = "") -> Change:
    """Copy the folder of packages in front of the first COPY of the stage."""
    stage, file = repair.stage, repair.model.file
    copies = [p for p in stage.positions if file.instruction(p).keyword in ("COPY", "ADD")]
    place = comments_above(repair.model.file, copies[0]) if copies else stage.position + 1
    nodes: list[Node] = [repair.line(stage, "COPY", f"--from={repair.name} {folder} {target or folder}")]
    nodes += [repair.line(stage, "ENV", text) for text in variables]
    summary = f"copy the packages that stage {repair.name} installs into the stage that runs"
    return Change(summary, file.replaced(place, place, nodes), (stage.position, *copies[:1]), repair.evidence)


def _not_searched(repair: Repair) -> Change | Refusal | None:
    """Packages that arrive where neither the interpreter nor PATH looks."""
    arrives = _arrives(repair)
    if arrives is None:
        return None
    position, at = arrives
    kind = Kind.TARGET if _modules_alone(repair) is not None else repair.installed.kind
    if kind is Kind.PREFIX:
        return _prefix(repair, position, at)
    if repair.bare and kind is Kind.ENVIRONMENT:
        at = _site_packages(repair.installed, at)
    variables = []
    if (repair.bare or kind is Kind.TARGET) and _hidden_modules(repair, at):
        variables.append(f"PYTHONPATH={at}")
    searched = f"{at}/bin" in search_path(repair.model, repair.stage)
    if kind is Kind.TARGET and not repair.bare and not searched and _by_name(repair, *repair.needed.commands):
        variables.append(f"PATH={at}/bin:$PATH")
    if kind is Kind.ENVIRONMENT and not repair.bare and not searched and _by_name(repair, *repair.needed.commands, "python", "python3"):
        variables.append(f"PATH={at}/bin:$PATH")
    if not variables:
        return None
    where = f"the packages lie in {at}, where the interpreter does not look" if "PYTHONPATH" in variables[0] else f"{at}/bin is not on PATH"
    summary = f"look for packages in {at}"
    return repair.behind(position, summary, [repair.line(repair.stage, "ENV", " ".join(variables))], (where,))


def _by_name(repair: Repair, *names: str) -> bool:
    """Whether one of these programs is looked for on PATH, and not a module that the interpreter runs."""
    commands = repair.application.start.commands
    modules = {command.words[command.words.index("-m") + 1] for command in commands if "-m" in command.words[:-1]}
    return any(command.words and command.words[0] in set(names) - modules for command in commands)


def _hidden_modules(repair: Repair, at: str) -> bool:
    """Whether Python does not look for modules in a folder: neither PYTHONPATH nor the folder of the program is it."""
    state = repair.model.behind(repair.stage)
    value = state.env.get("PYTHONPATH", "")
    if value is None or at in value.split(":"):
        return False
    if any("-m" in command.words for command in repair.application.start.commands) and at == state.workdir:
        return False
    entries = repair.application.start.entries
    return not any(at == posixpath.dirname(p) for e in entries for p in image_path(repair.model, repair.stage, e))


def _prefix(repair: Repair, position: int, at: str) -> Change | None:
    """What ``--prefix`` installs belongs over ``/usr/local``, where the interpreter looks."""
    node = repair.model.file.instruction(position)
    paths = repair.model.behind(repair.stage).env.get("PYTHONPATH", "")
    if at == "/usr/local" or paths is None or at in paths or node.words != (repair.installed.folder, at) or repair.bare:
        return None
    start = node.text.rindex(node.words[-1])
    new = node.edited((start, start + len(node.words[-1]), "/usr/local"))
    file = repair.model.file.replaced(position, position + 1, [new])
    where = f"the interpreter looks below /usr/local, not below {at}"
    return Change("copy the packages to where the interpreter looks", file, (position,), (*repair.evidence, where))


def _commands_alone(repair: Repair) -> Change | None:
    """Commands that are left behind where ``site-packages`` is copied by itself."""
    model, arrives = repair.model, _arrives(repair)
    if repair.installed.kind is not Kind.SYSTEM or arrives is None or not repair.needed.commands:
        return None
    left = [c for c in repair.needed.commands if arrival(model, repair.stage, repair.installed.builder, f"/usr/local/bin/{c}") is None]
    left = [c for c in left if any(command.words[:1] == (c,) for command in repair.application.start.commands)]
    if not left or python_package_folder(arrives[1]) is None:
        return None
    paths = " ".join(f"/usr/local/bin/{command}" for command in left)
    new = repair.line(repair.stage, "COPY", f"--from={repair.name} {paths} /usr/local/bin/")
    return repair.behind(arrives[0], f"copy {quote_names(left)} along with the packages", [new])


def python_package_folder(path: str) -> str | None:
    """A folder of packages that the images of Python look in."""
    return path if re.fullmatch(r"/usr/local/lib/python3\.\d+/site-packages", path) else None


def _to_target(repair: Repair) -> Change:
    """Install into a folder of its own, which an image without pip and shell can take over."""
    model, builder = repair.model, repair.installed.builder
    file = model.file
    for position in repair.installed.positions:
        node = file.instruction(position)
        text = node.shell_text
        assert text is not None
        edits = [
            (end, end, f" --target={PACKAGES}")
            for call in pip_calls(node)
            if call.verb is not None
            for end in (text.source_end(call.verb.end),)
        ]
        file = file.replaced(position, position + 1, [node.edited(*edits)])
    after = Repair(
        Model(file, model.context, model.target, model.runtime), repair.stage, repair.application, repair.installed, repair.needed
    )
    change = _bring(after, PACKAGES, [f"PYTHONPATH={PACKAGES}"])
    touched = (*repair.installed.positions, *change.touched)
    return Change(change.summary, change.file, touched, (*repair.evidence, f"stage {builder.name or builder.index} has the same Python"))


def _as_module(repair: Repair) -> Change | Refusal | None:
    """A command in an image whose interpreter runs what CMD says: it is started as a module."""
    if not repair.bare:
        return None
    model, stage = repair.model, repair.stage
    entry, command = model.last(stage, "ENTRYPOINT"), model.last(stage, "CMD")
    position = entry if entry is not None else command
    if position is None:
        return None
    node = model.file.instruction(position)
    plain = node if node.json is not None else exec_form(node)
    words = plain.json if plain is not None else None
    if not words or plain is None:
        return Refusal("not repaired: the image has no shell that could run the command", position)
    first = words[0]
    if "/" in first or "." in first or not _brings(repair.installed, first) or context_path(model, stage, f"{_folder(repair)}/{first}"):
        return None
    module = RUN_AS_MODULE.get(first)
    if module is None:
        return Refusal(f"not repaired: the image has no {first}, and whether that runs as a module is not known", position)
    interpreter = ["python3"] if entry is not None else []
    text = json.dumps([*interpreter, "-m", module, *words[1:]], ensure_ascii=False)
    new = instruction_like(model.file, node, node.keyword, text)
    file = model.file.replaced(position, position + 1, [new])
    why = (
        f"the image has no {first} on PATH"
        if entry is not None
        else f"the image's ENTRYPOINT is the interpreter, to which {first} is a file"
    )
    return Change(f"start {first} as a module", file, (position,), (why,))


def _folder(repair: Repair) -> str:
    return repair.model.behind(repair.stage).workdir or "/"
