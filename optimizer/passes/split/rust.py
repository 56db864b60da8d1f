"""Split a Rust stage: the program is compiled in a build stage, and the image holds it with its libraries and files."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.source_text import RUST_SOURCES, SourceEvidence, named_paths, source_evidence
from optimizer.ecosystems import Action, read_call
from optimizer.knowledge.debian import build_only
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.twins import distroless as distroless_image
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.cargo_builds import CargoBuilds
from optimizer.model.compiled_program import builds_of
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import (
    Split,
    Starting,
    account_steps,
    assemble,
    check_owner,
    copied_elsewhere,
    copy_line,
    is_below,
    is_root,
    outermost,
    starting,
)
from optimizer.passes.split.crates import TLS_CRATES, crate_libraries, locked_crates
from optimizer.passes.split.project_data import in_folders, made_folders, present_data, strange_command
from optimizer.passes.split.shared import Refused, apt_install, packages_for, sort_packages, stage_name
from optimizer.passes.text import quote_names

_BUILD_VARIABLE = re.compile(
    r"(CARGO_\w+|RUSTFLAGS|RUSTUP_\w+|RUST_VERSION|RUSTC\w*|CC|CXX|PKG_CONFIG\w*|OPENSSL_\w+|SQLX_OFFLINE|PATH|DEBIAN_FRONTEND)$"
)
# What a build script of a crate runs; nothing of it is started by the program unless its source says so.
_BUILDING = frozenset({"protobuf-compiler", "libclang-dev", "clang", "git", "curl", "wget", "lld", "mold", "musl-tools", "pkg-config"})
_KNOWN = frozenset({
    "cargo", "cd", "mkdir", "cp", "mv", "rm", "chmod", "chown", "echo", "true", "test", "[", "set", "ls", "touch", "rustup", "strip",
    "find", "cat", "useradd", "groupadd", "adduser", "addgroup", "usermod", "git", "printf", "export", "rustc",
})  # fmt: skip
_NOT_DATA = re.compile(
    r"\.(rs|rlib)$|(^|/)(Cargo\.(toml|lock)|rust-toolchain(\.toml)?|rustfmt\.toml|clippy\.toml|\.cargo/.*|migrations/.*\.md)$|(^|/)target/"
)


class _Base(Struct, frozen=True):
    reference: str
    image: BaseImage
    packages: tuple[str, ...]


def split_rust(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Rust project.

    Returns:
        The change, None when the stage builds no program with Cargo.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or stage.base is not None or image.package_manager not in ("apt", "apk"):
        return None
    command = model.last(stage, "ENTRYPOINT") or model.last(stage, "CMD")
    builds = builds_of(model, stage).cargo
    if not builds.calls or command is None:
        return None
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    if image.package_manager == "apk":
        raise Refused("how crates with C code are linked on Alpine is not followed", stage.position)
    return _Splitter(model, stage, image, builds, command).change()


@dataclass
class _Splitter:
    model: Model
    stage: Stage
    image: BaseImage
    builds: CargoBuilds
    command: int

    def __post_init__(self) -> None:
        assert self.model.context is not None
        self.context: BuildContext = self.model.context
        self.source: SourceEvidence = source_evidence(self.context, RUST_SOURCES)
        self.position = self.builds.calls[-1].position
        self.last = max(p for p in self.stage.positions if self.model.file.instruction(p).keyword == "RUN")
        self.workdir = self.model.behind(self.stage).workdir
        self.evidence: list[str] = []

    def change(self) -> Change:
        model, stage = self.model, self.stage
        outputs = self.builds.programs
        if not outputs or any(build.outputs is None for build in self.builds.calls):
            raise Refused("which program cargo makes is not known", self.position)
        start = starting(model, stage, outputs)
        self.check_source()
        base = self.base(start)
        files = self.files(start, outputs)
        made = account_steps(model, stage)
        user = (model.behind(stage).user or "root").partition(":")[0]
        if not is_root(user) and not user.isdigit() and user not in base.image.users and not made:
            raise Refused(f"the user {user} is not one that the runtime image has", self.command)
        name = stage_name(model)
        middle = [apt_install(model, stage, base.packages, ("--no-install-recommends",))] if base.packages else []
        middle += made
        for position in stage.positions:
            node = model.file.instruction(position)
            if node.keyword in ("COPY", "ADD") and position > self.last and not made:
                check_owner(node, base.image, position)
        middle += [copy_line(model, stage, name, path, path) for path in files]
        placed = {posixpath.basename(path) for path in self.builds.copies}
        others = [path for path in outputs if path in self.builds.copies or posixpath.basename(path) not in placed]
        searched = {posixpath.dirname(path) for path in start.relocated}
        for output in dict.fromkeys((*others, *start.made)):
            target = f"/usr/local/bin/{posixpath.basename(output)}" if posixpath.dirname(output) in searched else output
            middle.append(copy_line(model, stage, name, output, target))
        split = Split(
            name, base.reference, self.last, tuple(middle), replaced=start.replaced, workdir=self.workdir not in (None, "/"),
            build_variable=lambda variable: _BUILD_VARIABLE.match(variable) is not None,
            platform=not (stage.platform or "").startswith("$BUILD"),
        )  # fmt: skip
        file = assemble(model, stage, split)
        touched = (stage.position, *(build.position for build in self.builds.calls), *start.replaced)
        return Change(f"compile in a stage of its own and run on {base.reference}", file, touched, tuple(self.evidence))

    # What the source and the lock say.

    def check_source(self) -> None:
        unknown = self.source.unknown_about("program")
        if unknown:
            raise Refused(f"which programs it starts is not known: {unknown[0]}", self.position)
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            if node.keyword == "RUN" and node.json is None and (node.script is None or not node.script.understood):
                raise Refused("what this step does is not understood", position)

    def base(self, start: Starting) -> _Base:
        crates = locked_crates(self.context, self.position)
        libraries = crate_libraries(self.model, self.stage, self.image, self.position)
        installed = [p for position in self.stage.positions for p in self.packages(position)]
        programs = {posixpath.basename(p) for p in (*self.source.programs, *start.programs)}
        kept = sort_packages(
            [p for p in installed if not build_only(p, "apt") and p not in _BUILDING], programs, self.image.release, (), True, self.position
        ).kept
        twins = runtime_twins(self.image)
        distroless = distroless_image("cc", self.image.release) if self.image.distribution == "debian" else None
        debian = next((t for t in twins if re.search(r"(^|/)debian:", t)), None)
        if debian is None and self.image.family in ("debian", "ubuntu"):
            debian = self.model.file.instruction(self.stage.position).value.split()[0]
        if distroless is not None and not (libraries or kept or programs or start.shell or account_steps(self.model, self.stage)):
            found = lookup(distroless)
            if found is not None:
                self.evidence.append("the program links the C library and the compiler's own, starts no other and needs no shell")
                return _Base(distroless, found, ())
        found = lookup(debian) if debian is not None else None
        if found is None or debian is None:
            raise Refused(f"the release of {self.stage.reference} is not known; a tag that names it tells", self.stage.position)
        wanted = [*kept, *libraries]
        wanted += packages_for(programs - {"sh", "bash"}, found, wanted, self.position)
        if crates & TLS_CRATES and "ca-certificates" not in wanted:
            wanted.append("ca-certificates")
        if libraries:
            self.evidence.append(f"its crates link {quote_names(libraries)}")
        if programs or start.shell:
            self.evidence.append(f"it starts {quote_names(sorted(programs))}" if programs else "a shell is needed to start it")
        return _Base(debian, found, tuple(dict.fromkeys(wanted)))

    def packages(self, position: int) -> list[str]:
        node = self.model.file.instruction(position)
        script = node.script if node.keyword == "RUN" else None
        calls = [read_call(c) for c in script.commands] if script is not None else []
        return [p for c in calls if c is not None and c.ecosystem == "apt" and c.action is Action.INSTALL for p in c.packages]

    # Files.

    def files(self, start: Starting, outputs: tuple[str, ...]) -> tuple[str, ...]:
        """What the program reads of the project: what it names, or all data of the project when names are computed."""
        source = self.model.before(self.position).workdir or "/"
        found = [*start.scripts, *start.files, *copied_elsewhere(self.model, self.stage, source, self.last)]
        data = present_data(self.model, self.stage, self.last, _NOT_DATA)
        named = [posixpath.join(self.workdir or "/", path) for path in named_paths(self.source)]
        found += [n for n in named if any(is_below(d, n) for d in data)]
        unknown = self.source.unknown_about("read")
        strange = strange_command(self.model, self.stage, self.last, _KNOWN)
        if unknown and strange is not None:
            raise Refused(f"which files it reads is not known: {unknown[0]}, and what `{strange}` makes", self.position)
        left = [d for d in data if not any(is_below(d, f) for f in found)]
        if unknown and left:
            self.evidence.append(f"all data of the project comes along: {unknown[0]}")
            found = [*in_folders(self.model, self.stage, data, data, self.last), *found]
        folders = made_folders(self.model, self.stage, self.last, frozenset({"cargo", "rustc"}))
        own = [
            m
            for m in folders
            if not any(is_below(o, m) for o in outputs) and not any(is_below(m, f"{source}/{n}") for n in ("src", "target"))
        ]
        made = [m for m in own if any(is_below(n, m) or is_below(m, n) for n in named) or unknown]
        return outermost(p for p in (*found, *made) if p not in outputs)
