"""Empty the caches of package managers in the layer that filled them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from optimizer.ecosystems import Action, Cache, Call, ecosystem, read_call, unwrapped
from optimizer.model import Model, Stage, mounts
from optimizer.model.shipping import shipped
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.caches.options import lacks_option, option_unknown, with_option, without_updates
from optimizer.passes.caches.readers import RPM, covers, later_reader, names_folder
from optimizer.passes.runs.continuation import with_command_behind
from optimizer.passes.runs.purposes import calls_of, fetches_repository
from optimizer.passes.runs.readable import other_interpreter
from optimizer.passes.runs.shells import posix_shell, windows
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command, Script

# hadolint's rule that asks for an empty cache, by package manager. Source: its wiki, one page a rule.
_RULES = {
    "apt": "DL3009", "pip": "DL3042", "apk": "DL3019", "yum": "DL3032", "dnf": "DL3040", "microdnf": "DL3040", "zypper": "DL3036",
    "yarn": "DL3060",
}  # fmt: skip
_FETCHES_NOTHING = frozenset({"--help", "-h", "--version", "--print-uris", "--dry-run", "--simulate", "-s", "--offline"})
_MOVED = frozenset({"--cache", "--cache-dir", "--cache-folder"})


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
        when the RUN fails. In stages whose layers are not shipped no command is added.

    Safety
        Safe: only the cache goes. Yarn from version 2 runs packages out of its cache, so ``yarn cache clean``
        needs evidence of version 1; without it the change is unsafe.
    """

    name = "clean-package-caches"
    alters = frozenset({Fact.RUNS})
    mends = tuple(sorted(set(_RULES.values())))
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
        ships = shipped(model)
        for stage in model.stages:
            for position in stage.positions:
                node = model.file.instruction(position)
                if node.keyword == "RUN" and node.script is not None and node.script.understood:
                    yield from _clean(model, stage, position, node, node.script, stage in ships)


class _Fill(Struct, frozen=True):
    """The calls of one script that fill one cache, in order, and where the last one stands among its commands."""

    cache: Cache
    calls: tuple[Call, ...]
    last: int


def _clean(model: Model, stage: Stage, position: int, node: Instruction, script: Script, ships: bool) -> Iterator[Change | Refusal]:
    calls = calls_of(script.text)
    if not any(calls):
        return
    commands = script.commands
    for name in dict.fromkeys(call.ecosystem for call in calls if call is not None):
        for cache in ecosystem(name).caches:
            filling = [i for i, call in enumerate(calls) if call and call.ecosystem == name and _fills(call, cache)]
            if name == "apt" and not filling and fetches_repository(script.text):  # the script that is run fetches the lists
                filling = [i for i, call in enumerate(calls) if call and call.ecosystem == name and call.action is Action.INSTALL]
            if not filling:
                continue
            fill = _Fill(cache, tuple(c for i in filling if (c := calls[i]) is not None), filling[-1])
            if not ships and (not cache.option or any(c.action is Action.UPDATE for c in fill.calls)):
                continue  # nobody ships what a command would empty; an option costs nothing
            yield from _clean_one(model, stage, position, node, script, commands, fill)


# Package managers that fill no cache with the option --no-cache.
_SWITCHED_OFF = frozenset({"apk", "composer", "poetry"})


def _fills(call: Call, cache: Cache) -> bool:
    if call.action not in cache.filled_by or call.options & _FETCHES_NOTHING:
        return False
    return not ("--no-cache" in call.options and call.ecosystem in _SWITCHED_OFF)


def _clean_one(
    model: Model, stage: Stage, position: int, node: Instruction, script: Script, commands: tuple[Command, ...], fill: _Fill
) -> Iterator[Change | Refusal]:
    cache, name = fill.cache, fill.calls[0].ecosystem
    mends = (_RULES[name],) if name in _RULES else ()
    updates = any(c.action is Action.UPDATE for c in fill.calls)
    if cache.option and not updates and not any(map(lacks_option, fill.calls)):
        return
    if _already_clean(commands[fill.last + 1 :], cache, name) or _mounted(node, cache, model, position):
        return
    state = model.before(position)
    if any(v in state.env or v in state.args for v in cache.variables) or _set_in_script(commands, cache.variables):
        return
    if any(c.options & _MOVED for c in fill.calls):
        return
    if not posix_shell(state, entered=True) or windows(model, position):
        yield Refusal(f"{name}'s cache stays: the shell is not one whose text can be read", position)
        return
    reader = later_reader(model, stage, position, cache, name, updates or name != "apk")
    if reader:
        yield Refusal(f"{name}'s cache stays: {reader}", position)
        return
    if cache.option:
        unknown = option_unknown(model, stage, position, cache, name)
        if unknown and not cache.clean:
            yield Refusal(f"{name}'s cache stays: {unknown}", position)
            return
        if not unknown:
            edited = without_updates(node, script, cache, fill.calls) if updates else with_option(node, cache, fill.calls)
            if edited is not None:
                what = f"keep {name} from filling its cache"
                evidence = f"no later step reads {cache.folders[0]}"
                yield Change(what, model.file.replaced(position, position + 1, [edited]), (position,), (evidence,), mends=mends)
            if edited is not None or not updates:
                return
        if updates and all(c.action is Action.UPDATE for c in fill.calls) and len(script.commands) == 1:
            yield Refusal(f"{name}'s cache stays: the RUN does nothing but fetch an index that no later step reads", position)
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
    yield Change(f"empty {name}'s cache in the layer that fills it", file, (position,), (evidence,), safety, assumption, mends=mends)


def _already_clean(later: tuple[Command, ...], cache: Cache, name: str) -> bool:
    """Whether a command behind the last one that fills the cache empties it, or takes the folder in hand in any way."""
    for command in later:
        call = read_call(command)
        if call is not None and call.action is Action.CLEAN and (call.ecosystem == name or {call.ecosystem, name} <= RPM):
            return True
        for word in command.words[1:]:
            text = word.text.strip("\"'").rstrip("*").rstrip("/")
            for folder in cache.folders:
                outer = command.name in ("rm", "find") and text.startswith("/") and folder.startswith(text + "/")
                if outer or names_folder(text, folder):
                    return True
                if folder.startswith("~/.cache") and text.endswith("/.cache"):
                    return True
    return False


def _mounted(node: Instruction, cache: Cache, model: Model, position: int) -> bool:
    """Whether a mount lies over the cache, so that it is not part of the layer."""
    for mount in mounts(node):
        target = model.before(position).path(mount.target or "") if mount.target else None
        if mount.type in ("cache", "tmpfs") and target is not None and any(covers(target, folder) for folder in cache.folders):
            return True
    return False


def _set_in_script(commands: tuple[Command, ...], variables: frozenset[str]) -> bool:
    for command in commands:
        names = {name for name, _ in command.assignments}
        if command.name in ("export", "env"):
            names |= {w.text.partition("=")[0] for w in command.words[1:]}
        if names & variables:
            return True
    return False


def _with_command(model: Model, node: Instruction, script: Script, fill: _Fill) -> Instruction | str:
    """The clean-up command behind the last statement, joined so that the RUN fails exactly when it did before."""
    if node.heredocs and script.statements[-1].terminator != "&":
        return _in_heredoc(node, script, _command(fill))
    return with_command_behind(model.file, node, script, _command(fill))


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
    if other_interpreter(script):
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
