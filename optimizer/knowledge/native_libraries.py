"""Which Debian packages the libraries of C and C++ programs come from; the table is ``native_libraries.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from optimizer.knowledge.data import read_text
from optimizer.knowledge.debian import plain_name, runtime_packages


@cache
def _table() -> Mapping[str, Any]:
    import tomllib

    return tomllib.loads(read_text("native_libraries.toml"))


def of_system(library: str) -> bool:
    """Whether a library, as named behind ``-l`` or by find_package, is the C library's or the compiler's own."""
    return library.lower() in _table()["system"]["names"]


def brings(development: str, library: str) -> bool:
    """Whether the development package `development` brings the library that ``-l``, pkg-config or find_package names.

    Known by the table, else by name: ``libjansson-dev`` brings ``jansson``, ``libpcre3-dev`` ``pcre``, ``libboost-regex-dev``
    ``boost_regex``.
    """
    package, name = plain_name(development), library.lower()
    listed = _table()["development"].get(name)
    if listed is not None and package in listed:
        return True
    stem = re.sub(r"^lib|-dev$", "", package)
    short = re.sub(r"^lib", "", name).replace("_", "-")
    return short in (stem, re.sub(r"[\d.]+$", "", stem)) or (package == "libboost-all-dev" and short.startswith("boost"))


def development_packages(library: str) -> tuple[str, ...]:
    """The development packages that may bring a library, the likeliest first."""
    name = library.lower()
    listed = _table()["development"].get(name)
    if listed is not None:
        return tuple(listed)
    short = re.sub(r"^lib", "", name).replace("_", "-")
    return (f"lib{short}-dev",)


def in_every_image(package: str) -> bool:
    """Whether every image of Debian and Ubuntu has a package, the slim ones as well."""
    return package in _table()["essential"]["names"]


def wants_certificates(package: str) -> bool:
    """Whether a runtime library speaks TLS, for which programs need ca-certificates as a rule."""
    return package in _table()["certificates"]["names"]


def newest_gcc(release: str) -> int | None:
    """The newest major version of GCC whose C++ programs the libstdc++ of a Debian release runs; None when not known."""
    found: int | None = _table()["libstdcxx"].get(release)
    return found


def compiler_library(library: str) -> str | None:
    """The package of a library that comes with GCC, such as ``libgomp1`` for ``gomp``; None for any other."""
    found: str | None = _table()["compiler"].get(library)
    return found


def libraries_of(development: str, distribution: str, release: str | None) -> tuple[str, ...] | None:
    """The packages to run a program built with a development package in a release of ``debian`` or ``ubuntu``; None: not known.

    Ubuntu takes its packages from Debian: a name that the Debian releases before and after have in common is Ubuntu's, too.
    """
    if distribution == "debian":
        return runtime_packages(development, release)
    listed = _table()["ubuntu_runtime"].get(release or "", {}).get(plain_name(development))
    if listed is not None:
        return tuple(listed)
    answers = {runtime_packages(development, name) for name in _table()["ubuntu"].get(release or "", ())}
    return answers.pop() if len(answers) == 1 else None
