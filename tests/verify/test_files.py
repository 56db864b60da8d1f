"""File systems of images: read from tar streams, laid over each other, and compared."""

from __future__ import annotations

import io
import tarfile

import pytest

from optimizer.verify.archive import _overlay
from optimizer.verify.compare import config_differences, file_differences
from optimizer.verify.engines import LABEL
from optimizer.verify.tree import Tree, read_tree


def tree(*members: tuple[str, str | None], mode: int = 0o644, owner: int = 0, time: int = 0) -> Tree:
    """A file system: paths and contents; ``-> x`` is a link, ``= x`` a hard link, None a folder."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, content in members:
            info = tarfile.TarInfo(path)
            info.mode, info.uid, info.gid, info.mtime = mode, owner, owner, time
            if content is None:
                info.type = tarfile.DIRTYPE
            elif content.startswith("-> "):
                info.type, info.linkname = tarfile.SYMTYPE, content[3:]
            elif content.startswith("= "):
                info.type, info.linkname = tarfile.LNKTYPE, content[2:]
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO((content or "").encode()) if info.isreg() else None)
    data.seek(0)
    return read_tree(data, {})


def differences(before: Tree, after: Tree) -> list[str]:
    return [str(each) for each in file_differences(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (tree(("a", "x")), tree(("a", "xy")), ["/a changed: 1 bytes → 2 other bytes"]),
        (tree(("a", "x")), tree(("a", "x"), mode=0o755), ["/a changed: mode 644 → mode 755"]),
        (tree(("a", "x")), tree(("a", "x"), owner=7), ["/a changed: owner 0:0 → owner 7:7"]),
        (tree(("a", "-> b")), tree(("a", "-> c")), ["/a changed: b → c"]),
        (tree(("a", "x")), tree(("a", None)), ["/a changed: file → folder"]),
        (tree(("d", None), ("d/a", ""), ("d/b", "")), tree(), ["/d removed (3 paths)"]),
        (tree(), tree(("d", "x")), ["/d added"]),
        (tree(("a", "x")), tree(("a", "x"), time=99), []),
        (tree(("a", "x"), ("b", "= a")), tree(("b", "x"), ("a", "= b")), []),
        (tree(), tree(("var/lib/apt/lists/x", ""), ("root/.cache/pip/x", ""), ("app/__pycache__/a.pyc", ""), ("etc/ld.so.cache", "")), []),
        (tree(), tree(("app/cache", "")), ["/app/cache added"]),
    ],
)
def test_differences_of_files(before: Tree, after: Tree, said: list[str]) -> None:
    assert differences(before, after) == said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"Env": ["A=1", "B=2"]}, {"Env": ["B=2", "A=1"]}, []),
        ({"Env": ["A=1"]}, {"Env": ["A=2", "C=3"]}, ["Env A changed: 1 → 2", "Env C added"]),
        ({"Cmd": ["a"]}, {"Cmd": ["b"]}, ["Cmd changed: ['a'] → ['b']"]),
        ({"User": "", "WorkingDir": "/"}, {"User": "root", "WorkingDir": ""}, []),
        ({}, {"Labels": {LABEL: "run"}}, []),
        ({"ExposedPorts": {"80/tcp": {}}}, {}, ["ExposedPorts 80/tcp removed"]),
        ({"Healthcheck": {"Test": ["NONE"]}}, {}, ["Healthcheck removed"]),
    ],
)
def test_differences_of_configuration(before: dict[str, object], after: dict[str, object], said: list[str]) -> None:
    assert [str(each) for each in config_differences(before, after)] == said


def test_links_are_followed_inside_only() -> None:
    folders = (("usr", None), ("usr/lib", None), ("lib", "-> usr/lib"))
    files = tree(*folders, ("usr/lib/x", ""), ("usr/y", "-> ../lib/x"), ("up", "-> ../../usr/lib/x"))
    assert [files.resolve(path) for path in ("/lib/x", "usr/y", "up", "usr/./../lib/x")] == ["usr/lib/x"] * 4
    assert files.resolve("none") is None
    assert tree(("loop", "-> loop")).resolve("loop") is None


def test_layers_remove_what_they_mark() -> None:
    lower = tree(("a", None), ("a/x", ""), ("a/y", ""), ("b", None), ("b/x", ""), ("c", ""))
    _overlay(lower, tree(("a/.wh.x", ""), ("b/.wh..wh..opq", ""), ("b/new", ""), ("c", "-> a")))
    assert sorted(lower.entries) == ["a", "a/y", "b", "b/new", "c"]
    assert lower.entries["c"].kind == "link"


def test_scripts_have_an_interpreter_and_texts_have_not() -> None:
    files = tree(("s", "#!/bin/sh -e\necho"), ("t", "text"), mode=0o755)
    assert files.scripts == {"s": "/bin/sh -e"}
    assert tree(("s", "#!/bin/sh\n")).scripts == {}
