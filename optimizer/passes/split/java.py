"""Split a Java stage: the program is compiled on the JDK, and runs on the JRE of the same version."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.context.source_text import JVM_SOURCES, SourceEvidence, named_paths, source_evidence
from optimizer.ecosystems import SYSTEM, Action, read_call
from optimizer.knowledge.debian import plain_name
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.tags import version_number
from optimizer.knowledge.twins import java_runtimes, runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.compiled_program import commands_of
from optimizer.model.paths import context_path, image_path
from optimizer.model.run_commands import run_commands
from optimizer.model.runtime import Runtime
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import (
    Split,
    account_steps,
    assemble,
    check_owner,
    copied_elsewhere,
    copy_line,
    is_below,
    is_root,
    outermost,
)
from optimizer.passes.split.java_debian import JARS, MANUALS, builds_java, debian_java
from optimizer.passes.split.java_distroless import Bare, bare_runtime
from optimizer.passes.split.java_start import JavaStart, java_start
from optimizer.passes.split.project_data import in_folders, made_folders, present_data, strange_command
from optimizer.passes.split.shared import Refused, apt_install, line, packages_for, reference_text, sort_packages, stage_name
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command

_FAMILIES = frozenset({"eclipse-temurin", "openjdk", "amazoncorretto", "maven", "gradle"})
_BUILDERS = frozenset({"maven", "gradle", "javac"})
_COMPILERS = frozenset({"javac", "jar", "mvn", "gradle"})
_BUILD_VARIABLE = re.compile(r"(MAVEN|MVN|GRADLE|M2)_?\w*$|(JAVA_HOME|PATH|DEBIAN_FRONTEND)$")
_JDK_CODE = re.compile(r"\b(javax\.tools|com\.sun\.tools|com\.sun\.source|com\.sun\.jdi|jdk\.jshell|ToolProvider|sun\.jvmstat)\b")
_NATIVE = re.compile(r"\bSystem\s*\.\s*load(Library)?\s*\(")
# Commands whose effect is followed, or that make nothing the program reads.
_KNOWN = frozenset({
    "cd", "mkdir", "cp", "mv", "rm", "chmod", "chown", "echo", "true", "test", "[", "set", "ls", "pwd", "find", "cat", "export",
    "touch", "jar", "java", "javac", "sed", "printf", "dos2unix", "ln", "useradd", "groupadd", "adduser", "addgroup", "usermod", "git",
    "curl", "wget", "unzip", "tar",
})  # fmt: skip
_LATER = frozenset({"useradd", "groupadd", "adduser", "addgroup", "usermod", "mkdir", "chown", "chmod"})
_NOT_DATA = re.compile(
    r"(\.(java|kt|kts|scala|groovy|gradle|class|jar|iml|md|sbt)|(^|/)(pom\.xml|mvnw(\.cmd)?|gradlew(\.bat)?|gradle\.properties|lombok\.config|\.gitkeep))$"
    r"|(^|/)(\.mvn|gradle|src/(main|test)|buildSrc|\.idea|target)/"
)


def split_java(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Java project.

    Returns:
        The change, None when the stage has no compiler of Java that is known, or compiles nothing.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.variant in ("jre", "headless", "headful") or stage.base is not None:
        return None
    builds = [p for p in stage.positions if _builds(model, stage, p)]
    command = model.last(stage, "ENTRYPOINT") or model.last(stage, "CMD")
    if not builds or command is None:
        return None
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    if image.family in _FAMILIES:
        runtime, reference, same = runtime_base(model, stage, image)
        return _Splitter(model, stage, image, runtime, reference, same, builds, command).change()
    debian = debian_java(model, stage, image, source_evidence(model.context, JVM_SOURCES))
    if debian is None:
        return None
    return _Splitter(model, stage, image, debian.image, debian.reference, True, builds, command, debian.package).change()


def jdk_code(source: SourceEvidence) -> str | None:
    """What a program's source uses that only a JDK has, None when that is nothing."""
    found = _JDK_CODE.search(source.code)
    return found[0] if found is not None else None


def _builds(model: Model, stage: Stage, position: int) -> bool:
    """Whether an instruction compiles."""
    calls = (read_call(command) for command in run_commands(model, stage, position))
    return any(call is not None and call.ecosystem in _BUILDERS and call.action is Action.BUILD for call in calls)


def _installs_only(node: Instruction) -> bool:
    """Whether a RUN installs packages of the distribution and does nothing else."""
    script = node.script
    calls = [read_call(c) for c in script.commands if c.name != "rm"] if script is not None and script.understood else []
    return bool(calls) and all(call is not None and call.ecosystem in SYSTEM for call in calls)


def runtime_base(model: Model, stage: Stage, image: BaseImage) -> tuple[BaseImage, str, bool]:
    """The JRE's image, how it is written, and whether it is of the same distribution."""
    written = model.file.instruction(stage.position).value.split()[0]
    for twin in java_runtimes(image):
        found = lookup(twin)
        if found is None:
            continue
        text = reference_text(model, stage, image, twin)
        if text is None and model.global_state.expand(written.replace("-jdk", "-jre")) == twin:
            text = written.replace("-jdk", "-jre")
        if text is not None:
            return found, text, twin in runtime_twins(image) or found.distribution == image.distribution
    raise Refused(f"no image with the runtime alone of the same Java is known for {stage.reference}", stage.position)


@dataclass
class _Splitter:
    model: Model
    stage: Stage
    image: BaseImage
    runtime: BaseImage
    reference: str
    same: bool
    builds: list[int]
    command: int
    jre: str | None = None
    """The package of the distribution that runs Java, None where the base does."""

    def __post_init__(self) -> None:
        assert self.model.context is not None
        self.context = self.model.context
        self.source: SourceEvidence = source_evidence(self.context, JVM_SOURCES)
        self.workdir = self.model.behind(self.stage).workdir
        self.last = self.last_of_build()
        self.kept_whole = False

    def change(self) -> Change:
        model, stage = self.model, self.stage
        self.check_source()
        start = java_start(model, stage, self.command)
        files = self.files(start)
        packages = self.packages(start)
        self.check_user()
        name = stage_name(model)
        middle: list[Instruction] = []
        if packages:
            lacks_manuals = self.jre is not None and (self.runtime.variant == "slim" or MANUALS in commands_of(model, stage))
            middle += [line(model, stage, "RUN", f"mkdir -p {MANUALS}")] if lacks_manuals else []
            middle.append(apt_install(model, stage, packages, ("--no-install-recommends",)))
        middle += [node for node in account_steps(model, stage) if node in self.early()]
        middle += [self.copy(name, path) for path in files]
        bare = self.bare(start, packages)
        reference = bare.reference if isinstance(bare, Bare) else self.reference
        replaced = bare.started if isinstance(bare, Bare) else {}
        split = Split(
            name, reference, self.last, tuple(middle), replaced=replaced, build_variable=self.build_variable,
            workdir=self.workdir not in (None, "/"), platform=not (stage.platform or "").startswith("$BUILD"),
        )  # fmt: skip
        file = assemble(model, stage, split)
        evidence = [f"the container starts {quote_names([*start.jars, *start.classes] or ['a script of the build'])}"]
        evidence.append(f"{reference} runs what the same version of Java compiled")
        if isinstance(bare, str):
            evidence.append(f"not distroless: {bare}")
        if self.kept_whole:
            evidence.append("files whose names are computed are read, so all data of the project comes along")
        elif len(files) > len(start.jars) + len(start.classes):
            evidence.append(f"it reads {quote_names([f for f in files if f not in (*start.jars, *start.classes)])}")
        touched = (stage.position, *self.builds, *replaced)
        return Change(f"compile in a stage of its own and run on {reference}", file, touched, tuple(evidence))

    def bare(self, start: JavaStart, packages: tuple[str, ...]) -> Bare | str | None:
        """How the program runs on a distroless image, or why it cannot; None where that is not asked for."""
        if self.model.runtime is not Runtime.DISTROLESS:
            return None
        version = version_number(self.runtime.version)[0] if self.runtime.version else None
        return bare_runtime(self.model, self.stage, version, start, packages, self.last)

    # Where the build ends.

    def last_of_build(self) -> int:
        """The last RUN that does more than to make users and folders."""
        found = self.builds[-1]
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            if node.keyword != "RUN" or position < found:
                continue
            script = node.script
            later = script is not None and script.understood and all(c.name in _LATER for c in script.commands)
            if not later and not _installs_only(node):
                found = position
        return found

    def early(self) -> list[Instruction]:
        return [self.model.file.instruction(p) for p in self.stage.positions if p <= self.last]

    # What the source says.

    def check_source(self) -> None:
        found = jdk_code(self.source)
        if found is not None:
            raise Refused(f"the program uses {found}, which only the JDK has", self.builds[-1])
        unknown = self.source.unknown_about("program")
        if unknown:
            raise Refused(f"which programs it starts is not known: {unknown[0]}", self.builds[-1])
        if _NATIVE.search(self.source.code):
            raise Refused("it loads a native library, and where that lies is not followed", self.builds[-1])
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            if (
                node.keyword == "RUN"
                and position <= self.last
                and node.json is None
                and (node.script is None or not node.script.understood)
            ):
                raise Refused("what this step does is not understood", position)

    # What goes along.

    def files(self, start: JavaStart) -> tuple[str, ...]:
        """The paths of the build stage that the runtime stage needs, the program last, since it changes most often."""
        program: list[str] = []
        for jar in start.jars:
            program.append(jar if "/quarkus-app/" not in jar else jar[: jar.index("/quarkus-app/") + len("/quarkus-app")])
        for folder in start.classes:
            program += self.classes(folder)
        found = [*start.others, *copied_elsewhere(self.model, self.stage, self.source_folder(), self.last)]
        found += [*self.data([*program, *found]), *program]
        found = [path for path in found if self.jre is None or not is_below(path, JARS)]  # those come with their packages
        later = [p for p in found if self.brought_later(p)]
        return outermost(p for p in found if p not in later)

    def source_folder(self) -> str:
        return self.model.before(self.builds[-1]).workdir or "/"

    def brought_later(self, path: str) -> bool:
        """Whether the runtime stage copies a file from the context by itself."""
        inside = context_path(self.model, self.stage, path)
        return (
            inside is not None
            and path in image_path(self.model, self.stage, inside)
            and context_path(self.model, self.stage, path, self.last) is None
        )

    def classes(self, folder: str) -> Iterator[str]:
        """What to take of a folder of the class path: all of it, or the folders of packages where it holds the project."""
        inside = context_path(self.model, self.stage, folder, self.last + 1)
        held = [f for f in self.source.files if any(is_below(p, folder) for p in image_path(self.model, self.stage, f, self.last + 1))]
        if inside is None or not held:
            yield folder
            return
        if "getResource" in self.source.code or self.foreign_classes():
            raise Refused(f"classes and sources lie in one folder, {folder}, with what is read there", self.command)
        for package in sorted({p.partition(".")[0] for p in self.source.packages}):
            yield posixpath.join(folder, package or "*.class")

    def foreign_classes(self) -> bool:
        """Whether jars of the project may be unpacked among its classes."""
        return any(c.name in ("unzip", "tar", "jar") for p in self.builds for c in self.commands(p))

    def commands(self, position: int) -> tuple[Command, ...]:
        return run_commands(self.model, self.stage, position)

    def data(self, found: list[str]) -> list[str]:
        """The files of the project that the program reads: those that it names, or all when names are computed."""
        everything = present_data(self.model, self.stage, self.last, _NOT_DATA)
        data = [d for d in everything if not any(is_below(d, f) for f in found)]
        settings = [f for f in self.context.files() if re.search(r"src/main/resources/[^/]*\.(properties|ya?ml|conf|xml)$", f)]
        more = [word for f in settings for word in re.findall(r"[\w./-]+", self.context.read_text(f) or "")]
        positions = [p for p in (self.command, self.model.last(self.stage, "CMD")) if p is not None]
        arguments = [word for p in positions for word in self.model.file.instruction(p).words]
        named = [posixpath.join(self.workdir or "/", path) for path in named_paths(self.source, (*more, *arguments))]
        taken = [n for n in named if any(is_below(d, n) for d in data)]
        made = [
            m
            for m in made_folders(self.model, self.stage, self.last, _COMPILERS)
            if not any(is_below(f, m) or is_below(m, f) for f in found)
        ]
        taken += [m for m in made if any(is_below(n, m) or is_below(m, n) for n in named)]
        unknown = self.source.unknown_about("read")
        left = [d for d in data if not any(is_below(d, t) for t in taken)]
        if unknown:
            strange = strange_command(self.model, self.stage, self.last, _KNOWN)
            if strange is not None:
                raise Refused(f"which files it reads is not known: {unknown[0]}, and what `{strange}` makes", self.builds[-1])
            if left or made:
                self.kept_whole = True
            taken = [*in_folders(self.model, self.stage, data, everything, self.last), *taken, *made]
        return taken

    def copy(self, name: str, path: str) -> Instruction:
        target = posixpath.dirname(path) + "/" if path.endswith("*.class") or "*" in posixpath.basename(path) else path
        return copy_line(self.model, self.stage, name, path, target)

    # Packages and the user.

    def packages(self, start: JavaStart) -> tuple[str, ...]:
        installed: list[str] = []
        for position in self.stage.positions:
            if position > self.last:
                break
            node = self.model.file.instruction(position)
            calls = [
                c for c in (read_call(k) for k in (node.script.commands if node.keyword == "RUN" and node.script else ())) if c is not None
            ]
            for call in calls:
                if call.ecosystem in ("apk", "yum", "dnf", "microdnf", "zypper", "tdnf") and call.action is Action.INSTALL:
                    if set(call.packages) - _FETCHING:
                        raise Refused(f"whether the program needs {sorted(set(call.packages) - _FETCHING)[0]} is not known", position)
                elif call.ecosystem == "apt" and call.action is Action.INSTALL:
                    installed += [p for p in call.packages if p not in _FETCHING]
        programs = {posixpath.basename(p) for p in (*self.source.programs, *start.programs)} - {"java"}
        if self.jre is not None:
            named = (*start.jars, *start.classes, *start.others, *self.source.literals)
            jars = any(is_below(path, JARS) for path in named)
            installed = [self.jre, *(p for p in installed if not builds_java(plain_name(p), jars=jars))]
        if self.runtime.package_manager == "apt":
            kept = sort_packages(installed, programs, self.runtime.release, (), True, self.builds[-1]).kept
            return (*kept, *packages_for(programs, self.runtime, kept, self.command))
        missing = sorted(p for p in programs if self.runtime.has(p) is not True)
        if installed or missing:
            raise Refused(f"it needs {(installed or missing)[0]}, and nothing tells how {self.runtime.text} gets that", self.command)
        return ()

    def check_user(self) -> None:
        """Refuse a user or an owner that the runtime image does not have."""
        made = " ".join(node.value for node in account_steps(self.model, self.stage))
        user = self.model.behind(self.stage).user
        name = (user or "root").partition(":")[0]
        if not is_root(user) and not name.isdigit() and name not in self.runtime.users and not re.search(rf"\b{re.escape(name)}\b", made):
            raise Refused(f"the user {name} is not one that the runtime image has", self.command)
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            if node.keyword in ("COPY", "ADD") and position > self.last and not made:
                check_owner(node, self.runtime, position)

    def build_variable(self, name: str) -> bool:
        return _BUILD_VARIABLE.match(name) is not None


# What a build fetches its sources or itself with.
_FETCHING = frozenset({
    "git", "curl", "wget", "unzip", "zip", "tar", "gzip", "maven", "gradle", "ca-certificates", "ca-certificates-java",
    "openssh-client", "gnupg", "bash", "apt-transport-https", "software-properties-common", "dos2unix", "make", "findutils", "xz-utils",
})  # fmt: skip
