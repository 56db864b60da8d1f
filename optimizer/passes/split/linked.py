"""The Debian packages of the shared libraries that C and C++ programs, and Go programs with C code, are linked with."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.golang import GoModule
from optimizer.knowledge.go_modules import GoNeeds
from optimizer.knowledge.images import BaseImage
from optimizer.knowledge.native_libraries import brings, compiler_library, development_packages, libraries_of, of_system
from optimizer.model.native_made import Made, NativeBuild
from optimizer.passes.split.shared import Refused

_DIRECTIVE = re.compile(r"#cgo[^\n]*?(LDFLAGS|pkg-config):([^\n]*)")


class Linked(Struct, frozen=True):
    """What programs are linked with.

    Args:
        packages: The packages to run them, without doubles.
        names: The libraries as the build names them, those of the C library and of the project left out.
        dropped: Development packages of which nothing is linked.
    """

    packages: tuple[str, ...]
    names: tuple[str, ...]
    dropped: tuple[str, ...]


def linked_libraries(build: NativeBuild, programs: Iterable[Made], image: BaseImage, installed: Iterable[str], position: int) -> Linked:
    """What programs of a build of C or C++ are linked with.

    Args:
        build: What the stage builds.
        programs: The programs.
        image: The base of the stage.
        installed: The Debian packages that it installs.
        position: The instruction to name in a refusal.

    Raises:
        Refused: The package of a library is not known.
    """
    linked = [name for made in programs if not made.static for name in made.libraries]
    names = tuple(name for name in dict.fromkeys(linked) if not of_system(name) and not own_library(build, name))
    development = [p for p in installed if p.endswith("-dev") and p not in ("libc6-dev", "linux-libc-dev")]
    used: dict[str, None] = {}
    covered: set[str] = set()
    found: list[str] = []
    open_names: list[str] = []
    for name in names:
        matches = [p for p in development if brings(p, name)]
        package = compiler_library(name)
        if package is not None:
            found.append(package)
        elif matches:
            # A package that stands for many, such as libboost-all-dev, is linked no further than by what is named.
            single = [p for p in development_packages(name) if _packages_of(p, image) is not None]
            used.update(dict.fromkeys(single[:1] if single and all(p.endswith("-all-dev") for p in matches) else matches))
            covered.update(matches)
        else:
            open_names.append(name)
    rest = [p for p in development if p not in used and p not in covered]
    for name in open_names:
        known = [p for p in development_packages(name) if _packages_of(p, image) is not None]
        if name.startswith("/") or (not known and not rest):
            raise Refused(f"which package brings the library {name} is not known", position)
        used.update(dict.fromkeys(known[:1] or rest))
    for development_package in used:
        runtime = _packages_of(development_package, image)
        if runtime is None:
            where = f"{image.distribution} {image.release}" if image.release else "a release that the tag does not name"
            raise Refused(f"which runtime library belongs to {development_package} in {where} is not known", position)
        found += runtime
    return Linked(tuple(dict.fromkeys(found)), names, tuple(p for p in development if p not in used and p not in covered))


def named_libraries(names: Iterable[str], image: BaseImage, installed: Iterable[str], position: int) -> tuple[str, ...]:
    """The packages of the libraries that the source of a program links by name.

    Args:
        names: The libraries, as behind ``-l``.
        image: The base of the stage that compiles.
        installed: The Debian packages that the stage installs.
        position: The instruction to name in a refusal.

    Raises:
        Refused: The package of one of them is not known.
    """
    development = [p for p in installed if p.endswith("-dev")]
    found: list[str] = []
    for name in (name for name in dict.fromkeys(names) if not of_system(name)):
        package = compiler_library(name)
        matches = [p for p in (*development, *(development_packages(name) if image.has_toolchain else ())) if brings(p, name)]
        runtime = (package,) if package is not None else _packages_of(matches[0], image) if matches else None
        if runtime is None:
            raise Refused(f"which package brings the library {name} is not known", position)
        found += [p for p in runtime if p != "libc6"]
    return tuple(dict.fromkeys(found))


def _packages_of(development: str, image: BaseImage) -> tuple[str, ...] | None:
    return libraries_of(development, image.distribution or "", image.release)


def own_library(build: NativeBuild, name: str) -> tuple[str, ...]:
    """The paths of a library that a build makes itself."""
    known = (*build.made, *build.installed)
    return tuple(p for p in known if re.fullmatch(rf"lib{re.escape(name)}\.(a|so[\d.]*)", posixpath.basename(p)))


def needs_c(modules: Iterable[GoModule], needs: GoNeeds) -> str | None:
    """Why Go modules do not work without C code, None when they do. needs: what modules they require need."""
    reasons = [f"{module.cgo[0]} imports C" for module in modules if module.cgo] + [f"{name} is written in C" for name in needs.cgo]
    return reasons[0] if reasons else None


def cgo_libraries(
    context: BuildContext, modules: Iterable[GoModule], needs: GoNeeds, development: Iterable[str], release: str | None, position: int
) -> tuple[str, ...]:
    """The Debian packages that Go programs with C code are linked with.

    Args:
        context: The build context.
        modules: The modules of the programs.
        needs: What modules that they require need.
        development: The development packages that the stage which compiles them installs.
        release: The code name of its Debian release.
        position: The instruction to name in a refusal.

    Raises:
        Refused: One of them is not known.
    """
    if needs.development is None:
        raise Refused(f"which libraries {needs.cgo[0]} links is not known", position)
    present = tuple(development)
    names = [n for n in cgo_names(context, modules) if not of_system(n)]
    used = [p for p in present if any(brings(p, n) for n in names)] + list(needs.development)
    for name in (n for n in names if not any(brings(p, n) for p in present)):
        candidates = [p for p in development_packages(name) if libraries_of(p, "debian", release)]
        used += candidates[:1] or [p for p in present if p not in used and p != "libc6-dev"]
        if not candidates and not present:
            raise Refused(f"which package brings the library {name} is not known", position)
    found: list[str] = []
    for package in dict.fromkeys(used):
        libraries = libraries_of(package, "debian", release)
        if libraries is None:
            raise Refused(f"which runtime library belongs to {package} is not known", position)
        found += [p for p in libraries if p != "libc6"]
    return tuple(dict.fromkeys(found))


def cgo_names(context: BuildContext, modules: Iterable[GoModule]) -> list[str]:
    """The libraries that cgo directives in the source name."""
    names: list[str] = []
    for path in (path for module in modules for path in module.cgo):
        for kind, text in _DIRECTIVE.findall(context.read_text(path) or ""):
            words = text.split()
            names += [w for w in words if not w.startswith("-")] if kind == "pkg-config" else [w[2:] for w in words if w.startswith("-l")]
    return list(dict.fromkeys(names))


def uses_cxx(context: BuildContext, modules: Iterable[GoModule]) -> bool:
    """Whether C++ is compiled with Go programs."""
    given = tuple(modules)
    folders = {posixpath.dirname(path) for module in given for path in module.cgo}
    sources = [f for f in context.files() if posixpath.dirname(f) in folders]
    return any(re.search(r"\.(cc|cpp|cxx|hpp)$", f) for f in sources) or "stdc++" in cgo_names(context, given)
