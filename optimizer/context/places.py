"""Paths a program names in its source, as far as they can be known.

While a source file is read, a path is an ordinary string with three marks in it: `ROOT` stands for the root of the build
context, `HOLE` for a part that is computed, `TEMPORARY` for a folder of the operating system's choice. Plain string
operations (joining, taking the parent) then work on known and half-known paths alike, in every language.
"""

from __future__ import annotations

import posixpath
from typing import Literal

from msgspec import Struct

ROOT = "\x01"
HOLE = "\x00"
TEMPORARY = "\x02"


class Place(Struct, frozen=True, order=True):
    """Where a file of a program is.

    kind: "absolute" (`path` starts with /), "context" (relative to the root of the build context, wherever that is copied
    to) or "cwd" (relative to the folder the program is started in). path: POSIX, normalised, "." for the folder itself.
    folder: the path is a folder: either made as such, or files with computed names lie below it.
    """

    kind: Literal["absolute", "context", "cwd"]
    path: str
    folder: bool = False

    def __str__(self) -> str:
        return self.path


class Unknown(Struct, frozen=True, order=True):
    """Something the source does not tell. about: what is missing; where: "file:line"; what: one sentence without a dot."""

    about: Literal["program", "write", "read", "port", "module", "syntax", "context"]
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}"


def join(*parts: str) -> str:
    """Join path texts as os.path.join does; a part that starts at the root of the context counts as absolute."""
    result = ""
    for part in parts:
        result = part if part.startswith((ROOT, TEMPORARY)) else posixpath.join(result, part)
    return result


def parent(path: str) -> str:
    """The folder of a path text; what lies above the context or above the working directory is not known."""
    path = path.rstrip("/") if len(path) > 1 else path
    if path == TEMPORARY:
        return TEMPORARY
    if path in ("", ".", ROOT, HOLE) or path.split("/")[-1] in ("..", "."):
        return HOLE
    return posixpath.dirname(path)


def resolve(path: str) -> Place | None:
    """The place a path text names, or None when too little of it is known.

    A computed name below a known folder gives the folder: `/data/` + name + `.txt` is a file below /data. That is the
    one thing taken on trust here: a name that is joined to a folder does not lead out of it.
    """
    folder = False
    if HOLE in path:
        known, rest = path.split(HOLE, 1)
        if ("/" not in known and (not known or known in (ROOT, "~"))) or ".." in rest.split("/"):
            return None
        path = known.rsplit("/", 1)[0] if "/" in known else "."
        if not path:  # any file of the machine
            return None
        folder = True
    if TEMPORARY in path or ROOT in path[1:]:
        return None
    if path.startswith("/"):
        normal = posixpath.normpath(path).replace("//", "/")
        return Place("absolute", normal, folder or path.endswith("/"))
    if path.startswith(ROOT):
        inside = posixpath.normpath(path[1:].lstrip("/") or ".")
        return None if inside.startswith("..") else Place("context", inside, folder)
    return Place("cwd", posixpath.normpath(path or "."), folder or path.endswith("/"))
