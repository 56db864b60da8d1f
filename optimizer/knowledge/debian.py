"""Debian's packages: what a development package leaves to be installed at run time, and which programs packages bring.

The tables are made by ``make_debian_tables.py`` from Debian's own indices. They are plain text, searched as such: a line
holds a package's name, a tab and what is known of it.
"""

from __future__ import annotations

import re
from functools import cache

from optimizer.knowledge.data import read_text

_BUILD_TOOLS = frozenset(
    {
        "autoconf", "automake", "autopoint", "autotools-dev", "bison", "build-essential", "byacc", "cargo",
        "ccache", "checkinstall", "chrpath", "clang", "clang-format", "clang-tidy", "cmake", "cmake-data", "cpp", "cppcheck",
        "debhelper", "devscripts", "dh-python", "doxygen", "dpkg-dev", "equivs", "fakeroot", "flex", "g++", "gcc", "gfortran",
        "golang", "golang-go", "gperf", "help2man", "intltool", "lcov", "libtool", "libtool-bin", "linux-libc-dev", "lld", "llvm",
        "m4", "make", "meson", "mold", "nasm", "ninja-build", "patchelf", "pkg-config", "pkgconf", "protobuf-compiler",
        "protobuf-compiler-grpc", "quilt", "ragel", "re2c", "rustc", "scons", "swig", "texinfo", "valgrind", "yasm",
    }
)  # fmt: skip
_BUILD_PATTERNS = {
    # `-dev` packages hold headers and static libraries; compilers carry their version in the name.
    "apt": re.compile(r"-dev$|^(gcc|g\+\+|cpp|gfortran|clang|llvm|golang|libtool|autoconf|automake|rustc|cargo)-\d[\d.]*$|-headers(-|$)"),
    "apk": re.compile(r"-dev$|^(gcc|g\+\+|clang|llvm)\d*$|^(build-base|alpine-sdk|musl-dev|linux-headers|go|abuild)$|-static$"),
    "rpm": re.compile(r"-devel$|^(gcc-c\+\+|gcc-gfortran|kernel-headers|kernel-devel|redhat-rpm-config|rpm-build)$|-headers$|-static$"),
    "pacman": re.compile(r"^base-devel$|-headers$"),
}  # fmt: skip
_RUNTIME_PATTERNS = {
    "apt": re.compile(r"^(ca-certificates|tzdata|locales|netbase|tini|dumb-init|gosu|media-types|fontconfig)$|^fonts-|^lib.+\d(t64)?$"),
    "apk": re.compile(r"^(ca-certificates|tzdata|tini|dumb-init|su-exec|libstdc\+\+|libgcc|musl|fontconfig)$|-libs$|^(ttf|font)-"),
    "rpm": re.compile(r"^(ca-certificates|tzdata|tini|fontconfig)$|-libs$"),
    "pacman": re.compile(r"^(ca-certificates|tzdata|tini)$"),
}  # fmt: skip
# Where several packages bring a command, the one that is installed for it as a rule.
_USUAL = {
    "postgresql-client": frozenset(["psql", "pg_dump", "pg_dumpall", "pg_restore", "pg_isready", "createdb", "dropdb"]),
    "default-mysql-client": frozenset(["mysql", "mysqldump", "mysqladmin"]),
    "imagemagick": frozenset(["convert", "identify", "mogrify", "composite", "montage"]),
    "default-jre-headless": frozenset(["java"]),
    "default-jdk-headless": frozenset(["javac", "jar"]),
    "netcat-openbsd": frozenset(["nc"]),
    "iputils-ping": frozenset(["ping"]),
    "gettext-base": frozenset(["envsubst"]),
    "gettext": frozenset(["msgfmt", "msgmerge", "xgettext"]),
    "cron": frozenset(["cron", "crontab"]),
    "postgresql": frozenset(["initdb", "pg_ctl"]),
}
_KIND = {"apt": "apt", "apk": "apk", "dnf": "rpm", "microdnf": "rpm", "yum": "rpm", "zypper": "rpm", "pacman": "pacman"}


@cache
def _table(name: str) -> str:
    return read_text(name)


def _line(table: str, package: str) -> str | None:
    text = _table(table)
    start = text.find(f"\n{package}\t")
    if start < 0 or not package or any(c.isspace() for c in package):
        return None
    return text[start + len(package) + 2 : text.index("\n", start + 1)]


def plain_name(package: str) -> str:
    """A package without the version or architecture asked for: ``libpq-dev=15.*`` and ``libpq-dev:amd64`` are ``libpq-dev``."""
    return re.split(r"[=:/]", package, maxsplit=1)[0]


def runtime_packages(dev: str, release: str | None) -> tuple[str, ...] | None:
    """The Debian packages that a program built with the development package `dev` needs to run.

    `release` is a code name such as ``bookworm``. With `None` the answer is that of all releases the table has, if it is the
    same; libraries that trixie renamed for 64-bit time count under their old name, which the new ones provide
    (https://wiki.debian.org/ReleaseGoals/64bit-time). ``()`` means that nothing is needed (headers only); `None` means
    unknown: another package, another release.
    """
    line = _line("debian_runtime.txt", plain_name(dev))
    if line is None:
        return None
    answers: dict[str, tuple[str, ...]] = {}
    for part in line.split(";"):
        numbers, _, packages = part.partition("=")
        for number in numbers.split(","):
            answers[number] = tuple(packages.split())
    if release is None:
        plain = {tuple(re.sub(r"t64$", "", name) for name in packages) for packages in answers.values()}
        return plain.pop() if len(plain) == 1 and _covers_all(answers) else None
    covered = dict(word.split("=") for word in (_line("debian_runtime.txt", "#") or "").split())
    return answers.get("*", answers.get(covered[release])) if release in covered else None


def _covers_all(answers: dict[str, tuple[str, ...]]) -> bool:
    covered = dict(word.split("=") for word in (_line("debian_runtime.txt", "#") or "").split())
    return "*" in answers or answers.keys() >= set(covered.values())


def build_only(package: str, manager: str) -> bool | None:
    """Whether `package` only serves building: a compiler, headers, a build tool.

    `manager` is ``apt``, ``apk``, ``dnf``, ``microdnf``, ``yum``, ``zypper`` or ``pacman``. `False` is for what only serves
    running (libraries, certificates, fonts); `None` for what a program might start itself, such as git, and for the rest.
    """
    kind = _KIND.get(manager)
    if kind is None:
        return None
    name = plain_name(package)
    if _BUILD_PATTERNS[kind].search(name) or name in _BUILD_TOOLS:
        return True
    return False if _RUNTIME_PATTERNS[kind].search(name) else None


@cache
def programs(package: str) -> tuple[str, ...] | None:
    """The commands that the Debian package brings, sorted; `None` where the table does not have it."""
    line = _line("debian_programs.txt", plain_name(package))
    return None if line is None else tuple(line.split())


@cache
def package_of(program: str) -> str | None:
    """The Debian package to install for the command `program`: the usual one, the one of that name, or the only one."""
    if not re.fullmatch(r"[\w.+-]+", program, re.ASCII):
        return None
    if usual := next((package for package, names in _USUAL.items() if program in names), None):
        return usual
    if program in (programs(program) or ()):
        return program
    text, found = _table("debian_programs.txt"), []
    at = text.find(program)
    while at >= 0:
        end = at + len(program)
        if text[at - 1] in "\t " and text[end] in " \n":
            start = text.rindex("\n", 0, at) + 1
            found.append(text[start : text.index("\t", start)])
        at = text.find(program, end)
    return found[0] if len(found) == 1 else None
