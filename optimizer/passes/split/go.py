"""Split a Go stage: the program is compiled in a build stage, and the image holds it with the files that it reads."""

from __future__ import annotations

import posixpath
import re

from msgspec.structs import replace

from optimizer.knowledge.debian import plain_name
from optimizer.knowledge.images import BaseImage
from optimizer.model import Model, Stage
from optimizer.model.go_builds import GoBuild, go_builds
from optimizer.model.paths import context_path
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import Split, account_steps, assemble, check_owner, copy_line, has_user, is_below, is_root
from optimizer.passes.split.go_base import GoBase
from optimizer.passes.split.go_compile import build_variable, edited_builds, program_variables
from optimizer.passes.split.go_files import FilesRead, files_read
from optimizer.passes.split.go_project import GoProject
from optimizer.passes.split.go_run import compiled_before
from optimizer.passes.split.shared import Refused, apt_install, installs_of, line, stage_name
from optimizer.passes.split.started import starting
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction


def split_go(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Go project.

    Returns:
        The change, None when the stage has no compiler of Go or is one to build with, not to run.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or stage.base is not None or image.package_manager not in ("apt", "apk"):
        return None
    if image.family != "golang" and not _installs_go(model, stage):
        return None
    entry = model.last(stage, "ENTRYPOINT")
    command = entry if entry is not None else model.last(stage, "CMD")
    if command is None:
        return None
    builds = go_builds(model, stage)
    if not builds:
        return _without_build(model, stage, command, alone=entry is None or model.last(stage, "CMD") is None)
    project = _project(model, stage, image, builds, command)
    base = GoBase.of(project)
    return _change(project, base, files_read(project))


def _installs_go(model: Model, stage: Stage) -> bool:
    """Whether a stage installs the compiler out of the distribution's packages."""
    nodes = (model.file.instruction(position) for position in stage.positions)
    calls = (call for node in nodes if node.keyword == "RUN" for call in installs_of(node) if call.ecosystem == "apt")
    return any(re.fullmatch(r"golang(-[\d.]+)?(-go)?", plain_name(package)) for call in calls for package in call.packages)


def _without_build(model: Model, stage: Stage, command: int, *, alone: bool) -> Change | None:
    """The split of a stage whose command is ``go run``. alone: it is not made of ENTRYPOINT and CMD.

    Raises:
        Refused: It is not known what makes the program.
    """
    node = model.file.instruction(command)
    words = node.json or (node.script.commands[0].argv if node.script is not None and node.script.commands else ())
    if tuple(words[:2]) == ("go", "run"):
        compiled = compiled_before(model, stage, command) if alone and model.context is not None else None
        if compiled is None:
            raise Refused("`go run` compiles the program each time it starts, and which one is not clear", command)
        after = Model(compiled, model.context, model.target, model.runtime)
        try:
            change = split_go(after, after.final)
        except Refused as refused:
            raise Refused(str(refused), command) from refused
        if change is None:
            return None
        evidence = ("`go run` compiles the program each time it starts; here that is done once", *change.evidence)
        return replace(change, touched=(stage.position, command), evidence=evidence)
    if any(model.file.instruction(p).keyword == "RUN" for p in stage.positions):
        raise Refused("no `go build` or `go install` is seen that makes the program", command)
    return None


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


def _change(project: GoProject, base: GoBase, files: FilesRead) -> Change:
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
    edited = edited_builds(model, stage, project.builds, project.modules, base.static)
    split = Split(
        name, reference, project.last, tuple(middle), edited, project.start.replaced, build_variable, program_variables(project),
        workdir=project.reads_relative, user=user, platform=not (stage.platform or "").startswith("$BUILD"),
    )  # fmt: skip
    touched = (stage.position, *sorted({b.position for b in project.builds}), *project.start.replaced)
    return Change(f"build in a stage of its own and run on {reference}", assemble(model, stage, split), touched, tuple(evidence))


def _install(project: GoProject, base: GoBase) -> Instruction:
    if project.image.package_manager == "apt":
        return apt_install(project.model, project.stage, base.packages, ("--no-install-recommends",))
    return line(project.model, project.stage, "RUN", f"apk add --no-cache {' '.join(base.packages)}")


def _user(project: GoProject, base: GoBase, files: FilesRead, evidence: list[str]) -> tuple[str | None, list[Instruction], bool]:
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
