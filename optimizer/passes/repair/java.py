"""Repairs of a stage that runs a Java program: a runtime too old for what was compiled, and jars that were left behind."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import read_call
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.tags import version_number
from optimizer.knowledge.twins import java_runtimes
from optimizer.model import Model, Stage
from optimizer.model.compiled_program import CompiledProgram, jvm_program
from optimizer.model.java_command import java_command
from optimizer.model.paths import context_path, is_folder, origin_of, placements
from optimizer.model.start import start_of
from optimizer.passes.base import Change, Refusal
from optimizer.passes.split.compiled import copy_line
from optimizer.passes.split.shared import from_line

_TARGET = re.compile(
    r"<(?:maven\.compiler\.(?:release|target)|release|target|java\.version)>\s*(?:1\.)?(\d+)\s*<"
    r"|(?:sourceCompatibility|targetCompatibility)\s*=?\s*[\"']?(?:JavaVersion\.VERSION_)?(?:1[._])?(\d+)|JavaLanguageVersion\.of\((\d+)\)"
    r"|options\.release\s*=\s*(\d+)|jvmTarget\s*=\s*[\"'](?:1\.)?(\d+)|jvmToolchain\((\d+)\)"
)
_MANIFEST = re.compile(r"(^|/)(pom\.xml|build\.gradle(\.kts)?)$")


def repairs(model: Model, stage: Stage) -> Iterator[Change | Refusal]:
    """What lets the Java program of the final stage start.

    Args:
        model: The facts, with the context at hand.
        stage: The final stage, which copies from others.
    """
    start = start_of(model, stage)
    for command in start.commands if start is not None else ():
        if command.name != "java":
            continue
        given = java_command(command)
        program = jvm_program(model, stage, given.paths, given.main) if given.paths else None
        if program is None or program.stage.index == stage.index:
            continue
        change = _newer(model, stage, program) or _left_behind(model, stage, program, given.paths)
        if change is not None:
            yield change
            return


def _java(image: BaseImage | None) -> int | None:
    """The version of Java of an image that compiles or runs, None when its tag does not tell."""
    runtimes = java_runtimes(image) if image is not None else ()
    found = lookup(runtimes[0]) if runtimes else image
    number = version_number(found.version)[0] if found is not None and found.version else None
    return number if number is not None and number < 100 else None


def _newer(model: Model, stage: Stage, program: CompiledProgram) -> Change | Refusal | None:
    """The runtime of the version that the program is compiled for, where the stage has an older one."""
    compiled, runs = _java(program.stage.image), _java(stage.image)
    if compiled is None or runs is None or compiled <= runs or stage.image is None or model.context is None:
        return None
    wanted = _target(model, program.stage, model.context) or compiled
    if wanted <= runs:
        return None
    tag = stage.image.reference.tag or ""
    moved = re.sub(rf"^{re.escape(stage.image.version or '')}(?=-|$)", str(compiled), tag)
    written = model.file.instruction(stage.position).value.split()[0]
    reference = written[: len(written) - len(tag)] + moved if tag and written.endswith(f":{tag}") else ""
    if not reference or moved == tag or _java(lookup(reference)) != compiled:
        return Refusal(
            f"not repaired: {stage.reference} does not run what Java {wanted} compiles, and which image does is not known", stage.position
        )
    file = model.file.replaced(stage.position, stage.position + 1, [from_line(model, stage, reference, stage.name)])
    why = f"{program.stage.reference} compiles for Java {wanted}, which {stage.reference} does not run"
    return Change(f"run on {reference}", file, (stage.position,), (why,))


def _target(model: Model, builder: Stage, context: BuildContext) -> int | None:
    """The version that the build compiles for, where it says so."""
    found: set[int] = set()
    for position in builder.positions:
        node = model.file.instruction(position)
        for command in node.script.commands if node.keyword == "RUN" and node.script is not None else ():
            call = read_call(command)
            words = [word.value or "" for word in command.words]
            if call is not None and call.ecosystem == "javac":
                for index, word in enumerate(words[:-1]):
                    number = re.fullmatch(r"(?:1\.)?(\d+)", words[index + 1])
                    found |= {int(number[1])} if number and word in ("--release", "-target", "--target") else set()
    for path in context.files():
        if _MANIFEST.search(path):
            for groups in _TARGET.findall(context.read_text(path) or ""):
                found |= {int(text) for text in groups if text}
    return max(found) if found else None


def _left_behind(model: Model, stage: Stage, program: CompiledProgram, paths: tuple[str, ...]) -> Change | None:
    """The jars of the context on the class path that lie beside the program where it is compiled, and not where it runs."""
    named = paths if len(paths) > 1 else tuple(_of_manifest(model, stage, program, paths[0])) if paths else ()
    place = origin_of(model, stage, program.path)[1]
    position = next((p for p in stage.positions if _brings(model, p, program.path)), None)
    name = program.stage.name
    if position is None or name is None:
        return None
    missing: list[tuple[str, str]] = []
    for path in named:
        if path == program.path or any(_brings(model, p, path) for p in stage.positions):
            continue
        source = posixpath.normpath(posixpath.join(posixpath.dirname(place), posixpath.relpath(path, posixpath.dirname(program.path))))
        inside = context_path(model, program.stage, source)
        if inside is not None and inside != "." and not is_folder(model, stage, path, len(model.file.nodes)):
            missing.append((source, path))
    if not missing:
        return None
    copies = [copy_line(model, stage, name, source, path) for source, path in missing]
    file = model.file.replaced(position, position, copies)
    paths_text = ", ".join(path for _, path in missing)
    evidence = (f"the class path names {paths_text}, which nothing brings to the stage", f"they lie beside {place} in the stage {name}")
    return Change(f"copy {paths_text}", file, (position,), evidence)


def _of_manifest(model: Model, stage: Stage, program: CompiledProgram, jar: str) -> Iterator[str]:
    """The jars that a manifest of the context names, as paths beside a jar."""
    context = model.context
    for path in context.files() if context is not None else ():
        if re.search(r"(^|/)(MANIFEST\.MF|[Mm]anifest[\w.-]*)$", path) and context is not None:
            text = re.sub(r"\r?\n ", "", context.read_text(path) or "")
            for names in re.findall(r"(?m)^Class-Path:\s*(.*)$", text):
                yield from (posixpath.normpath(posixpath.join(posixpath.dirname(jar), word)) for word in names.split())


def _brings(model: Model, position: int, path: str) -> bool:
    """Whether a COPY may bring a path: it lies below what is copied, or holds it."""
    node = model.file.instruction(position)
    if node.keyword not in ("COPY", "ADD"):
        return False
    found = placements(model, position)
    return found is None or any(
        placement.inside(path) is not None
        or placement.source is None
        or placement.target.startswith(f"{path}/")
        or placement.target == path
        for placement in found
    )
