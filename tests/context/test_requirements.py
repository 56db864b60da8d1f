"""What pip reads. Names and nesting were compared with pip's own reader."""

from __future__ import annotations

import pytest

from optimizer.context.requirements import Requirement, requirement_files


def read(make_context, text, cwd=".", **others):
    return requirement_files(make_context({"requirements.txt": text, **others}), "requirements.txt", cwd=cwd)


def test_a_plain_list_is_closed(make_context):
    found = read(make_context, "Django==4.2  # web\n\n# comment\nzope.interface>=5; python_version < '4'\nrequests[socks, security]\n")
    assert found.files == ("requirements.txt",)
    assert found.problems == ()
    assert found.packages == (
        Requirement("django", "==4.2"),
        Requirement("zope-interface", ">=5", marker='python_version < "4"'),
        Requirement("requests", extras=("security", "socks")),
    )


def test_continuations_hashes_and_carriage_returns(make_context):
    found = read(make_context, "a==1 \\\r\n  --hash=sha256:aa \\\r\n  --hash=sha256:bb\r\nb \\\r\n# a comment ends it\r\nc\r\n")
    assert [package.name for package in found.packages] == ["a", "b", "c"]
    assert found.problems == ()


@pytest.mark.parametrize("option", ["-r {}", "-r{}", "--requirement {}", "--requirement={}"])
def test_nested_files_are_relative_to_the_including_file(make_context, option):
    others = {"reqs/base.txt": option.format("deep/more.txt"), "reqs/deep/more.txt": "a"}
    found = read(make_context, option.format("reqs/base.txt"), **others)
    assert found.files == ("reqs/base.txt", "reqs/deep/more.txt", "requirements.txt")
    assert found.packages == (Requirement("a"),)
    assert found.problems == ()


def test_constraints_are_read_and_not_installed(make_context):
    found = read(make_context, "-c c.txt\na\n", **{"c.txt": "b<2\n-r d.txt", "d.txt": "e"})
    assert found.files == ("c.txt", "d.txt", "requirements.txt")
    assert found.packages == (Requirement("a"),)


def test_files_that_include_each_other_end(make_context):
    assert read(make_context, "-r a.txt", **{"a.txt": "-r requirements.txt\nx"}).packages == (Requirement("x"),)


@pytest.mark.parametrize(
    ("line", "vcs"),
    [
        ("git+https://example.org/a/b.git@main#egg=B_b[x]", "git"),
        ("-e git+https://example.org/a/b#egg=b-b[x]", "git"),
        ("b.b[x] @ hg+https://example.org/b", "hg"),
        ("b_b[x] @ https://example.org/b.zip", None),
    ],
)
def test_urls_need_no_files(make_context, line, vcs):
    found = read(make_context, line)
    assert [(package.name, package.extras, package.vcs) for package in found.packages] == [("b-b", ("x",), vcs)]
    assert found.problems == ()
    assert found.files == ("requirements.txt",)


def test_options_that_name_no_files_are_fine(make_context):
    text = (
        "-i https://${USER}:${TOKEN}@example.org/simple\n--extra-index-url=https://example.org\n--pre\n--no-binary :all:\n--no-index\na\n"
    )
    assert read(make_context, text).problems == ()


def test_local_projects_and_archives_are_files(make_context):
    text = "./vendor/pkg\n-e ./vendor/other[x]\nfoo @ file:./vendor/foo.tar.gz\nvendor/bar-1.0-py3-none-any.whl\n-f wheels\n"
    vendored = ["pkg/pyproject.toml", "pkg/src/a.py", "other/setup.py", "foo.tar.gz", "bar-1.0-py3-none-any.whl"]
    found = read(make_context, text, **{f"vendor/{name}": "" for name in vendored}, **{"wheels/x.whl": "", "wheels/deep/y.whl": ""})
    assert found.problems == ()
    assert found.files == tuple(sorted(["requirements.txt", "wheels/x.whl", *(f"vendor/{name}" for name in vendored)]))
    assert [(package.name, package.editable) for package in found.packages] == [
        (None, False),
        (None, True),
        ("foo", False),
        ("bar", False),
    ]


def test_local_paths_are_relative_to_where_pip_runs(make_context):
    files = {"app/requirements.txt": "./lib", "app/lib/setup.py": ""}
    context = make_context(files)
    assert requirement_files(context, "app/requirements.txt", cwd="app").files == ("app/lib/setup.py", "app/requirements.txt")
    assert requirement_files(context, "app/requirements.txt").problems == ("app/requirements.txt:1: lib is not in the build context",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a\n\n-e .", "requirements.txt:3 installs the project itself (-e .)"),
        (".", "requirements.txt:1 installs the project itself (.)"),
        ("--editable=.[dev]", "requirements.txt:1 installs the project itself (-e .)"),
        ("x @ file:.", "requirements.txt:1 installs the project itself (.)"),
        ("-r absent.txt", "requirements.txt:1: absent.txt is not in the build context"),
        ("-r secret.txt", "requirements.txt:1: secret.txt is not in the build context"),
        ("-r ../outside.txt", "requirements.txt:1: ../outside.txt is not in the build context"),
        ("-r ${FILE}", "requirements.txt:1 includes ${FILE}, which depends on an environment variable"),
        ("-r https://example.org/r.txt", "requirements.txt:1 includes https://example.org/r.txt, which is not in the build context"),
        ("-r /etc/r.txt", "requirements.txt:1 includes the absolute path /etc/r.txt"),
        ("file:///srv/pkg", "requirements.txt:1 installs the absolute path /srv/pkg"),
        ("./absent", "requirements.txt:1: absent is not in the build context"),
        ("./lib", "requirements.txt:1: lib/setup.py may read files outside of lib"),
        ("--find-links=/srv/wheels", "requirements.txt:1 looks for packages in /srv/wheels, outside of what the build context tells"),
        ("--frobnicate x", "requirements.txt:1 has an unknown option --frobnicate"),
        ("a b c", "requirements.txt:1 has a requirement that cannot be read: a b c"),
        ("-r 'a", "requirements.txt:1 has an unclosed quote"),
    ],
)
def test_what_keeps_the_files_from_being_closed(make_context, text, problem):
    others = {"secret.txt": "a", ".dockerignore": "secret.txt", "lib/setup.py": "open('../README.md')"}
    assert read(make_context, text, **others).problems == (problem,)


def test_a_missing_file_is_a_problem_and_not_an_error(make_context):
    found = requirement_files(make_context({}), "requirements.txt")
    assert (found.files, found.packages, found.problems) == ((), (), ("requirements.txt is not in the build context",))
