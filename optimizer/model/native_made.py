"""What a build of C and C++ makes, as values."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from msgspec import Struct

_DEPTH = 6  # of links and places that lead to one another


class Made(Struct, frozen=True):
    """A file that the build makes. compiled: how it was compiled, None for one that is only placed."""

    path: str
    libraries: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    cxx: bool = False
    static: bool = False
    statics: bool = False
    shared: bool = False


class NativeBuild(Struct, frozen=True):
    """What a stage builds.

    Args:
        first, last: Indices of the first and last RUN that compile or install.
        made: Files that are compiled, by absolute path.
        installed: Where files and folders were placed, by absolute path; the value is the path of the image they come from,
            itself among `made` or copied from the context.
        links: Symbolic links that were made: path and text.
        private: Placed files that only their owner and group may use.
        folders: Folders that were made.
        macros: The macros that compilers are given as one literal, by name.
        unknown: What could not be followed: index of the RUN, and why.
    """

    first: int
    last: int
    made: Mapping[str, Made]
    installed: Mapping[str, str]
    links: Mapping[str, str]
    private: tuple[str, ...]
    folders: tuple[str, ...]
    macros: Mapping[str, str]
    unknown: tuple[tuple[int, str], ...]

    def program(self, path: str) -> Made | None:
        """What is compiled and lies at a path, be it placed there or linked to."""
        for _ in range(_DEPTH):
            if path in self.links:
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), self.links[path]))
            elif path in self.installed and path not in self.made:
                path = self.installed[path]
            else:
                break
        return self.made.get(path)

    @property
    def programs(self) -> tuple[str, ...]:
        """The paths at which compiled programs lie."""
        return tuple(p for p in (*self.made, *self.installed, *self.links) if (found := self.program(p)) is not None and not found.shared)

    def libraries_at(self, path: str, *, below: bool) -> tuple[str, ...]:
        """The shared libraries that lie at a path, or below it."""
        known = (*self.made, *self.installed, *self.links)
        wanted = (p for p in known if p == path or (below and p.startswith(f"{path}/") and p.endswith(".so")))
        return tuple(p for p in dict.fromkeys(wanted) if (found := self.program(p)) is not None and found.shared)
