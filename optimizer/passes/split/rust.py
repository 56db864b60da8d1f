"""Split a Rust stage: the program is compiled in a build stage, and the image holds it with its libraries and files."""

from __future__ import annotations

import posixpath
import re
import tomllib
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.source_text import RUST_SOURCES, SourceEvidence, named_paths, source_evidence
from optimizer.ecosystems import Action, Call, read_call, unwrapped
from optimizer.ecosystems.cargo import arguments_of
from optimizer.knowledge.debian import build_only, runtime_packages
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.paths import context_path
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
from optimizer.passes.split.project_data import in_folders, made_folders, present_data, strange_command
from optimizer.passes.split.shared import Refused, apt_install, packages_for, sort_packages, stage_name
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction

_BUILD_VARIABLE = re.compile(
    r"(CARGO_\w+|RUSTFLAGS|RUSTUP_\w+|RUST_VERSION|RUSTC\w*|CC|CXX|PKG_CONFIG\w*|OPENSSL_\w+|SQLX_OFFLINE|PATH|DEBIAN_FRONTEND)$"
)
# Crates that end in -sys and bring their library along, or link the C library's alone.
_STATIC = frozenset({
    "aws-lc-sys", "aws-lc-fips-sys", "zstd-sys", "tikv-jemalloc-sys", "jemalloc-sys", "libmimalloc-sys", "lz4-sys", "snmalloc-sys",
    "linux-raw-sys", "inotify-sys", "ittapi-sys", "onig_sys", "brotli-sys", "secp256k1-sys", "js-sys", "web-sys", "rdkafka-sys",
    "librocksdb-sys", "lmdb-master-sys", "lmdb-rkv-sys", "mozjpeg-sys", "security-framework-sys", "fsevent-sys", "kqueue-sys",
    "system-configuration-sys", "objc-sys", "dirs-sys", "dirs-sys-next", "jni-sys",
})  # fmt: skip
# Crates that link a library of the system, and the development package that brings it.
_DYNAMIC = {
    "openssl-sys": "libssl-dev",
    "pq-sys": "libpq-dev",
    "mysqlclient-sys": "default-libmysqlclient-dev",
    "alsa-sys": "libasound2-dev",
    "libudev-sys": "libudev-dev",
    "expat-sys": "libexpat1-dev",
    "libdbus-sys": "libdbus-1-dev",
    "curl-sys": "libcurl4-openssl-dev",
    "libz-sys": "zlib1g-dev",
    "bzip2-sys": "libbz2-dev",
    "lzma-sys": "liblzma-dev",
}
# Crates that open TLS connections, for which the certificates of the system are looked at.
_TLS = frozenset({"openssl", "native-tls", "rustls-native-certs", "rustls-platform-verifier", "curl"})
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
        The change, None when the stage is not one of Rust's images or builds no program.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family != "rust" or stage.base is not None or image.package_manager not in ("apt", "apk"):
        return None
    command = model.last(stage, "ENTRYPOINT") or model.last(stage, "CMD")
    builds = [(p, c) for p in stage.positions for c in _calls(model.file.instruction(p)) if _makes_program(c)]
    if not builds or command is None:
        return None
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    if image.package_manager == "apk":
        raise Refused("how crates with C code are linked on Alpine is not followed", stage.position)
    return _Splitter(model, stage, image, builds, command).change()


def _calls(node: Instruction) -> list[Call]:
    script = node.script if node.keyword == "RUN" else None
    calls = [read_call(c) for c in script.commands] if script is not None and script.understood else []
    return [c for c in calls if c is not None and c.ecosystem == "cargo"]


def _makes_program(call: Call) -> bool:
    verb = call.verb.value if call.verb else None
    return verb in ("build", "b") or (verb == "install" and "--path" in call.options)


@dataclass
class _Splitter:
    model: Model
    stage: Stage
    image: BaseImage
    builds: list[tuple[int, Call]]
    command: int

    def __post_init__(self) -> None:
        assert self.model.context is not None
        self.context: BuildContext = self.model.context
        self.source: SourceEvidence = source_evidence(self.context, RUST_SOURCES)
        self.position = self.builds[-1][0]
        self.last = max(p for p in self.stage.positions if self.model.file.instruction(p).keyword == "RUN")
        self.workdir = self.model.behind(self.stage).workdir
        self.evidence: list[str] = []

    def change(self) -> Change:
        model, stage = self.model, self.stage
        outputs = self.outputs()
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
        for output in start.made:
            target = f"/usr/local/bin/{posixpath.basename(output)}" if output in start.relocated else output
            middle.append(copy_line(model, stage, name, output, target))
        split = Split(
            name, base.reference, self.last, tuple(middle), replaced=start.replaced, workdir=self.workdir not in (None, "/"),
            build_variable=lambda variable: _BUILD_VARIABLE.match(variable) is not None,
            platform=not (stage.platform or "").startswith("$BUILD"),
        )  # fmt: skip
        file = assemble(model, stage, split)
        touched = (stage.position, *(p for p, _ in self.builds), *start.replaced)
        return Change(f"compile in a stage of its own and run on {base.reference}", file, touched, tuple(self.evidence))

    # What the build makes.

    def outputs(self) -> tuple[str, ...]:
        """The programs that the calls of cargo make, and their copies, as absolute paths."""
        found: list[str] = []
        for position, call in self.builds:
            found += self.made_by(position, call)
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            cwd = self.model.before(position).workdir
            for command in node.script.commands if node.keyword == "RUN" and node.script is not None else ():
                words = [w.value for w in command.words[1:] if w.value is None or not w.value.startswith("-")]
                if command.name == "cd" and words and words[0] is not None and cwd is not None:
                    cwd = posixpath.normpath(posixpath.join(cwd, words[0]))
                if command.name in ("cp", "mv", "install") and len(words) == 2 and cwd is not None and None not in words:
                    source, target = (posixpath.normpath(posixpath.join(cwd, w or "")) for w in words)
                    if source in found:
                        into = (words[1] or "").endswith(("/", ".")) or posixpath.basename(target) == "bin"
                        found.append(posixpath.join(target, posixpath.basename(source)) if into else target)
        if not found:
            raise Refused("which program cargo makes is not known", self.position)
        return tuple(dict.fromkeys(found))

    def made_by(self, position: int, call: Call) -> list[str]:
        found = arguments_of(unwrapped(call.command))
        node = self.model.file.instruction(position)
        folder = self.model.before(position).workdir
        commands = node.script.commands if node.script is not None else ()
        for command in commands[: commands.index(call.command)]:
            if command.name == "cd" and folder is not None:
                target = command.argv[1] if len(command.argv) > 1 else None
                folder = posixpath.normpath(posixpath.join(folder, target)) if target is not None else None
        if found is None or folder is None or not call.complete or call.options & {"-C", "--config", "--lib", "--example", "--examples"}:
            raise Refused("which program cargo makes is not known", position)
        place = next(iter(found.values("--path", "--manifest-path")), ".").removesuffix("Cargo.toml") or "."
        inside = context_path(self.model, self.stage, posixpath.normpath(posixpath.join(folder, place)), position)
        names = _binaries(self.context, inside) if inside is not None else []
        names = [n for n in names if not found.values("--bin") or n in found.values("--bin")]
        if call.verb is not None and call.verb.value == "install":
            root = next(iter(found.values("--root")), "/usr/local/cargo")
            return [posixpath.normpath(posixpath.join(folder, root, "bin", name)) for name in names]
        profile = next(iter(found.values("--profile")), "release" if call.options & {"--release", "-r"} else "debug")
        profile = {"dev": "debug", "test": "debug", "bench": "release"}.get(profile, profile)
        target = next(iter(found.values("--target-dir")), self.model.before(position).env.get("CARGO_TARGET_DIR") or "target")
        triple = next(iter(found.values("--target")), self.model.before(position).env.get("CARGO_BUILD_TARGET") or "")
        return [posixpath.normpath(posixpath.join(folder, target, triple, profile, name)) for name in names]

    # What the source and the lock say.

    def check_source(self) -> None:
        unknown = self.source.unknown_about("program")
        if unknown:
            raise Refused(f"which programs it starts is not known: {unknown[0]}", self.position)
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            if node.keyword == "RUN" and node.json is None and (node.script is None or not node.script.understood):
                raise Refused("what this step does is not understood", position)

    def crates(self) -> frozenset[str]:
        locks = [f for f in self.context.files() if posixpath.basename(f) == "Cargo.lock"]
        if len(locks) != 1:
            raise Refused("Cargo.lock is not in the build context, so which libraries it links is not known", self.position)
        try:
            packages = tomllib.loads(self.context.read_text(locks[0]) or "").get("package", [])
        except tomllib.TOMLDecodeError as error:
            raise Refused("Cargo.lock cannot be read", self.position) from error
        return frozenset(str(p.get("name")) for p in packages if isinstance(p, dict))

    def libraries(self, crates: frozenset[str]) -> tuple[str, ...]:
        """The runtime packages of the libraries that crates link."""
        if "pyo3-ffi" in crates:
            raise Refused("pyo3-ffi links the library of Python", self.position)
        scripts = [f for f in self.context.files() if posixpath.basename(f) == "build.rs"]
        linking = next((f for f in scripts if "rustc-link-lib" in (self.context.read_text(f) or "")), None)
        if linking is not None:
            raise Refused(f"{linking} links a library, and which package brings that is not followed", self.position)
        found: list[str] = []
        for crate in sorted(c for c in crates if c.endswith(("-sys", "_sys")) or c in _DYNAMIC):
            if crate in _STATIC or re.match(r"(windows|winapi|wasm|wasi|apple|android|objc|core-)", crate):
                continue
            if crate == "openssl-sys" and "openssl-src" in crates:
                continue
            if crate == "libsqlite3-sys" and self.bundled():
                continue
            development = _DYNAMIC.get(crate)
            libraries = runtime_packages(development, self.image.release) if development is not None else None
            if libraries is None:
                raise Refused(f"which library {crate} links is not known", self.position)
            found += [package for package in libraries if package not in ("libc6",)]
        return tuple(dict.fromkeys(found))

    def bundled(self) -> bool:
        """Whether SQLite is compiled in: a feature says so, or a crate that always does."""
        text = "\n".join(self.context.read_text(f) or "" for f in self.context.files() if posixpath.basename(f) == "Cargo.toml")
        return re.search(r"\bbundled\b", text) is not None or re.search(r"^\s*sqlx\b", text, re.M) is not None

    def base(self, start: Starting) -> _Base:
        crates = self.crates()
        libraries = self.libraries(crates)
        installed = [p for position in self.stage.positions for p in self.packages(position)]
        programs = {posixpath.basename(p) for p in (*self.source.programs, *start.programs)}
        kept = sort_packages(
            [p for p in installed if not build_only(p, "apt") and p not in _BUILDING], programs, self.image.release, (), True, self.position
        ).kept
        twins = runtime_twins(self.image)
        distroless = next((t for t in twins if "distroless/cc-" in t), None)
        debian = next((t for t in twins if re.search(r"(^|/)debian:", t)), None)
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
        if crates & _TLS and "ca-certificates" not in wanted:
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


def _binaries(context: BuildContext, folder: str) -> list[str]:
    """The names of the programs that a package, or the members of a workspace, make."""
    manifest = posixpath.normpath(posixpath.join(folder, "Cargo.toml"))
    try:
        data: dict[str, Any] = tomllib.loads(context.read_text(manifest) or "")
    except tomllib.TOMLDecodeError:
        return []
    found: list[str] = []
    for member in data.get("workspace", {}).get("members", ()):
        for path in context.match(posixpath.join(folder, str(member))):
            found += _binaries(context, path)
    name = data.get("package", {}).get("name")
    if name is None:
        return found
    binaries = data.get("bin", [])
    found += [str(b.get("name", name)) for b in binaries if isinstance(b, dict)]
    taken = {posixpath.normpath(str(b.get("path", ""))) for b in binaries if isinstance(b, dict)}
    if context.exists(posixpath.join(folder, "src/main.rs")) and "src/main.rs" not in taken:
        found.append(str(name))
    for file in context.under(posixpath.join(folder, "src/bin")):
        relative = posixpath.relpath(file, posixpath.join(folder, "src/bin"))
        if relative.endswith(".rs") and "/" not in relative:
            found.append(relative.removesuffix(".rs"))
        elif relative.endswith("/main.rs") and relative.count("/") == 1:
            found.append(relative.partition("/")[0])
    return list(dict.fromkeys(found))
