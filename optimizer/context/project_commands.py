"""What calls of CMake and Meson on a command line ask for.

Source: the manual pages cmake(1) and meson(1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

_CMAKE_VALUED = frozenset({"-S", "-B", "-G", "-D", "--install-prefix", "-A", "-T", "--preset", "--log-level", "-C"})
_MESON_VALUED = frozenset(
    {"--prefix", "--buildtype", "--libdir", "--bindir", "--datadir", "--sysconfdir", "--localstatedir", "-D", "-C", "--wrap-mode"}
)


class ProjectCommand(Struct, frozen=True):
    """A call that sets up a build folder, or builds or installs in one.

    Args:
        sets_up: Whether it sets the folder up.
        build: The build folder as given, None where it is not.
        source: The source folder as given, None where it is not.
        prefix: Where it installs to, None where that is not given.
        goals: What is built; "install" to install.
        given: Options and variables that are set, by name.
        preset: The name of the preset that it is called with.
    """

    sets_up: bool
    build: str | None
    source: str | None = None
    prefix: str | None = None
    goals: tuple[str, ...] = ()
    given: Mapping[str, str] = {}
    preset: str | None = None


def read_cmake(words: Sequence[str | None]) -> ProjectCommand | None:
    """Read a call of ``cmake``; None for one of its tools (``-E``), for a script and for ``--version``."""
    given = [w or "" for w in words[1:]]
    if given[:1] in (["-E"], ["-P"], ["--version"]):
        return None
    option = next((w for w in given if w in ("--build", "--install")), None)
    named = [given[i + 1] for i, w in enumerate(given[:-1]) if w == "--preset"]
    named += [w.partition("=")[2] for w in given if w.startswith("--preset=")]
    preset = named[0] if named else None
    if option is not None:
        at = given.index(option)
        prefix = next((given[i + 1] for i, w in enumerate(given[:-1]) if w == "--prefix"), None)
        goals = ["install"] if option == "--install" else [given[i + 1] for i, w in enumerate(given[:-1]) if w in ("--target", "-t")]
        folder = given[at + 1] if at + 1 < len(given) and not given[at + 1].startswith("--preset") else None
        return ProjectCommand(False, folder, None, prefix, tuple(goals), preset=preset)
    source, build, prefix = None, None, None
    variables: dict[str, str] = {}
    for index, word in enumerate(given):
        following = given[index + 1] if index + 1 < len(given) else ""
        if word[:2] == "-S":
            source = word[2:] or following
        elif word[:2] == "-B":
            build = word[2:] or following
        elif word[:2] == "-D":
            name, _, value = (word[2:] or following).partition("=")
            variables[name.partition(":")[0]] = value
        elif word == "--install-prefix":
            prefix = following
        elif word == "--preset":
            continue
        elif not word.startswith("-") and (index == 0 or given[index - 1] not in _CMAKE_VALUED):
            source = word
    return ProjectCommand(True, build, source, variables.get("CMAKE_INSTALL_PREFIX", prefix), (), variables, preset)


def read_meson(words: Sequence[str]) -> ProjectCommand | None:
    """Read a call of ``meson``; None for ``meson test``."""
    given = list(words[1:])
    verb = given.pop(0) if given and given[0] in ("setup", "compile", "install", "test", "configure") else "setup"
    build = next((given[i + 1] for i, w in enumerate(given[:-1]) if w == "-C"), None)
    if verb == "test":
        return None
    if verb in ("compile", "install"):
        options = {"destdir": ""} if "--destdir" in given else {}
        return ProjectCommand(False, build or ".", goals=("install",) if verb == "install" else (), given=options)
    operands = [w for i, w in enumerate(given) if not w.startswith("-") and (i == 0 or given[i - 1] not in _MESON_VALUED)]
    named = dict(w.lstrip("-").removeprefix("D").split("=", 1) for w in given if re.match(r"(--|-D)\w+=", w))
    named |= {w[2:]: given[i + 1] for i, w in enumerate(given[:-1]) if w in _MESON_VALUED and w.startswith("--")}
    source = operands[1] if len(operands) > 1 else "."
    target = operands[0] if operands and verb == "setup" else None
    return ProjectCommand(True, target, source, named.get("prefix"), (), named)
