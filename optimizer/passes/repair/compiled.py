"""Repairs of a stage that runs a compiled program on an image that lacks what the program is linked with."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from optimizer.context.golang import GoModule
from optimizer.context.native_commands import is_compiler, read_compiler
from optimizer.context.source_text import RUST_SOURCES, source_evidence
from optimizer.knowledge.debian import plain_name
from optimizer.knowledge.go_modules import go_needs
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.native_libraries import in_every_image
from optimizer.knowledge.twins import distroless, runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.compiled_program import CompiledProgram, builds_of, commands_of, compiled_program
from optimizer.model.go_builds import GoBuild
from optimizer.model.launch import SHELLS
from optimizer.model.native_made import Made
from optimizer.model.paths import origin_of
from optimizer.model.start import start_of
from optimizer.passes.base import Change, Refusal
from optimizer.passes.repair.certificates import certificates
from optimizer.passes.repair.files import left_behind
from optimizer.passes.repair.own_libraries import own_libraries
from optimizer.passes.repair.time_zones import time_zones
from optimizer.passes.split.crates import crate_libraries
from optimizer.passes.split.go_compile import edited_builds, linked_statically
from optimizer.passes.split.linked import cgo_libraries, linked_libraries, needs_c, uses_cxx
from optimizer.passes.split.shared import Refused, apt_install, from_line, installs_of, packages_for
from optimizer.passes.text import quote_names
from optimizer.syntax import Dockerfile

_GLIBC = {"stretch": 24, "buster": 28, "bullseye": 31, "bookworm": 36, "trixie": 41, "bionic": 27, "focal": 31, "jammy": 35, "noble": 39}
"""The minor version of glibc 2 in releases of Debian and Ubuntu (packages.debian.org/libc6, packages.ubuntu.com/libc6)."""
_OF_BASE = frozenset({"libc6", "libssl3", "openssl"})
_OF_CC = frozenset({"libgcc-s1", "libstdc++6", "libgomp1"})
"""The libraries of the images base and cc of distroless, by package (README files of both in GoogleContainerTools/distroless)."""
_START = 34  # programs linked with this glibc or a newer one start with a symbol that older ones lack: __libc_start_main@GLIBC_2.34
_NETWORK = re.compile(r"net$|net/(http|smtp|rpc|mail|textproto)(/|$)|os/user$|crypto/(tls|x509)$|log/syslog$|expvar$")
"""Packages of Go's standard library that are, or import, those which link the C library where there is a C compiler."""
_LOADS = re.compile(r"\b(getaddrinfo|gethostby\w+|getnameinfo|getserv\w+|getproto\w+|getpw\w+|getgr\w+|initgroups|dlopen|iconv_open)\s*\(")
"""Calls for which a static glibc loads shared libraries when the program runs ("statically linked applications requires at runtime
the shared libraries", as its linker warns)."""


def repairs(model: Model, stage: Stage) -> Iterator[Change | Refusal]:
    """What lets the compiled program of the final stage start, and speak TLS where it does.

    Args:
        model: The facts, with the context at hand.
        stage: The final stage, which copies from others.
    """
    start = start_of(model, stage)
    entries = start.entries if start is not None else ()
    programs = [found for path in entries if path.startswith("/") and (found := compiled_program(model, stage, path)) is not None]
    builders = {program.stage.index for program in programs}
    if len(builders) != 1 or builders == {stage.index}:
        return
    builder = programs[0].stage
    if stage.image is None or builder.image is None or any(program.unknown is not None for program in programs):
        return
    repair = _Repair(model, stage, stage.image, builder, builder.image, programs)
    try:
        languages = {program.language for program in programs}
        change = repair.go() if languages == {"go"} else repair.rust() if languages == {"rust"} else repair.native()
        change = change if change is not None else own_libraries(model, stage, builder, programs)
        change = change if change is not None else certificates(model, stage, builder, programs)
        change = change if change is not None else time_zones(model, stage, builder, programs)
        change = change if change is not None else left_behind(model, stage, builder, programs)
    except Refused as refused:
        yield Refusal(f"not repaired: {refused}", refused.position)
        return
    if change is not None:
        yield change


@dataclass
class _Repair:
    model: Model
    stage: Stage
    image: BaseImage
    builder: Stage
    origin: BaseImage
    programs: list[CompiledProgram]

    def __post_init__(self) -> None:
        self.places = [origin_of(self.model, self.stage, program.path)[1] for program in self.programs]
        self.names = quote_names([posixpath.basename(place) for place in self.places])
        self.foreign = (
            self.origin.libc in ("glibc", "musl") and self.image.libc in ("glibc", "musl", "none") and self.image.libc != self.origin.libc
        )
        self.older = _GLIBC.get(self.origin.release or "", 0) >= _START > _GLIBC.get(self.image.release or "", _START)
        self.unsure = self.image.family == "busybox" and self.image.libc is None
        other = f"{self.image.text} has an older one" if self.older else f"{self.image.text} has {self.image.libc or 'one that changes'}"
        self.lacking = f"{self.image.text} has no C library" if self.image.libc == "none" else other

    # Go.

    def go(self) -> Change | None:
        modules = tuple(program.module for program in self.programs if program.module is not None)
        needs = go_needs({r.path for m in modules for r in m.requires} | {i for m in modules for i in m.imports})
        builds = [b for b in builds_of(self.model, self.builder).go if set(b.outputs) & set(self.places)]
        linked = [b for b in builds if b.cgo != "0" and not linked_statically(b) and self.has_compiler()]
        why = needs_c(modules, needs)
        if not linked:
            return None
        if why is None:
            return self.without_c(linked, modules) if (self.foreign or self.older or self.unsure) and _may_link(modules) else None
        libraries: tuple[str, ...] = ()
        if self.origin.package_manager == "apt":
            development = [p for p in self.installed(self.builder) if p.endswith("-dev")]
            position = linked[-1].position
            libraries = (
                cgo_libraries(self.model.context, modules, needs, development, self.origin.release, position) if self.model.context else ()
            )
        cxx = self.model.context is not None and uses_cxx(self.model.context, modules)
        return self.on_base(libraries, cxx, why)

    def has_compiler(self) -> bool:
        """Whether the stage that compiles has a C compiler, without which Go links no C library."""
        packages = set(self.installed(self.builder))
        return self.origin.has_toolchain is True or bool(packages & {"gcc", "build-essential", "build-base", "clang", "g++", "alpine-sdk"})

    def without_c(self, builds: list[GoBuild], modules: tuple[GoModule, ...]) -> Change:
        file = self.model.file
        explicit = next((b for b in builds if b.cgo not in (None, "")), None)
        if explicit is not None:
            raise Refused(f"CGO_ENABLED={explicit.cgo} links the C library, and {self.lacking}", explicit.position)
        if any(build.command is None for build in builds):
            raise Refused(f"the program is linked with the C library, and {self.lacking}", builds[0].position)
        edited = edited_builds(self.model, self.builder, builds, modules, static=True)
        for position in sorted(edited, reverse=True):
            file = file.replaced(position, position + 1, edited[position])
        reason = f"{self.lacking}, and {self.names} is linked with that of {self.builder.reference}"
        evidence = (reason, f"no source of {quote_names([m.path or m.folder for m in modules])} imports C")
        return Change("link the program without the C library", file, tuple(sorted(edited)), evidence)

    # Rust.

    def rust(self) -> Change | None:
        """Another base for a program of Cargo, which links the C library and GCC's where its target is not a musl one."""
        calls = builds_of(self.model, self.builder).cargo.calls
        text = commands_of(self.model, self.builder)
        if any("--target" in build.call.options for build in calls) or "musl" in text or "crt-static" in text or self.configured():
            return None
        libraries = crate_libraries(self.model, self.builder, self.origin, calls[-1].position)
        started = source_evidence(self.model.context, RUST_SOURCES).programs if self.model.context is not None else ()
        return self.on_base(libraries, True, f"{self.names} is linked with the C library", started)

    def configured(self) -> bool:
        """Whether a configuration of Cargo or a toolchain file in the context may choose another target or linker."""
        context = self.model.context
        files = context.files() if context is not None else ()
        texts = (
            {f: context.read_text(f) or "" for f in files if re.search(r"(^|/)\.cargo/config(\.toml)?$", f)} if context is not None else {}
        )
        target = re.compile(r"^\s*(\[+\s*(build|target|env|host|unstable)\b|target|linker|rustflags|build)", re.MULTILINE)
        toolchain = any(re.search(r"(^|/)rust-toolchain(\.toml)?$", file) for file in files)
        return toolchain or any(target.search(text) for text in texts.values())

    # C and C++.

    def native(self) -> Change | None:
        build = builds_of(self.model, self.builder).native
        if build is None:
            return None
        made = [one for place in self.places if (one := build.program(place)) is not None and not one.static]
        if not made:
            return None
        linked = linked_libraries(build, made, self.origin, self.installed(self.builder), build.last)
        if self.image.libc == "none" and not linked.packages and self.origin.libc is not None:
            change = self.with_static(made)
            if change is not None:
                return change
        cxx = any(one.cxx and not one.statics for one in made)
        return self.on_base(linked.packages, cxx, f"{self.names} is linked with the C library")

    def with_static(self, made: list[Made]) -> Change | None:
        """``-static`` for the compiler, where a RUN calls it and no call loads libraries later."""
        sources = tuple(dict.fromkeys(source for program in self.programs for source in program.sources))
        context = self.model.context
        texts = [context.read_text(source) or "" for source in sources] if context is not None else []
        if not texts or any(_LOADS.search(text) for text in texts):
            return None
        wanted = {one.path for one in made}
        file, found = self.model.file, dict[str, int]()
        for position in self.builder.positions:
            node = file.instruction(position)
            edits = []
            for command in node.script.commands if node.keyword == "RUN" and node.script is not None else ():
                words = command.argv
                if not words or not is_compiler(command.name):
                    continue
                read = read_compiler(words, [word.text for word in command.words])
                state = self.model.before(position)
                path = state.path(read.output) if read.output is not None else None
                if read.links and path in wanted and node.shell_text is not None:
                    end = node.shell_text.source_end(command.words[0].end)
                    edits.append((end, end, " -static"))
                    found[path] = position
            if edits:
                file = file.replaced(position, position + 1, [node.edited(*edits)])
        if found.keys() != wanted:
            return None
        evidence = (
            f"{self.lacking}, and {self.names} is linked with that of {self.builder.reference}",
            "its sources need no library but that",
        )
        return Change("link the program statically", file, tuple(found.values()), evidence)

    # The base.

    def on_base(self, libraries: tuple[str, ...], cxx: bool, why: str, started: Iterable[str] = ()) -> Change | None:
        """Another base, or packages, for a program that needs the C library and maybe others. started: the programs that it starts."""
        missing = tuple(p for p in libraries if not in_every_image(p) and p not in self.installed(self.stage))
        if self.origin.libc != "glibc":
            if self.foreign:
                raise Refused(f"{why}, which is {self.origin.libc} there, and {self.lacking}", self.stage.position)
            return None
        bare = self.image.variant == "distroless"
        compiler = cxx or bool(set(libraries) & _OF_CC)
        absent = [p for p in libraries if p not in _OF_BASE | _OF_CC]  # in a distroless image, and in what takes its place
        poor = bare and (bool(absent) or (compiler and self.image.family == "distroless-base"))
        if not (self.foreign or self.older or poor):
            return self.with_packages(self.model.file, missing, why) if missing and self.image.package_manager == "apt" else None
        reason = self.lacking if self.foreign or self.older else f"{self.image.text} has no more than that"
        small = distroless("cc" if compiler else "base", self.origin.release)
        others = {posixpath.basename(name) for name in started} - {posixpath.basename(place) for place in self.places}
        kept = not others and (
            self.image.family in ("scratch", "distroless-static", "distroless-base", "distroless-cc") and not absent and small is not None
        )
        reference = f"{small}{self.tag()}" if kept else self.slim()
        image = lookup(reference) if reference is not None else None
        if reference is None or image is None:
            raise Refused(f"{why}, and {reason}; no small image of the same release is known", self.stage.position)
        missing += tuple(packages_for(others - set(SHELLS), image, missing, self.stage.position)) if others else ()
        self.check_steps(image, reference)
        node = from_line(self.model, self.stage, reference, self.stage.name)
        file = self.model.file.replaced(self.stage.position, self.stage.position + 1, [node])
        if missing:
            return self.with_packages(file, missing, f"{why}, and {reason}", f"run on {reference}, and ")
        return Change(f"run on {reference}", file, (self.stage.position,), (f"{why}, and {reason}",))

    def tag(self) -> str:
        """The tag of a distroless image that names its user."""
        tag = self.image.reference.tag or ""
        return f":{tag}" if self.image.variant == "distroless" and tag in ("nonroot", "debug", "debug-nonroot") else ""

    def slim(self) -> str | None:
        """The slim image of the distribution that the program is compiled on."""
        if self.origin.family in ("debian", "ubuntu") and (self.origin.variant == "slim" or not runtime_twins(self.origin)):
            return self.builder.reference
        return next((twin for twin in runtime_twins(self.origin) if re.search(r"(^|/)debian:", twin)), None)

    def check_steps(self, image: BaseImage, reference: str) -> None:
        """Refuse where a step or the user of the stage is one of its old base."""
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            if node.keyword == "RUN":
                raise Refused(f"the program needs {reference}, on which the step may not run", position)
            owner = (node.flag("chown") or "").partition(":")[0] if node.keyword in ("COPY", "ADD") else ""
            name = node.value.strip().partition(":")[0] if node.keyword == "USER" else owner
            if name and not name.isdigit() and name not in image.users:
                raise Refused(f"the program needs {reference}, which does not have the user {name}", position)
        if self.image.user not in (None, "root", "0") and image.user in (None, "root", "0"):
            raise Refused(f"the program needs {reference}, which runs as root", self.stage.position)

    def with_packages(self, file: Dockerfile, missing: tuple[str, ...], why: str, lead: str = "") -> Change:
        """The packages installed first of all in the stage that runs."""
        place = self.stage.position + 1
        node = apt_install(self.model, self.stage, missing, ("--no-install-recommends",))
        after = file.replaced(place, place, [node])
        evidence = (why, f"{self.names} is linked with {quote_names(missing)}")
        return Change(f"{lead}install {quote_names(missing)} in the stage that runs", after, (self.stage.position,), evidence)

    def installed(self, stage: Stage) -> tuple[str, ...]:
        """The packages of the distribution that a stage installs."""
        nodes = (self.model.file.instruction(position) for position in stage.positions)
        return tuple(plain_name(p) for node in nodes if node.keyword == "RUN" for call in installs_of(node) for p in call.packages)


def _may_link(modules: tuple[GoModule, ...]) -> bool:
    """Whether Go links the C library by itself: for packages of the standard library, which those of others may import."""
    return any(_NETWORK.match(name) for module in modules for name in module.imports) or any(module.requires for module in modules)
