"""What programs and scripts are loaded with: found by the rules of the loader, and nothing reported that was lacking before."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from optimizer.verify.elf import Elf, read_elf
from optimizer.verify.links import missing, read_library_cache
from optimizer.verify.tree import Entry, Tree

X86 = ("EM_X86_64", 64)
FILE = Entry("file", 0o755, (0, 0), 1, "x")
FOLDER = Entry("folder", 0o755, (0, 0), 0, "")


def system(files: dict[str, Elf | str | None], cache: bytes = b"") -> Tree:
    """A file system of ELF files, scripts (their first line) and other files (None), with the folders above them."""
    found = Tree(library_cache=cache)
    for path, content in files.items():
        parts = path.split("/")
        for n in range(1, len(parts)):
            found.entries.setdefault("/".join(parts[:n]), FOLDER)
        found.entries[path] = FILE
        if isinstance(content, Elf):
            found.elves[path] = content
        elif content is not None:
            found.scripts[path] = content
    return found


def program(*needed: str, **more: object) -> Elf:
    return Elf(*X86, None, needed, **more)  # type: ignore[arg-type]


LIBRARY = Elf(*X86, None)


def cache(**libraries: str) -> bytes:
    names = [(name.replace("_", "."), path) for name, path in libraries.items()]
    strings, entries, at = b"", b"", 48 + 24 * len(names)
    for name, path in names:
        key = at + len(strings)
        strings += name.encode() + b"\0"
        entries += struct.pack("<iIIIQ", 3, key, at + len(strings), 0, 0)
        strings += path.encode() + b"\0"
    return b"glibc-ld.so.cache1.1" + struct.pack("<II", len(names), len(strings)) + b"\0" * 20 + entries + strings


@pytest.mark.parametrize(
    ("files", "environment", "lacking"),
    [
        ({"bin/a": program("x.so"), "lib/x.so": LIBRARY}, {}, []),
        ({"bin/a": program("x.so"), "usr/lib/x86_64-linux-gnu/x.so": LIBRARY}, {}, []),
        ({"bin/a": program("x.so"), "usr/local/lib/x.so": LIBRARY}, {}, ["x.so"]),
        ({"bin/a": program("x.so"), "usr/local/lib/x.so": LIBRARY}, {"LD_LIBRARY_PATH": "/usr/local/lib"}, []),
        ({"opt/a": program("x.so", rpath=("$ORIGIN/l",)), "opt/l/x.so": LIBRARY}, {}, []),
        ({"opt/a": program("x.so", runpath=("${ORIGIN}/../l",)), "l/x.so": LIBRARY}, {}, []),
        ({"opt/a": program("x.so", rpath=("/r",), runpath=("/l",)), "r/x.so": LIBRARY}, {}, ["x.so"]),
        ({"bin/a": program("x.so"), "lib/x.so": Elf("EM_AARCH64", 64, None)}, {}, ["x.so"]),
        ({"bin/a": program("/opt/x.so")}, {}, ["/opt/x.so"]),
        ({"bin/a": Elf(*X86, "/lib64/ld.so")}, {}, ["/lib64/ld.so"]),
        ({"s": "/bin/sh -e", "bin/sh": None}, {}, []),
        ({"s": "/bin/sh -e"}, {}, ["/bin/sh"]),
        ({"s": "/usr/bin/env -S A=1 python3 -u", "usr/bin/env": None, "opt/bin/python3": None}, {"PATH": "/bin:/opt/bin"}, []),
        ({"s": "/usr/bin/env python3", "usr/bin/env": None, "opt/bin/python3": None}, {}, ["python3"]),
    ],
)
def test_what_is_not_found(files: dict[str, Elf | str | None], environment: dict[str, str], lacking: list[str]) -> None:
    assert [each.name for each in missing(system(files), environment)] == lacking


def test_the_cache_of_the_loader_is_read() -> None:
    files: dict[str, Elf | str | None] = {"bin/a": program("x.so"), "usr/local/lib/x.so": LIBRARY}
    assert missing(system(files, cache(x_so="/usr/local/lib/x.so")), {}) == ()
    assert [each.name for each in missing(system(files, cache(y_so="/usr/local/lib/y.so")), {})] == ["x.so"]
    assert list(read_library_cache(b"no cache")) == []
    assert list(read_library_cache(cache(a="/b")[:60])) == []


def test_scripts_of_packages_are_told_apart() -> None:
    found = missing(system({"app/node_modules/a/x.py": "/usr/bin/python", "app/x.py": "/usr/bin/python"}), {})
    assert [(each.path, each.vendored) for each in found] == [("app/node_modules/a/x.py", True), ("app/x.py", False)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the programs of this system are no ELF files")
def test_a_real_program_is_read() -> None:
    elf = read_elf(Path(sys.executable).resolve().read_bytes())
    assert elf is not None
    assert elf.bits == 64
    assert elf.interpreter is not None
    assert any(name.startswith("libc.so") for name in elf.needed)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x7fELF" + b"\0" * 60, b"\x7fELF\x02\x01\x01" + b"\xff" * 200])
def test_damaged_files_are_none(data: bytes) -> None:
    assert read_elf(data) is None
