"""An image's file system, read from a tar stream: what is where, and what starts and links what."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass, field
from typing import IO

from optimizer.verify.elf import Elf, read_elf

LIBRARY_CACHE = "etc/ld.so.cache"
_CHUNK = 1 << 20
_SHEBANG = 256  # bytes that Linux reads of a script's first line (BINPRM_BUF_SIZE)
_KINDS = {
    tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.CHRTYPE: "device", tarfile.BLKTYPE: "device", tarfile.FIFOTYPE: "pipe",
}  # fmt: skip

Elves = dict[str, Elf | None]
"""What is known of ELF files by their content, so that each is read once however many images hold it."""


@dataclass(frozen=True)
class Entry:
    """A file, folder, link, device or pipe: its kind, mode, owner (uid and gid), bytes, and content: a digest or a link's target."""

    kind: str
    mode: int
    owner: tuple[int, int]
    size: int
    content: str


@dataclass
class Tree:
    """A file system. Paths are relative to its root.

    Args:
        entries: Everything, by path.
        elves: The ELF files that are linked dynamically.
        scripts: The first line of every executable script, without the ``#!``.
        library_cache: The bytes of ``/etc/ld.so.cache``, empty without one.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    elves: dict[str, Elf] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    library_cache: bytes = b""

    def remove(self, path: str, *, itself: bool = True) -> None:
        """Remove a path and what is below it."""
        for name in [name for name in self.entries if name.startswith(f"{path}/") or (itself and name == path)]:
            for table in (self.entries, self.elves, self.scripts):
                table.pop(name, None)

    def resolve(self, path: str) -> str | None:
        """The path that another one stands for when its links are followed, None when it leads nowhere."""
        parts, done, steps = [part for part in reversed(path.split("/")) if part], list[str](), 0
        while parts:
            part = parts.pop()
            if part == ".":
                continue
            if part == "..":
                done = done[:-1]
                continue
            here = "/".join([*done, part])
            entry = self.entries.get(here)
            if entry is None:
                return None
            if entry.kind != "link":
                done.append(part)
                continue
            steps += 1
            if steps > 40:  # as many as Linux follows
                return None
            done = [] if entry.content.startswith("/") else done
            parts.extend(each for each in reversed(entry.content.split("/")) if each)
        return "/".join(done)


def read_tree(stream: IO[bytes], elves: Elves) -> Tree:
    """Read a file system from a tar stream, compressed or not.

    Args:
        stream: The tar.
        elves: What is known of ELF files already; new ones are added.

    Raises:
        tarfile.TarError: It is no tar, or ends early.
    """
    tree = Tree()
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            path = member.name.removeprefix("./").strip("/")
            owner, mode = (member.uid, member.gid), member.mode & 0o7777
            if member.isreg():
                tree.entries[path] = _file(tree, path, archive, member, elves)
            elif member.islnk():
                target = member.linkname.removeprefix("./").strip("/")
                if target in tree.entries:
                    tree.entries[path] = tree.entries[target]
                    for table in (tree.elves, tree.scripts):
                        if target in table:
                            table[path] = table[target]  # type: ignore[assignment]
            elif path and member.type in _KINDS:
                tree.entries[path] = Entry(_KINDS[member.type], 0o777 if member.issym() else mode, owner, 0, member.linkname)
    return tree


def _file(tree: Tree, path: str, archive: tarfile.TarFile, member: tarfile.TarInfo, elves: Elves) -> Entry:
    source = archive.extractfile(member)
    assert source is not None
    digest = hashlib.sha256()
    head = source.read(_CHUNK)
    digest.update(head)
    whole = [head] if head.startswith(b"\x7fELF") or path == LIBRARY_CACHE else None
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        if whole is not None:
            whole.append(chunk)
    content = digest.hexdigest()
    if path == LIBRARY_CACHE and whole is not None:
        tree.library_cache = b"".join(whole)
    elif whole is not None:
        if content not in elves:
            elves[content] = read_elf(b"".join(whole))
        if (elf := elves[content]) is not None:
            tree.elves[path] = elf
    elif head.startswith(b"#!") and member.mode & 0o111:
        tree.scripts[path] = head[2:_SHEBANG].partition(b"\n")[0].decode("utf-8", "replace").strip()
    return Entry("file", member.mode & 0o7777, (member.uid, member.gid), member.size, content)
