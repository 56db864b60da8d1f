"""Bad input is one line each, and everything else is done all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import optimizer
from optimizer import files

CHANGES = b"FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n"
CHANGED = b"FROM debian:bookworm\nRUN mkdir /a \\\n    && mkdir /b\n"


def link_to_nothing(path):
    path.symlink_to("nothing")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such file or directory"),
        (link_to_nothing, "no such file or directory"),
        (lambda path: path.write_bytes(b"FROM a\nR\0"), "2:2: not a text file: it holds NUL bytes"),
        (lambda path: path.write_bytes("FROM a\n".encode("utf-16")), "1:4: not a text file: it holds NUL bytes"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.mkdir(), "no Dockerfile here"),
    ],
    ids=["missing", "link to nothing", "binary", "UTF-16", "pipe", "folder without Dockerfile"],
)
def test_one_line_and_the_others_are_done(dopt, put, folder, make, said):
    good = put("a.Dockerfile", CHANGES), put("c.Dockerfile", CHANGES)
    make(folder / "b")
    result = dopt("fix", "a.Dockerfile", "b", "c.Dockerfile")
    assert (result.exit_code, result.stderr) == (2, f"b:{said if said[0].isdigit() else f' {said}'}\n")
    assert [file.read_bytes() for file in good] == [CHANGED, CHANGED]


def test_an_unreadable_file(dopt, put, monkeypatch):
    bad, good = put("a/Dockerfile", CHANGES), put("b/Dockerfile", CHANGES)
    real = Path.read_bytes

    def read_bytes(path):  # a mode says nothing to root
        if path.parent.name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    result = dopt("fix")
    assert (result.exit_code, result.stderr) == (2, "a/Dockerfile: permission denied\n")
    monkeypatch.undo()
    assert (bad.read_bytes(), good.read_bytes()) == (CHANGES, CHANGED)


def test_an_unreadable_folder(dopt, put, monkeypatch):
    put("a/Dockerfile", CHANGES)
    good = put("b/Dockerfile", CHANGES)
    real = os.scandir

    def scandir(path="."):
        if os.path.basename(path) == "a":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    result = dopt("fix", ".")
    assert (result.exit_code, result.stderr) == (2, "./a: permission denied\n")
    assert good.read_bytes() == CHANGED


def test_errors_in_a_dockerfile_have_line_and_column(dopt, put):
    source = b"FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n  FOO bar\nCOPY a\n"
    bad, good = put("a.Dockerfile", source), put("b.Dockerfile", CHANGES)
    result = dopt("fix")
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first.startswith("a.Dockerfile:4:3: unknown instruction: FOO")
    assert second.startswith("a.Dockerfile:5:1: COPY requires at least two arguments")
    assert (bad.read_bytes(), good.read_bytes()) == (source, CHANGED)


def test_bad_input_outweighs_changes_in_the_exit_code_of_check(dopt, put):
    put("a.Dockerfile", b"FOO\n")
    put("b.Dockerfile", CHANGES)
    assert dopt("check").exit_code == 2


@pytest.mark.parametrize(("arguments", "lines"), [((), 1), (("-v",), 5)])
def test_a_crash_is_a_line_and_the_file_stays(dopt, put, monkeypatch, arguments, lines):
    bad, good = put("a/Dockerfile", CHANGES + b"CMD boom\n"), put("b/Dockerfile", CHANGES)
    real = optimizer.optimize

    def optimize(source, **options):
        if "boom" in source.text:
            raise KeyError("an accident\non two lines")
        return real(source, **options)

    monkeypatch.setattr(optimizer, "optimize", optimize)
    result = dopt("fix", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("a/Dockerfile: internal error in outcome.py:")
    assert "please report: KeyError: 'an accident" in result.stderr.splitlines()[0]
    assert len(result.stderr.splitlines()) >= lines
    assert ("Traceback" in result.stderr) == bool(arguments)
    assert (bad.read_bytes(), good.read_bytes()) == (CHANGES + b"CMD boom\n", CHANGED)


def test_a_write_protected_file(dopt, put, monkeypatch):
    bad, good = put("a.Dockerfile", CHANGES), put("b.Dockerfile", CHANGES)
    allowed = os.access
    protected = (Path("a.Dockerfile").name, os.W_OK)
    monkeypatch.setattr(files.os, "access", lambda path, mode: (Path(path).name, mode) != protected and allowed(path, mode))
    result = dopt("fix")
    assert (result.exit_code, result.stderr) == (2, "a.Dockerfile: write-protected\n")
    assert (bad.read_bytes(), good.read_bytes()) == (CHANGES, CHANGED)
    assert dopt("check", "a.Dockerfile").exit_code == 1  # looking is allowed


def test_a_file_that_changes_meanwhile_keeps_what_came(dopt, put, monkeypatch):
    file = put("Dockerfile", CHANGES)
    real = optimizer.optimize

    def optimize(source, **options):
        file.write_bytes(b"FROM scratch\n")
        return real(source, **options)

    monkeypatch.setattr(optimizer, "optimize", optimize)
    result = dopt("fix")
    assert (result.exit_code, result.stderr) == (2, "Dockerfile: changed while it was being rewritten; not written\n")
    assert file.read_bytes() == b"FROM scratch\n"
    assert [path.name for path in file.parent.iterdir()] == ["Dockerfile"]


@pytest.mark.parametrize("name", ["nowhere", "Dockerfile"])
def test_a_context_that_is_no_folder_is_said_once(dopt, put, name):
    file = put("Dockerfile", CHANGES)
    put("b.Dockerfile", CHANGES)
    result = dopt("fix", "--context", name)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert f"{name}: no build context: " in result.stderr
    assert file.read_bytes() == CHANGES


def test_a_name_that_is_no_text(dopt_process, folder):
    name = os.fsdecode(b"caf\xe9.Dockerfile")
    (folder / name).write_bytes(b"FOO\n")
    result = dopt_process("check")
    assert result.returncode == 2
    assert result.stderr.startswith(b"caf\xe9.Dockerfile:1:1: unknown instruction")


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_when_writing_fails_nothing_is_left_behind(dopt, put, monkeypatch, failing):
    file = put("Dockerfile", CHANGES)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, failing, fail)
    result = dopt("fix")
    assert (result.exit_code, result.stderr) == (2, "Dockerfile: not written: no space left on device\n")
    assert file.read_bytes() == CHANGES
    assert [path.name for path in file.parent.iterdir()] == ["Dockerfile"]
