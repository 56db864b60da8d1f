"""Makes ``debian_runtime.txt`` and ``debian_programs.txt`` from Debian's own indices.

Usage: ``python -m optimizer.knowledge.make_debian_tables [CODENAME=PACKAGES …] [CODENAME=CONTENTS …]``

The files are the ``Packages`` and ``Contents-*`` indices of a release, uncompressed; one with ``Contents`` in its name is of
the latter, and the programs are those of the release named first for them. Without arguments the indices are those that apt
has on this machine (``apt-get update`` fetches Contents too once an ``IndexTargets`` entry of apt asks for it).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

HERE = Path(__file__).parent
RELEASES = {"bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14"}
# -dev packages of ecosystems that install by other means and never make a shared library.
OTHER_ECOSYSTEMS = re.compile(r"^(libghc|librust-|golang-|elpa-|node-|ruby-|r-)|-ocaml(-dev)?$")
# Large families for desktops, robots and network cards, and the insides of compilers; left out for the size of the table.
RARE = re.compile(
    r"^(lib)?(kf[56]|kpim|akonadi|ros-|dpdk|mono-|qt6|plasma|gnustep|deal\.ii|trilinos|ignition-|gz-|sdformat|globus|mrpt)"
    r"|^lib(n?x?32|64|n32|hf|sf)?(gcc|objc|go|gphobos|gfortran|gm2|gnat|asan|hwasan|quadmath|itm|cc1)-?\d|^lib[nx]?32"
    r"|^(libgnatcoll|gambas|lua|php|dh-|libc6-(?!dev$))"
)
MOST_LIBRARIES = 40
COMPILER = re.compile(r"^lib(c6|gcc-\d+|c6-.*|gcc-\d+-.*)-dev$")  # what every program needs is in every image with that libc
# Section names of programs that are seldom part of a server or a build.
LEFT_OUT = {
    "games", "x11", "gnome", "kde", "xfce", "science", "doc", "hamradio", "electronics", "education", "sound", "lisp", "tex",
    "haskell", "ocaml", "gnu-r", "kernel", "debug", "news", "comm", "embedded", "gnustep", "otherosfs", "math", "zope",
    "introspection", "rust",
}  # fmt: skip
# Members of those sections that are common in images all the same.
KEPT = {
    "xvfb", "xauth", "x11vnc", "xdotool", "gdal-bin", "r-base-core", "gnuplot-nox", "proj-bin", "sox", "lame", "flac",
    "texlive-binaries", "latexmk", "samtools", "octave", "bc", "dc", "npm", "nodejs", "sbcl", "ghc", "ocaml-nox", "kmod",
}  # fmt: skip
MOST_PROGRAMS = 150
CROSS = re.compile(r"-(linux-gnu|linux-gnux32|mingw-w64|gnu)[a-z0-9]*$|-mingw-w64|-cross|^(gcc|g\+\+|gfortran|gdc|gnat|gobjc)")
CROSS_KEPT = re.compile(r"^(gcc|g\+\+|gfortran)(-\d+)?$")
# Programs that a package brings through update-alternatives, which no index of files lists.
ALTERNATIVES = {
    "default-jdk": "java javac jar keytool",
    "default-jdk-headless": "java javac jar keytool",
    "default-jre": "java keytool",
    "default-jre-headless": "java keytool",
    "g++": "c++",
    "gcc": "cc",
    "gawk": "awk",
    "imagemagick": "convert identify mogrify composite montage compare display import animate conjure stream",
    "imagemagick-6.q16": "convert identify mogrify composite montage compare display import animate conjure stream",
    "mawk": "awk",
    "netcat-openbsd": "nc netcat",
    "netcat-traditional": "nc netcat",
    "vim": "vim vi ex view",
    "vim-tiny": "vi ex view",
    "nano": "editor pico",
    "less": "pager",
    "default-mysql-client": "mysql mysqldump mysqladmin",
    "postgresql-client": "psql pg_dump pg_restore createdb dropdb pg_isready",
}
SHARED_LIBRARY = re.compile(r"^lib|\d(g|t64|v5|debian)?$")
NO_LIBRARY = re.compile(r"^libjs-|-(dev|stdlib|doc|bin|tools|utils|devtools|common|data|dbg|examples|perl|java|ruby|tests)$")


class Package(Struct, frozen=True):
    name: str
    source: str
    section: str
    depends: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]


def read_packages(text: str) -> dict[str, Package]:
    """The packages of a ``Packages`` index; of several versions the last counts."""
    found: dict[str, Package] = {}
    for paragraph in text.split("\n\n"):
        fields: dict[str, str] = dict(re.findall(r"^(Package|Source|Section|Depends|Pre-Depends|Provides): (.*)$", paragraph, re.M))
        if name := fields.get("Package"):
            source = fields.get("Source", name).split(" ")[0]
            needed = f"{fields.get('Pre-Depends', '')},{fields.get('Depends', '')}"
            depends = tuple(names(group, "|") for group in needed.split(",") if group.strip())
            provides = names(fields.get("Provides", ""), ",")
            found[name] = Package(name, source, fields.get("Section", "").split("/")[-1], depends, provides)
    return found


def names(text: str, separator: str) -> tuple[str, ...]:
    """Names of packages without versions and architectures."""
    return tuple(re.split(r"[\s(:\[]", part.strip())[0] for part in text.split(separator) if part.strip())


def runtime_table(packages: dict[str, Package]) -> dict[str, tuple[str, ...]]:
    """Every development package: the run-time libraries that what is built with it needs."""
    providers: dict[str, list[str]] = defaultdict(list)
    for package in packages.values():
        for name in package.provides:
            providers[name].append(package.name)

    def real(group: tuple[str, ...]) -> Package | None:
        for name in group:
            if name in packages:
                return packages[name]
        return next((packages[sorted(providers[name])[0]] for name in group if providers.get(name)), None)

    def is_development(package: Package) -> bool:
        return package.name.endswith("-dev") or (package.section == "libdevel" and not package.name.endswith("-doc"))

    def libraries(package: Package, seen: frozenset[str]) -> frozenset[str]:
        direct = [other for group in package.depends if (other := real(group)) is not None]
        own = {
            other.name
            for other in direct
            if not is_development(other)
            and (other.section in ("libs", "oldlibs") or other.name.startswith("lib"))
            and SHARED_LIBRARY.search(other.name)
            and not NO_LIBRARY.search(other.name)
        }
        same = {name for name in own if packages[name].source == package.source}
        # A library's own dependencies come with it: other -dev packages only matter where this one has no library itself.
        behind = set(same or own)
        for other in direct:
            if (
                is_development(other)
                and other.name not in seen
                and (not same or other.source == package.source)
                and not COMPILER.match(other.name)
            ):
                behind |= libraries(other, seen | {other.name})
        return frozenset(behind)

    table = {
        name: tuple(sorted(libraries(package, frozenset({name})) - {"libc6", "libgcc-s1"}))
        for name, package in packages.items()
        if name.endswith("-dev") and not OTHER_ECOSYSTEMS.search(name) and not RARE.search(name)
    }
    for name, by in providers.items():
        if name.endswith("-dev") and name not in packages and len(by) == 1 and by[0] in table:
            table[name] = table[by[0]]
    return {name: found for name, found in table.items() if len(found) <= MOST_LIBRARIES}


def write_runtime(tables: dict[str, dict[str, tuple[str, ...]]]) -> None:
    """One line a package: its name, then for the numbers of releases (``*``: all) the run-time packages."""
    numbers = {release: RELEASES.get(release, release) for release in tables}
    lines = ["#\t" + " ".join(f"{release}={number}" for release, number in numbers.items())]
    for name in sorted({name for table in tables.values() for name in table}):
        results: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for release, table in tables.items():
            if name in table:
                results[table[name]].append(release)
        parts = []
        for packages, releases in results.items():
            of = "*" if len(releases) == len(tables) else ",".join(numbers[release] for release in releases)
            parts.append(f"{of}={' '.join(packages)}")
        lines.append(f"{name}\t{';'.join(parts)}")
    (HERE / "debian_runtime.txt").write_text("\n".join(["", *lines, ""]), "utf-8")


def write_programs(contents: Iterable[str], packages: dict[str, Package]) -> None:
    """One line a package: name, programs in the folders of PATH; sorted by name."""
    own: dict[str, set[str]] = defaultdict(set)
    for line in contents:
        if match := re.match(r"(?:usr/)?s?bin/(\S+)\s+(\S+)$", line):
            for place in match[2].split(","):
                own[place.split("/")[-1]].add(match[1])
    for name, alternatives in ALTERNATIVES.items():
        own[name] |= set(alternatives.split())
    found: dict[str, set[str]] = {}
    for name, package in packages.items():
        if (package.section in LEFT_OUT and name not in KEPT) or (CROSS.search(name) and not CROSS_KEPT.match(name)):
            continue
        programs = set(own.get(name, ()))
        for group in package.depends:
            other = packages.get(group[0])
            if other is not None and other.source == package.source and other.name.startswith(name):
                programs |= own.get(other.name, set())
        if 0 < len(programs) <= MOST_PROGRAMS:
            found[name] = programs
    lines = [f"{name}\t{' '.join(sorted(found[name]))}" for name in sorted(found)]
    (HERE / "debian_programs.txt").write_text("\n".join(["", *lines, ""]), "utf-8")


def from_apt() -> Iterator[tuple[str, str, str]]:
    """The code name, file name and text of every index apt has here."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(FILENAME)"],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in listing.stdout.splitlines():
        release, component, file = line.split(" ", 2)
        if component == "main" and "-" not in release and re.search(r"Packages|Contents", file):
            command = ["/usr/lib/apt/apt-helper", "cat-file", file]
            yield release, file, subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main(arguments: list[str]) -> None:
    """Writes both tables beside this file."""
    given = (argument.partition("=") for argument in arguments)
    sources = ((release, file, Path(file).read_text("utf-8")) for release, _, file in given) if arguments else from_apt()
    indices: dict[str, dict[str, Package]] = {}
    contents: dict[str, list[str]] = defaultdict(list)
    for release, file, text in sources:
        if "Contents" in Path(file).name:
            contents[release] += text.splitlines()
        else:
            indices[release] = read_packages(text)
    write_runtime({release: runtime_table(packages) for release, packages in indices.items()})
    for release, lines in list(contents.items())[:1]:
        write_programs(lines, indices[release])


if __name__ == "__main__":
    main(sys.argv[1:])
