"""What installs read of the build context, ecosystem by ecosystem, and where that lies in the image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from optimizer.context import BuildContext
from optimizer.ecosystems import read_call
from optimizer.model import Model
from optimizer.model.copied_files import CannotTell
from optimizer.model.copies import stage_copies
from optimizer.model.installs import READERS, Needs, project_files
from optimizer.model.reads import reads
from optimizer.syntax import parse
from optimizer.syntax.shell import parse_script

PROJECT = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["flask>=3"]\n'
UV_LOCK = (
    'version = 1\nrequires-python = ">=3.11"\n\n[[package]]\nname = "a"\nsource = { virtual = "." }\n\n'
    '[package.metadata]\nrequires-dist = [{ name = "flask", specifier = ">=3" }]\n'
)
POETRY = '[tool.poetry]\nname = "a"\n[tool.poetry.dependencies]\nflask = "^3"\n'
CARGO = '[package]\nname = "a"\nversion = "0.1.0"\n[[bin]]\nname = "a"\npath = "main.rs"\n'
CSPROJ = '<Project Sdk="Microsoft.NET.Sdk">{}</Project>'
SOLUTION = 'Project("{F}") = "A", "A\\A.csproj", "{G}"\n'
FLEX = '{"packages": [{"name": "symfony/flex", "type": "composer-plugin"}]}'
POM = '<project xmlns="http://maven.apache.org/POM/4.0.0"><artifactId>a</artifactId>{}</project>'


def needs(root: Path, command: str, files: Mapping[str, str], folder: str = ".") -> Needs:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (parsed,) = parse_script(command).commands
    call = read_call(parsed)
    assert call is not None
    return READERS[call.ecosystem](BuildContext.open(root), folder, call)


@pytest.mark.parametrize(
    ("command", "files", "expected"),
    [
        ("poetry install --no-root", {"pyproject.toml": POETRY, "poetry.lock": "", "poetry.toml": "", "README.md": ""}, {"README.md"}),
        ("poetry install", {"pyproject.toml": POETRY + "[tool.poetry.group]\n[tool.poetry.x]\n", "poetry.lock": ""}, "the project itself"),
        ("poetry install", {"pyproject.toml": '[tool.poetry]\npackage-mode = false\n', "app.py": ""}, {"app.py"}),
        ("poetry install --no-root", {"pyproject.toml": POETRY + 'b = { path = "b" }\n'}, "the folder b"),
        ("poetry install --no-root", {"pyproject.toml": POETRY, ".venv/bin/python": ""}, "brings .venv"),
        ("poetry add flask", {"pyproject.toml": POETRY}, "may read or change"),
        ("poetry lock", {"pyproject.toml": POETRY}, "may read or change"),
        ("uv sync", {"pyproject.toml": PROJECT, "uv.lock": UV_LOCK, "app.py": ""}, {"app.py"}),
        ("uv sync", {"pyproject.toml": PROJECT.replace("flask>=3", "flask>=4"), "uv.lock": UV_LOCK}, "may not agree"),
        ("uv sync --locked", {"pyproject.toml": PROJECT, "uv.lock": "version = 1\n"}, set()),
        ("uv sync", {"pyproject.toml": PROJECT + '[build-system]\nrequires = ["x"]\n', "uv.lock": UV_LOCK}, "the project itself"),
        ("uv sync", {"pyproject.toml": PROJECT + '[tool.uv.sources]\nflask = { path = "f" }\n'}, "lies in the project"),
        ("uv sync", {"pyproject.toml": PROJECT.replace("dependencies", 'dynamic = ["version"]\ndependencies')}, "dynamic"),
        ("uv pip install -r a.txt", {"a.txt": "-r b.txt\n", "b.txt": "flask\n", "c.txt": ""}, {"c.txt"}),
        ("uv pip install -r a.txt", {"a.txt": "-e .\n"}, "the project itself"),
        ("uv pip install .", {"pyproject.toml": PROJECT}, "the project itself"),
        ("uv pip install -r pyproject.toml", {"pyproject.toml": PROJECT, "app.py": ""}, {"app.py"}),
        ("uv pip install --project api flask", {}, "leads uv"),
        ("pipenv sync", {"Pipfile": '[packages]\nflask = "*"\n', "Pipfile.lock": "{}", "app.py": ""}, {"app.py"}),
        ("pipenv install", {"Pipfile": '[packages]\na = { path = ".", editable = true }\n'}, "lies in the project"),
        ("pipenv install flask", {"Pipfile": ""}, "adds packages"),
        ("bundle install", {"Gemfile": 'gem "rack"\n', "app.rb": ""}, {"app.rb"}),
        ("bundle install", {"Gemfile": 'ruby File.read(".ruby-version").strip\ngem "rack"\n', ".ruby-version": ""}, set()),
        ("bundle install", {"Gemfile": 'gem "a", path: "engines/a"\n'}, "may read other files"),
        ("bundle install", {"Gemfile": 'eval_gemfile "Gemfile.local"\n'}, "may read other files"),
        ("bundle install", {"Gemfile": 'gem "rack"\n', "vendor/cache/rack.gem": ""}, "brings vendor/cache"),
        ("gem install rails", {"Gemfile": ""}, {"Gemfile"}),
        ("gem install rails", {"rails-7.gem": ""}, "take the place"),
        ("composer install", {"composer.json": "{}", "composer.lock": '{"packages": []}', "a.php": ""}, {"a.php"}),
        ("composer install -o", {"composer.json": "{}", "composer.lock": '{"packages": []}'}, "optimized autoloader"),
        ("composer install -o --no-autoloader", {"composer.json": "{}", "composer.lock": '{"packages": []}'}, set()),
        ("composer install", {"composer.json": "{}"}, "plugins"),
        ("composer install", {"composer.json": "{}", "composer.lock": FLEX}, "symfony/flex"),
        ("composer install", {"composer.json": '{"repositories": [{"type": "path", "url": "../b"}]}'}, "lies in the project"),
        ("mvn dependency:go-offline", {"pom.xml": POM.format(""), ".mvn/maven.config": "", "src/A.java": ""}, {"src/A.java"}),
        ("mvn dependency:go-offline verify", {"pom.xml": POM.format("")}, "compiles or runs"),
        ("mvn -s ci.xml dependency:resolve", {"pom.xml": POM.format(""), "ci.xml": ""}, set()),
        ("mvn dependency:resolve", {"pom.xml": POM.format("<modules><module>b</module></modules>")}, "not in the build context"),
        ("mvn dependency:resolve", {"pom.xml": "<!DOCTYPE x>" + POM.format("")}, "cannot be read"),
        ("gradle dependencies", {"build.gradle": "// nothing\n", "gradle/libs.versions.toml": "", "src/A.java": ""}, {"src/A.java"}),
        ("gradle dependencies", {"build.gradle": "apply from: other\n"}, "whose name is computed"),
        ("gradle dependencies", {"build.gradle": "", "settings.gradle": "include(*names)\n"}, "computes which projects"),
        ("gradle dependencies", {"build.gradle": "", ".gradle/x": ""}, "brings .gradle"),
        ("gradle build", {"build.gradle": ""}, "compiles or runs"),
        ("cargo fetch", {"Cargo.toml": CARGO, "main.rs": ""}, {"main.rs"}),
        ("cargo fetch", {"Cargo.toml": CARGO + '[dependencies]\nb = { path = "b" }\n'}, "the folder b"),
        ("cargo fetch", {"Cargo.toml": CARGO + '[dependencies]\nb = "2"\n', "Cargo.lock": "version = 3\n"}, "may not agree"),
        ("cargo install ripgrep", {"Cargo.toml": CARGO, "rust-toolchain": "stable\n"}, {"Cargo.toml"}),
        ("cargo install --path .", {"Cargo.toml": CARGO}, "the project itself"),
        ("cargo vendor", {"Cargo.toml": CARGO, "vendor/b/Cargo.toml": ""}, "brings vendor"),
        ("dotnet restore", {"A.csproj": CSPROJ.format(""), "global.json": "{}", "P.cs": ""}, {"P.cs"}),
        ("dotnet restore", {"A.csproj": CSPROJ.format('<Import Project="$(Somewhere)/x.props" />')}, "known only when it is built"),
        ("dotnet restore", {"A.csproj": CSPROJ.format(""), "B.csproj": CSPROJ.format("")}, "which project or solution"),
        ("dotnet restore a.sln", {"a.sln": SOLUTION, "A/A.csproj": CSPROJ.format(""), "A/P.cs": ""}, {"A/P.cs"}),
        ("dotnet publish", {"A.csproj": CSPROJ.format("")}, "reads the source"),
        ("bun install --frozen-lockfile", {"package.json": "{}", "bun.lockb": "x", "a.ts": ""}, {"a.ts"}),
        ("bun install", {"package.json": '{"scripts": {"postinstall": "node x.js"}}'}, "postinstall"),
        ("bun install --ignore-scripts", {"package.json": '{"scripts": {"postinstall": "node x.js"}}', "x.js": ""}, {"x.js"}),
        ("bun install", {"package.json": "{}", "node_modules/a/package.json": "{}"}, "brings node_modules"),
        ("bun add hono", {"package.json": "{}"}, "may read or change"),
    ],
)  # fmt: skip
def test_needs(tmp_path: Path, command: str, files: Mapping[str, str], expected: set[str] | str) -> None:
    """`expected` is the set of files that are not read, or a part of the reason why more may be."""
    found = needs(tmp_path, command, files)
    if isinstance(expected, str):
        assert found.reason is not None
        assert expected in found.reason
        assert found.files == ()
    else:
        assert found.reason is None, found.reason
        assert set(files) - set(found.files) == expected


def read(root: Path, dockerfile: str, files: Mapping[str, str]) -> dict[str, str]:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    model = Model(parse(dockerfile), BuildContext.open(root))
    position = next(p for p in model.file.positions if model.file.instruction(p).keyword == "RUN")
    copies = [c for c in stage_copies(model, model.final) if c.position < position]
    return dict(reads(model, position, copies).files)


def test_files_are_told_where_they_lie_in_the_image(tmp_path: Path) -> None:
    files = {"api/pyproject.toml": POETRY, "api/poetry.lock": "", "api/app.py": ""}
    text = "FROM python:3.12\nWORKDIR /srv/api\nCOPY api .\nRUN poetry install --no-root\n"
    assert read(tmp_path, text, files) == {"/srv/api/poetry.lock": "api/poetry.lock", "/srv/api/pyproject.toml": "api/pyproject.toml"}


def test_files_around_are_read_only_where_they_are_copied(tmp_path: Path) -> None:
    files = {"Web/Web.csproj": CSPROJ.format(""), "global.json": "{}", "Web/P.cs": ""}
    whole = "FROM mcr.microsoft.com/dotnet/sdk:8.0\nWORKDIR /src/Web\nCOPY . /src\nRUN dotnet restore\n"
    assert read(tmp_path, whole, files) == {"/src/Web/Web.csproj": "Web/Web.csproj", "/src/global.json": "global.json"}
    part = "FROM mcr.microsoft.com/dotnet/sdk:8.0\nWORKDIR /src\nCOPY Web .\nRUN dotnet restore\n"
    assert read(tmp_path, part, files) == {"/src/Web.csproj": "Web/Web.csproj"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("WORKDIR /a\nCOPY . .\nCOPY other/poetry.toml /a/\nRUN poetry install --no-root\n", "does not lie like"),
        ("WORKDIR /a\nCOPY . .\nCOPY other/settings /a/poetry.toml\nRUN poetry install --no-root\n", "another place"),
        ("WORKDIR /a\nCOPY app.py .\nRUN poetry install --no-root\n", "where no manifest is copied to"),
        ("WORKDIR /a\nCOPY pyproject.toml app.py ./\nRUN poetry install --no-root\n", "poetry.lock is not copied"),
        ("WORKDIR /a\nCOPY . .\nRUN ./tools/poetry install --no-root\n", "which may be copied"),
        ("WORKDIR /\nCOPY . /a\nRUN mvn -f /a/pom.xml dependency:go-offline\n", "leads to the copied files"),
        ("COPY . .\nRUN poetry install --no-root\n", "copied to /"),
    ],
)
def test_it_cannot_tell(tmp_path: Path, text: str, reason: str) -> None:
    names = ("poetry.lock", "app.py", "other/poetry.toml", "other/settings", "tools/poetry", "pom.xml")
    files = {"pyproject.toml": POETRY, **dict.fromkeys(names, "")}
    with pytest.raises(CannotTell, match=reason):
        read(tmp_path, "FROM python:3.12\n" + text, files)


def test_without_a_context_nothing_is_told() -> None:
    model = Model(parse("FROM ruby:3.3\nWORKDIR /a\nCOPY . .\nRUN bundle install\n"))
    (parsed,) = parse_script("bundle install").commands
    call = read_call(parsed)
    assert call is not None
    found = project_files(model, stage_copies(model, model.final), "/a", call)
    assert isinstance(found, str)
    assert "build context" in found


def test_every_reader_is_asked() -> None:
    from optimizer.model import reads
    from optimizer.model.installs import READERS

    assert frozenset(READERS) == reads._WITH_READERS
