"""Split a stage that compiles C or C++: the tool chain stays in a build stage, the image holds what it made."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from msgspec import Struct

from optimizer.context.native import NativeSources, native_literals, native_sources, writes_nothing
from optimizer.context.native_commands import HEADERS, SOURCES
from optimizer.knowledge.debian import build_only, plain_name
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.native_libraries import in_every_image, newest_gcc, wants_certificates
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.compiled_program import commands_of, native_settings
from optimizer.model.copies import stage_copies
from optimizer.model.native_build import native_build
from optimizer.model.native_made import NativeBuild
from optimizer.model.paths import context_path
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import (
    Split,
    account_steps,
    assemble,
    copied_elsewhere,
    copy_line,
    data_files,
    exposed_ports,
    has_user,
    in_system,
    is_below,
    is_root,
    outermost,
)
from optimizer.passes.split.linked import linked_libraries, own_library
from optimizer.passes.split.shared import Refused, apt_install, installs_of, line, packages_for, reference_text, sort_packages, stage_name
from optimizer.passes.split.started import Starting, starting
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction

NOBODY = "65534:65534"
"""The user and group nobody and nogroup of Debian and Ubuntu, by number (base-passwd)."""
_FAMILIES = frozenset({"debian", "ubuntu", "gcc", "buildpack-deps"})
_BUILD_VARIABLE = re.compile(
    r"CC|CXX|CPP|LD|AR|(C|CXX|CPP|LD)FLAGS|MAKEFLAGS|CMAKE_\w+|PKG_CONFIG\w*|DEBIAN_FRONTEND|(C|CPLUS)_INCLUDE_PATH|LIBRARY_PATH"
)
_NOT_RUN = re.compile(r"/(include|man|doc|pkgconfig|cmake|info)/|\.(a|la|h|hpp|pc|o|1|3|5|8)(\.gz)?$")
_SHARED = re.compile(r"/lib[^/]*\.so[\d.]*$")


def split_native(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a C or C++ project on Debian, Ubuntu, gcc or buildpack-deps.

    Returns:
        The change, None when the stage compiles nothing or has no tool chain to leave behind.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family not in _FAMILIES or stage.base is not None or image.package_manager != "apt":
        return None
    build = native_build(model, stage)
    if build is None or (model.last(stage, "CMD") is None and model.last(stage, "ENTRYPOINT") is None):
        return None
    packages = _Packages.of(model, stage)
    if not image.has_toolchain and not any(build_only(p, "apt") for p in packages.installed):
        return None
    if model.context is None:
        raise Refused("without a build context nothing tells what the build makes", build.first)
    if build.unknown:
        position, reason = build.unknown[0]
        raise Refused(f"which files the build makes is not known: {reason}", position)
    start = starting(model, stage, build.programs)
    return _Splitter(model, stage, image, build, start, packages).change()


class _Packages(Struct, frozen=True):
    """The distribution's packages that a stage installs; recommended: with those that they recommend."""

    installed: tuple[str, ...]
    recommended: bool

    @classmethod
    def of(cls, model: Model, stage: Stage) -> _Packages:
        installed: list[str] = []
        recommended = False
        for position in stage.positions:
            node = model.file.instruction(position)
            for call in installs_of(node) if node.keyword == "RUN" else ():
                if call.ecosystem == "apt":
                    if not call.complete:
                        raise Refused("which packages it installs is known only when it runs", position)
                    installed += call.packages
                    recommended = recommended or "--no-install-recommends" not in call.options
        return cls(tuple(plain_name(p) for p in installed), recommended)


@dataclass
class _Splitter:
    model: Model
    stage: Stage
    image: BaseImage
    build: NativeBuild
    start: Starting
    packages: _Packages
    evidence: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.model.context is not None
        self.context = self.model.context
        self.position = self.build.last
        self.workdir = self.model.behind(self.stage).workdir
        paths = dict.fromkeys((*self.start.made, *self.placed_programs()))
        self.programs = {p: made for p in paths if (made := self.build.program(p)) is not None}
        files = [f for f in self.context.files() if f.endswith(HEADERS)]
        shared = [made for made in self.build.made.values() if made.shared]
        for made in (*self.programs.values(), *shared):
            for source in made.sources:
                inside = context_path(self.model, self.stage, source, self.position)
                if inside is None:
                    raise Refused(f"the source {source} is not in the build context", self.position)
                files.append(inside)
        self.files = tuple(dict.fromkeys(files))
        self.sources: NativeSources = native_sources(
            self.context, self.files, commands_of(self.model, self.stage), native_settings(self.model, self.stage)
        )
        self.source = self.source_folder()

    def placed_programs(self) -> list[str]:
        placed = (p for p in (*self.build.installed, *self.build.links) if not p.endswith(".a"))
        return [p for p in placed if self.build.program(p) is not None]

    def source_folder(self) -> str:
        """The folder of the image that the sources are copied to."""
        first = next((f for f in self.files if f.endswith(SOURCES)), None)
        for copy in stage_copies(self.model, self.stage):
            if first is not None and copy.image_of(self.model, first) is not None and copy.destination is not None:
                return copy.destination
        return self.workdir or "/"

    def change(self) -> Change:
        model, stage = self.model, self.stage
        if not any(f.endswith(SOURCES) for f in self.files):
            raise Refused("the sources of the program are not found in the build context", self.position)
        unknown = [u for u in self.sources.unknown if u.about in ("program", "module", "context")]
        if unknown:
            raise Refused(f"what it needs when it runs is not known: {unknown[0]}", self.position)
        loaded = self.loaded()
        reference, runtime = self.base()
        self.check_compiler(runtime)
        install = self.system_packages(runtime)
        kept = self.kept_files()
        name = stage_name(model)
        middle: list[Instruction] = [apt_install(model, stage, install, ("--no-install-recommends",))] if install else []
        user, accounts = self.user(runtime)
        middle += accounts
        paths = outermost((*self.own_libraries(), *self.installed_files(), *kept, *self.programs, *loaded))
        middle += [copy_line(model, stage, name, path, path.partition("*")[0]) for path in paths]
        if any((_SHARED.search(path) and is_below(path, "/usr")) or is_below(path, "/lib") for path in paths):
            middle.append(line(model, stage, "RUN", "ldconfig"))
        last = max(p for p in stage.positions if model.file.instruction(p).keyword == "RUN")
        relative = any(p.kind == "cwd" for p in (*self.sources.read, *self.sources.written)) or bool(kept)
        split = Split(
            name, reference, last, tuple(middle), replaced=self.start.replaced, workdir=relative, user=user,
            build_variable=lambda variable: _BUILD_VARIABLE.fullmatch(variable) is not None,
        )  # fmt: skip
        file = assemble(model, stage, split)
        made = quote_names([posixpath.basename(p) for p in self.programs])
        summary = f"compile {made} in a build stage and run on {reference}" + (f" as user {NOBODY}" if user == NOBODY else "")
        return Change(summary, file, (stage.position, self.build.first, self.build.last, *self.start.replaced), tuple(self.evidence))

    # The runtime base.

    def base(self) -> tuple[str, BaseImage]:
        stage, image = self.stage, self.image
        written = self.model.file.instruction(stage.position).value.split()[0]
        if image.variant == "slim" or (image.family == "ubuntu" and not runtime_twins(image)):
            return written, image
        for twin in runtime_twins(image):
            found = lookup(twin)
            text = reference_text(self.model, stage, image, twin)
            if found is not None and text is not None and found.package_manager == "apt":
                return text, found
        raise Refused(f"which Debian release {stage.reference} stands on is not known; a tag such as -bookworm tells", stage.position)

    def check_compiler(self, runtime: BaseImage) -> None:
        """A program of a GCC newer than the distribution's needs that one's libstdc++."""
        cxx = [p for p, made in self.programs.items() if made.cxx and not made.static and not made.statics]
        if self.image.family != "gcc" or not cxx:
            return
        newest = newest_gcc(runtime.release or "")
        major = re.match(r"\d+", self.image.version or "")
        if newest is None or major is None or int(major[0]) > newest:
            name = posixpath.basename(cxx[0])
            raise Refused(f"{name} needs the libstdc++ of {self.stage.reference}, which {runtime.text} does not have", self.position)
        self.evidence.append(f"{runtime.text} has a libstdc++ for what GCC {major[0]} compiles")

    # Packages.

    def system_packages(self, runtime: BaseImage) -> tuple[str, ...]:
        """The packages to install in the runtime stage."""
        libraries = self.libraries()
        started = {*self.start.programs, *(posixpath.basename(p) for p in self.sources.programs)}
        programs = started - {posixpath.basename(p) for p in self.programs}
        special = {"ca-certificates", "tzdata"}
        others = [p for p in self.packages.installed if not build_only(p, "apt") and p not in special]
        sorted_out = sort_packages(others, programs, self.image.release, (), True, self.position)
        extra = [*packages_for(programs - {"sh"}, runtime, sorted_out.kept, self.position)]
        secure = any(wants_certificates(p) for p in libraries) and self.has_certificates(libraries)
        if secure and runtime.ca_certificates is not True:
            extra.append("ca-certificates")
        if "tzdata" in self.packages.installed and runtime.time_zones is not True:
            extra.append("tzdata")
        kept = tuple(dict.fromkeys(p for p in (*sorted_out.kept, *libraries, *extra) if not in_every_image(p)))
        present = [p for p in libraries if in_every_image(p) and p not in ("libc6", "libgcc-s1")]
        if present:
            self.evidence.append(f"it links {quote_names(present)}, which every image of {self.image.distribution} has")
        if kept:
            self.evidence.append(f"it needs {quote_names(kept)} when it runs")
        return kept

    def has_certificates(self, libraries: tuple[str, ...]) -> bool:
        """Whether the image had certificates until now: on its own, by name, or since libcurl recommends them."""
        if self.image.ca_certificates or "ca-certificates" in self.packages.installed:
            return True
        return self.packages.recommended and any(p.startswith("libcurl") for p in libraries)

    def libraries(self) -> tuple[str, ...]:
        """The library packages that the programs link.

        Raises:
            Refused: The package of one of them is not known.
        """
        linked = linked_libraries(self.build, self.programs.values(), self.image, self.packages.installed, self.position)
        if linked.dropped:
            self.evidence.append(f"nothing links {quote_names(linked.dropped)}")
        if linked.names:
            self.evidence.append(f"the build links {quote_names(linked.names)}")
        return linked.packages

    def own_libraries(self) -> tuple[str, ...]:
        """The build's own shared libraries that a program links where they were made."""
        names = dict.fromkeys(name for made in self.programs.values() for name in made.libraries)
        placed = {posixpath.basename(p) for p in self.build.installed}
        paths = [p for name in names for p in own_library(self.build, name) if ".so" in p]
        return tuple(p for p in paths if p in self.build.installed or posixpath.basename(p) not in placed)

    def loaded(self) -> tuple[str, ...]:
        """The libraries that the program loads when it runs.

        Raises:
            Refused: One of them is not of this build.
        """
        found: list[str] = []
        for place in self.sources.loaded:
            path = posixpath.normpath(posixpath.join(self.workdir or "/", place.path))
            libraries = self.build.libraries_at(path, below=place.folder)
            if not libraries or (place.kind == "cwd" and self.workdir is None):
                raise Refused(f"it loads {place} when it runs, which the build is not seen to make", self.position)
            found += libraries
        return tuple(found)

    # Files.

    def installed_files(self) -> tuple[str, ...]:
        """What was placed outside of the sources, apart from what only building needs; shared libraries of the build's own."""
        found = []
        for path in (*self.build.installed, *self.build.links):
            if not is_below(path, self.source) and (_SHARED.search(path) or not _NOT_RUN.search(path)):
                found.append(path)
        return tuple(p for p in dict.fromkeys(found) if not is_below(p, "/tmp"))

    def kept_files(self) -> tuple[str, ...]:
        """Files of the build stage that the program reads, beside those that were installed."""
        model, stage = self.model, self.stage
        elsewhere = copied_elsewhere(model, stage, self.source, self.position)
        scripts = [path for path in self.start.scripts if path not in self.build.installed.values()]
        found = [*scripts, *self.start.files, *(path for path in elsewhere if not self.placed_again(path))]
        own = [f for f in self.build.folders if not in_system(f) and f != self.workdir and not is_below(self.source, f)]
        for place in (*self.sources.read, *self.sources.written):
            path = self.image_place(place.kind, place.path)
            if path is None or path in (self.workdir, "/"):
                continue
            folder = path if place.folder or place in self.sources.read else posixpath.dirname(path)
            if context_path(model, stage, folder) not in (None, "."):
                found.append(folder)
            found += [f for f in own if is_below(path, f)]
        if any(u.about in ("read", "write") for u in self.sources.unknown):
            found += [f for f in own if not is_below(f, self.source)]
        data = data_files(model, stage)
        for text in native_literals(self.context, self.files):
            name = posixpath.normpath(text) if 1 < len(text) < 200 else ""
            path = posixpath.join(self.workdir or "/", name)
            if re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name) and name not in (".", "..") and any(is_below(d, path) for d in data):
                found.append(path)
        unclear = [u for u in self.sources.unknown if u.about == "read"]
        if unclear and any(not any(is_below(d, f) for f in (*found, *self.build.installed.values())) for d in data):
            found.append(self.everything(str(unclear[0])))
        return outermost(found)

    def placed_again(self, path: str) -> bool:
        """Whether the build puts all data at a path where the program finds it."""
        data = [d for d in data_files(self.model, self.stage) if is_below(d, path)]
        return bool(data) and all(any(is_below(d, source) for source in self.build.installed.values()) for d in data)

    def image_place(self, kind: str, path: str) -> str | None:
        if kind == "absolute":
            return path if not in_system(path) or context_path(self.model, self.stage, path) is not None else None
        return posixpath.normpath(posixpath.join(self.workdir, path)) if self.workdir is not None else None

    def everything(self, why: str) -> str:
        folder = self.workdir
        if folder is None or folder == "/" or in_system(folder) or folder in ("/root", "/home", "/opt", "/srv"):
            raise Refused(f"which files it reads is not known: {why}", self.position)
        self.evidence.append(f"{folder} is copied whole: {why}")
        return folder

    # The user.

    def user(self, runtime: BaseImage) -> tuple[str | None, list[Instruction]]:
        """The value of USER in the runtime stage (None: as it is) and the RUN instructions that make accounts.

        Raises:
            Refused: USER names somebody whom the runtime image does not have.
        """
        given = self.model.behind(self.stage).user
        if has_user(self.model, self.stage):
            if not is_root(given) and not writes_nothing(self.sources):
                raise Refused(f"whose folders become when they are copied matters: it writes files as the user {given}", self.position)
            owner = (given or "").partition(":")[0]
            if is_root(given) or owner.isdigit() or owner in runtime.users:
                return None, []
            steps = account_steps(self.model, self.stage)
            if not steps:
                raise Refused(f"{runtime.text} does not have the user {owner}", self.position)
            return None, steps
        reason = self.needs_root()
        if reason is not None:
            self.evidence.append(f"it stays root: {reason}")
            return None, []
        self.evidence.append("its sources write no files and call nothing that needs root")
        return NOBODY, []

    def needs_root(self) -> str | None:
        """Why the program may need root, or a folder of its own to write to; None when evidence shows that it does not."""
        sources = self.sources
        if not writes_nothing(sources):
            return next((f"it writes to {p}" for p in sources.written), None) or next(
                (str(u) for u in sources.unknown if u.about == "write"), "it starts other programs"
            )
        if sources.root:
            return sources.root[0]
        if self.start.scripts or self.start.programs - {posixpath.basename(p) for p in self.programs}:
            return "it starts other programs"
        low = sorted(port for port in {*sources.ports, *exposed_ports(self.model, self.stage)} if port < 1024)
        if low or any(u.about == "port" for u in sources.unknown):
            return f"it listens on port {low[0]}" if low else "which port it listens on is not known"
        if any(self.model.file.instruction(p).keyword == "VOLUME" for p in self.stage.positions):
            return "it declares a volume"
        private = next((p for p in self.build.private if p in self.programs or p in self.build.installed), None)
        return f"{private} is not for others to use" if private is not None else None
