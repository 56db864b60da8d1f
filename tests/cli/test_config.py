"""Configuration files: where they are found, what they say, what is wrong with them, and that the command line wins."""

from __future__ import annotations

import pytest

CHANGES = "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n"
SPLITS = 'FROM python:3.12-bookworm\nRUN pip install flask\nCOPY app.py .\nCMD ["python", "app.py"]\n'
STAYS = "FROM debian:bookworm\nRUN mkdir /a\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dopt.toml", 'ignore = ["merge-runs"]\n'),
        ("pyproject.toml", '[tool.dopt]\nignore = ["merge-runs"]\n'),
        ("app/dopt.toml", 'select = ["clean-package-caches"]\n'),
    ],
)
def test_settings_apply_to_dockerfiles_below(dopt, put, name, content):
    put("app/docker/Dockerfile", CHANGES)
    assert dopt("check").exit_code == 1
    put(name, content)
    assert dopt("check").exit_code == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("other/dopt.toml", 'ignore = ["merge-runs"]\n'),  # beside, not above
        ("app/docker/deeper/dopt.toml", 'ignore = ["merge-runs"]\n'),
        ("pyproject.toml", '[tool.other]\nignore = ["merge-runs"]\n'),
        ("pyproject.toml", "[tool.other]\nthis is no TOML\n"),  # not ours to complain about
        ("pyproject.toml", 'tool = "dopt"\n'),
        ("dopt.toml", ""),
        ("dopt.toml", "unsafe = false\nselect = ['merge-runs']\nignore = []\n"),
    ],
)
def test_settings_that_say_nothing_here(dopt, put, name, content):
    put("app/docker/Dockerfile", CHANGES)
    put(name, content)
    result = dopt("check")
    assert (result.exit_code, result.stderr) == (1, "")


def test_the_nearest_file_holds_alone(dopt, put):
    put("app/Dockerfile", CHANGES)
    put("dopt.toml", 'ignore = ["merge-runs"]\n')
    put("app/pyproject.toml", "[project]\nname = 'dopt-user'\n")  # has no say, so the search goes on
    assert dopt("check").exit_code == 0
    put("app/dopt.toml", "")
    assert dopt("check").exit_code == 1


def test_the_search_stops_at_the_repository(dopt, put, folder):
    put("dopt.toml", 'ignore = ["merge-runs"]\n')
    put("repository/Dockerfile", CHANGES)
    assert dopt("check", "repository").exit_code == 0
    (folder / "repository/.git").mkdir()
    assert dopt("check", "repository").exit_code == 1


def test_each_dockerfile_has_its_own(dopt, put):
    put("a/dopt.toml", 'ignore = ["merge-runs"]\n')
    stays = put("a/Dockerfile", CHANGES)
    changes = put("b/Dockerfile", CHANGES)
    assert dopt("fix").exit_code == 0
    assert (stays.read_text() == CHANGES, changes.read_text() == CHANGES) == (True, False)


@pytest.mark.parametrize(
    ("config", "arguments", "code"),
    [
        ('ignore = ["merge-runs"]', ["--ignore", "clean-package-caches"], 1),
        ('ignore = ["merge-runs"]', ["--select", "merge-runs"], 1),
        ('ignore = ["merge-runs"]', ["--select", "clean-package-caches"], 0),
        ('select = ["merge-runs"]', ["--select", "clean-package-caches"], 0),
        ('select = ["merge-runs"]', ["--ignore", "merge-runs"], 0),
        ('target = "nowhere"', ["--target", "one"], 1),
        ('context = "nowhere"', ["--context", "."], 1),
        ('context = "nowhere"', [], 2),
        ('target = "nowhere"', [], 2),
        ('context = ".."', [], 1),
        ('runtime = "same"', ["--select", "split-stages"], 0),
        ('runtime = "same"', ["--select", "split-stages", "--runtime", "slim"], 1),
        ("", ["--select", "split-stages", "--runtime", "same"], 0),
    ],
)
def test_the_command_line_wins(dopt, put, config, arguments, code):
    put("dopt.toml", config)
    put("Dockerfile", CHANGES.replace("bookworm", "bookworm AS one") if "split-stages" not in arguments else SPLITS)
    put("app.py", "import flask\n")
    assert dopt("check", *arguments).exit_code == code


def test_unsafe_can_be_taken_back(dopt, put):
    put("dopt.toml", "unsafe = true\n")
    put("Dockerfile", "FROM node:20\nCOPY yarn.lock .\nRUN yarn install\n")
    put("yarn.lock", "")
    assert dopt("check", "--select", "clean-package-caches").exit_code == 1
    assert dopt("check", "--select", "clean-package-caches", "--no-unsafe").exit_code == 0


def test_a_given_file_holds_everywhere(dopt, put, folder):
    put("a/dopt.toml", "")
    put("a/Dockerfile", CHANGES)
    put("settings/mine.toml", 'ignore = ["merge-runs"]\n')
    assert dopt("check").exit_code == 1
    assert dopt("check", "--config", "settings/mine.toml").exit_code == 0


@pytest.mark.parametrize(("content", "said"), [(None, "no such file"), ("[tool.other]\n", "no [tool.dopt] in it")])
def test_a_given_file_must_say_something(dopt, put, content, said):
    put("Dockerfile", CHANGES)
    if content is not None:
        put("x/pyproject.toml", content)
    result = dopt("check", "--config", "x/pyproject.toml")
    assert (result.exit_code, result.stderr) == (2, f"Error: x/pyproject.toml: {said}\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ignor = []", "unknown key 'ignor' (did you mean 'ignore'?)"),
        ("zzz = 1", "unknown key 'zzz'"),
        ("ignore = 'merge-runs'", "'ignore' must be a list of strings"),
        ("select = [1]", "'select' must be a list of strings"),
        ("unsafe = 'yes'", "'unsafe' must be true or false"),
        ("target = 1", "'target' must be a string"),
        ("runtime = 1", "'runtime' must be a string"),
        ("runtime = 'distro'", "'runtime' must be one of same, slim, distroless (did you mean 'distroless'?)"),
        ("select = ['merge-run']", "'select': unknown pass 'merge-run' (did you mean 'merge-runs'?)"),
        ("exclude = ['[']", "'exclude': "),
    ],
)
def test_what_is_wrong_is_one_line_and_other_files_are_done(dopt, put, content, said):
    stays, changes = put("a/Dockerfile", CHANGES), put("b/Dockerfile", CHANGES)
    put("a/x/Dockerfile", CHANGES)
    config = put("a/dopt.toml", content)
    result = dopt("fix")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{config}: {said}")
    assert result.stderr.count("\n") == 1
    assert (stays.read_text() == CHANGES, changes.read_text() == CHANGES) == (True, False)


def test_what_is_no_toml_has_line_and_column(dopt, put):
    put("Dockerfile", CHANGES)
    config = put("dopt.toml", "unsafe = true\ntarget = nobody\n")
    assert dopt("check").stderr.startswith(f"{config}:2:10: no TOML: ")
    config.write_text("select = [")
    assert dopt("check").stderr.startswith(f"{config}: no TOML: ")
    config.write_bytes(b"target = '\xe9'\n")
    assert dopt("check").stderr == f"{config}: not UTF-8\n"
    config.unlink()
    pyproject = put("pyproject.toml", "[tool]\ndopt = 1\n")
    assert dopt("check").stderr == f"{pyproject}: 'tool.dopt' must be a table\n"


def test_excluded_files_are_left_out_of_a_search_only(dopt, put):
    put("dopt.toml", "exclude = ['examples', '**/*.old', '!examples/kept']\n")
    excluded = put("examples/a/Dockerfile", CHANGES), put("b/Dockerfile.old", CHANGES)
    done = put("examples/kept/Dockerfile", CHANGES), put("b/Dockerfile", CHANGES)
    dopt("fix", ".")
    assert [file.read_text() == CHANGES for file in (*excluded, *done)] == [True, True, False, False]
    dopt("fix", *map(str, excluded))
    assert [file.read_text() == CHANGES for file in excluded] == [False, False]


def test_when_all_are_excluded_it_is_said(dopt, put):
    put("dopt.toml", "exclude = ['**']\n")
    put("Dockerfile", CHANGES)
    result = dopt("check")
    assert (result.exit_code, result.stderr) == (2, ".: no Dockerfile here but the 1 that are excluded\n")


def test_the_context_counts_from_the_file(dopt, put):
    put("settings/dopt.toml", "context = '../app'\n")
    put("app/marker", "")
    put("Dockerfile", STAYS)
    assert dopt("check", "--config", "settings/dopt.toml").exit_code == 0
    put("settings/dopt.toml", "context = 'app'\n")
    assert dopt("check", "--config", "settings/dopt.toml").exit_code == 2
