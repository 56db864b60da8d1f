"""The runtime stage of a build that is split already: a small image in place of the tool chain under a compiled program."""

from __future__ import annotations

import posixpath
import re

from optimizer.context.native import native_sources
from optimizer.context.native_commands import is_compiler
from optimizer.context.source_text import JVM_SOURCES, RUST_SOURCES, source_evidence
from optimizer.knowledge.debian import build_only, package_of, plain_name
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.native_libraries import in_every_image, newest_gcc
from optimizer.knowledge.twins import distroless, runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.compiled_program import CompiledProgram, builds_of, commands_of, compiled_program, loads_own
from optimizer.model.launch import SHELLS
from optimizer.model.paths import origin_of
from optimizer.model.start import start_of
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import is_root
from optimizer.passes.split.crates import TLS_CRATES, crate_libraries, locked_crates
from optimizer.passes.split.go_base import GoBase
from optimizer.passes.split.go_compile import edited_builds
from optimizer.passes.split.go_project import GoProject
from optimizer.passes.split.java import jdk_code, runtime_base
from optimizer.passes.split.java_start import java_start
from optimizer.passes.split.linked import linked_libraries
from optimizer.passes.split.shared import Refused, apt_install, from_line, installs_of, packages_for
from optimizer.passes.split.started import Starting, starting
from optimizer.passes.split.steps import FILE_COMMANDS, steps_of
from optimizer.passes.text import quote_names
from optimizer.syntax import Dockerfile, Node

_COPIES = "the stage copies what another one compiled, and compiles nothing"


def compiled_runtime(model: Model, stage: Stage) -> Change | None:
    """Put the final stage of a multi-stage build, which runs a program in Go, C, C++ or Rust, on a small image.

    Returns:
        The change, None when the stage does more than to copy what another one compiled.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    start = start_of(model, stage)
    if model.context is None or start is None or stage.image is None or not model.dependencies[stage.index] or not only_files(model, stage):
        return None
    entries = [path for path in start.entries if path.startswith("/")]
    programs = [found for path in entries if (found := compiled_program(model, stage, path)) is not None]
    if not programs or any(program.stage.index == stage.index for program in programs):
        return None
    unknown = next((program.unknown for program in programs if program.unknown is not None), None)
    if unknown is not None or len({program.stage.index for program in programs}) > 1:
        raise Refused(unknown or "its programs are compiled in several stages", stage.position)
    how = starting(model, stage, [program.path for program in programs])
    if all(program.language == "go" for program in programs):
        return _go(model, stage, programs, how)
    if all(program.language == "rust" for program in programs):
        return _rust(model, stage, programs, how)
    return _native(model, stage, programs, how)


def java_runtime(model: Model, stage: Stage) -> Change | None:
    """Put the final stage of a multi-stage build, which runs a program in Java, on the runtime of the same version.

    Returns:
        The change, None when the stage does more than to copy what another one compiled.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image, context = stage.image, model.context
    command = model.last(stage, "ENTRYPOINT") or model.last(stage, "CMD")
    if image is None or context is None or command is None or image.variant in ("jre", "headless", "headful"):
        return None
    if not model.dependencies[stage.index] or not only_files(model, stage):
        return None
    java = java_start(model, stage, command)
    found = jdk_code(source_evidence(context, JVM_SOURCES))
    if found is not None:
        raise Refused(f"the program uses {found}, which only the JDK has", command)
    runtime, reference, _ = runtime_base(model, stage, image)
    missing = sorted(name for name in java.programs if runtime.has(name) is False)
    if missing:
        raise Refused(f"it starts {missing[0]}, which {reference} does not have", command)
    _check_user(model, stage, runtime, reference)
    file = model.file.replaced(stage.position, stage.position + 1, [from_line(model, stage, reference, stage.name)])
    evidence = (_COPIES, f"{reference} runs what the same version of Java compiled")
    return Change(f"run on {reference}", file, (stage.position,), evidence)


def only_files(model: Model, stage: Stage) -> bool:
    """Whether every RUN of a stage does nothing but make and change files and accounts."""
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword == "ONBUILD":
            return False
        steps = steps_of(node) if node.keyword == "RUN" else ()
        if steps is None or any(step.call is not None or step.program not in FILE_COMMANDS for step in steps):
            return False
    return True


def _go(model: Model, stage: Stage, programs: list[CompiledProgram], start: Starting) -> Change:
    builder = programs[0].stage
    places = [origin_of(model, stage, program.path)[1] for program in programs]
    builds = tuple(b for b in builds_of(model, builder).go if set(b.outputs) & set(places) and not b.tool)
    modules = tuple({b.module.folder: b.module for b in builds if b.module is not None}.values())
    if builder.image is None or model.context is None or not modules or start.relocated:
        raise Refused("the program is found through a folder of PATH that only the image of Go has", stage.position)
    unknown = next((u for m in modules for u in m.unknown_about("program")), None)
    if unknown is not None or any("plugin" in m.imports for m in modules):
        raise Refused(f"which programs it starts is not known: {unknown or 'it loads plugins'}", stage.position)
    outputs = tuple(program.path for program in programs)
    project = GoProject(model, builder, model.context, builder.image, builds, outputs, start, modules, builds[-1].position)
    steps = any(model.file.instruction(p).keyword == "RUN" for p in stage.positions)
    base = GoBase.of(project, shell=steps)
    _check_user(model, stage, base.image, base.reference)
    packages = tuple(base.packages)
    file = _on(model, stage, base.reference, packages, {**start.replaced} if not base.image.shell else {})
    edited = edited_builds(model, builder, builds, modules, base.static) if base.static and any(b.cgo != "0" for b in builds) else {}
    for position in sorted(edited, reverse=True):
        file = file.replaced(position, position + 1, edited[position])
    touched = tuple(sorted({stage.position, *edited}))
    return Change(f"run on {base.reference}", file, touched, (_COPIES, *base.why))


def _rust(model: Model, stage: Stage, programs: list[CompiledProgram], start: Starting) -> Change:
    builder, context = programs[0].stage, model.context
    origin = builder.image
    if origin is None or context is None or start.relocated:
        raise Refused("the program is found through a folder of PATH that only the image of Rust has", stage.position)
    source = source_evidence(context, RUST_SOURCES)
    unknown = source.unknown_about("program")
    if unknown:
        raise Refused(f"which programs it starts is not known: {unknown[0]}", stage.position)
    steps = any(model.file.instruction(p).keyword == "RUN" for p in stage.positions)
    others = {posixpath.basename(name) for name in (*source.programs, *start.programs)}
    libraries = crate_libraries(model, builder, origin, stage.position)
    bare = distroless("cc", origin.release) if origin.distribution == "debian" else None
    system = builder.reference if origin.family in ("debian", "ubuntu") else None
    system = next((twin for twin in runtime_twins(origin) if re.search(r"(^|/)debian:", twin)), system)
    reference = system if libraries or others or steps or start.shell or bare is None else bare
    image = lookup(reference) if reference is not None else None
    if reference is None or image is None:
        raise Refused(f"the release of {builder.reference} is not known; a tag that names it tells", stage.position)
    packages = (*libraries, *packages_for(others - set(SHELLS), image, libraries, stage.position))
    if locked_crates(context, stage.position) & TLS_CRATES and image.ca_certificates is not True and image.package_manager == "apt":
        packages = (*packages, "ca-certificates")
    _check_user(model, stage, image, reference)
    file = _on(model, stage, reference, packages, {**start.replaced} if not image.shell else {})
    return Change(f"run on {reference}", file, (stage.position,), (_COPIES, "the program needs the C library and the compiler's own"))


def _native(model: Model, stage: Stage, programs: list[CompiledProgram], start: Starting) -> Change:
    builder = programs[0].stage
    build, origin = builds_of(model, builder).native, builder.image
    if build is None or origin is None or model.context is None:
        raise Refused("what compiles the program is not seen", stage.position)
    made = [one for program in programs if (one := build.program(origin_of(model, stage, program.path)[1])) is not None]
    reference = next((twin for twin in runtime_twins(origin) if re.search(r"(^|/)debian:", twin)), None)
    runtime = lookup(reference) if reference is not None else None
    if reference is None or runtime is None:
        raise Refused(f"which Debian release {builder.reference} stands on is not known; a tag such as -bookworm tells", stage.position)
    major = re.match(r"\d+", origin.version or "")
    newest = newest_gcc(runtime.release or "")
    cxx = any(one.cxx and not one.static and not one.statics for one in made)
    if origin.family == "gcc" and cxx and (newest is None or major is None or int(major[0]) > newest):
        raise Refused(f"it needs the libstdc++ of {builder.reference}, which {reference} does not have", stage.position)
    sources = native_sources(
        model.context, dict.fromkeys(source for program in programs for source in program.sources), commands_of(model, builder)
    )
    unknown = next((u for u in sources.unknown if u.about in ("program", "module", "context")), None)
    foreign = next((place for place in sources.loaded if not loads_own(model, stage, place)), None)
    if unknown is not None or foreign is not None:
        raise Refused(f"what it needs when it runs is not known: {unknown or f'{foreign} is loaded'}", stage.position)
    nodes = (model.file.instruction(position) for position in builder.positions)
    installed = [plain_name(p) for node in nodes if node.keyword == "RUN" for call in installs_of(node) for p in call.packages]
    linked = linked_libraries(build, made, origin, installed, build.last)
    libraries = tuple(p for p in linked.packages if not in_every_image(p))
    others = {posixpath.basename(name) for name in (*start.programs, *sources.programs)} - set(SHELLS)
    compiler = next((name for name in sorted(others) if is_compiler(name) or build_only(package_of(name) or "", "apt")), None)
    if compiler is not None:
        raise Refused(f"it starts {compiler}, which {stage.reference} is for", stage.position)
    packages = (*libraries, *packages_for(others, runtime, libraries, stage.position))
    _check_user(model, stage, runtime, reference)
    file = _on(model, stage, reference, packages, {})
    evidence = [_COPIES, f"{quote_names([posixpath.basename(p.path) for p in programs])} needs no compiler when it runs"]
    evidence += [f"it is linked with {quote_names(libraries)}"] if libraries else []
    return Change(f"run on {reference}", file, (stage.position,), tuple(evidence))


def _on(model: Model, stage: Stage, reference: str, packages: tuple[str, ...], replaced: dict[int, Node]) -> Dockerfile:
    """The Dockerfile with a stage on another base, on which it installs packages."""
    file = model.file
    for position, node in replaced.items():
        file = file.replaced(position, position + 1, [node])
    new: list[Node] = [from_line(model, stage, reference, stage.name)]
    if packages:
        new.append(apt_install(model, stage, packages, ("--no-install-recommends",)))
    return file.replaced(stage.position, stage.position + 1, new)


def _check_user(model: Model, stage: Stage, image: BaseImage, reference: str) -> None:
    """Refuse where the stage names somebody whom the image does not have."""
    made = " ".join(n.value for p in stage.positions if (n := model.file.instruction(p)).keyword == "RUN")
    for position in stage.positions:
        node = model.file.instruction(position)
        owner = (node.flag("chown") or "") if node.keyword in ("COPY", "ADD") else node.value.strip() if node.keyword == "USER" else ""
        name = owner.partition(":")[0]
        if name and not is_root(name) and not name.isdigit() and name not in image.users and not re.search(rf"\b{re.escape(name)}\b", made):
            raise Refused(f"{reference} does not have the user {name}", position)
