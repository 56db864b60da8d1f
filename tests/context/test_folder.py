"""The build context after its ignore file. The expected lists were compared with what BuildKit copies."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest

from optimizer.context import folder
from optimizer.context.folder import BuildContext, ContextError

TREE = {
    "a/1.log": "x",
    "a/b/2.log": "x",
    "a/b/c/3.txt": "x",
    "src/x/y.js": "x",
    "src/.hidden": "x",
    "docs/r.md": "x",
    "docs/s.md": "x",
    "[x]/f": "x",
    "node_modules/m/i.js": "x",
    "keep/only/this": "x",
    "keep/that": "x",
    ".env": "x",
    "README.md": "x",
    "!bang": "x",
}
IGNORE = "# comment\n**/*.log\n!a/b/*.log\n/node_modules/\ndocs\n!docs/r.md\nkeep\n!keep/only/this\n.env*\n\\!bang\nsrc/./.hidden\n"


def test_files_follow_the_ignore_file(make_context):
    context = make_context({**TREE, ".dockerignore": IGNORE})
    assert context.files() == (
        ".dockerignore",
        "README.md",
        "[x]/f",
        "a/b/2.log",
        "a/b/c/3.txt",
        "docs/r.md",
        "keep/only/this",
        "src/x/y.js",
    )
    assert context.ignore_file == ".dockerignore"
    assert not context.truncated
    assert context.under("a") == ("a/b/2.log", "a/b/c/3.txt")
    assert context.under(".") == context.files()


def test_an_ignored_folder_comes_along_with_a_file_that_is_not(make_context):
    context = make_context({**TREE, ".dockerignore": IGNORE})
    assert context.is_dir("keep")
    assert context.exists("keep/only/this")
    assert not context.exists("keep/that")
    assert not context.exists("node_modules")
    assert not context.is_dir("node_modules/m")


def test_without_an_ignore_file_everything_reaches_the_builder(make_context):
    context = make_context(TREE)
    assert context.ignore_file is None
    assert context.files() == tuple(sorted(TREE))
    assert not context.ignored(".env")


def test_the_ignore_file_of_the_dockerfile_replaces_the_other(make_context):
    context = make_context(
        {"a": "", "b": "", ".dockerignore": "a", "prod.Dockerfile": "", "prod.Dockerfile.dockerignore": "b"}, "prod.Dockerfile"
    )
    assert context.ignore_file == "prod.Dockerfile.dockerignore"
    assert context.exists("a")
    assert context.ignored("b")


def test_the_ignore_file_of_another_dockerfile_does_not_count(make_context):
    context = make_context({"a": "", "b": "", ".dockerignore": "a", "prod.Dockerfile.dockerignore": "b"})
    assert context.ignore_file == ".dockerignore"
    assert context.exists("b")


def test_an_indented_hash_is_a_pattern(make_context):
    assert make_context({"# x": "", "y": "", ".dockerignore": "  # x\n"}).files() == (".dockerignore", "y")


def test_an_ignore_file_may_have_a_byte_order_mark_and_carriage_returns(make_context):
    assert make_context({"a": "", "b": "", ".dockerignore": codecs.BOM_UTF8 + b"a\r\n.dockerignore\r\n"}).files() == ("b",)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (".", (".",)),
        ("/", (".",)),
        ("src", ("src",)),
        ("./src/", ("src",)),
        ("/src", ("src",)),
        ("../src", ("src",)),
        ("*.md", ("README.md",)),
        ("a/*/*", ("a/b/2.log", "a/b/c")),
        ("[[]x]", ("[x]",)),
        ("?rc", ("src",)),
        ("[r-t]rc", ("src",)),
        (".*", (".env",)),
        ("\\!bang", ("!bang",)),
        ("*/*.js", ()),
        ("nope", ()),
        ("nope*", ()),
        ("[^!-Zd-z[]*", (".env", "a")[1:]),
        ("a/**", ("a/1.log", "a/b")),
        ("[a", ()),
        ("[]a]", ()),
        ("a\\", ()),
    ],
)
def test_copy_patterns_are_those_of_go(make_context, pattern, expected):
    assert make_context(TREE).match(pattern) == expected


def test_copy_patterns_do_not_see_ignored_files(make_context):
    context = make_context({**TREE, ".dockerignore": IGNORE})
    assert context.match("docs/*") == ("docs/r.md",)
    assert context.match(".env") == ()


def test_links_are_listed_and_never_followed_outside(make_context, tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("secret")
    make_context({"real/file": "text", "hidden": "no", ".dockerignore": "hidden"})
    (tmp_path / "inside").symlink_to("real/file")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "out").symlink_to(outside)
    (tmp_path / "dead").symlink_to("nowhere")
    (tmp_path / "past").symlink_to("hidden")
    context = BuildContext.open(tmp_path)
    assert context.files() == (".dockerignore", "dead", "folder", "inside", "out", "past", "real/file")
    assert context.read_text("inside") == "text"
    assert [context.read_text(name) for name in ("out", "dead", "folder", "past")] == [None] * 4
    assert context.exists("dead")
    assert not context.is_dir("folder")
    assert not context.exists("folder/file")


def test_a_link_to_itself_is_not_text(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert BuildContext.open(tmp_path).read_text("loop") is None


def test_sockets_and_pipes_are_left_out(make_context, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    context = make_context({"a": ""})
    assert context.files() == ("a",)
    assert context.read_text("pipe") is None


def test_read_text(make_context):
    context = make_context(
        {
            "a": "line\r\n",
            "bom": codecs.BOM_UTF8 + b"x",
            "utf16": codecs.BOM_UTF16_LE + "flask\n".encode("utf-16-le"),
            "latin": b"\xe9",
            "binary": b"\0ELF",
            "large": "x" * ((1 << 20) + 1),
            "secret": "s",
            ".dockerignore": "secret",
        }
    )
    assert context.read_text("./a") == "line\r\n"
    assert context.read_text("bom") == "x"
    assert context.read_text("utf16") == "flask\n"
    assert [context.read_text(name) for name in ("latin", "binary", "large", "secret", "absent", ".", "../a", "a/b", "\0")] == [None] * 9


def test_too_many_files_are_said_to_be_too_many(make_context, monkeypatch):
    monkeypatch.setattr(folder, "MAXIMUM_FILES", 3)
    context = make_context(dict.fromkeys("abcde", ""))
    assert context.truncated
    assert len(context.files()) == 3
    assert context.exists("e")  # asked for by name, it is still found


def test_as_many_files_as_the_bound_are_complete(make_context, monkeypatch):
    monkeypatch.setattr(folder, "MAXIMUM_FILES", 3)
    assert not make_context(dict.fromkeys("abc", "")).truncated


def test_what_cannot_be_opened_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(ContextError) as caught:
            BuildContext.open(path)
        assert caught.value.path == path
        assert caught.value.reason


@pytest.mark.parametrize("pattern", ["[a", "!", "a\\"])
def test_a_malformed_ignore_pattern_is_an_error(tmp_path, pattern):
    (tmp_path / ".dockerignore").write_text(f"{pattern}\n")
    with pytest.raises(ContextError, match="ignore pattern"):
        BuildContext.open(tmp_path)


def test_a_dockerfile_outside_brings_its_own_ignore_file(tmp_path: Path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project/a").write_text("")
    (tmp_path / "Dockerfile.dockerignore").write_text("a\n")
    context = BuildContext.open(tmp_path / "project", tmp_path / "Dockerfile")
    assert context.files() == ()
    assert context.ignore_file == str(tmp_path / "Dockerfile.dockerignore")
