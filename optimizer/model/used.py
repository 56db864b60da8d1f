"""What a program uses, in paths of the image."""

from __future__ import annotations

from msgspec import Struct

from optimizer.context.frameworks import Packages


class Used(Struct, frozen=True, order=True):
    """A path that a program writes or reads. path: absolute, in the image; folder: it is a folder, or names below it are
    computed; where: "file:line" or another place that says so."""

    path: str
    folder: bool = False
    where: str = ""


class MadeServer(Struct, frozen=True):
    """A server that a framework's build makes. folder: the folder of the image it lies in, all of it; packages: which of the
    project's it needs, as in ``optimizer.context.frameworks.BuiltServer``."""

    folder: str
    packages: Packages
