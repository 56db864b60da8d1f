"""``--since``: only files that have changed, and in them only what touches changed lines."""

from __future__ import annotations

import subprocess

import pytest

START = "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\nENV A 1\nRUN mkdir /c\nRUN mkdir /d\nENV B 2\n"
MERGED = "RUN mkdir /a \\\n    && mkdir /b\n"


def git(cwd, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(folder, put):
    """A repository with one commit on ``main``, and a branch ``work`` that is checked out."""
    put("Dockerfile", START)
    put("other/Dockerfile", START)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    git(folder, "checkout", "-qb", "work")
    return folder


def changed(text, *pairs):
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize("committed", [True, False, "staged"])
def test_only_what_touches_a_changed_line_is_rewritten(repository, put, dopt, committed):
    file = put("Dockerfile", changed(START, ("mkdir /b", "mkdir /b2")))
    if committed:
        git(repository, "add", "-A")
    if committed is True:
        git(repository, "commit", "-qm", "two")
    result = dopt("fix", "--since", "main")
    assert file.read_text() == changed(START, ("RUN mkdir /a\nRUN mkdir /b\n", "RUN mkdir /a \\\n    && mkdir /b2\n"))
    assert (repository / "other/Dockerfile").read_text() == START
    assert result.stdout.endswith("1 file of 1 rewritten, 1 rewrite\n")


def test_what_happened_on_the_other_branch_does_not_count(repository, put, dopt):
    git(repository, "checkout", "-q", "main")
    put("other/Dockerfile", START + "RUN mkdir /e\n")
    git(repository, "commit", "-qam", "theirs")
    git(repository, "checkout", "-q", "work")
    result = dopt("check", "--since", "main")
    assert (result.exit_code, result.stdout) == (0, "no Dockerfile has changed since main\n")


def test_lines_that_went_count_for_what_spans_the_place(repository, put, dopt):
    file = put("Dockerfile", changed(START, ("ENV A 1\n", "")))
    dopt("fix", "--since", "main")
    assert file.read_text() == changed(
        START,
        ("RUN mkdir /a\nRUN mkdir /b\nENV A 1\nRUN mkdir /c\nRUN mkdir /d\n", MERGED[:-1] + " \\\n    && mkdir /c \\\n    && mkdir /d\n"),
    )


def test_an_instruction_counts_as_a_whole(repository, put, dopt):
    put("Dockerfile", "FROM debian:bookworm\nENV A=1 \\\n    B=2\nRUN mkdir /a && \\\n    mkdir /b\nRUN mkdir /c\n")
    git(repository, "commit", "-qam", "two")
    file = put("Dockerfile", "FROM debian:bookworm\nENV A=1 \\\n    B=2\nRUN mkdir /a && \\\n    mkdir /b2\nRUN mkdir /c\n")
    dopt("fix", "--since", "HEAD")
    assert "mkdir /b2 && \\\n    mkdir /c" in file.read_text()


@pytest.mark.parametrize("added", [True, False])
def test_new_files_count_as_a_whole(repository, put, dopt, added):
    file = put("new/Dockerfile", START)
    if added:
        git(repository, "add", "-A")
    dopt("fix", "--since", "main")
    assert "ENV A=1\n" in file.read_text()
    assert MERGED in file.read_text()
    assert (repository / "Dockerfile").read_text() == START


def test_a_renamed_file_is_compared_with_what_it_was(repository, dopt):
    git(repository, "mv", "other/Dockerfile", "api.Dockerfile")
    file = repository / "api.Dockerfile"
    assert dopt("check", "--since", "main").stdout == "no Dockerfile has changed since main\n"
    file.write_text(changed(START, ("ENV B 2", "ENV B 3")))
    dopt("fix", "--since", "main")
    assert file.read_text() == changed(START, ("ENV B 2", "ENV B=3"))


def test_refusals_and_findings_are_of_changed_lines_too(repository, put, dopt):
    put("Dockerfile", "FROM debian:bookworm\nRUN umask 077 && touch a\nRUN touch b\nADD http://example.org/a /\nENV A=1\n")
    git(repository, "commit", "-qam", "two")
    put("Dockerfile", "FROM debian:bookworm\nRUN umask 077 && touch a\nRUN touch b\nADD http://example.org/a /\nENV A=2\n")
    assert "not done" not in dopt("check", "-v", "--since", "HEAD").stdout
    assert "not done" in dopt("check", "-v").stdout


@pytest.mark.parametrize(
    "name", ["a b.Dockerfile", "ünï.Dockerfile", 'quo"te.Dockerfile', "tab\t.Dockerfile", ":(top)x.Dockerfile", "[a]*.Dockerfile"]
)
def test_any_name(repository, put, dopt, name):
    put(name, START)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "named")
    file = put(name, changed(START, ("ENV B 2", "ENV B 3")))
    dopt("fix", "--since", "HEAD")
    assert file.read_text() == changed(START, ("ENV B 2", "ENV B=3"))


@pytest.mark.parametrize(
    "content",
    [
        START.replace("\n", "\r\n"),
        START.rstrip("\n"),
        "# \x0c and \u2028 end no line, \x85 neither\n" + START,
    ],
    ids=["carriage returns", "no last line end", "other line ends"],
)
def test_lines_are_counted_as_git_does(repository, put, dopt, content):
    put("Dockerfile", content.encode())
    git(repository, "commit", "-qam", "two", "--allow-empty")
    file = put("Dockerfile", changed(content, ("ENV B 2", "ENV B 3")).encode())
    dopt("fix", "--since", "HEAD")
    assert file.read_bytes() == changed(content, ("ENV B 2", "ENV B=3")).encode()


def test_a_changed_line_may_look_like_the_head_of_a_diff(repository, put, dopt):
    content = START + "RUN <<EOF\n-- a/x\nEOF\nENV C 3\n"
    put("Dockerfile", content)
    git(repository, "commit", "-qam", "two")
    file = put("Dockerfile", changed(content, ("-- a/x", "++ b/x\n@@ -1 +1 @@"), ("ENV C 3", "ENV C 4")))
    dopt("fix", "--since", "HEAD")
    assert file.read_text() == changed(content, ("-- a/x", "++ b/x\n@@ -1 +1 @@"), ("ENV C 3", "ENV C=4"))


def test_the_users_own_settings_of_git_change_nothing(repository, put, dopt, monkeypatch):
    for setting in (
        "diff.noprefix=true", "diff.mnemonicPrefix=true", "color.ui=always", "diff.external=false", "diff.interHunkContext=9",
        "diff.renames=false", "core.quotePath=true", "diff.relative=true",
    ):  # fmt: skip
        git(repository, "config", *setting.split("="))
    monkeypatch.setenv("GIT_DIFF_OPTS", "--unified=9")
    put(".gitattributes", "*ockerfile binary\n")
    file = put("Dockerfile", changed(START, ("mkdir /b", "mkdir /b2")))
    dopt("fix", "--since", "main", "Dockerfile")
    assert file.read_text() == changed(START, ("RUN mkdir /a\nRUN mkdir /b\n", "RUN mkdir /a \\\n    && mkdir /b2\n"))


def test_from_a_folder_below_and_through_a_link(repository, put, dopt, monkeypatch):
    file = put("other/Dockerfile", changed(START, ("ENV B 2", "ENV B 3")))
    (repository / "other/link.Dockerfile").symlink_to("Dockerfile")
    monkeypatch.chdir(repository / "other")
    dopt("fix", "--since", "main", "link.Dockerfile")
    assert file.read_text() == changed(START, ("ENV B 2", "ENV B=3"))


@pytest.mark.parametrize("ref", ["nothing", "--output=x", "", "main..work"])
def test_no_commit_is_one_line(repository, dopt, ref):
    result = dopt("fix", f"--since={ref}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: --since: '{ref}' is no commit in the repository .\n"
    assert (repository / "Dockerfile").read_text() == START


def test_no_common_commit_is_one_line(repository, dopt):
    git(repository, "checkout", "-q", "--orphan", "alone")
    git(repository, "commit", "-qm", "alone")
    result = dopt("check", "--since", "main")
    assert (result.exit_code, result.stderr) == (
        2, "Error: --since: 'main' and HEAD have no commit in common; is the clone a shallow one?\n",
    )  # fmt: skip


def test_no_repository_is_one_line(folder, put, dopt):
    put("Dockerfile", START)
    result = dopt("check", "--since", "main")
    assert (result.exit_code, result.stderr) == (2, "Error: --since: Dockerfile lies in no git repository\n")


def test_it_does_not_go_with_standard_input(dopt):
    assert dopt("check", "--since", "main", "-").stderr == "Error: --since compares files; it does not go with -\n"


def test_without_git(repository, dopt, monkeypatch):
    monkeypatch.setenv("PATH", "")
    result = dopt("check", "--since", "main")
    assert (result.exit_code, result.stderr) == (2, "Error: --since: git cannot be run: No such file or directory\n")
