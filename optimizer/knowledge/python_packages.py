"""What popular Python packages need from the system, and which commands they bring.

The facts are in ``python_packages.txt``. Debian names in it are resolved for a release by `resolve`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from msgspec import Struct

from optimizer.knowledge.data import read_text
from optimizer.knowledge.debian import runtime_packages


class PythonPackage(Struct, frozen=True):
    """A distribution of the Python Package Index."""

    name: str
    """The normalised name: lower case, words joined by ``-``."""
    has_wheels: bool | None
    """Whether there are wheels for glibc on common processors; without, the install step compiles."""
    build_packages: tuple[str, ...]
    """Debian packages that compiling it takes, besides Python's own headers."""
    runtime_packages: tuple[str, ...] | None
    """Debian packages it needs when it runs, for `resolve`; `None` where they depend on how it is used."""
    scripts: tuple[str, ...]
    """The commands it installs. Those of its dependencies are theirs."""


def normalised(name: str) -> str:
    """The name as the index compares it (PEP 503), without extras: ``Flask_SQLAlchemy[x]`` is ``flask-sqlalchemy``."""
    return re.sub(r"[-_.]+", "-", name.partition("[")[0].strip()).lower()


def python_package(name: str, extras: Iterable[str] = ()) -> PythonPackage | None:
    """What is known of the package `name`, in any spelling, with some extras; `None` if nothing."""
    known = _packages()
    return next((known[key] for extra in extras if (key := f"{normalised(name)}[{extra}]") in known), known.get(normalised(name)))


@cache
def headers() -> frozenset[str]:
    """The Debian packages, by name, that some package is known to be compiled against or to need."""
    return frozenset(
        p for each in _packages().values() for p in (*each.build_packages, *(each.runtime_packages or ())) if p.endswith("-dev")
    )


def distributions(module: str) -> tuple[str, ...]:
    """The packages that bring a module of another name than their own; none where that is not recorded."""
    return _modules().get(module, ())


@cache
def _modules() -> dict[str, tuple[str, ...]]:
    rows = (line.split("|") for line in read_text("python_modules.txt").splitlines() if line and not line.startswith("#"))
    return {module: tuple(names.split()) for module, names in rows}


def first_wheel(name: str, python: str) -> str | None:
    """The first version of a package with a wheel for a minor version of Python; `None` where that is not recorded."""
    return _wheels().get((normalised(name), python))


@cache
def _wheels() -> dict[tuple[str, str], str]:
    rows = (line.split("|") for line in read_text("python_wheels.txt").splitlines() if line and not line.startswith("#"))
    return {(name, python): version for name, python, version in rows}


def packages_of_script(script: str) -> tuple[str, ...]:
    """The packages that install the command `script`, by name; none if it is not known."""
    return _scripts().get(script, ())


def resolve(packages: Iterable[str], release: str | None) -> tuple[str, ...] | None:
    """The Debian packages to install at run time: each ``-dev`` replaced by the libraries it stands for in `release`.

    `None` if one of them is not known for that release (see `optimizer.knowledge.debian.runtime_packages`).
    """
    found: list[str] = []
    for package in packages:
        needed = runtime_packages(package, release) if package.endswith("-dev") else (package,)
        if needed is None:
            return None
        found += needed
    return tuple(dict.fromkeys(found))


@cache
def _packages() -> dict[str, PythonPackage]:
    wheels = {"yes": True, "no": False}
    found: dict[str, PythonPackage] = {}
    for line in read_text("python_packages.txt").splitlines():
        if line and not line.startswith("#"):
            name, has_wheels, build, run, scripts = line.split("|")
            needed = None if run == "?" else tuple(run.split())
            package = PythonPackage(name, wheels.get(has_wheels), tuple(build.split()), needed, tuple(scripts.split()))
            found[name] = package
    return found


@cache
def _scripts() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for package in _packages().values():
        for script in package.scripts:
            found[script] = (*found.get(script, ()), package.name)
    return found
