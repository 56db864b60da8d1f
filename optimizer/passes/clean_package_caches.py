"""Empty the caches of package managers in the layer that filled them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.ecosystems import Action, Cache, Call, ecosystem, read_call, unwrapped
from optimizer.model import Model, Stage, mounts
from optimizer.model.shipping import shipped
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.shells import posix_shell
from optimizer.passes.text import line_end_of, style_of
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command, Script


class CleanPackageCaches(Pass):
    """Empty package caches in the layer that fills them.

    What it does
        Adds ``rm -rf /var/lib/apt/lists/*`` behind ``apt-get update``, ``--no-cache`` to ``apk add``,
        ``--no-cache-dir`` to ``pip install``, and the clean-up command of dnf, yum, microdnf, zypper, npm, yarn and conda
        to the RUN that installs.

    Why
        What is deleted in a later layer still ships in the layer that made it. Package lists and download caches are
        often tens of megabytes, and nothing needs them at run time.

    When it refuses
        When a later step reads the cache (an ``apt-get install`` without its own update, a ``COPY --from`` of a folder
        that holds it, a script nobody can read), when the folder is a cache mount, when a variable has moved the cache
        or switched it off, and when the RUN's shape leaves no place where a command could be added without changing
        when the RUN fails. Stages whose layers are not shipped are left alone.

    Safety
        Safe: only the cache goes. Yarn from version 2 runs packages out of its cache, so ``yarn cache clean``
        needs evidence of version 1; without it the change is unsafe.
    """

    name = "clean-package-caches"
    alters = frozenset({Fact.RUNS})
    examples = (
        Rewrites(
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y curl\n",
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y curl \\\n    && rm -rf /var/lib/apt/lists/*\n",
        ),
        Rewrites("FROM python:3.12\nRUN pip install flask\n", "FROM python:3.12\nRUN pip install --no-cache-dir flask\n"),
        Keeps(
            "FROM debian:bookworm\nRUN apt-get update\nRUN mkdir /a\nUSER root\nRUN apt-get install -y curl\n",
            because="the second RUN installs from the lists that the first one fetched",
        ),
        Keeps("FROM python:3.12\nENV PIP_NO_CACHE_DIR=1\nRUN pip install flask\n", because="pip's cache is off already"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in shipped(model):
            for position in stage.positions:
                node = model.file.instruction(position)
                if node.keyword == "RUN" and node.script is not None and node.script.understood:
                    yield from _clean(model, stage, position, node, node.script)


@dataclass(frozen=True)
class _Fill:
    """The calls of one script that fill one cache, in order, and where the last one stands among its commands."""

    cache: Cache
    calls: tuple[Call, ...]
    last: int


def _clean(model: Model, stage: Stage, position: int, node: Instruction, script: Script) -> Iterator[Change | Refusal]:
    commands = [command for command, _ in script.walk()]
    calls = [read_call(command) for command in commands]
    for name in dict.fromkeys(call.ecosystem for call in calls if call is not None):
        for cache in ecosystem(name).caches:
            filling = [i for i, call in enumerate(calls) if call and call.ecosystem == name and _fills(call, cache)]
            if not filling:
                continue
            fill = _Fill(cache, tuple(c for i in filling if (c := calls[i]) is not None), filling[-1])
            yield from _clean_one(model, stage, position, node, script, commands, fill)


def _fills(call: Call, cache: Cache) -> bool:
    if call.action not in cache.filled_by or call.options & {"--help", "-h", "--version", "--print-uris", "--dry-run", "--simulate", "-s"}:
        return False
    return not (cache.option and call.ecosystem == "apk" and call.options & {"--no-cache"})


def _clean_one(
    model: Model, stage: Stage, position: int, node: Instruction, script: Script, commands: list[Command], fill: _Fill
) -> Iterator[Change | Refusal]:
    cache, name = fill.cache, fill.calls[0].ecosystem
    if _already_clean(commands[fill.last + 1 :], cache, name) or _mounted(node, cache, model, position):
        return
    state = model.before(position)
    if any(v in state.env or v in state.args for v in cache.variables) or _set_in_script(commands, cache.variables):
        return
    if cache.option and "--cache-dir" in {o for c in fill.calls for o in c.options}:
        return
    if not posix_shell(state):
        yield Refusal(f"{name}'s cache stays: the shell is not one whose text can be read", position)
        return
    reader = _later_reader(model, stage, position, cache, name)
    if reader:
        yield Refusal(f"{name}'s cache stays: {reader}", position)
        return
    if cache.option and not (name == "apk" and any(c.action is Action.UPDATE for c in fill.calls)):
        edited = _with_option(node, fill)
        if edited is not None:
            what = f"keep {name} from filling its cache"
            yield Change(what, model.file.replaced(position, position + 1, [edited]), (position,), (f"no later step reads {cache.folders[0]}",))
        return
    edited_or_reason = _with_command(model, node, script, fill)
    if isinstance(edited_or_reason, str):
        yield Refusal(f"{name}'s cache stays: {edited_or_reason}", position)
        return
    safety, evidence, assumption = Safety.SAFE, f"no later step reads {cache.folders[0]}", ""
    if name == "yarn":
        version = _yarn_version(model, fill)
        if version == "later":
            yield Refusal("yarn's cache stays: Yarn from version 2 can run packages out of its cache", position)
            return
        if version is None:
            safety, assumption = Safety.UNSAFE, "this is Yarn 1, which copies packages out of its cache"
    file = model.file.replaced(position, position + 1, [edited_or_reason])
    yield Change(f"empty {name}'s cache in the layer that fills it", file, (position,), (evidence,), safety, assumption)


def _already_clean(later: list[Command], cache: Cache, name: str) -> bool:
    """Whether a command behind the last one that fills the cache empties it, or takes the folder in hand in any way."""
    for command in later:
        call = read_call(command)
        if call is not None and call.action is Action.CLEAN and call.ecosystem == name:
            return True
        for word in command.words[1:]:
            text = word.text.strip("\"'").rstrip("*").rstrip("/")
            for folder in cache.folders:
                plain = folder.replace("~", "")
                if plain.lstrip("/") in text or (command.name in ("rm", "find") and text.startswith("/") and folder.startswith(text + "/")):
                    return True
                if folder.startswith("~/.cache") and text.endswith("/.cache"):
                    return True
    return False


def _mounted(node: Instruction, cache: Cache, model: Model, position: int) -> bool:
    """Whether a mount lies over the cache, so that it is not part of the layer."""
    for mount in mounts(node):
        target = model.before(position).path(mount.target or "") if mount.target else None
        if mount.type in ("cache", "tmpfs") and target is not None and any(_covers(target, folder) for folder in cache.folders):
            return True
    return False


def _covers(outer: str, folder: str) -> bool:
    """Whether ``outer`` is ``folder`` or holds it, or lies in it. A folder of a home is matched by its tail."""
    if folder.startswith("~/"):
        tail = folder[1:]
        return outer.endswith(tail) or tail.startswith("/" + posixpath.basename(outer) + "/") or tail + "/" in outer + "/"
    return folder == outer or folder.startswith(outer.rstrip("/") + "/") or outer.startswith(folder + "/")


def _set_in_script(commands: list[Command], variables: frozenset[str]) -> bool:
    for command in commands:
        names = {name for name, _ in command.assignments}
        if command.name in ("export", "env"):
            names |= {w.text.partition("=")[0] for w in command.words[1:]}
        if names & variables:
            return True
    return False


def _later_reader(model: Model, stage: Stage, position: int, cache: Cache, name: str) -> str | None:
    """Why a step behind this one needs what the cache holds, None when none does."""
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
            reason = _reads(model, inner, cache, name) if inner.keyword in ("RUN", "CMD", "ENTRYPOINT") else None
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
        if any("$" in p or "*" in p or _covers("/" + p.strip("/"), folder) for p in paths for folder in cache.folders):
            return True
    return False


def _reads(model: Model, node: Instruction, cache: Cache, name: str) -> str | None:
    """Why this instruction reads the cache: it names the folder, uses it through its manager, or runs what nobody can read."""
    text = node.value + "".join(node.text[h.start : h.end] for h in node.heredocs)
    for folder in cache.folders:
        tail = folder.removeprefix("~")
        if tail.strip("/") in text and not _only_removes(node, tail.strip("/")):
            return f"names {folder}"
    if name not in ("apt", "pip", "npm", "yarn"):
        return None
    script = node.script
    commands = script.commands if script is not None else ()
    calls = [read_call(command) for command in commands]
    if name == "apt":
        reader = _reads_lists(calls, text)
        if reader:
            return reader
    if name == "pip" and re.search(r"\bpip3?\s+(cache|download)\b|/\.cache\b", text) and not _only_removes(node, ".cache"):
        return "works with pip's cache"
    if name in ("npm", "yarn") and re.search(rf"\b{name}\s+cache\s+(?!clean)|--offline|--prefer-offline", text):
        return f"works with {name}'s cache"
    if name == "apt" and node.keyword == "RUN":
        return _unreadable_script(model, commands)
    return None


def _reads_lists(calls: list[Call | None], text: str) -> str | None:
    updated = False
    for call in calls:
        if call is None or call.ecosystem != "apt":
            continue
        if call.action is Action.UPDATE:
            updated = True
        elif call.action is Action.INSTALL and not updated:
            return "installs from the lists"
    if not updated and re.search(r"\b(apt-cache|apt-file|apt\s+(list|show|search)|apt-get\s+(download|source)|aptitude\s+search|tasksel)\b", text):
        return "asks the lists"
    if not any(calls) and re.search(r"\bapt(-get|itude)?\s+(-\S+\s+)*(install|build-dep)", text) and "update" not in text:
        return "installs from the lists"
    return None


def _only_removes(node: Instruction, tail: str) -> bool:
    """Whether every command that names a folder removes it."""
    if node.script is None or not node.script.understood:
        return False
    naming = [c for c in node.script.commands if any(tail in w.text for w in c.words)]
    return bool(naming) and all(unwrapped(c).program in ("rm", "find") for c in naming)


def _unreadable_script(model: Model, commands: tuple[Command, ...]) -> str | None:
    """A script of the project's own that may call apt: read in the context, else unknown."""
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
        elif not (program.startswith("./") or program.endswith(".sh")):
            continue
        text = _text_of(model, program)
        if text is None:
            return f"runs {program}, which nobody here can read and which may install from the lists"
        if re.search(r"\bapt(-get|itude)?\b", text) and not re.search(r"\bapt(-get|itude)?\s+(-\S+\s+)*update", text):
            return f"runs {program}, which uses apt"
    return None


def _text_of(model: Model, program: str) -> str | None:
    """The text of a script in the build context that a program in the image most likely is: the only one of that name."""
    if model.context is None:
        return None
    name = program.rpartition("/")[2]
    found = [f for f in model.context.files() if f.rpartition("/")[2] == name]
    return model.context.read_text(found[0]) if len(found) == 1 else None


def _with_option(node: Instruction, fill: _Fill) -> Instruction | None:
    """The option put behind the verb of every call that lacks it."""
    text = node.shell_text
    option = fill.cache.option
    calls = [c for c in fill.calls if c.verb is not None and not any(o.startswith("--no-cache") for o in c.options)]
    if text is None or not calls:
        return None
    edits = []
    for call in calls:
        assert call.verb is not None
        plain = [w for w in call.command.words if call.ecosystem == "apk" and w.value in ("--update", "-U", "--update-cache")]
        if plain:  # --no-cache fetches the index by itself
            edits.append((text.source(plain[0].start), text.source_end(plain[0].end), option))
        else:
            at = text.source_end(call.verb.end)
            edits.append((at, at, f" {option}"))
    return node.edited(*edits)


def _with_command(model: Model, node: Instruction, script: Script, fill: _Fill) -> Instruction | str:
    """The clean-up command behind the last statement, joined so that the RUN fails exactly when it did before."""
    text = node.shell_text
    if text is None:
        return "the RUN is in exec form"
    last = script.statements[-1]
    if last.terminator == "&":
        return "the RUN ends in a background command"
    if script.commented and not node.heredocs:
        return "the RUN holds a shell comment"
    command = _command(fill)
    newline = line_end_of(model.file, node)
    if node.heredocs:
        return _in_heredoc(node, script, command)
    if "||" in last.operators:
        return "the RUN ends in `||`, behind which a command would hide or undo a failure"
    if any(c.name in ("exit", "exec", "return") for c in script.commands):
        return "the RUN may end before its last command"
    style = style_of(model.file, node)
    end = text.source_end(last.end)
    if style.trailing_and and "&&" in last.operators:
        addition = f" && {node.escape}{newline}{style.indent}{command}"
    else:
        addition = f" {node.escape}{newline}{style.indent}&& {command}"
    return node.edited((end, end, addition))


def _command(fill: _Fill) -> str:
    """The command that empties the cache, run as the same user and through the same path as the call that filled it."""
    call = fill.calls[-1]
    program, _, rest = fill.cache.clean.partition(" ")
    called = unwrapped(call.command).words[0].text
    return call.prefix + (f"{called} {rest}" if called.rpartition("/")[2] == program else fill.cache.clean)


def _in_heredoc(node: Instruction, script: Script, command: str) -> Instruction | str:
    heredoc = node.heredocs[0]
    if len(node.heredocs) != 1 or node.shell_text is None or node.shell_text.text.strip() != _chomped(node).strip():
        return "the RUN's heredoc is not its script"
    if script.text.startswith("#!") and not re.match(r"#!\s*(/usr)?/bin/(env\s+)?(ba|da|a)?sh\b", script.text):
        return "the RUN's heredoc is not a shell script"
    first = script.commands[0] if script.commands else None
    strict = first is not None and first.name == "set" and any((a or "").startswith("-") and "e" in (a or "") for a in first.argv[1:])
    if not strict:
        return "without `set -e` a last line that succeeds would hide a failure above it"
    newline = "\r\n" if "\r\n" in node.text else "\n"
    tabs = "\t" if heredoc.chomp and node.text[heredoc.start : heredoc.start + 1] == "\t" else ""
    return node.edited((heredoc.end, heredoc.end, f"{tabs}{command}{newline}"))


def _chomped(node: Instruction) -> str:
    heredoc = node.heredocs[0]
    text = node.text[heredoc.start : heredoc.end]
    return re.sub(r"^\t+", "", text, flags=re.M) if heredoc.chomp else text


def _yarn_version(model: Model, fill: _Fill) -> str | None:
    """``classic`` or ``later`` by evidence, None without."""
    options = {option for call in fill.calls for option in call.options}
    verbs = {call.verb.value for call in fill.calls if call.verb is not None}
    text = model.file.text
    if options & {"--immutable", "--immutable-cache"} or re.search(r"yarn set version|\.yarnrc\.yml|\.yarn/releases|corepack", text):
        return "later"
    if options & {"--frozen-lockfile", "--pure-lockfile", "--production", "--prod", "--non-interactive"} or "global" in verbs:
        return "classic"
    if model.context is None:
        return None
    if any(f.rpartition("/")[2] == ".yarnrc.yml" for f in model.context.files()):
        return "later"
    manifest = model.context.read_text("package.json") or ""
    if re.search(r'"packageManager"\s*:\s*"yarn@[2-9]', manifest):
        return "later"
    lock = model.context.read_text("yarn.lock") or ""
    return "classic" if "yarn lockfile v1" in lock else None
