"""The program at a path of a stage, followed back through the stages that copied it to the sources it is compiled from."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from msgspec import Struct

from optimizer.context.golang import GoModule
from optimizer.context.native_commands import HEADERS, SOURCES
from optimizer.context.native_values import NativeSettings
from optimizer.context.places import Place
from optimizer.ecosystems import Action, read_call
from optimizer.model.cargo_builds import CargoBuilds, cargo_builds
from optimizer.model.go_builds import GoBuild, go_builds
from optimizer.model.model import Model, Stage
from optimizer.model.native_build import native_build
from optimizer.model.native_made import NativeBuild
from optimizer.model.paths import context_path, image_path, origin_of
from optimizer.model.run_commands import run_commands

_HINTS = (
    "go build", "go install", '"go"', "make", "gcc", "g++", "c++", "cc ", "clang", "ninja", "meson", "configure", "cargo", ".sh", "./",
)  # fmt: skip
_TESTS = re.compile(r"(^|/)(src/test|tests?|benches|examples)/")


class CompiledProgram(Struct, frozen=True):
    """A program that a stage compiles.

    Args:
        language: "go", "c" (C and C++), "rust" or "java" (what runs on its virtual machine).
        path: Where it lies in the stage that runs it, absolute.
        stage: The stage that compiles it.
        sources: The files of the context that it is compiled from, the headers of the project among them.
        module: The module of a Go program.
        unknown: Why these may not be all, None when they are.
    """

    language: str
    path: str
    stage: Stage
    sources: tuple[str, ...]
    module: GoModule | None = None
    unknown: str | None = None


def compiled_program(model: Model, stage: Stage, path: str) -> CompiledProgram | None:
    """What the program at a path of a stage is compiled from; None when no stage is seen to compile it.

    Args:
        model: The facts, with the context at hand.
        stage: The stage that runs it.
        path: An absolute path.
    """
    if model.context is None or not _compiling(model):
        return None
    origin, place = origin_of(model, stage, path)
    builds = builds_of(model, origin)
    found = _go(model, origin, builds.go, path, place) or _rust(model, origin, builds.cargo, path, place)
    return found or _native(model, origin, builds.native, path, place)


class Builds(Struct, frozen=True):
    """What a stage compiles."""

    go: tuple[GoBuild, ...]
    native: NativeBuild | None
    cargo: CargoBuilds


def builds_of(model: Model, stage: Stage) -> Builds:
    """What a stage compiles; kept with the model, since several programs and passes ask."""
    kept: dict[int, Builds] = model.__dict__.setdefault("_builds", {})
    if stage.index not in kept:
        compiles = stage.index in _compiling(model)
        native = native_build(model, stage) if compiles and _has_native_sources(model) else None
        cargo = cargo_builds(model, stage) if compiles else CargoBuilds((), ())
        kept[stage.index] = Builds(go_builds(model, stage) if compiles else (), native, cargo)
    return kept[stage.index]


def _has_native_sources(model: Model) -> bool:
    """Whether the build context has sources in C or C++."""
    if "_has_native_sources" not in model.__dict__:
        files = model.context.files() if model.context is not None else ()
        model.__dict__["_has_native_sources"] = any(file.endswith(SOURCES) for file in files)
    return bool(model.__dict__["_has_native_sources"])


def _compiling(model: Model) -> frozenset[int]:
    """The stages that may compile; no more than a look, since most Dockerfiles do not and reading a build is slow."""
    kept: frozenset[int] | None = model.__dict__.get("_compiling")
    if kept is None:
        texts = {
            stage.index: [node.text for p in stage.positions if (node := model.file.instruction(p)).keyword == "RUN"]
            for stage in model.stages
        }
        kept = frozenset(index for index, runs in texts.items() if any(hint in text for text in runs for hint in _HINTS))
        model.__dict__["_compiling"] = kept
    return kept


def _go(model: Model, origin: Stage, builds: tuple[GoBuild, ...], path: str, place: str) -> CompiledProgram | None:
    build = next((b for b in reversed(builds) if place in b.outputs), None)
    if build is None or model.context is None:
        return None
    if build.tool or build.module is None:
        return CompiledProgram("go", path, origin, (), None, f"the source of {posixpath.basename(path)} is not in the build context")
    return CompiledProgram("go", path, origin, build.module.files, build.module)


def _rust(model: Model, origin: Stage, builds: CargoBuilds, path: str, place: str) -> CompiledProgram | None:
    if place not in builds.programs or model.context is None:
        return None
    files = tuple(f for f in model.context.files() if f.endswith(".rs") and not _TESTS.search(f) and image_path(model, origin, f))
    return CompiledProgram("rust", path, origin, files, None, None if files else f"no source of {posixpath.basename(path)} is seen")


def placed_file(model: Model, stage: Stage, path: str) -> str | None:
    """The file of the context that a RUN of the stage that brings a path puts there, with ``cp`` or ``install``; else None."""
    if not _has_native_sources(model) or not _compiling(model):
        return None
    origin, place = origin_of(model, stage, path)
    build = builds_of(model, origin).native
    source = build.installed.get(place) if build is not None else None
    return context_path(model, origin, source) if source is not None else None


def _native(model: Model, origin: Stage, build: NativeBuild | None, path: str, place: str) -> CompiledProgram | None:
    made = build.program(place) if build is not None else None
    if build is None or made is None or model.context is None:
        return None
    name = posixpath.basename(path)
    libraries = [source for one in build.made.values() if one.shared for source in one.sources]
    found = {source: context_path(model, origin, source, build.last) for source in dict.fromkeys((*made.sources, *libraries))}
    missing = next((source for source, inside in found.items() if inside is None), None)
    unknown = f"the source {missing} of {name} is not in the build context" if missing is not None else None
    if place in build.private or build.installed.get(place) in build.private:
        unknown = f"{name} is not for others to use"
    if build.unknown:
        unknown = f"what {name} is compiled from is not known: {build.unknown[0][1]}"
    headers = [f for f in model.context.files() if f.endswith(HEADERS)]
    sources = tuple(dict.fromkeys([*(inside for inside in found.values() if inside is not None), *headers]))
    return CompiledProgram("c", path, origin, sources, None, unknown if sources else f"no source of {name} is seen")


def loads_own(model: Model, stage: Stage, place: Place) -> bool:
    """Whether a library that a program in C or C++ loads when it runs is one that is compiled with it."""
    workdir = model.behind(stage).workdir
    if place.kind != "absolute" and (place.kind != "cwd" or workdir is None):
        return False
    origin, path = origin_of(model, stage, posixpath.normpath(posixpath.join(workdir or "/", place.path)))
    build = builds_of(model, origin).native
    return build is not None and bool(build.libraries_at(path, below=place.folder))


def native_settings(model: Model, stage: Stage) -> NativeSettings:
    """What a stage that compiles C or C++ tells of its programs' macros, and the final stage of their environment."""
    build = builds_of(model, stage).native
    image = model.final.image
    environment = {**(image.env if image is not None else {}), **model.behind(model.final).env}
    return NativeSettings(build.macros if build is not None else {}, environment)


def commands_of(model: Model, stage: Stage) -> str:
    """The text of the RUN instructions of a stage."""
    return "\n".join(node.text for p in stage.positions if (node := model.file.instruction(p)).keyword in ("RUN", "ENV", "ARG"))


def jvm_program(model: Model, stage: Stage, paths: Iterable[str], main: str | None) -> CompiledProgram | None:
    """What a program for Java's virtual machine is compiled from.

    Args:
        model: The facts, with the context at hand.
        stage: The stage that runs it.
        paths: Its jar, or the folders and jars of its class path; absolute.
        main: The name of its main class, None for that of a jar.

    Returns:
        None when nothing of it is seen to be compiled.
    """
    from optimizer.context.source_text import JVM_SOURCES

    for path in paths:
        origin, place = origin_of(model, stage, path)
        if model.context is None or not _compiles_java(model, origin):
            continue
        inside = context_path(model, origin, place)
        if inside is not None and (main is None or not model.context.is_dir(inside)):
            continue  # it comes as it is
        files = tuple(f for f in model.context.files() if f.endswith(JVM_SOURCES) and not _TESTS.search(f) and image_path(model, origin, f))
        unknown = None
        wanted = (main or "").replace(".", "/").removesuffix("Kt")
        if main is not None and not any(f"/{posixpath.splitext(f)[0]}".endswith(f"/{wanted}") for f in files):
            unknown = f"the source of {main} is not in the build context"
        return CompiledProgram("java", path, origin, files, None, unknown if files else f"no source of {path} is seen")
    return None


def _compiles_java(model: Model, stage: Stage) -> bool:
    """Whether a RUN of a stage compiles for Java's virtual machine."""
    calls = (read_call(command) for position in stage.positions for command in run_commands(model, stage, position))
    return any(call is not None and call.ecosystem in ("javac", "maven", "gradle") and call.action is Action.BUILD for call in calls)
