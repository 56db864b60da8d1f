"""Which later steps read a package manager's cache, so that it must stay."""

from __future__ import annotations

import posixpath
import re

from optimizer.ecosystems import Action, Cache, read_call, unwrapped
from optimizer.model import Model, Stage, mounts
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command


def covers(outer: str, folder: str) -> bool:
    """Whether ``outer`` is ``folder`` or holds it, or lies in it. A folder of a home is matched by its tail."""
    if folder.startswith("~/"):
        tail = folder[1:]
        return outer.endswith(tail) or tail.startswith("/" + posixpath.basename(outer) + "/") or tail + "/" in outer + "/"
    return folder == outer or folder.startswith(outer.rstrip("/") + "/") or outer.startswith(folder + "/")


def later_reader(model: Model, stage: Stage, position: int, cache: Cache, name: str, scripts: bool = True) -> str | None:
    """Why what the cache holds is needed, as a rule by a step behind this one; None when nothing needs it.

    Args:
        model, stage: Where the cache is filled.
        position: Index of the RUN that fills it.
        cache: The cache.
        name: The ecosystem's name.
        scripts: Whether a script that nobody here can read counts as a reader of a package index.
    """
    if name == "uv" and "symlink" in model.file.text:
        return "what uv installs may be links into it"
    for other in model.stages:
        inherits = other.index == stage.index or stage.index in _bases(model, other)
        for later in other.positions:
            if later <= position and other.index == stage.index:
                continue
            node = model.file.instruction(later)
            line = model.file.line(later)
            if _copies(model, node, stage, cache):
                return f"line {line} copies a folder that holds it"
            if not inherits:
                continue
            inner = node.onbuild if node.keyword == "ONBUILD" and node.onbuild else node
            reason = _reads(model, inner, cache, name, scripts) if inner.keyword in ("RUN", "CMD", "ENTRYPOINT") else None
            if reason:
                return f"line {line} {reason}"
    return None


def _bases(model: Model, stage: Stage) -> set[int]:
    found: set[int] = set()
    current = stage
    while current.base is not None:
        found.add(current.base)
        current = model.stages[current.base]
    return found


def _copies(model: Model, node: Instruction, stage: Stage, cache: Cache) -> bool:
    for name in model.sources(node):
        source = model.find_stage(name)
        if source is None or (source.index != stage.index and stage.index not in _bases(model, source)):
            continue
        paths = node.words[:-1] if node.keyword == "COPY" else [m.options.get("source", "/") for m in mounts(node)]
        if any("$" in p or "*" in p or covers("/" + p.strip("/"), folder) for p in paths for folder in cache.folders):
            return True
    return False


def names_folder(text: str, folder: str) -> bool:
    """Whether text names a folder; ``~`` at its head stands for any home, and ``~/.npm`` is not in ``.npmrc``."""
    tail = folder.removeprefix("~").strip("/")
    return tail in text and re.search(rf"{re.escape(tail)}(?![\w.-])", text) is not None


def _reads(model: Model, node: Instruction, cache: Cache, name: str, scripts: bool) -> str | None:
    """Why this instruction reads the cache: it names the folder, uses it through its manager, or runs what nobody can read."""
    text = " ".join(node.json) if node.json is not None else node.value + "".join(node.text[h.start : h.end] for h in node.heredocs)
    for folder in cache.folders:
        if names_folder(text, folder) and not _only_removes(node, folder):
            return f"names {folder}"
    script = node.script
    commands = script.commands if script is not None else ()
    if name == "apt":
        reader = _reads_lists(commands, text)
        return reader or (_unreadable_script(model, commands, "apt", "lists") if node.keyword == "RUN" else None)
    if name == "apk":
        reader = _reads_index(commands, text)
        return reader or (_unreadable_script(model, commands, "apk", "index") if scripts and node.keyword == "RUN" else None)
    if name == "pip" and re.search(r"\bpip3?\s+(cache|download)\b|/\.cache\b", text) and not _only_removes(node, "~/.cache"):
        return "works with pip's cache"
    if name in ("npm", "yarn") and re.search(rf"\b{name}\s+cache\s+(?!clean)|--offline|--prefer-offline", text):
        return f"works with {name}'s cache"
    if name in RPM and re.search(r"\b(?:dnf|yum|microdnf|tdnf)\s(?:[^&|;]*\s)?(?:-C|--cacheonly)\b", text):
        return f"works with {name}'s cache"
    return None


RPM = frozenset({"dnf", "yum", "microdnf", "tdnf"})
_APT = r"\b(?:apt-get|apt|aptitude)(?:\s+(?:-\S+|\S+=\S+))*\s+"
_APT_INSTALL = re.compile(_APT + r"(?:install|build-dep|satisfy|source|download|upgrade|dist-upgrade|full-upgrade)\b")
_APT_UPDATE = re.compile(_APT + r"update\b")
_APK_UPDATE = re.compile(r"\bapk\s+(?:-\S+\s+)*(?:update\b|add\s+.*(?:-U|--update|--no-cache)\b)|--no-cache")
_ASKS_LISTS = re.compile(
    r"\b(?:apt-cache|apt-file|apt\s+(?:list|show|search)|aptitude\s+search|tasksel|rosdep\s+(?:\S+\s+)*?install|mk-build-deps|gdebi|aptdcon)\b"
)


def _reads_lists(commands: tuple[Command, ...], text: str) -> str | None:
    for call in map(read_call, commands):
        if call is None or call.ecosystem != "apt":
            continue
        if call.action is Action.UPDATE:
            return None
        if call.action is Action.INSTALL:
            return "installs from the lists"
    update, install, asks = (pattern.search(text) for pattern in (_APT_UPDATE, _APT_INSTALL, _ASKS_LISTS))
    for found, reason in ((install, "installs from the lists"), (asks, "asks the lists")):
        if found is not None and (update is None or found.start() < update.start()):
            return reason
    return None


def _reads_index(commands: tuple[Command, ...], text: str) -> str | None:
    calls = 0
    for command in commands:
        call = read_call(command)
        if call is None or call.ecosystem != "apk":
            continue
        calls += 1
        if call.action is Action.UPDATE:
            return None
        if call.action is Action.INSTALL and not call.options & {"--no-cache", "-U", "--update", "--update-cache"}:
            return "installs from the index"
    return "installs from the index" if not calls and re.search(r"\bapk\s+(?!.*--no-cache)(?:-\S+\s+)*add\b", text) else None


def _only_removes(node: Instruction, folder: str) -> bool:
    """Whether every command that names a folder removes it."""
    if node.script is None or not node.script.understood:
        return False
    naming = [c for c in node.script.commands if any(names_folder(w.text, folder) for w in c.words)]
    return bool(naming) and all(unwrapped(c).program in ("rm", "find") for c in naming)


# Scripts whose name says that they build a project or install a tool of their own, none of which asks the distribution's packages.
_BUILDERS = re.compile(
    r"(configure|Configure|config|gradlew|mvnw|autogen\.sh|buildconf|waf|sbt|setup\.py|manage\.py|rustup(-init)?(\.sh)?"
    r"|(Mini|Ana|Mamba)(conda|forge).*\.sh|miniconda\.sh|anaconda\.sh)$",
    re.I,
)
_FOLDERS_OF_PROGRAMS = (["bin"], ["sbin"], [".bin"], ["libexec"], ["condabin"], ["games"])


def _unreadable_script(model: Model, commands: tuple[Command, ...], manager: str, index: str) -> str | None:
    """A script of the project's own that may call the package manager: read in the context, else unknown."""
    for command in commands:
        words = unwrapped(command).words
        if not words or words[0].value is None:
            continue
        program = words[0].value
        if program.rpartition("/")[2] in ("sh", "bash", "dash", "ash", ".", "source"):
            operand = next((w.value for w in words[1:] if w.value is not None and not w.value.startswith("-")), None)
            if operand is None or "-c" in [w.value for w in words]:
                continue
            program = operand
        elif not (program.startswith("./") or program.endswith(".sh") or _outside_path(program)):
            continue
        if _BUILDERS.match(program.rpartition("/")[2]):
            continue
        text = _text_of(model, program)
        if text is None:
            return f"runs {program}, which nobody here can read and which may install from the {index}"
        updates = _APT_UPDATE if manager == "apt" else _APK_UPDATE
        if re.search(rf"\b{manager}(-get|itude)?\b", text) and not updates.search(text):
            return f"runs {program}, which uses {manager}"
    return None


def _outside_path(program: str) -> bool:
    """Whether a program is called by a path that no PATH would hold: most likely a script that was copied there."""
    known = program.startswith(("/etc/init.d/", "/usr/")) or program.split("/")[-2:-1] in _FOLDERS_OF_PROGRAMS
    return program.startswith("/") and not known


def _text_of(model: Model, program: str) -> str | None:
    """The text of a script in the build context that a program in the image most likely is: the only one of that name."""
    if model.context is None:
        return None
    name = program.rpartition("/")[2]
    found = [f for f in model.context.files() if f.rpartition("/")[2] == name]
    return model.context.read_text(found[0]) if len(found) == 1 else None
