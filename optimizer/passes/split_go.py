"""Split a Go stage: the program is compiled in a build stage, and the image holds it with the files that it reads."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from optimizer.context.golang import GoModule, go_literals
from optimizer.ecosystems import read_call
from optimizer.knowledge.debian import build_only, runtime_packages
from optimizer.knowledge.go_modules import GoNeeds, go_needs
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.native_libraries import in_every_image
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.effects import ROOT_MODULES, root_calls
from optimizer.model.go_builds import GoBuild, go_builds
from optimizer.model.model import mounts
from optimizer.model.paths import context_path
from optimizer.passes.base import Change
from optimizer.passes.compiled import (
    METADATA,
    Split,
    Starting,
    assemble,
    check_owner,
    copied_elsewhere,
    copy_line,
    data_files,
    in_system,
    is_below,
    outermost,
    starting,
)
from optimizer.passes.splitting import Refused, apt_install, installs_of, line, packages_for, sort_packages, stage_name
from optimizer.passes.text import keyword_like, line_end_of, quote_names
from optimizer.syntax import Directive, Instruction, Node

_BUILD_VARIABLE = re.compile(r"(CGO_\w+|GO[A-Z0-9]*|GO_VERSION|GOLANG_VERSION|CC|CXX|PKG_CONFIG\w*|GIT_TERMINAL_PROMPT|DEBIAN_FRONTEND)$")
# What a build fetches its sources with. No program starts these unless its source says so.
_FETCHING = frozenset({
    "git", "git-lfs", "mercurial", "subversion", "bzr", "curl", "wget", "unzip", "zip", "xz-utils", "tar", "gzip", "bzip2", "make", "upx", "upx-ucl",
    "ca-certificates", "tzdata", "openssh-client", "openssh", "gnupg", "gnupg2", "protobuf-compiler", "protoc", "jq", "rsync", "apt-transport-https",
    "software-properties-common", "lsb-release", "apt-utils", "apt-file",
})  # fmt: skip
# Commands whose effect beside the program is followed or is none.
_KNOWN = frozenset({
    "go", "cd", "export", "set", "mkdir", "chmod", "chown", "echo", "true", "test", "[", "ls", "pwd", "env", "cat", "rm", "useradd", "groupadd", "adduser",
    "addgroup", "apt-get", "apt", "apk", "git", "strip", "upx", "gofmt", "golint", "golangci-lint", "staticcheck", "update-ca-certificates", "printf",
    "file", "ldd", "which", "find", "touch", "setcap",
})  # fmt: skip


_GO_COMPILES = (("build",), ("install",), ("mod",), ("vet",), ("get",), ("version",), ("env",))


@dataclass(frozen=True)
class _Base:
    """The runtime image and why."""

    reference: str
    image: BaseImage
    packages: tuple[str, ...]
    static: bool


def split_go(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Go project.

    Returns:
        The change, None when the stage is not one of Go's images or builds no program.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family != "golang" or stage.base is not None or image.package_manager not in ("apt", "apk"):
        return None
    builds = go_builds(model, stage)
    runs = [p for p in stage.positions if model.file.instruction(p).keyword == "RUN"]
    last_command = model.last(stage, "ENTRYPOINT") or model.last(stage, "CMD")
    if not builds:
        _refuse_without_build(model, stage, last_command)
        return None
    if last_command is None:
        return None  # an image to build with
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    _check(model, stage, builds)
    own = [b for b in builds if not b.tool]
    tools = [output for b in builds if b.tool for output in b.outputs]
    outputs = tuple(dict.fromkeys(o for b in own for o in b.outputs))
    start = starting(model, stage, (*outputs, *tools))
    if set(start.made) & set(tools):
        raise Refused(f"it starts {set(start.made).intersection(tools).pop()}, a tool of another project, which may need Go", last_command)
    modules = [b.module for b in own if b.module is not None and (not b.outputs or set(b.outputs) & set(outputs))]
    if not modules:
        raise Refused("the source of the program is not found in the build context", own[-1].position)
    return _Splitter(model, stage, image, own, outputs, start, modules, runs[-1]).change()


def _refuse_without_build(model: Model, stage: Stage, command: int | None) -> None:
    if command is None:
        return
    node = model.file.instruction(command)
    words = node.json or (node.script.commands[0].argv if node.script is not None and node.script.commands else ())
    if tuple(words[:2]) == ("go", "run"):
        raise Refused("`go run` compiles the program each time it starts; it takes a `go build` to split that off", command)
    if any(model.file.instruction(p).keyword == "RUN" for p in stage.positions):
        raise Refused("no `go build` or `go install` is seen that makes the program", command)


def _check(model: Model, stage: Stage, builds: tuple[GoBuild, ...]) -> None:
    for build in builds:
        mode = build.option("buildmode")
        if mode not in (None, "exe", "pie", "default"):
            raise Refused(f"-buildmode={mode} makes no program that runs by itself", build.position)
        if build.option("linkshared") is not None:
            raise Refused("it links Go's shared libraries", build.position)
        if build.environment.get("GOOS") not in (None, "", "linux"):
            raise Refused(f"it builds for GOOS={build.environment['GOOS']}", build.position)
        if not build.outputs and not build.tool:
            what = " ".join(w.text for w in build.command.words) if build.command is not None else "go build"
            raise Refused(f"where `{what}` puts the program is not known", build.position) if len(builds) == 1 else None  # type: ignore[misc]


@dataclass
class _Splitter:
    model: Model
    stage: Stage
    image: BaseImage
    builds: list[GoBuild]
    outputs: tuple[str, ...]
    start: Starting
    modules: list[GoModule]
    last: int

    def __post_init__(self) -> None:
        assert self.model.context is not None
        self.context = self.model.context
        self.workdir = self.model.behind(self.stage).workdir
        self.needs: GoNeeds = go_needs({r.path for m in self.modules for r in m.requires} | {i for m in self.modules for i in m.imports})
        self.source = next((b.folder for b in reversed(self.builds) if b.folder), self.workdir or "/")
        self.evidence: list[str] = []
        self.position = self.builds[-1].position

    def change(self) -> Change:
        model, stage = self.model, self.stage
        self.check_source()
        base = self.base()
        name = stage_name(model)
        kept = self.kept_files()
        user = self.user(base)
        reference = f"{base.reference}:nonroot" if user == "nonroot" else base.reference
        for position in stage.positions:
            node = model.file.instruction(position)
            if node.keyword in ("COPY", "ADD") and position > self.last:
                check_owner(node, base.image, position)
        middle: list[Instruction] = []
        if base.packages:
            middle.append(self.install(base))
        middle += [copy_line(model, stage, name, path, path) for path in kept]  # before the program, which changes more often
        for output in self.outputs:
            target = f"/usr/local/bin/{posixpath.basename(output)}" if output in self.start.relocated else output
            if not any(is_below(output, folder) for folder in kept):
                middle.append(copy_line(model, stage, name, output, target))
        split = Split(
            name, reference, self.last, tuple(middle), self.edited(base), self.start.replaced, self.build_variable, self.moved(),
            workdir=self.reads_relative(), user={"": None, "nonroot": ""}.get(user, user), platform=not (stage.platform or "").startswith("$BUILD"),
        )  # fmt: skip
        file = assemble(model, stage, split)
        touched = (stage.position, *sorted({b.position for b in self.builds}), *self.start.replaced)
        return Change(f"build in a stage of its own and run on {reference}", file, touched, (self.build_evidence(base), *self.evidence))

    def build_evidence(self, base: _Base) -> str:
        if base.static:
            return f"the program is linked statically: {self.why_static}; it is all that is copied" + (", with the files it reads" if self.kept_files() else "")
        return f"the program needs the C library: {self.why_cgo}"

    # What the source says.

    def check_source(self) -> None:
        for module in self.modules:
            if "plugin" in module.imports:
                raise Refused("it loads Go plugins, which need the same tool chain", self.position)
            unknown = module.unknown_about("program")
            if unknown:
                raise Refused(f"which programs it starts is not known: {unknown[0]}", self.position)
        if "?" in self.needs.programs:
            raise Refused("a module it uses starts programs that nothing names", self.position)
        following = [p for p in self.stage.positions if p <= self.last]
        for position in following:
            node = self.model.file.instruction(position)
            if node.keyword in METADATA or node.keyword != "RUN":
                continue
            if any(m.type in ("secret", "ssh", "bind") and not m.target for m in mounts(node)):
                continue
            script = node.script
            if node.json is None and (script is None or not script.understood):
                raise Refused("what this step does is not understood", position)

    @property
    def programs(self) -> set[str]:
        """Names of the programs that the source, scripts and HEALTHCHECK start, those of the build left out."""
        own = {posixpath.basename(output) for output in self.outputs}
        found = {posixpath.basename(p) for m in self.modules for p in m.programs} | set(self.start.programs) | set(self.needs.programs)
        return found - own

    def unusual(self) -> set[str]:
        """Commands of the build whose effect on files is not followed."""
        found = set()
        for position in self.stage.positions:
            script = self.model.file.instruction(position).script if self.model.file.instruction(position).keyword == "RUN" else None
            for command in script.commands if script is not None else ():
                if command.words and command.name not in _KNOWN and read_call(command) is None:
                    found.add(command.name or command.words[0].text)
        return found

    # Linking.

    def linking(self) -> tuple[bool, str]:
        """Whether the programs are, or can be, linked statically, and why."""
        needed = [f"{m.cgo[0]} imports C" for m in self.modules if m.cgo] + [f"{name} is written in C" for name in self.needs.cgo]
        for build in self.builds:
            flags = f"{build.option('ldflags') or ''} {build.environment.get('GOFLAGS') or ''}"
            if re.search(r"-static\b", flags):
                return True, "the linker is told so"
            if build.cgo == "0":
                continue
            if any(build.option(name) is not None for name in ("race", "msan", "asan")):
                return False, "it is built with a sanitizer"
            if "boringcrypto" in (build.environment.get("GOEXPERIMENT") or ""):
                return False, "it is built with boringcrypto"
            if needed:
                return False, needed[0]
            if build.cgo not in (None, ""):
                return False, f"CGO_ENABLED={build.cgo} is set"
        if needed and all(build.cgo == "0" for build in self.builds):
            return True, "CGO_ENABLED=0 is set"
        return True, "no source imports C, and CGO_ENABLED=0 keeps the C resolver out"

    def base(self) -> _Base:
        static, why = self.linking()
        self.why_static, self.why_cgo = why, why
        twins = runtime_twins(self.image)
        if not twins:
            raise Refused(f"no image that runs what is made in {self.stage.reference} is known", self.stage.position)
        kept, libraries = self.packages(static)
        needs_system = self.start.shell or bool(self.programs) or bool(kept)
        if not needs_system and not libraries:
            wanted = "static" if static else "base"
            reference = next((t for t in twins if f"distroless/{wanted}-" in t), None)
            if reference is not None and not (self.image.package_manager == "apk" and not static):
                found = lookup(reference)
                assert found is not None
                return _Base(reference, found, (), static)
        return self.system_base(twins, static, (*kept, *libraries))

    def system_base(self, twins: tuple[str, ...], static: bool, packages: tuple[str, ...]) -> _Base:
        """A base with a shell and packages: the same distribution and release."""
        family = "alpine" if self.image.package_manager == "apk" else "debian"
        reference = next((t for t in twins if re.search(rf"(^|/){family}:", t)), None)
        if reference is None and static and family == "debian":
            reference = "debian:stable-slim"
        found = lookup(reference) if reference is not None else None
        if reference is None or found is None:
            what = next(iter(sorted(self.programs)), "a shell")
            raise Refused(f"it needs {what}, and the release of {self.stage.reference} is not known; a tag that names it tells", self.position)
        extra: list[str] = []
        if family == "debian":
            extra += packages_for(self.programs - {"sh", "bash"}, found, packages, self.position)
        else:
            missing = sorted(p for p in self.programs if found.has(p) is not True and p not in packages and p != "sh")
            if missing:
                raise Refused(f"it starts {missing[0]}, and nothing tells which package brings that to {reference}", self.position)
        if self.speaks_tls() and found.ca_certificates is not True:
            extra.append("ca-certificates")
        if any(m.time_zones for m in self.modules) and found.time_zones is not True:
            extra.append("tzdata")
        if self.programs:
            self.evidence.append(f"it starts {quote_names(sorted(self.programs))}")
        elif self.start.shell:
            self.evidence.append("a shell is needed to start it")
        return _Base(reference, found, tuple(dict.fromkeys((*packages, *extra))), static)

    def speaks_tls(self) -> bool:
        return any(m.tls_client or m.requires for m in self.modules)

    def packages(self, static: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The distribution's packages to keep of those that the stage installs, and the libraries that cgo links."""
        installed: list[str] = []
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            for call in installs_of(node) if node.keyword == "RUN" else ():
                if call.ecosystem not in ("apt", "apk"):
                    continue
                if not call.complete:
                    raise Refused("which packages it installs is known only when it runs", position)
                installed += call.packages
        manager = self.image.package_manager or "apt"
        development = [p for p in installed if build_only(p, manager)]
        others = [p for p in installed if p not in development and p not in _FETCHING and not (static and p.startswith("lib"))]
        kept: tuple[str, ...]
        if manager == "apt":
            third = any(m.requires for m in self.modules)
            kept = sort_packages(others, self.programs, self.image.release, (), not third, self.position).kept
        else:
            kept = tuple(p for p in others if p != "bash" or "bash" in self.programs)
        tools = [p for p in installed if p in _FETCHING and p in self.programs]
        libraries: list[str] = []
        if not static:
            if self.needs.development is None:
                raise Refused(f"which libraries {self.needs.cgo[0]} links is not known", self.position)
            headers = [p for p in development if p.endswith("-dev") and p not in ("libc6-dev", "musl-dev", "libc-dev")]
            if manager == "apk" and (headers or self.needs.development):
                raise Refused("which library packages of Alpine the program links is not known", self.position)
            for package in dict.fromkeys((*headers, *self.needs.development)):
                found = runtime_packages(package, self.image.release)
                if found is None:
                    raise Refused(f"which runtime library belongs to {package} is not known", self.position)
                libraries += [p for p in found if p != "libc6"]
            if any(m.cgo for m in self.modules) and not libraries and self.links_more():
                raise Refused("its C code links libraries that no installed package is known to bring", self.position)
        return tuple(dict.fromkeys((*kept, *tools))), tuple(dict.fromkeys(p for p in libraries if not in_every_image(p) or not static))

    def links_more(self) -> bool:
        """Whether C code of the project names libraries of its own."""
        text = "\n".join(self.context.read_text(path) or "" for m in self.modules for path in m.cgo)
        return re.search(r"#cgo[^\n]*(pkg-config:|LDFLAGS:[^\n]*-l(?!(m|pthread|dl|rt|c)\b))", text) is not None

    # Files.

    def kept_files(self) -> tuple[str, ...]:
        """The files and folders of the build stage that the program reads, as absolute paths."""
        if not hasattr(self, "_kept"):
            self._kept = self.find_files()
        return self._kept

    def find_files(self) -> tuple[str, ...]:
        model, stage = self.model, self.stage
        found = [*self.start.scripts, *self.start.files, *copied_elsewhere(model, stage, self.source, self.last)]
        made = self.made_folders()
        for module in self.modules:
            for place in module.read:
                path = self.place(place.kind, place.path)
                if path is not None:
                    found += self.present(path, made)
            for place in module.written:
                path = self.place(place.kind, place.path)
                found += [f for f in made if path is not None and is_below(path, f)]
                if path is not None and context_path(model, stage, path if place.folder else posixpath.dirname(path)) not in (None, "."):
                    found += self.present(path if place.folder else posixpath.dirname(path), made)
            found += self.literals(module, made)
        data = data_files(model, stage)
        unclear = [str(u) for m in self.modules for u in m.unknown_about("read")] or [f"{name} reads files" for name in self.needs.reads]
        left = [d for d in data if not any(is_below(d, f) for f in found)]
        strange = sorted(self.unusual())
        if (unclear and (left or strange)) or (strange and any(m.read for m in self.modules)):
            found.append(self.everything(unclear[0] if unclear else f"what `{strange[0]}` makes is not known"))
        return outermost(p for p in found if p not in self.outputs)

    def everything(self, why: str) -> str:
        """The working directory, as a whole, since which of its files are read is not known.

        Raises:
            Refused: It is not a folder of the project's own.
        """
        folder = self.workdir
        if folder is None or folder in ("/", "/go", "/root", "/home") or in_system(folder) or is_below("/go/pkg", folder):
            raise Refused(f"which files it reads is not known: {why}", self.position)
        if self.start.relocated:
            raise Refused(f"which files it reads is not known, and it is started from another folder: {why}", self.position)
        self.evidence.append(f"{folder} is copied whole: {why}")
        return folder

    def place(self, kind: str, path: str) -> str | None:
        if kind == "absolute":
            return None if in_system(path) and context_path(self.model, self.stage, path) is None else path
        if self.workdir is None:
            return None
        if path.startswith(".."):
            return posixpath.normpath(posixpath.join(self.workdir, path))
        return posixpath.normpath(posixpath.join(self.workdir, path))

    def present(self, path: str, made: tuple[str, ...]) -> list[str]:
        """A path that the build stage has before the runtime stage's own copies."""
        if path == self.workdir or path == "/":
            return []
        inside = context_path(self.model, self.stage, path, self.last + 1)
        if inside is not None and inside != ".":
            return [path]
        return [path] if any(is_below(path, folder) for folder in made) else []

    def made_folders(self) -> tuple[str, ...]:
        """The folders that ``mkdir`` makes, of the project's own."""
        found = []
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            script = node.script if node.keyword == "RUN" else None
            for command in script.commands if script is not None else ():
                if command.name == "mkdir":
                    paths = [self.model.before(position).path(w.value) for w in command.words[1:] if w.value and not w.value.startswith("-")]
                    found += [p for p in paths if p is not None and not in_system(p) and p != self.workdir]
        return tuple(f for f in found if not any(is_below(output, f) for output in self.outputs) and not is_below(self.source, f))

    def literals(self, module: GoModule, made: tuple[str, ...]) -> list[str]:
        """Files of the context that a string in the source names, as a path that does not begin at the root."""
        found = []
        for text in go_literals(self.context, module.folder):
            name = posixpath.normpath(re.sub(r"^(file://|\./)", "", re.sub(r"[*?\[].*", "", text))) if 1 < len(text) < 200 else ""
            if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name) or name in (".", "..") or self.workdir is None:
                continue
            inside = context_path(self.model, self.stage, posixpath.join(self.workdir, name), self.last + 1)
            if inside in (None, ".") or any(inside == e or is_below(e, inside or "") or is_below(inside or "", e) for e in module.embeds):
                continue
            path = posixpath.join(self.workdir, name)
            if any(is_below(d, path) for d in data_files(self.model, self.stage)):
                found.append(path)
        return found

    def reads_relative(self) -> bool:
        used = [p for m in self.modules for p in (*m.read, *m.written)]
        return any(place.kind == "cwd" for place in used) or any(m.unknown_about("read", "write") for m in self.modules)

    # The user.

    def user(self, base: _Base) -> str:
        """What becomes of USER: "" for as it was, "nonroot" for the base's own, else another value.

        Raises:
            Refused: It names a user that the runtime image does not have.
        """
        given = self.model.behind(self.stage).user
        plain = given in (None, "root", "0", "0:0", "root:root")
        if not plain:
            owner = (given or "").partition(":")[0]
            if owner.isdigit() or owner in base.image.users:
                return ""
            if base.image.variant == "distroless" and not self.writes():
                self.evidence.append(f"the user {owner} is replaced by the base's own, nonroot: the program writes no files")
                return "nonroot"
            raise Refused(f"the user {owner} is made in the build and writes files", self.position)
        if base.image.variant != "distroless" or model_has_user(self.model, self.stage):
            return ""
        reason = self.writes() or self.needs_root()
        if reason is not None:
            self.evidence.append(f"it stays root: {reason}")
            return ""
        self.evidence.append("it runs as nonroot: it writes no files, and nothing it does needs root")
        return "nonroot"

    def writes(self) -> str | None:
        """Why the program may need a folder of its own to write to, None when it writes at most to /tmp."""
        for module in self.modules:
            places = [p for p in module.written if not (p.kind == "absolute" and re.match(r"/(tmp|dev)(/|$)", p.path))]
            if places:
                return f"it writes to {places[0]}"
            unknown = module.unknown_about("write")
            if unknown:
                return str(unknown[0])
        if self.needs.writes:
            return f"{self.needs.writes[0]} keeps files"
        if any(self.model.file.instruction(p).keyword == "VOLUME" for p in self.stage.positions):
            return "it declares a volume"
        return None

    def needs_root(self) -> str | None:
        ports = {port for m in self.modules for port in m.ports} | self.exposed()
        low = sorted(port for port in ports if port < 1024)
        if low:
            return f"it listens on port {low[0]}"
        if any(m.unknown_about("port") for m in self.modules) and not self.exposed():
            return "which port it listens on is not known"
        named = sorted({i for m in self.modules for i in m.imports} & ROOT_MODULES)
        if named:
            return f"it uses {named[0]}"
        for module in self.modules:
            for path in self.context.under(module.folder):
                if path.endswith(".go") and not path.endswith("_test.go"):
                    reason = next(iter(root_calls(path, self.context.read_text(path) or "")), None)
                    if reason is not None:
                        return reason
        return next((f"{f} is not readable for others" for f in self.private()), None)

    def exposed(self) -> set[int]:
        found = set()
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            for word in node.words if node.keyword == "EXPOSE" else ():
                text = (self.model.before(position).expand(word, node.escape) or "").partition("/")[0]
                found |= {int(part) for part in text.split("-") if part.isdecimal()}
        value = self.model.behind(self.stage).env.get("PORT")
        return found | ({int(value)} if value and value.isdecimal() else set())

    def private(self) -> list[str]:
        """Files that go along and that only their owner may read."""
        found = []
        for folder in self.kept_files():
            inside = context_path(self.model, self.stage, folder)
            for path in (self.context.under(inside) or (inside,)) if inside is not None else ():
                mode = (self.context.root / path).lstat().st_mode
                found += [path] if not mode & 0o004 else []
        return found

    # The build stage.

    def build_variable(self, name: str) -> bool:
        if name == "PATH":
            return True
        return _BUILD_VARIABLE.fullmatch(name) is not None and name not in ("GODEBUG", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GOTRACEBACK")

    def moved(self) -> frozenset[int]:
        """The ENV instructions that no step of the build is seen to read."""
        nodes = [(p, self.model.file.instruction(p)) for p in self.stage.positions]
        commands = [c for _, node in nodes if node.keyword == "RUN" and node.script is not None for c in node.script.commands]
        if self.unusual() or any(c.name == "go" and c.argv[1:2] not in _GO_COMPILES for c in commands):
            return frozenset()
        used = "\n".join(node.value for p, node in nodes if p <= self.last and node.keyword in ("RUN", "COPY", "ADD", "WORKDIR", "ENV", "ARG", "USER"))
        return frozenset(
            p
            for p, node in nodes
            if node.keyword == "ENV" and not any(self.build_variable(n.name) or re.search(rf"\$\{{?{re.escape(n.name)}\b", used) for n in node.pairs)
            and not any(n.name in ("HOME", "TMPDIR", "TZ", "LANG") or "proxy" in n.name.lower() for n in node.pairs)
        )

    def install(self, base: _Base) -> Instruction:
        if self.image.package_manager == "apt":
            return apt_install(self.model, self.stage, base.packages, ("--no-install-recommends",))
        return line(self.model, self.stage, "RUN", f"apk add --no-cache {' '.join(base.packages)}")

    def edited(self, base: _Base) -> dict[int, list[Node]]:
        """The RUN instructions that compile: without cgo, without symbols for debuggers, with a cache that outlives them."""
        found: dict[int, list[Node]] = {}
        for position in sorted({*(b.position for b in self.builds), *self.compiling()}):
            node = self.model.file.instruction(position)
            here = [b for b in self.builds if b.position == position]
            edits = [edit for build in here if build.command is not None for edit in self.command_edits(node, build, base)]
            before: list[Node] = []
            if base.static and any(b.command is None and b.cgo is None for b in here):
                before = [Instruction(f"{keyword_like(node, 'ENV')} CGO_ENABLED=0{line_end_of(self.model.file, node)}", node.escape)]
            cache = self.cache(position, node)
            if cache is not None:
                at = len(node.text) - len(node.text.lstrip(" \t")) + len(node.keyword_text)
                edits.append((at, at, f" --mount=type=cache,target={cache}"))
            found[position] = [*before, node.edited(*edits) if edits else node]
        return found

    def compiling(self) -> list[int]:
        """The RUN instructions that compile, be it for tests."""
        found = []
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            script = node.script if node.keyword == "RUN" else None
            if script is not None and any(c.name == "go" and c.argv[1:2] in (("test",), ("vet",), ("generate",), ("run",)) for c in script.commands):
                found.append(position)
        return found

    def command_edits(self, node: Instruction, build: GoBuild, base: _Base) -> list[tuple[int, int, str]]:
        command, script = build.command, node.shell_text
        assert command is not None
        assert script is not None
        edits = []
        if base.static and build.cgo is None and not re.search(r"-static\b", build.option("ldflags") or ""):
            at = script.source(command.start)
            edits.append((at, at, "CGO_ENABLED=0 "))
        debugs = build.option("gcflags") is not None and re.search(r"-N\b", build.option("gcflags") or "")
        if debugs or "ldflags" in (build.environment.get("GOFLAGS") or "") or any(i.startswith("debug/") for m in self.modules for i in m.imports):
            return edits
        words = command.words
        verb = next(i for i, w in enumerate(words) if w.value in ("build", "install") and (words[i - 1].value or "").endswith("go"))
        given = next((i for i, w in enumerate(words) if re.match(r"--?ldflags(=|$)", w.text)), None)
        if given is None:
            at = script.source_end(words[verb].end)
            edits.append((at, at, ' -ldflags="-s -w"'))
            return edits
        word = words[given] if "=" in words[given].text else words[given + 1]
        quote = re.match(r"(?:--?ldflags=)?([\"'])", word.text)
        if quote and not re.search(r"(^|[\s\"'])-(s|w)\b", word.text):
            at = script.source(word.start) + quote.end()
            edits.append((at, at, "-s -w " if word.text[quote.end()] not in "\"'" else "-s -w"))
        return edits

    def cache(self, position: int, node: Instruction) -> str | None:
        """Where a cache mount for compiled packages goes, None where there is one or where that is not known."""
        syntax = next((n.value for n in self.model.file.nodes if isinstance(n, Directive) and n.name == "syntax"), "")
        if re.search(r":1\.[01](\.|$|-)", syntax) or any(m.type == "cache" for m in mounts(node)):
            return None
        state = self.model.before(position)
        if state.user not in (None, "root", "0") or any(state.lookup(n) for n in ("HOME", "XDG_CACHE_HOME")) or "HOME" in state.env:
            return None
        if any(c.name == "export" or c.name == "rm" and "cache" in " ".join(w.text for w in c.words) for c in (node.script.commands if node.script else ())):
            return None
        given = next((b.environment.get("GOCACHE") for b in self.builds if b.position == position and b.environment.get("GOCACHE")), None)
        if given is not None:
            return given if given.startswith("/") and "$" not in given else None
        return "/root/.cache/go-build"


def model_has_user(model: Model, stage: Stage) -> bool:
    """Whether a stage says which user it runs as."""
    return any(model.file.instruction(p).keyword == "USER" for p in stage.positions)
