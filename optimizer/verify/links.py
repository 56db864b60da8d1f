"""Whether every program, library and script of an image finds what it is loaded with, told from its files alone.

The rules are those of ld.so(8): DT_RPATH unless there is a DT_RUNPATH, LD_LIBRARY_PATH, DT_RUNPATH, /etc/ld.so.cache, the default
folders. The cache is read, and not ld.so.conf, because the loader reads the cache: a library that was copied in without
``ldconfig`` is not found.
"""

from __future__ import annotations

import posixpath
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from optimizer.verify.elf import Elf
from optimizer.verify.tree import Tree

_DEFAULT = ("lib", "lib64", "usr/lib", "usr/lib64")
_MULTIARCH = {
    "EM_X86_64": "x86_64-linux-gnu", "EM_AARCH64": "aarch64-linux-gnu", "EM_ARM": "arm-linux-gnueabihf", "EM_386": "i386-linux-gnu",
}  # fmt: skip
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CACHE = b"glibc-ld.so.cache1.1"
# Folders of other people's packages: their scripts are run by name or not at all, and many are only for their developers.
_VENDORED = re.compile(r"(^|/)(node_modules|site-packages|dist-packages)/|^usr/share/")


@dataclass(frozen=True)
class Missing:
    """A file that lacks something.

    Args:
        path: The file.
        name: The library, interpreter or program that it does not find.
        kind: ``library`` or ``interpreter``.
        vendored: Whether it is a script that comes with a package and that nothing may ever start.
    """

    path: str
    name: str
    kind: str
    vendored: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What is lacked by what, wherever it lies: a rewrite may move whole folders."""
        return posixpath.basename(self.path), self.name

    def __str__(self) -> str:
        return f"/{self.path} does not find its {self.kind} {self.name}"


def missing(tree: Tree, environment: Mapping[str, str]) -> tuple[Missing, ...]:
    """Everything that programs, libraries and scripts of a file system do not find, by path.

    Args:
        tree: The file system.
        environment: The image's variables.
    """
    loader = _Loader(tree, environment)
    found: list[Missing] = []
    for path, elf in tree.elves.items():
        if elf.interpreter is not None and tree.resolve(elf.interpreter) is None:
            found.append(Missing(path, elf.interpreter, "interpreter"))
        found += [Missing(path, name, "library") for name in elf.needed if not loader.finds(path, elf, name)]
    for path, line in tree.scripts.items():
        name = _lacking(tree, line, environment)
        if name is not None:
            found.append(Missing(path, name, "interpreter", _VENDORED.search(path) is not None))
    return tuple(sorted(found, key=lambda each: each.path))


@dataclass(frozen=True)
class _Loader:
    tree: Tree
    environment: Mapping[str, str]

    @cached_property
    def _cached(self) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for name, path in read_library_cache(self.tree.library_cache):
            table.setdefault(name, []).append(path)
        return table

    def finds(self, path: str, elf: Elf, name: str) -> bool:
        """Whether a library that a file needs is found."""
        if "/" in name:
            return not name.startswith("/") or self.tree.resolve(name) is not None
        return any(self._fits(candidate, elf) for candidate in self._candidates(path, elf, name))

    def _candidates(self, path: str, elf: Elf, name: str) -> Iterator[str]:
        folders = [] if elf.runpath else [*elf.rpath]
        folders += [folder for folder in self.environment.get("LD_LIBRARY_PATH", "").split(":") if folder]
        folders += elf.runpath
        real = self.tree.resolve(path) or path
        for folder in folders:
            yield posixpath.join(_expanded(folder, posixpath.dirname(real), elf), name)
        yield from self._cached.get(name, ())
        multiarch = _MULTIARCH.get(elf.machine)
        for folder in _DEFAULT:
            yield f"{folder}/{name}"
            if multiarch:
                yield f"{folder}/{multiarch}/{name}"
        if any(entry.startswith("lib/ld-musl-") for entry in self._musl):
            yield f"usr/local/lib/{name}"

    @cached_property
    def _musl(self) -> tuple[str, ...]:
        return tuple(path for path in self.tree.entries if path.startswith("lib/ld-musl-"))

    def _fits(self, candidate: str, elf: Elf) -> bool:
        real = self.tree.resolve(candidate)
        if real is None:
            return False
        other = self.tree.elves.get(real)
        # One that could not be read, a linker script say, is given the benefit of the doubt.
        return other is None or (other.machine, other.bits) == (elf.machine, elf.bits)


def _expanded(folder: str, origin: str, elf: Elf) -> str:
    library = "lib64" if elf.bits == 64 else "lib"
    for name, value in (("ORIGIN", f"/{origin}"), ("LIB", library)):
        folder = folder.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return posixpath.normpath(folder)


def read_library_cache(data: bytes) -> Iterator[tuple[str, str]]:
    """The names of libraries and their paths in an ``ld.so.cache`` of glibc 2.2 or later (``dl-cache.h``); none when it is another."""
    start = data.find(_CACHE)
    if start < 0 or len(data) < start + 48:
        return
    header = data[start:]
    (count,) = struct.unpack_from("<I", header, len(_CACHE))
    for index in range(count):
        at = 48 + 24 * index
        if at + 24 > len(header):
            return
        _, key, value = struct.unpack_from("<iII", header, at)
        yield _string(header, key), _string(header, value)


def _string(data: bytes, start: int) -> str:
    return data[start : data.find(b"\0", start)].decode("utf-8", "replace")


def _lacking(tree: Tree, line: str, environment: Mapping[str, str]) -> str | None:
    """What a script's first line names and is not there, None when all is."""
    words = line.split()
    if not words or not words[0].startswith("/"):
        return None
    if tree.resolve(words[0]) is None:
        return words[0]
    if posixpath.basename(words[0]) != "env":
        return None
    program = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), None)
    if program is None or "/" in program:
        return None
    folders = environment.get("PATH", _PATH).split(":")
    return None if any(tree.resolve(posixpath.join(folder, program)) is not None for folder in folders if folder) else program
