"""Development packages of Debian that a Python stage installs and that none of its packages is compiled against."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from packaging.specifiers import SpecifierSet

from optimizer.context.requirements import Requirement
from optimizer.knowledge.python_packages import PythonPackage, first_wheel, headers
from optimizer.model import Model
from optimizer.passes.split.python_plan import Plan

_FROM_SOURCE = re.compile(r"no[-_]binary|ext_modules|cffi_modules|cythonize|\bExtension\(|maturin|scikit-build|mesonpy", re.IGNORECASE)

_LIGHT_EXTRAS = frozenset({
    "all", "argon2", "async", "asyncio", "auth", "bcrypt", "binary", "crypto", "cryptography", "dotenv", "email", "http2", "pool",
    "redis", "security", "socks", "standard",
})  # fmt: skip
"""Extras of the packages that are known which bring nothing that links a library of Debian's."""


def unused_headers(
    installed: Iterable[str],
    requirements: Iterable[Requirement],
    known: Mapping[str, PythonPackage | None],
    python: str | None,
    texts: Iterable[str],
) -> frozenset[str]:
    """Those of some Debian packages whose libraries nothing that pip installs is linked with.

    Args:
        installed: Debian packages by name.
        requirements: What pip installs.
        known: What is known of each of them, by name.
        python: The minor version of the Python that it is installed for.
        texts: The Dockerfile's commands and the manifests, which may ask for builds from source or have code to compile.

    Returns:
        The packages; none where a requirement is not known, or a package may be compiled whose needs are not.
    """
    if not _known_whole(tuple(requirements), known, python, texts):
        return frozenset()
    packages = [package for package in known.values() if package is not None]
    built = [p for p in packages if not p.has_wheels or python is None or first_wheel(p.name, python) is None]
    against = {p for package in built for p in package.build_packages} | {p for each in packages for p in each.runtime_packages or ()}
    return frozenset(p for p in installed if p in headers() and p not in against)


def compiles_nothing(
    requirements: Iterable[Requirement], known: Mapping[str, PythonPackage | None], python: str | None, texts: Iterable[str]
) -> bool:
    """Whether pip is known to find a wheel for everything that it installs. The arguments are those of ``unused_headers``."""
    wheels = all(package is not None and package.has_wheels for package in known.values())
    return wheels and _known_whole(tuple(requirements), known, python, texts)


def _known_whole(
    requirements: tuple[Requirement, ...], known: Mapping[str, PythonPackage | None], python: str | None, texts: Iterable[str]
) -> bool:
    """Whether every requirement is a known package of the index, in a version with the wheels that are known of it."""
    others = any(r.url is not None or set(r.extras) - _LIGHT_EXTRAS for r in requirements)
    if not all(known.values()) or others or any(map(_FROM_SOURCE.search, texts)):
        return False
    return python is not None and all(_has_wheel(r, python) for r in requirements)


def _has_wheel(requirement: Requirement, python: str) -> bool:
    """Whether a requirement, where its table of wheels is known, admits a version that has one for a Python."""
    first = first_wheel(requirement.name or "", python)
    if first is None:
        return True
    pinned = re.match(r"===?\s*([\w.]+)$", requirement.specifier)
    return SpecifierSet(f">={first}").contains(pinned[1]) if pinned is not None else not re.search(r"[<$]", requirement.specifier)


def install_texts(model: Model, plan: Plan) -> list[str]:
    """The commands that install, and the files that say what is installed or built."""
    context = model.context
    assert context is not None
    named = [f for f in context.files() if posixpath.basename(f) in ("setup.py", "pyproject.toml")]
    texts = [context.read_text(f) or "" for f in dict.fromkeys((*plan.manifests, *named))]
    return [*texts, *(node.value for p in model.file.positions if (node := model.file.instruction(p)).keyword in ("RUN", "ENV", "ARG"))]
