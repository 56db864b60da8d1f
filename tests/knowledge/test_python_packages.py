"""Python packages: system libraries, wheels, commands."""

from __future__ import annotations

import pytest

from optimizer.knowledge.debian import runtime_packages
from optimizer.knowledge.python_packages import _packages, packages_of_script, python_package, resolve


@pytest.mark.parametrize(
    ("name", "wheels", "needed"),
    [
        ("psycopg2", False, ("libpq5",)),
        ("psycopg2-binary", True, ()),
        ("mysqlclient", False, ("libmariadb3",)),
        ("pyodbc", True, ("unixodbc",)),
        ("python-magic", True, ("libmagic1",)),
        ("python_ldap", False, ("libldap-2.5-0", "libsasl2-2")),
        ("pdf2image", True, ("poppler-utils",)),
        ("pytesseract", True, ("tesseract-ocr",)),
        ("GitPython", True, ("git",)),
        ("opencv-python", True, ("libgl1", "libglib2.0-0")),
        ("opencv-python-headless", True, ()),
        ("Pillow", True, ()),
        ("numpy", True, ()),
        ("uvicorn[standard]", True, ()),
    ],
)
def test_what_a_package_needs_at_run_time(name: str, wheels: bool, needed: tuple[str, ...]) -> None:
    package = python_package(name)
    assert package is not None
    assert package.has_wheels is wheels
    assert package.runtime_packages is not None
    assert resolve(package.runtime_packages, "bookworm") == needed


def test_names_of_libraries_follow_the_release() -> None:
    assert resolve(["libmagic-dev", "git"], "trixie") == ("libmagic1t64", "git")
    assert resolve(["libmagic-dev"], None) == ("libmagic1",), "trixie's libmagic1t64 provides the old name"
    assert resolve(["libssl-dev"], None) is None, "libssl1.1 and libssl3 are two libraries"
    assert resolve(["libpq-dev", "libpq-dev"], None) == ("libpq5",)
    assert resolve([], None) == ()


@pytest.mark.parametrize("name", ["playwright", "psycopg"])
def test_needs_that_depend_on_the_use_are_unknown(name: str) -> None:
    package = python_package(name)
    assert package is not None
    assert package.runtime_packages is None


def test_other_packages_are_unknown() -> None:
    assert python_package("a-package-nobody-described") is None
    assert python_package("") is None


@pytest.mark.parametrize(
    ("script", "packages"),
    [
        ("gunicorn", ("gunicorn",)),
        ("uvicorn", ("uvicorn",)),
        ("celery", ("celery",)),
        ("django-admin", ("django",)),
        ("alembic", ("alembic",)),
        ("streamlit", ("streamlit",)),
        ("fastapi", ("fastapi", "fastapi-cli")),
        ("python", ()),
        ("psycopg2", ()),
    ],
)
def test_a_command_leads_to_its_package(script: str, packages: tuple[str, ...]) -> None:
    assert packages_of_script(script) == packages


def test_the_table_is_sound() -> None:
    packages = _packages()
    assert len(packages) > 200
    for name, package in packages.items():
        assert name == name.lower()
        assert "_" not in name
        for needed in package.runtime_packages or ():
            known = not needed.endswith("-dev") or any(runtime_packages(needed, release) for release in ("bookworm", "trixie"))
            assert known, f"{name}: {needed}"
    compiled = [package for package in packages.values() if package.has_wheels is False and package.build_packages]
    assert all(any(tool in package.build_packages for tool in ("gcc", "g++")) for package in compiled)
