"""Debian packages: libraries behind -dev packages, build tools, programs."""

from __future__ import annotations

from importlib.resources import files

import pytest

from optimizer.knowledge.debian import build_only, package_of, programs, runtime_packages
from optimizer.knowledge.make_debian_tables import read_packages, runtime_table

INDEX = """\
Package: libfoo-dev
Source: foo (1.2)
Section: libdevel
Depends: libfoo2 (= 1.2-1), libbar7, libbar-dev, foo-tools

Package: libfoo2
Source: foo (1.2)
Section: libs
Depends: libbar7

Package: foo-tools
Source: foo (1.2)
Section: libs

Package: libbar-dev
Source: bar
Section: libdevel
Depends: libbar7

Package: libbar7
Source: bar
Section: libs

Package: default-libfoo-dev
Source: defaults
Section: libdevel
Depends: libfoo-dev | libother-dev

Package: libheaders-dev
Section: libdevel
Provides: libvirtual-dev
"""


@pytest.mark.parametrize(
    ("dev", "release", "expected"),
    [
        ("libpq-dev", None, ("libpq5",)),
        ("libpq-dev", "bookworm", ("libpq5",)),
        ("libpq-dev=15.*", "bookworm", ("libpq5",)),
        ("zlib1g-dev", None, ("zlib1g",)),
        ("libxml2-dev", "bookworm", ("libxml2",)),
        ("libjpeg-dev", "bookworm", ("libjpeg62-turbo",)),
        ("default-libmysqlclient-dev", "bookworm", ("libmariadb3",)),
        ("libssl-dev", "bullseye", ("libssl1.1",)),
        ("libssl-dev", "bookworm", ("libssl3",)),
        ("libssl-dev", "trixie", ("libssl3t64",)),
        ("libffi-dev", "bookworm", ("libffi8",)),
        ("libgdal-dev", "bookworm", ("libgdal32",)),
        ("libncurses5-dev", "bookworm", ("libncurses6", "libncursesw6", "libtinfo6")),
        ("libeigen3-dev", "bookworm", ()),
        ("libc6-dev", "bookworm", ()),
    ],
)
def test_a_development_package_leaves_its_library(dev: str, release: str | None, expected: tuple[str, ...]) -> None:
    assert runtime_packages(dev, release) == expected


@pytest.mark.parametrize(
    ("dev", "release", "why"),
    [
        ("libssl-dev", None, "the releases differ"),
        ("libpq-dev", "jammy", "Ubuntu is not in the table"),
        ("libpq-dev", "buster", "a release that is not in the table"),
        ("libpq5", "bookworm", "no development package"),
        ("libnothing-dev", "bookworm", "no such package"),
        ("", "bookworm", "no name"),
        ("#", None, "not a package"),
    ],
)
def test_unknown_libraries_stay_unknown(dev: str, release: str | None, why: str) -> None:
    assert runtime_packages(dev, release) is None, why


def test_the_rule_behind_the_table() -> None:
    table = runtime_table(read_packages(INDEX))
    assert table == {
        "libfoo-dev": ("libfoo2",),
        "libbar-dev": ("libbar7",),
        "default-libfoo-dev": ("libfoo2",),
        "libheaders-dev": (),
        "libvirtual-dev": (),
    }


@pytest.mark.parametrize(
    ("package", "manager", "expected"),
    [
        ("build-essential", "apt", True),
        ("gcc-12", "apt", True),
        ("libpq-dev:amd64", "apt", True),
        ("python3-dev", "apt", True),
        ("pkg-config", "apt", True),
        ("linux-headers-amd64", "apt", True),
        ("build-base", "apk", True),
        ("musl-dev", "apk", True),
        ("openssl-devel", "dnf", True),
        ("gcc-c++", "microdnf", True),
        ("libpq5", "apt", False),
        ("ca-certificates", "apt", False),
        ("libxml2", "apt", False),
        ("tzdata", "apk", False),
        ("postgresql-libs", "apk", False),
        ("git", "apt", None),
        ("curl", "apt", None),
        ("nodejs", "apt", None),
        ("libreoffice", "apt", None),
        ("libpq-dev", "conan", None),
    ],
)
def test_what_only_serves_building(package: str, manager: str, expected: bool | None) -> None:
    assert build_only(package, manager) is expected


def test_programs_of_packages() -> None:
    assert programs("curl") == ("curl",)
    assert {"pdftotext", "pdftoppm"} <= set(programs("poppler-utils") or ())
    assert "python3" in (programs("python3") or ())
    assert "convert" in (programs("imagemagick") or ())
    assert programs("libpq5") is None
    assert programs("no-such-package") is None


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("git", "git"),
        ("pdftotext", "poppler-utils"),
        ("ffmpeg", "ffmpeg"),
        ("psql", "postgresql-client"),
        ("dot", "graphviz"),
        ("gs", "ghostscript"),
        ("ps", "procps"),
        ("tesseract", "tesseract-ocr"),
        ("vi", None),
        ("no-such-program", None),
        ("cur", None),
        ("g.t", None),
        ("", None),
    ],
)
def test_the_package_of_a_program(program: str, package: str | None) -> None:
    assert package_of(program) == package


@pytest.mark.parametrize("name", ["debian_runtime.txt", "debian_programs.txt"])
def test_the_tables_are_sorted_and_small(name: str) -> None:
    text = files("optimizer.knowledge").joinpath(name).read_text("utf-8")
    keys = [line.split("\t")[0] for line in text.split("\n")[1:-1]]
    assert keys == sorted(set(keys))
    assert len(keys) > 3000
    assert len(text.encode()) < 600_000
