"""Split a Go stage: the program is compiled in a build stage, and the image holds it with the files that it reads."""

from __future__ import annotations

import posixpath
import re

from msgspec import Struct

from optimizer.knowledge.debian import build_only, plain_name
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.native_libraries import brings, development_packages, in_every_image, libraries_of, of_system
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.go_builds import GoBuild, go_builds
from optimizer.model.paths import context_path
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import Split, account_steps, assemble, check_owner, copy_line, has_user, is_below, is_root
from optimizer.passes.split.go_compile import build_variable, edited_builds, program_variables
from optimizer.passes.split.go_files import FilesRead, files_read
from optimizer.passes.split.go_project import GoProject
from optimizer.passes.split.shared import Refused, apt_install, installs_of, line, packages_for, sort_packages, stage_name
from optimizer.passes.split.started import starting
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction

# What a build fetches its sources with. No program starts these unless its source says so.
_FETCHING = frozenset({
    "git", "git-lfs", "mercurial", "subversion", "bzr", "curl", "wget", "unzip", "zip", "xz-utils", "tar", "gzip", "bzip2", "make", "upx",
    "upx-ucl", "ca-certificates", "tzdata", "openssh-client", "openssh", "gnupg", "gnupg2", "protobuf-compiler", "protoc", "jq", "rsync",
    "apt-transport-https", "software-properties-common", "lsb-release", "apt-utils", "apt-file", "bash",
})  # fmt: skip
_DIRECTIVE = re.compile(r"#cgo[^\n]*?(LDFLAGS|pkg-config):([^\n]*)")


def split_go(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Go project.

    Returns:
        The change, None when the stage is not one of Go's images or is one to build with, not to run.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family != "golang" or stage.base is not None or image.package_manager not in ("apt", "apk"):
        return None
    entry = model.last(stage, "ENTRYPOINT")
    command = entry if entry is not None else model.last(stage, "CMD")
    if command is None:
        return None
    builds = go_builds(model, stage)
    if not builds:
        _refuse_without_build(model, stage, command)
        return None
    project = _project(model, stage, image, builds, command)
    base = _Base.of(project)
    return _change(project, base, files_read(project))


def _refuse_without_build(model: Model, stage: Stage, command: int) -> None:
    node = model.file.instruction(command)
    words = node.json or (node.script.commands[0].argv if node.script is not None and node.script.commands else ())
    if tuple(words[:2]) == ("go", "run"):
        raise Refused("`go run` compiles the program each time it starts; it takes a `go build` to split that off", command)
    if any(model.file.instruction(p).keyword == "RUN" for p in stage.positions):
        raise Refused("no `go build` or `go install` is seen that makes the program", command)


def _project(model: Model, stage: Stage, image: BaseImage, builds: tuple[GoBuild, ...], command: int) -> GoProject:
    """The project behind a stage, checked for what no split can do."""
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    for build in builds:
        mode = build.option("buildmode")
        if mode not in (None, "exe", "pie", "default"):
            raise Refused(f"-buildmode={mode} makes no program that runs by itself", build.position)
        if build.option("linkshared") is not None:
            raise Refused("it links Go's shared libraries", build.position)
        if build.environment.get("GOOS") not in (None, "", "linux"):
            raise Refused(f"it builds for GOOS={build.environment['GOOS']}", build.position)
    runs = [p for p in stage.positions if model.file.instruction(p).keyword == "RUN"]
    for position in runs:
        node = model.file.instruction(position)
        if node.json is None and (node.script is None or not node.script.understood):
            raise Refused("what this step does is not understood", position)
    own = tuple(b for b in builds if not b.tool)
    tools = [output for b in builds if b.tool for output in b.outputs]
    outputs = tuple(dict.fromkeys(o for b in own for o in b.outputs))
    start = starting(model, stage, (*outputs, *tools))
    foreign = set(start.made) & set(tools)
    if foreign:
        raise Refused(f"it starts {foreign.pop()}, a tool of another project, which may need Go", command)
    modules = tuple({b.module.folder: b.module for b in own if b.module is not None}.values())
    if not modules:
        raise Refused("the source of the program is not found in the build context", own[-1].position)
    project = GoProject(model, stage, model.context, image, own, outputs, start, modules, runs[-1])
    for module in modules:
        if "plugin" in module.imports:
            raise Refused("it loads Go plugins, which need the same tool chain", project.position)
        unknown = module.unknown_about("program")
        if unknown:
            raise Refused(f"which programs it starts is not known: {unknown[0]}", project.position)
    if "?" in project.needs.programs:
        raise Refused("a module it uses starts programs that nothing names", project.position)
    return project


def _linking(project: GoProject) -> tuple[bool, str]:
    """Whether the programs are, or can be, linked statically, and why."""
    needed = [f"{m.cgo[0]} imports C" for m in project.modules if m.cgo] + [f"{name} is written in C" for name in project.needs.cgo]
    for build in project.builds:
        flags = f"{build.option('ldflags') or ''} {build.environment.get('GOFLAGS') or ''}"
        if build.cgo == "0" or re.search(r"-static\b", flags):
            continue
        if any(build.option(name) is not None for name in ("race", "msan", "asan")):
            return False, "it is built with a sanitizer"
        if "boringcrypto" in (build.environment.get("GOEXPERIMENT") or ""):
            return False, "it is built with boringcrypto"
        if needed:
            return False, needed[0]
        if build.cgo not in (None, ""):
            return False, f"CGO_ENABLED={build.cgo} is set"
    if all(build.cgo == "0" for build in project.builds):
        return True, "CGO_ENABLED=0 is set"
    return True, "no source imports C, and CGO_ENABLED=0 keeps the C resolver out"


class _Base(Struct, frozen=True):
    """The runtime image: its reference, what is known of it, packages to install, and how the program is linked."""

    reference: str
    image: BaseImage
    packages: tuple[str, ...]
    static: bool
    why: tuple[str, ...]

    @classmethod
    def of(cls, project: GoProject) -> _Base:
        static, why = _linking(project)
        twins = runtime_twins(project.image)
        if not twins:
            raise Refused(f"no image that runs what is made in {project.stage.reference} is known", project.stage.position)
        kept, libraries = _packages(project, static)
        linked = f"the program is linked statically: {why}" if static else f"the program needs the C library: {why}"
        if not (project.start.shell or project.programs or kept or libraries) and (static or project.image.package_manager == "apt"):
            wanted = "static" if static else "cc" if _uses_cxx(project) else "base"
            reference = next((t for t in twins if f"distroless/{wanted}-" in t), None)
            found = lookup(reference) if reference is not None else None
            if reference is not None and found is not None:
                return cls(reference, found, (), static, (linked,))
        return cls.system(project, twins, (*kept, *(p for p in libraries if not in_every_image(p))), static, linked)

    @classmethod
    def system(cls, project: GoProject, twins: tuple[str, ...], packages: tuple[str, ...], static: bool, linked: str) -> _Base:
        """A base with a shell and a package manager, of the same distribution and release."""
        family = "alpine" if project.image.package_manager == "apk" else "debian"
        reference = next((t for t in twins if re.search(rf"(^|/){family}:", t)), None)
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


def _uses_cxx(project: GoProject) -> bool:
    """Whether C++ is compiled with the program."""
    folders = {posixpath.dirname(path) for m in project.modules for path in m.cgo}
    sources = [f for f in project.context.files() if posixpath.dirname(f) in folders]
    return any(re.search(r"\.(cc|cpp|cxx|hpp)$", f) for f in sources) or "stdc++" in _linked_names(project)


def _linked_names(project: GoProject) -> list[str]:
    """The libraries that cgo directives in the source name."""
    names: list[str] = []
    for path in (path for m in project.modules for path in m.cgo):
        for kind, text in _DIRECTIVE.findall(project.context.read_text(path) or ""):
            words = text.split()
            names += [w for w in words if not w.startswith("-")] if kind == "pkg-config" else [w[2:] for w in words if w.startswith("-l")]
    return list(dict.fromkeys(names))


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
    if project.needs.development is None:
        raise Refused(f"which libraries {project.needs.cgo[0]} links is not known", project.position)
    names = [n for n in _linked_names(project) if not of_system(n)]
    used = [p for p in development if any(brings(p, n) for n in names)] + list(project.needs.development)
    open_names = [n for n in names if not any(brings(p, n) for p in development)]
    for name in open_names:
        candidates = [p for p in development_packages(name) if libraries_of(p, "debian", project.image.release)]
        used += candidates[:1] or [p for p in development if p not in used and p != "libc6-dev"]
        if not candidates and not development:
            raise Refused(f"which package brings the library {name} is not known", project.position)
    if manager == "apk" and (used or project.needs.development):
        raise Refused("which packages of Alpine the program needs is not known", project.position)
    found: list[str] = []
    for package in dict.fromkeys(used):
        libraries = libraries_of(package, "debian", project.image.release)
        if libraries is None:
            raise Refused(f"which runtime library belongs to {package} is not known", project.position)
        found += [p for p in libraries if p != "libc6"]
    return tuple(dict.fromkeys(found))


def _change(project: GoProject, base: _Base, files: FilesRead) -> Change:
    model, stage = project.model, project.stage
    evidence = list(base.why)
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword in ("COPY", "ADD") and position > project.last:
            check_owner(node, base.image, position)
    user, accounts, nonroot = _user(project, base, files, evidence)
    reference = f"{base.reference}:nonroot" if nonroot else base.reference
    name = stage_name(model)
    middle: list[Instruction] = [_install(project, base)] if base.packages else []
    middle += accounts
    middle += [copy_line(model, stage, name, path, path) for path in files.paths]  # before the program, which changes more often
    searched = {posixpath.dirname(path) for path in project.start.relocated}
    for output in project.outputs:
        target = f"/usr/local/bin/{posixpath.basename(output)}" if posixpath.dirname(output) in searched else output
        if not any(is_below(output, folder) for folder in files.paths):
            middle.append(copy_line(model, stage, name, output, target))
    if files.whole is not None:
        evidence.append(f"{project.workdir} is copied whole: {files.whole}")
    elif files.paths:
        evidence.append(f"it reads {quote_names(files.paths)}")
    split = Split(
        name, reference, project.last, tuple(middle), edited_builds(project, base.static), project.start.replaced, build_variable,
        program_variables(project), workdir=project.reads_relative, user=user, platform=not (stage.platform or "").startswith("$BUILD"),
    )  # fmt: skip
    touched = (stage.position, *sorted({b.position for b in project.builds}), *project.start.replaced)
    return Change(f"build in a stage of its own and run on {reference}", assemble(model, stage, split), touched, tuple(evidence))


def _install(project: GoProject, base: _Base) -> Instruction:
    if project.image.package_manager == "apt":
        return apt_install(project.model, project.stage, base.packages, ("--no-install-recommends",))
    return line(project.model, project.stage, "RUN", f"apk add --no-cache {' '.join(base.packages)}")


def _user(project: GoProject, base: _Base, files: FilesRead, evidence: list[str]) -> tuple[str | None, list[Instruction], bool]:
    """USER of the runtime stage (None: as it is, "": none), steps that make accounts, and whether the base's nonroot is taken.

    Raises:
        Refused: The program writes files as a user whose folders would become root's, or the user cannot be had.
    """
    distroless = base.image.variant == "distroless"
    given = project.model.behind(project.stage).user
    writes = project.writes()
    if not is_root(given):
        if writes is not None:
            raise Refused(f"whose folders become when they are copied matters, for {writes}, as the user {given}", project.position)
        owner = (given or "").partition(":")[0]
        if owner.isdigit() or owner in base.image.users:
            return None, [], False
        if distroless:
            evidence.append(f"nonroot of the base takes the place of the user {owner}: the program writes no files")
            return "", [], True
        steps = account_steps(project.model, project.stage)
        if not steps:
            raise Refused(f"{base.reference} does not have the user {owner}", project.position)
        return None, steps, False
    if not distroless or has_user(project.model, project.stage):
        return None, [], False
    private = next((f"{path} is not readable for others" for path in _private(project, files)), None)
    reason = writes or project.needs_root() or private
    evidence.append(f"it stays root: {reason}" if reason else "it runs as nonroot: it writes no files, and nothing that it does needs root")
    return None, [], reason is None


def _private(project: GoProject, files: FilesRead) -> list[str]:
    """Files that go along and that only their owner may read."""
    found = []
    for folder in files.paths:
        inside = context_path(project.model, project.stage, folder)
        for path in (project.context.under(inside) or (inside,)) if inside is not None else ():
            if not (project.context.root / path).lstat().st_mode & 0o004:
                found.append(path)
    return found
