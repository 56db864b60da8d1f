"""What a Python project declares that it depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.context import BuildContext
from optimizer.context.python_projects import project_requirements


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
