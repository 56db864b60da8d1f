"""What git leaves in a project's folder, and how often the build context is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer import optimize
from optimizer.context.folder import BuildContext


def test_the_context_is_walked_once_for_each_ignore_file_however_many_files_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (tmp_path / f"{number}.txt").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").touch()
    tried = []
    real = BuildContext.with_patterns

    def with_patterns(self: BuildContext, *arguments: object) -> BuildContext:
        tried.append(arguments)
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(BuildContext, "with_patterns", with_patterns)
    result = optimize("FROM debian:bookworm\nCOPY . /srv\n", context=tmp_path)
    assert result.ignore_file is not None
    assert result.ignore_file.text == ".git\n"
    assert len(tried) == 2  # to see what it hides, and to go on with it


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.gemspec", "Gem::Specification.new do |s|\n  s.files = `git ls-files -z`.split('\\x0')\nend\n"),
        ("a.csproj", '<Project><ItemGroup><PackageReference Include="MinVer" Version="5.0.0" /></ItemGroup></Project>\n'),
    ],
)
def test_git_stays_where_the_project_reads_it(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").touch()
    (tmp_path / name).write_text(text)
    assert optimize("FROM debian:bookworm\nCOPY . /srv\n", context=tmp_path).ignore_file is None
