"""``dopt fix --diff`` gives what ``git apply`` takes, and applied it is what ``dopt fix`` writes."""

from __future__ import annotations

import os
import subprocess

import pytest

CHANGES = b"FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n" + b"EXPOSE 1\n" * 9 + b"RUN mkdir /c\nRUN mkdir /d\nCMD a\n"


def git(*arguments, cwd, stdin=b""):
    return subprocess.run(["git", *arguments], cwd=cwd, input=stdin, capture_output=True, check=False)


def apply(patch, cwd):
    return git("apply", "--whitespace=nowarn", cwd=cwd, stdin=patch)


@pytest.fixture
def repository(folder):
    assert git("init", "-q", cwd=folder).returncode == 0
    return folder


@pytest.mark.parametrize(
    "content",
    [
        CHANGES,
        CHANGES.rstrip(b"\n"),
        CHANGES.replace(b"\n", b"\r\n"),
        CHANGES.replace(b"\n", b"\r\n").rstrip(b"\r\n"),
        b"\xef\xbb\xbf" + CHANGES,
        b"# caf\xe9\x0c, a form feed and \xe2\x80\xa8 a line separator\n" + CHANGES,
        CHANGES.replace(b"CMD", b"# - -- +++ @@\nCMD"),
    ],
    ids=["plain", "no last line end", "carriage returns", "both", "byte order mark", "other line ends", "looks like a diff"],
)
def test_applied_it_is_what_fix_writes(repository, put, dopt_process, content):
    file = put("Dockerfile", content)
    patch = dopt_process("fix", "--diff", "-q").stdout
    assert file.read_bytes() == content
    applied = apply(patch, repository)
    assert (applied.returncode, applied.stderr) == (0, b"")
    by_diff = file.read_bytes()
    file.write_bytes(content)
    dopt_process("fix")
    assert by_diff == file.read_bytes() != content


NAMES = ["a b.Dockerfile", "ünï cödé.Dockerfile", 'quo"te.Dockerfile', "back\\slash.Dockerfile", "tab\there.Dockerfile", "a b/Dockerfile"]


@pytest.mark.parametrize("name", [*NAMES, os.fsdecode(b"caf\xe9.Dockerfile")])
def test_any_name(repository, put, dopt_process, name):
    file = put(name, CHANGES)
    applied = apply(dopt_process("fix", "--diff", "-q").stdout, repository)
    assert (applied.returncode, applied.stderr) == (0, b"")
    assert b"&& mkdir /b" in file.read_bytes()


def test_many_files_in_one_diff(repository, put, dopt_process):
    files = [put(f"{i}/Dockerfile", CHANGES.rstrip(b"\n") if i % 2 else CHANGES) for i in range(5)]
    assert apply(dopt_process("fix", "--diff").stdout, repository).returncode == 0
    assert all(b"&& mkdir /b" in file.read_bytes() for file in files)


def test_it_counts_from_the_current_folder(repository, put, dopt_process):
    file = put("a/b/Dockerfile", CHANGES)
    for cwd in (repository, repository / "a", repository / "a/b"):
        file.write_bytes(CHANGES)
        patch = dopt_process("fix", "--diff", "-q", str(file), cwd=cwd).stdout
        assert apply(patch, cwd).returncode == 0
        assert b"&& mkdir /b" in file.read_bytes()


def test_it_names_what_a_link_leads_to(repository, put, dopt_process):
    file = put("real/image", CHANGES)
    (repository / "Dockerfile").symlink_to("real/image")
    assert apply(dopt_process("fix", "--diff", "Dockerfile").stdout, repository).returncode == 0
    assert b"&& mkdir /b" in file.read_bytes()
    assert (repository / "Dockerfile").is_symlink()


def test_a_file_outside_the_current_folder_is_said_to_be(repository, put, dopt_process):
    put("a/Dockerfile", CHANGES)
    (repository / "b").mkdir()
    result = dopt_process("fix", "--diff", "-q", "../a/Dockerfile", cwd=repository / "b")
    assert (result.returncode, result.stderr) == (0, b"../a/Dockerfile: outside of this folder, where 'git apply' does not reach\n")
    assert result.stdout.startswith(b"--- a/../a/Dockerfile\n")


def test_a_diff_does_not_apply_to_another_file(repository, put, dopt_process):
    file = put("Dockerfile", CHANGES)
    patch = dopt_process("fix", "--diff", "-q").stdout
    file.write_bytes(CHANGES.replace(b"/a", b"/z"))
    assert apply(patch, repository).returncode != 0
