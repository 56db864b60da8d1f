"""How the commands of the package managers of languages are read."""

from __future__ import annotations

import pytest

from optimizer.ecosystems import ECOSYSTEMS, Action, Call, ecosystem, read_call
from optimizer.syntax.shell import parse_script


def call(text: str) -> Call | None:
    (command,) = parse_script(text).commands
    return read_call(command)


@pytest.mark.parametrize(
    ("text", "name", "action", "verb", "packages"),
    [
        ("poetry install --no-root", "poetry", Action.INSTALL, "install", ()),
        ("python3.11 -m poetry install --only main", "poetry", Action.INSTALL, "install", ()),
        ("poetry -C api install", "poetry", Action.INSTALL, "install", ()),
        ("poetry config virtualenvs.create false", "poetry", Action.OTHER, "config", ("virtualenvs.create", "false")),
        ("poetry cache clear pypi --all", "poetry", Action.CLEAN, "cache", ("clear", "pypi")),
        ("poetry build -f wheel", "poetry", Action.BUILD, "build", ()),
        ("uv sync --frozen", "uv", Action.INSTALL, "sync", ()),
        ("uv pip install --system flask", "uv", Action.INSTALL, "install", ("flask",)),
        ("python -m uv pip sync requirements.txt", "uv", Action.INSTALL, "sync", ("requirements.txt",)),
        ("uv venv", "uv", Action.OTHER, "venv", ()),
        ("uv cache clean", "uv", Action.CLEAN, "clean", ()),
        ("uv tool install ruff", "uv", Action.INSTALL, "install", ("ruff",)),
        ("pipenv install --system --deploy", "pipenv", Action.INSTALL, "install", ()),
        ("pipenv install -e .", "pipenv", Action.INSTALL, "install", (".",)),
        ("pipenv sync", "pipenv", Action.INSTALL, "sync", ()),
        ("pipenv --clear", "pipenv", Action.CLEAN, None, ()),
        ("bundle install --jobs 4", "bundler", Action.INSTALL, "install", ()),
        ("bundle", "bundler", Action.INSTALL, None, ()),
        ("bundle --version", "bundler", Action.OTHER, None, ()),
        ("bundle exec rake assets:precompile", "bundler", Action.OTHER, "exec", ("rake", "assets:precompile")),
        ("gem install bundler -v 2.4", "gem", Action.INSTALL, "install", ("bundler",)),
        ("composer install --no-dev", "composer", Action.INSTALL, "install", ()),
        ("php composer.phar install", "composer", Action.INSTALL, "install", ()),
        ("php -d memory_limit=-1 /usr/bin/composer install", "composer", None, None, ()),
        ("composer dump-autoload -o", "composer", Action.BUILD, "dump-autoload", ()),
        ("composer clear-cache", "composer", Action.CLEAN, "clear-cache", ()),
        ("composer global require laravel/installer", "composer", Action.INSTALL, "global", ("require", "laravel/installer")),
        ("mvn -B dependency:go-offline", "maven", Action.INSTALL, "dependency:go-offline", ("dependency:go-offline",)),
        ("./mvnw clean package -DskipTests", "maven", Action.BUILD, "package", ("clean", "package")),
        ("sh mvnw package", "maven", Action.BUILD, "package", ("package",)),
        ("mvn -f api/pom.xml spring-boot:run", "maven", Action.BUILD, "spring-boot:run", ("spring-boot:run",)),
        ("mvn --version", "maven", Action.OTHER, None, ()),
        ("./gradlew --no-daemon :api:dependencies", "gradle", Action.INSTALL, ":api:dependencies", (":api:dependencies",)),
        ("gradle bootJar -x test", "gradle", Action.BUILD, "bootJar", ("bootJar",)),
        ("bash ./gradlew build", "gradle", Action.BUILD, "build", ("build",)),
        ("gradle wrapper", "gradle", Action.OTHER, "wrapper", ("wrapper",)),
        ("javac -d out -cp lib/a.jar src/Main.java", "javac", Action.BUILD, None, ("src/Main.java",)),
        ("cargo fetch --locked", "cargo", Action.INSTALL, "fetch", ()),
        ("cargo +nightly build --release", "cargo", Action.BUILD, "build", ()),
        ("cargo install --path .", "cargo", Action.INSTALL, "install", ()),
        ("cargo chef prepare --recipe-path recipe.json", "cargo", Action.OTHER, "chef", ("prepare",)),
        ("dotnet restore src/Web.csproj -r linux-x64", "dotnet", Action.INSTALL, "restore", ("src/Web.csproj",)),
        ("dotnet publish -c Release -o /app", "dotnet", Action.BUILD, "publish", ()),
        ("dotnet tool list", "dotnet", Action.OTHER, "tool", ("list",)),
        ("dotnet nuget locals all --clear", "dotnet", Action.CLEAN, "nuget", ("locals", "all")),
        ("bun install --frozen-lockfile", "bun", Action.INSTALL, "install", ()),
        ("bun run build", "bun", Action.BUILD, "run", ("build",)),
        ("bun pm cache rm", "bun", Action.CLEAN, "pm", ("cache", "rm")),
        ("sudo -u app bundle install", "bundler", Action.INSTALL, "install", ()),
    ],
)
def test_calls(text: str, name: str, action: Action | None, verb: str | None, packages: tuple[str, ...]) -> None:
    found = call(text)
    if action is None:
        assert found is None
        return
    assert found is not None
    assert (found.ecosystem, found.action, found.packages) == (name, action, packages)
    assert (found.verb.value if found.verb else None) == verb


@pytest.mark.parametrize(
    "text",
    [
        "python -m flask run",
        "python app.py poetry install",
        "php artisan migrate",
        "sh entrypoint.sh",
        "bundles",
        "sh -c gradlew",
        "ruby app.rb",
    ],
)
def test_other_programs_are_no_calls(text: str) -> None:
    assert call(text) is None


def test_what_only_running_tells_makes_a_call_incomplete() -> None:
    for text in ("uv pip install $PACKAGES", "mvn $GOALS", "cargo install $TOOLS", "bundle install --jobs $N"):
        found = call(text)
        assert found is not None
        assert not found.complete, text


def test_short_option_of_uv_counts_as_the_long_one() -> None:
    found = call("uv pip install -n flask")
    assert found is not None
    assert "--no-cache" in found.options


def test_names_are_unique_and_programs_match() -> None:
    names = [each.name for each in ECOSYSTEMS]
    assert len(names) == len(set(names))
    for name, program in {"maven": "mvnw", "gradle": "gradlew", "bundler": "bundle", "gem": "gem", "composer": "composer.phar"}.items():
        assert ecosystem(name).programs.match(program)


@pytest.mark.parametrize("name", ["maven", "gradle", "cargo", "dotnet", "bundler", "gem", "bun", "javac"])
def test_caches_that_later_builds_read_are_left_alone(name: str) -> None:
    assert ecosystem(name).caches == ()


def test_environments_of_poetry_are_not_in_what_is_cleaned() -> None:
    (cache,) = ecosystem("poetry").caches
    assert all(folder.count("/") == 3 for folder in cache.folders), "the folder above holds virtual environments"
    assert "virtualenvs" not in cache.clean
