"""What the modules of this folder find out."""

from __future__ import annotations

from msgspec import Struct

from optimizer.context.places import Place, Unknown


class SourceUse(Struct, frozen=True):
    """What the source of a program uses.

    Args:
        files: The source files of the context that were read.
        modules: The names of libraries that it needs.
        programs: Names or paths of the programs that it starts.
        ports: The TCP ports that it listens on.
        written, read: The paths that it uses.
        root: What needs root's rights, such as "Main.java:7 uses Files.setOwner".
        unknown: What is left open.
    """

    files: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    written: tuple[Place, ...] = ()
    read: tuple[Place, ...] = ()
    root: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()
