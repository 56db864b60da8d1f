"""What the build system of a C or C++ project makes, whichever it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

PREFIX = "\x02"
"""Stands for the prefix, which the command line tells, in texts of a project."""
SOURCE = "\x04"
"""Stands for the folder of the sources in the image."""
LIBRARIES = "\x03"
"""Stands for the folder of libraries below the prefix, whose name depends on the machine."""


class Project(Struct, frozen=True):
    """What a build system makes.

    programs: names of programs with the folder, relative to the build folder, in which the build puts them; sources: their
    source files as context paths; libraries: what they link, by -l, package or target name; cxx: C++ is used; shared: the
    shared libraries that it makes, by the file name that programs ask for, with the folder as for programs; installed: pairs of
    a program's or library's name or a source's path (relative to the context) and its place below the prefix, a folder where it
    ends in a slash, `LIBRARIES` in it for the folder of libraries; folders: folders that installing makes, below the prefix or
    absolute; macros: those that are defined as one literal, `PREFIX` and `SOURCE` in it for these; unknown: why that may not be
    all; multiarch: the folder of libraries is named after the machine whatever the prefix.
    """

    programs: Mapping[str, str]
    sources: tuple[str, ...]
    libraries: tuple[str, ...]
    cxx: bool
    static: bool
    shared: Mapping[str, str]
    installed: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]
    macros: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]
    multiarch: bool = False


@dataclass
class Draft:
    """A `Project` while it is read."""

    programs: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    cxx: bool = False
    static: bool = False
    shared: dict[str, str] = field(default_factory=dict)
    installed: list[tuple[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    macros: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def finished(self) -> Project:
        """The project, as read so far."""
        cxx = self.cxx or any(re.search(r"\.(cc|cpp|cxx|c\+\+|C)$", source) for source in self.sources)
        return Project(
            self.programs, tuple(self.sources), tuple(dict.fromkeys(self.libraries)), cxx, self.static, self.shared, tuple(self.installed),
            tuple(self.folders), tuple(self.macros), tuple(dict.fromkeys(self.unknown)),
        )  # fmt: skip


def below_prefix(target: str) -> str:
    """A folder relative to the prefix; an absolute one stays so."""
    return target.removeprefix(PREFIX).lstrip("/") if target.startswith(PREFIX) else target
