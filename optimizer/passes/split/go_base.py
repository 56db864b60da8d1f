"""The image that a Go program runs on: distroless where nothing needs more, else one with a shell and packages."""

from __future__ import annotations

import re

from msgspec import Struct

from optimizer.knowledge.debian import build_only, plain_name
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.native_libraries import in_every_image
from optimizer.knowledge.twins import distroless, runtime_twins
from optimizer.passes.split.go_project import GoProject
from optimizer.passes.split.linked import cgo_libraries, cgo_names, needs_c, uses_cxx
from optimizer.passes.split.shared import Refused, installs_of, packages_for, sort_packages
from optimizer.passes.text import quote_names

# What a build fetches its sources with. No program starts these unless its source says so.
_FETCHING = frozenset({
    "git", "git-lfs", "mercurial", "subversion", "bzr", "curl", "wget", "unzip", "zip", "xz-utils", "tar", "gzip", "bzip2", "make", "upx",
    "upx-ucl", "ca-certificates", "tzdata", "openssh-client", "openssh", "gnupg", "gnupg2", "protobuf-compiler", "protoc", "jq", "rsync",
    "apt-transport-https", "software-properties-common", "lsb-release", "apt-utils", "apt-file", "bash",
})  # fmt: skip


def _linking(project: GoProject) -> tuple[bool, str]:
    """Whether the programs are, or can be, linked statically, and why."""
    needed = needs_c(project.modules, project.needs)
    for build in project.builds:
        flags = f"{build.option('ldflags') or ''} {build.environment.get('GOFLAGS') or ''}"
        if build.cgo == "0" or re.search(r"-static\b", flags):
            continue
        if any(build.option(name) is not None for name in ("race", "msan", "asan")):
            return False, "it is built with a sanitizer"
        if "boringcrypto" in (build.environment.get("GOEXPERIMENT") or ""):
            return False, "it is built with boringcrypto"
        if needed is not None:
            return False, needed
        if build.cgo not in (None, ""):
            return False, f"CGO_ENABLED={build.cgo} is set"
    if all(build.cgo == "0" for build in project.builds):
        return True, "CGO_ENABLED=0 is set"
    return True, "no source imports C, and CGO_ENABLED=0 keeps the C resolver out"


class GoBase(Struct, frozen=True):
    """The runtime image: its reference, what is known of it, packages to install, and how the program is linked."""

    reference: str
    image: BaseImage
    packages: tuple[str, ...]
    static: bool
    why: tuple[str, ...]

    @classmethod
    def of(cls, project: GoProject, *, shell: bool = False) -> GoBase:
        """The smallest image for a project. shell: whether steps of the runtime stage need one.

        Raises:
            Refused: None is known that has what the program needs.
        """
        static, why = _linking(project)
        twins = _twins(project)
        if not twins:
            raise Refused(f"no image that runs what is made in {project.stage.reference} is known", project.stage.position)
        kept, libraries = _packages(project, static)
        linked = f"the program is linked statically: {why}" if static else f"the program needs the C library: {why}"
        if not (shell or project.start.shell or project.programs or kept or libraries) and (
            static or project.image.package_manager == "apt"
        ):
            wanted = "static" if static else "cc" if uses_cxx(project.context, project.modules) else "base"
            reference = next((t for t in twins if f"distroless/{wanted}-" in t), None)
            found = lookup(reference) if reference is not None else None
            if reference is not None and found is not None:
                return cls(reference, found, (), static, (linked,))
        return cls.system(project, twins, (*kept, *(p for p in libraries if not in_every_image(p))), static, linked)

    @classmethod
    def system(cls, project: GoProject, twins: tuple[str, ...], packages: tuple[str, ...], static: bool, linked: str) -> GoBase:
        """A base with a shell and a package manager, of the same distribution and release."""
        family = "alpine" if project.image.package_manager == "apk" else "debian"
        reference = next((t for t in twins if re.search(rf"(^|/)({family}|ubuntu):", t)), None)
        if reference is None and static and family == "debian":
            reference = "debian:stable-slim"  # a static program runs on every release
        found = lookup(reference) if reference is not None else None
        if reference is None or found is None:
            what = next(iter(sorted(project.programs)), "a shell" if project.start.shell else "the C library")
            where = f"the release of {project.stage.reference} is not known; a tag that names it tells"
            raise Refused(f"it needs {what}, and {where}", project.position)
        extra: list[str] = []
        wanted = set(project.programs) - {"sh", "bash"}
        if family == "debian":
            extra += packages_for(wanted, found, packages, project.position)
        else:
            missing = sorted(p for p in wanted if found.has(p) is not True and p not in packages)
            if missing:
                raise Refused(f"it starts {missing[0]}, and nothing tells which package brings that to {reference}", project.position)
        if any(m.tls_client or m.requires for m in project.modules) and found.ca_certificates is not True:
            extra.append("ca-certificates")
        if any(m.time_zones for m in project.modules) and found.time_zones is not True:
            extra.append("tzdata")
        why = [linked]
        if project.programs:
            why.append(f"it starts {quote_names(sorted(project.programs))}")
        elif project.start.shell:
            why.append("a shell starts it")
        return cls(reference, found, tuple(dict.fromkeys((*packages, *extra))), static, tuple(why))


def _twins(project: GoProject) -> tuple[str, ...]:
    """The images that run what is made in a project's own, those of distroless also where Go is a package of Debian."""
    image, twins = project.image, runtime_twins(project.image)
    if image.family not in ("debian", "ubuntu"):
        return twins
    kinds = ("static", "base", "cc") if image.distribution == "debian" else ()
    bare = tuple(found for kind in kinds if (found := distroless(kind, image.release)) is not None)
    written = project.model.file.instruction(project.stage.position).value.split()[0]
    return (*bare, *(twins or ((written,) if image.release is not None else ())))


def _packages(project: GoProject, static: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The distribution's packages to keep of those that the stage installs, and the libraries that cgo links."""
    installed: list[str] = []
    for position in project.stage.positions:
        node = project.model.file.instruction(position)
        for call in installs_of(node) if node.keyword == "RUN" else ():
            if call.ecosystem in ("apt", "apk"):
                if not call.complete:
                    raise Refused("which packages it installs is known only when it runs", position)
                installed += [plain_name(p) for p in call.packages if not p.startswith(".")]
    manager = project.image.package_manager or "apt"
    development = [p for p in installed if build_only(p, manager)]
    others = [p for p in installed if p not in development and p not in _FETCHING and not (static and p.startswith("lib"))]
    if manager == "apt":
        third = any(m.requires for m in project.modules)
        kept = sort_packages(others, set(project.programs), project.image.release, (), not third, project.position).kept
    else:
        kept = tuple(others)
    tools = [p for p in installed if p in _FETCHING and p in project.programs]
    libraries = () if static else _libraries(project, [p for p in development if p.endswith("-dev")], manager)
    return tuple(dict.fromkeys((*kept, *tools))), libraries


def _libraries(project: GoProject, development: list[str], manager: str) -> tuple[str, ...]:
    """The library packages that a program built with cgo needs.

    Raises:
        Refused: One of them is not known.
    """
    if manager == "apk":
        if project.needs.development or cgo_names(project.context, project.modules) or project.needs.development is None:
            raise Refused("which packages of Alpine the program needs is not known", project.position)
        return ()
    return cgo_libraries(project.context, project.modules, project.needs, development, project.image.release, project.position)
