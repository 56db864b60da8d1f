"""``dopt fix`` and ``dopt check``: what they write, say and exit with, and what they leave alone."""

from __future__ import annotations

import os
import stat

import pytest

CHANGES = b"FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n"
CHANGED = b"FROM debian:bookworm\nRUN mkdir /a \\\n    && mkdir /b\n"
STAYS = b"FROM debian:bookworm\nRUN mkdir /a\n"
UNSAFE = b'FROM node:20\nCOPY . .\nRUN yarn install\nCMD ["node", "a.js"]\n'


def test_rewrites_in_place_and_says_why(dopt, put):
    file = put("Dockerfile", CHANGES)
    result = dopt("fix", str(file))
    assert (result.exit_code, file.read_bytes()) == (0, CHANGED)
    assert "2-3  merge-runs  merge 2 RUN instructions into one layer [safe]" in result.stdout
    assert "\n         each command runs" in result.stdout
    assert result.stdout.endswith("1 file of 1 rewritten, 1 rewrite\n")
    assert result.stderr == ""


def test_searches_the_current_folder_without_paths(dopt, put):
    files = put("Dockerfile", CHANGES), put("deep/er/api.Dockerfile", CHANGES)
    assert dopt("fix").exit_code == 0
    assert [file.read_bytes() for file in files] == [CHANGED, CHANGED]


def test_again_changes_nothing(dopt, put):
    file = put("Dockerfile", CHANGES)
    dopt("fix")
    before = file.stat()
    result = dopt("fix")
    assert (result.exit_code, file.stat().st_ino, file.stat().st_mtime_ns) == (0, before.st_ino, before.st_mtime_ns)
    assert result.stdout == "0 files of 1 rewritten, 0 rewrites\n"


@pytest.mark.parametrize(("content", "code"), [(CHANGES, 1), (STAYS, 0)])
def test_check_writes_nothing_and_tells_by_its_exit_code(dopt, put, content, code):
    file = put("Dockerfile", content)
    result = dopt("check")
    assert (result.exit_code, file.read_bytes()) == (code, content)
    assert "would be rewritten" in result.stdout


def test_diff_writes_nothing_and_has_standard_output_to_itself(dopt, put):
    file = put("Dockerfile", CHANGES)
    result = dopt("fix", "--diff")
    assert (result.exit_code, file.read_bytes()) == (0, CHANGES)
    assert result.stdout.startswith("--- a/Dockerfile\n+++ b/Dockerfile\n@@ ")
    assert "merge-runs" not in result.stdout
    assert "merge-runs" in result.stderr
    assert dopt("check", "--diff").exit_code == 1


def test_diff_of_nothing_is_empty(dopt, put):
    put("Dockerfile", STAYS)
    assert dopt("fix", "--diff").stdout == ""


def test_standard_input_goes_to_standard_output(dopt, put):
    bystander = put("Dockerfile", CHANGES)
    result = dopt("fix", "-", stdin=CHANGES)
    assert (result.exit_code, result.stdout_bytes) == (0, CHANGED)
    assert "<stdin>" in result.stderr
    assert bystander.read_bytes() == CHANGES


def test_standard_input_as_diff(dopt):
    result = dopt("fix", "--diff", "-q", "-", stdin=CHANGES)
    assert result.stdout.startswith("--- a/Dockerfile\n")
    assert result.stderr == ""


@pytest.mark.parametrize(
    "content", [b"FROM debian:bookworm\nFOO bar\n", b"FROM a\0b\n", b"", STAYS.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + STAYS]
)
def test_standard_input_that_is_not_rewritten_comes_out_as_it_went_in(dopt, content):
    assert dopt("fix", "-", stdin=content).stdout_bytes == content


def test_check_of_standard_input_prints_no_dockerfile(dopt):
    result = dopt("check", "-q", "-", stdin=CHANGES)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "")


def test_standard_input_does_not_go_with_files(dopt, put):
    file = put("Dockerfile", CHANGES)
    result = dopt("fix", "-", "Dockerfile", stdin=CHANGES)
    assert (result.exit_code, result.stdout, file.read_bytes()) == (2, "", CHANGES)
    assert result.stderr == "Error: - for standard input does not go with other paths\n"


def test_standard_input_has_no_context_unless_one_is_given(dopt, put):
    put("requirements.txt", "flask\n")
    put("app.py", "import flask\n")
    source = b'FROM python:3.12\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\nCMD ["python", "app.py"]\n'
    assert b"COPY requirements.txt" not in dopt("fix", "-", stdin=source).stdout_bytes
    assert b"COPY requirements.txt" in dopt("fix", "--context", ".", "-", stdin=source).stdout_bytes


@pytest.mark.parametrize(
    "content",
    [
        CHANGES.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + CHANGES,
        CHANGES.rstrip(b"\n"),
        CHANGES + b"# caf\xe9, in latin-1\n",
    ],
    ids=["carriage returns", "byte order mark", "no last line end", "no UTF-8"],
)
def test_keeps_how_the_text_is_written(dopt, put, content):
    file = put("Dockerfile", content)
    assert dopt("fix").exit_code == 0
    assert file.read_bytes() == content.replace(
        CHANGES.replace(b"\n", b"\r\n").rstrip(b"\r\n") if b"\r" in content else CHANGES.rstrip(b"\n"),
        (CHANGED.replace(b"\n", b"\r\n") if b"\r" in content else CHANGED).rstrip(b"\r\n"),
    )


def test_keeps_the_mode(dopt, put):
    file = put("Dockerfile", CHANGES)
    file.chmod(0o600)
    dopt("fix")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (CHANGED, 0o600)


def test_follows_a_link_and_keeps_it(dopt, put, folder):
    target = put("real/image", CHANGES)
    link = folder / "Dockerfile"
    link.symlink_to("real/image")
    assert dopt("fix", "Dockerfile").exit_code == 0
    assert (link.is_symlink(), os.readlink(link), target.read_bytes()) == (True, "real/image", CHANGED)


def test_takes_a_file_of_any_name(dopt, put):
    file = put("image.txt", CHANGES)
    dopt("fix", "image.txt")
    assert file.read_bytes() == CHANGED


@pytest.mark.parametrize(
    ("arguments", "content", "runs"),
    [
        (["--select", "merge-runs"], CHANGES, True),
        (["--select", "clean-package-caches"], CHANGES, False),
        (["--select", "clean-package-caches,merge-runs"], CHANGES, True),
        (["--select", "clean-package-caches", "--select", "merge-runs"], CHANGES, True),
        (["--ignore", "merge-runs"], CHANGES, False),
        (["--ignore", "clean-package-caches"], CHANGES, True),
        ([], CHANGES.replace(b"RUN mkdir /a", b"# dopt: ignore[merge-runs]\nRUN mkdir /a"), False),
        ([], CHANGES.replace(b"RUN mkdir /a", b"# dopt: ignore\nRUN mkdir /a"), False),
        ([], CHANGES.replace(b"RUN mkdir /a", b"# dopt: ignore[clean-package-caches]\nRUN mkdir /a"), True),
        ([], b"# dopt: ignore-file\n" + CHANGES, False),
    ],
)
def test_runs_what_is_selected_and_not_ignored(dopt, put, arguments, content, runs):
    put("Dockerfile", content)
    assert dopt("check", *arguments).exit_code == runs


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_a_pass_that_there_is_not_is_one_clear_line(dopt, put, option):
    file = put("Dockerfile", CHANGES)
    result = dopt("fix", option, "merge-run")
    assert (result.exit_code, file.read_bytes()) == (2, CHANGES)
    assert result.stderr == f"Error: {option}: unknown pass 'merge-run' (did you mean 'merge-runs'?); 'dopt passes' lists them\n"


def test_unsafe_changes_are_made_only_when_asked_for(dopt, put):
    put("package.json", "{}")
    put("a.js", "")
    put("yarn.lock", "")
    file = put("Dockerfile", UNSAFE)
    careful = dopt("check", "-v", "--select", "clean-package-caches")
    assert (careful.exit_code, "(--unsafe does it)" in careful.stdout) == (0, True)
    assert careful.stdout.endswith("1 refusal; --unsafe does 1 more\n")
    assert file.read_bytes() == UNSAFE
    bold = dopt("fix", "--unsafe", "--select", "clean-package-caches")
    assert "[unsafe: only if" in bold.stdout
    assert file.read_bytes() != UNSAFE


REFUSED = b"FROM debian:bookworm\nRUN umask 077 && touch a\nRUN touch b\n"


def test_refusals_are_counted_and_told_when_asked_for(dopt, put):
    put("Dockerfile", REFUSED)
    assert dopt("check").stdout == "0 files of 1 would be rewritten, 0 rewrites; 1 refusal (-v says why)\n"
    told = dopt("check", "-v").stdout
    assert "merge-runs  not done: " in told
    assert told.endswith("0 rewrites; 1 refusal\n")


def test_quiet_says_nothing(dopt, put):
    put("Dockerfile", CHANGES)
    result = dopt("fix", "-q")
    assert (result.stdout, result.stderr) == ("", "")


def test_a_stage_as_target(dopt, put):
    put("Dockerfile", b"FROM debian:bookworm AS one\nRUN mkdir /a\nFROM one\n")
    assert dopt("check", "--target", "one").exit_code == 0
    result = dopt("check", "--target", "two")
    assert (result.exit_code, result.stderr) == (2, "Dockerfile: no stage 'two'\n")
