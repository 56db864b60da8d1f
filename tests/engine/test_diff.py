"""Diffs are what ``git apply`` and unidiff take, whatever the line ends."""

from __future__ import annotations

import shutil
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.engine import Result
from optimizer.syntax import encode

PAIRS = {
    "plain": ("FROM a\nRUN b\n", "FROM a\nRUN c\n"),
    "crlf": ("FROM a\r\nRUN b\r\n", "FROM a\r\nRUN c\r\nRUN d\r\n"),
    "mixed": ("FROM a\r\nRUN b\nRUN c\r\n", "FROM a\nRUN b\r\nRUN c\r\n"),
    "lone cr": ("FROM a\nRUN b\rc\nRUN d\n", "FROM a\nRUN b\rc\nRUN e\n"),
    "other separators": ("FROM a\nRUN b\x0c\x85\u2028c\nRUN d\n", "FROM a\nRUN b\x0c\x85\u2028c\nRUN e\n"),
    "no final line end before": ("FROM a\nRUN b", "FROM a\nRUN c\n"),
    "no final line end after": ("FROM a\nRUN b\n", "FROM a\nRUN c"),
    "no final line end at all": ("FROM a\nRUN b", "FROM z\nRUN b"),
    "only the final line end": ("FROM a\nRUN b", "FROM a\nRUN b\n"),
    "far apart": ("FROM a\n" + "RUN x\n" * 30 + "RUN b\n", "FROM z\n" + "RUN x\n" * 30 + "RUN c\n"),
    "from nothing": ("", "FROM a\n"),
    "to nothing": ("FROM a\n", ""),
    "not UTF-8": ("FROM a\nLABEL b=\udcff\n", "FROM a\nLABEL c=\udcff\n"),
}


@pytest.mark.parametrize("path", ["Dockerfile", "docker/Dockerfile.prod", "a b/Dockerfile", './x"y/Dockerfile', "é/Dockerfile"])
@pytest.mark.parametrize("case", PAIRS)
def test_git_apply(case: str, path: str, tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("there is no git")
    source, text = PAIRS[case]
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encode(source))
    diff = Result(source, text).diff(path)
    command = [git, "-c", "core.autocrlf=false", "apply", "-"]
    environment = {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent), "PATH": str(Path(git).parent)}
    subprocess.run(command, input=encode(diff), cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert file.read_bytes() == encode(text)
    subprocess.run([*command[:-1], "-R", "-"], input=encode(diff), cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert file.read_bytes() == encode(source)


@pytest.mark.parametrize("case", [name for name in PAIRS if name not in ("lone cr", "other separators", "not UTF-8")])
def test_unidiff(case: str) -> None:
    from unidiff import PatchSet

    source, text = PAIRS[case]
    (patched,) = PatchSet(StringIO(Result(source, text).diff("docker/Dockerfile"), newline="\n"))
    assert patched.path == "docker/Dockerfile"
    removed = sum(hunk.removed for hunk in patched)
    added = sum(hunk.added for hunk in patched)
    assert removed + added > 0
    assert removed - added == len(source.splitlines()) - len(text.splitlines())


def test_no_change_no_diff() -> None:
    assert Result("FROM a\n", "FROM a\n").diff() == ""


@settings(max_examples=100, deadline=None, database=None)
@given(st.text(alphabet="ab \r\n", max_size=20), st.text(alphabet="ab \r\n", max_size=20))
def test_every_line_of_both_sides_is_there(source: str, text: str) -> None:
    diff = Result(source, text).diff()
    lines = diff.split("\n")[3:]
    before, after = [line[1:] for line in lines if line[:1] in ("-", " ")], [line[1:] for line in lines if line[:1] in ("+", " ")]
    if source != text:
        assert [line for line in source.split("\n") if line not in before] in ([], [""])
        assert [line for line in text.split("\n") if line not in after] in ([], [""])
