"""What a RUN is for: packages of the system, dependencies of a language, the project's own steps, or only moving files about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from optimizer.ecosystems import SYSTEM, Action, Call, read_call, unwrapped
from optimizer.syntax.shell import Script, parse_script

# Commands that take no time and whose text rarely changes, so that they go with whatever stands beside them.
_CHEAP = frozenset({
    "mkdir", "rm", "rmdir", "mv", "cp", "ln", "chmod", "chown", "chgrp", "touch", "echo", "printf", "cat", "tee", "sed", "install", "test",
    "[", "[[", "true", ":", "ldconfig", "update-ca-certificates", "locale-gen", "localedef", "update-locale", "dpkg-reconfigure",
    "update-alternatives", "chpasswd", "passwd", "ls", "pwd", "id", "whoami", "env", "find", "truncate", "sync", "cd", "set", "export",
    "umask", "grep", "basename", "dirname", "stat", "setcap", "a2enmod", "a2dismod", "a2ensite", "docker-php-ext-enable", "su-exec",
    "command", "which", "type", "hostname", "dd", "sort", "cut", "tr", "head", "tail", "wc", "xargs", "awk",
})  # fmt: skip
# What prepares a package manager (keys and repositories) and what makes accounts.
_SETUP = frozenset({
    "apt-key", "add-apt-repository", "gpg", "debconf-set-selections", "rpm", "rpmkeys", "dpkg", "apt-mark", "yum-config-manager",
    "useradd", "adduser", "usermod", "groupadd", "addgroup", "groupmod", "deluser",
})  # fmt: skip
_TIDIES = frozenset({"rm", "rmdir", "mv", "chown", "chmod", "chgrp", "strip"})
_PACKAGE_FILE = re.compile(r"\.(asc|gpg|key|pub|list|repo|deb|rpm)\b")
_REPOSITORY_SCRIPT = re.compile(
    r"\b(?:curl|wget)\b[^|;&]*(?:setup|script\.(?:deb|rpm)|nodesource|packagecloud|[/.]repo|add-repo)[^|;&]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:ba)?sh\b"
)


class Purpose(Struct, frozen=True):
    """What a script is for.

    Args:
        kinds: ``system``, ``project``, or the name of a language's package manager; empty when it only moves files about.
        steps: How many of its commands are neither cheap nor empty.
        calls_manager: Whether it calls a package manager of the system or prepares one.
        updates: Whether it fetches a package index before it installs anything from one.
        installs: Whether it installs packages of the system.
        tidies: Whether it does nothing but remove, move or change the rights of files, which costs a second copy in a layer of its own.
    """

    kinds: frozenset[str]
    steps: int
    calls_manager: bool
    updates: bool
    installs: bool
    tidies: bool


@lru_cache(maxsize=4096)
def calls_of(text: str) -> tuple[Call | None, ...]:
    """What each command of a shell text does as a call of a package manager, in the order of ``Script.commands``."""
    return tuple(map(read_call, parse_script(text).commands))


@lru_cache(maxsize=4096)
def purpose_of(text: str) -> Purpose:
    """What a shell text is for."""
    script = parse_script(text)
    kinds: set[str] = set()
    names: list[str | None] = []
    first: Action | None = None
    manager = installs = cleans = False
    for command, call in zip(script.commands, calls_of(text), strict=True):
        name = unwrapped(command).program
        if command.words:
            names.append(name)
        if call is not None and call.action is Action.CLEAN:
            cleans = True
        if call is not None and call.ecosystem in SYSTEM:
            kinds.add("system")
            manager = True
            if call.action in (Action.UPDATE, Action.INSTALL):
                first = first or call.action
                installs = installs or call.action is Action.INSTALL
        elif call is not None and call.action in (Action.INSTALL, Action.CLEAN, Action.REMOVE):
            kinds.add(call.ecosystem)
        elif name in _SETUP:
            kinds.add("system")
        elif name in ("curl", "wget", "sh", "bash") and fetches_repository(script.text):
            kinds.add("system")
            manager = True
        elif name in ("curl", "wget") and _PACKAGE_FILE.search(script.text):
            kinds.add("system")
        elif command.words and name not in _CHEAP:
            kinds.add("project")
    if kinds == {"system", "project"} and re.search(r"\b(gpg|apt-key|sources\.list)\b", script.text):
        kinds.discard("project")
    steps = sum(1 for name in names if name not in _CHEAP)
    tidies = (bool(names) and _TIDIES.issuperset(names)) or (cleans and not installs)
    return Purpose(frozenset(kinds), steps, manager, first is Action.UPDATE, installs, tidies)


def fetches_repository(text: str) -> bool:
    """Whether shell text pipes a script into a shell that sets up a package repository and fetches its index."""
    return "|" in text and _REPOSITORY_SCRIPT.search(text) is not None


def fetches_index_for(group: Sequence[Script], part: Script) -> bool:
    """Whether the scripts above fetch a package index that nothing has installed from yet, and the next one is the first to."""
    calls = (c for c in calls_of(part.text) if c is not None and c.ecosystem in SYSTEM and c.action in (Action.UPDATE, Action.INSTALL))
    wanted = next(calls, None)
    if wanted is None or wanted.action is not Action.INSTALL:
        return False
    fetched: str | None = None
    for script in group:
        for call in calls_of(script.text):
            if call is not None and call.ecosystem in SYSTEM:
                fetched = call.ecosystem if call.action is Action.UPDATE else None if call.action is Action.INSTALL else fetched
        if fetches_repository(script.text):
            fetched = "apt"
    return wanted.ecosystem == fetched
