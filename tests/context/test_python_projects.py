"""What a Python project declares that it depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.context import BuildContext
from optimizer.context.python_projects import console_scripts, project_requirements


def declared(folder: Path, **files: str) -> tuple[str, ...] | None:
    for name, text in files.items():
        (folder / name.replace("_py", ".py").replace("_toml", ".toml").replace("_cfg", ".cfg")).write_text(text)
    return project_requirements(BuildContext.open(folder))


def test_project_table_with_extras(tmp_path: Path) -> None:
    text = '[project]\nname = "x"\ndependencies = ["Flask>=3"]\n[project.optional-dependencies]\ndb = ["psycopg2"]\n'
    assert declared(tmp_path, pyproject_toml=text) == ("flask", "psycopg2")


def test_poetry_table(tmp_path: Path) -> None:
    assert declared(tmp_path, pyproject_toml='[tool.poetry.dependencies]\npython = "^3.11"\nRequests = "*"\n') == ("requests",)


def test_setup_py_literals(tmp_path: Path) -> None:
    text = "import setuptools\nsetuptools.setup(name='x', install_requires=['a_b'], extras_require={'c': ['d']})\n"
    assert declared(tmp_path, setup_py=text) == ("a-b", "d")


def test_setup_cfg_beside_setup_py(tmp_path: Path) -> None:
    files = {"setup_cfg": "[options]\ninstall_requires =\n    one\n    two>1\n", "setup_py": "from setuptools import setup\nsetup()\n"}
    assert declared(tmp_path, **files) == ("one", "two")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"setup_py": "from setuptools import setup\nsetup(install_requires=open('r.txt').read().split())\n"},
        {"setup_py": "from setuptools import setup\nsetup(**options)\n"},
        {"setup_py": "def (:\n"},
        {"setup_cfg": "[options]\ninstall_requires = file: requirements.txt\n"},
        {"pyproject_toml": '[project]\nname = "x"\ndynamic = ["dependencies"]\n'},
        {"pyproject_toml": "[project\n"},
        {"pyproject_toml": '[project]\ndependencies = ["not a requirement!"]\n'},
    ],
    ids=["no file", "read from a file", "options", "no Python", "file reference", "dynamic", "no TOML", "no requirement"],
)
def test_unknown(tmp_path: Path, files: dict[str, str]) -> None:
    assert declared(tmp_path, **files) is None


@pytest.mark.parametrize(
    "text",
    [
        "install_requires=open('requirements.txt').read().splitlines()",
        "install_requires=needs",
        "install_requires=read()",
        "install_requires=['c'] + needs",
    ],
)
def test_setup_py_that_reads_a_requirements_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "requirements.txt").write_text("a_b>=1\n# none\n")
    head = "from setuptools import setup\nwith open('requirements.txt') as f:\n    needs = f.readlines()\n"
    head += "def read():\n    return list(needs)\n"
    assert declared(tmp_path, setup_py=f"{head}setup({text})\n") == (("a-b", "c") if "'c'" in text else ("a-b",))


def test_a_requirements_file_that_is_not_read_whole_is_not_declared(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r missing.txt\n")
    assert (
        declared(tmp_path, setup_py="from setuptools import setup\nsetup(install_requires=open('requirements.txt').readlines())\n") is None
    )


def test_dynamic_dependencies_out_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "needs.txt").write_text("one\n")
    head = '[project]\nname = "x"\ndynamic = ["dependencies"]\n'
    assert declared(tmp_path, pyproject_toml=head + '[tool.setuptools.dynamic]\ndependencies = {file = ["needs.txt"]}\n') == ("one",)
    assert declared(tmp_path, pyproject_toml=head) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("setup.py", "from setuptools import setup\nsetup(entry_points={'console_scripts': ['tool = pkg.cli:main']})"),
        ("setup.py", "import setuptools\nsetuptools.setup(entry_points='[console_scripts]\\ntool = pkg.cli:main')"),
        ("setup.cfg", "[options.entry_points]\nconsole_scripts =\n    tool = pkg.cli:main\n"),
        ("pyproject.toml", "[project.scripts]\ntool = 'pkg.cli:main'"),
        ("pyproject.toml", "[tool.poetry.scripts]\ntool = 'pkg.cli:main'"),
    ],
)
def test_console_scripts(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert console_scripts(BuildContext.open(tmp_path)) == {"tool": "pkg.cli:main"}


@pytest.mark.parametrize("text", ["from setuptools import setup\nsetup(entry_points=computed)", "not python ("])
def test_console_scripts_that_are_computed_are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "setup.py").write_text(text)
    assert console_scripts(BuildContext.open(tmp_path)) == {}
