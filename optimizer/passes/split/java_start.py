"""How a Java program starts: what its ``java`` command names, and what runs beside it."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from optimizer.model import Model, Stage
from optimizer.model.launch import SHELLS
from optimizer.model.paths import context_path, image_path
from optimizer.model.start import healthcheck_of, start_of
from optimizer.model.started import Started
from optimizer.passes.split.shared import Refused

JDK_TOOLS = frozenset({
    "javac", "jar", "jshell", "jcmd", "jmap", "jstack", "jps", "jstat", "jdb", "jlink", "jdeps", "jpackage", "javadoc", "mvn", "mvnw",
    "gradle", "gradlew",
})  # fmt: skip
"""Programs that come with a JDK or a build tool, and not with a JRE."""
_VALUED = frozenset({
    "-jar", "-cp", "-classpath", "--class-path", "-p", "--module-path", "-m", "--module", "--add-modules", "--add-opens",
    "--add-exports",
})  # fmt: skip
_BUILD_FILE = re.compile(r"(pom\.xml|\.gradle(\.kts)?|MANIFEST\.MF|manifest\.txt|\.mf)$")


@dataclass
class JavaStart:
    """What a container starts, as absolute paths of the image.

    Args:
        jars: Jars that ``java`` is given.
        classes: Folders of the class and module path.
        others: Scripts, agents, and files that options name.
        programs: Names of other programs.
        main: The main class or module, or the folder of an installed distribution.
    """

    jars: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    programs: set[str] = field(default_factory=set)
    main: str | None = None


def java_start(model: Model, stage: Stage, position: int) -> JavaStart:
    """Read CMD, ENTRYPOINT and HEALTHCHECK of a stage.

    Args:
        model: Facts of the Dockerfile, with the context at hand.
        stage: The stage.
        position: The instruction to name in a refusal.

    Raises:
        Refused: What starts is not known, or takes the JDK.
    """
    return _Reader(model, stage, position).read()


def manifest_paths(text: str) -> tuple[str, ...] | None:
    """The jars that a manifest, or the folder of those that a pom.xml, puts on the class path, relative to the program's jar.

    Sources: the JAR file specification (Class-Path; lines of 72 bytes continued by a space); the documentation of Maven's
    archiver (``addClasspath``, ``classpathPrefix``) and of its dependency plugin (``outputDirectory``).

    Returns:
        None where that is not told: a URL, or a folder that the dependencies are not seen to be copied to.
    """
    if "<project" not in text:
        value = re.search(r"(?m)^Class-Path:(.*)$", re.sub(r"\r?\n ", "", text))
        paths = tuple(value[1].split()) if value else ()
        return paths if paths and not any(":" in path or "$" in path for path in paths) else None
    prefix = re.search(r"<classpathPrefix>\s*(?:\./)?([\w.-]+)/?\s*<", text)
    copied = re.findall(r"<outputDirectory>\s*\$\{project\.build\.directory\}/([\w.-]+)/?\s*<", text)
    follows = prefix is not None and prefix[1] in copied and "copy-dependencies" in text and "classpathLayoutType" not in text
    return (prefix[1],) if prefix is not None and follows else None


@dataclass
class _Reader:
    model: Model
    stage: Stage
    command: int

    def read(self) -> JavaStart:
        start = start_of(self.model, self.stage)
        health = healthcheck_of(self.model, self.stage)
        unknown = (*(start.unknown if start is not None else ()), *(health.unknown if health is not None else ()))
        # The entrypoint of Maven's images prepares its repository and runs CMD.
        unknown = tuple(u for u in unknown if "mvn-entrypoint.sh" not in u)
        if start is None or unknown:
            raise Refused(f"what starts is not known: {unknown[0] if unknown else 'no command'}", self.command)
        found = JavaStart()
        for command in (*start.commands, *(health.commands if health is not None else ())):
            self.take(command, found)
        if not (found.jars or found.classes or found.main):
            raise Refused("no `java` command is seen that starts the program", self.command)
        found.others += [p for script in start.scripts for p in image_path(self.model, self.stage, script)[:1]]
        return found

    def take(self, command: Started, found: JavaStart) -> None:
        name, words = command.name, command.words
        if name is None:
            raise Refused("the program that starts is known only when it runs", self.command)
        if name in JDK_TOOLS:
            raise Refused(f"`{name}` runs when the container starts; it takes a build that makes a jar to split that off", self.command)
        if name == "java":
            if "/" in (words[0] or ""):
                raise Refused("java is called by its path, which is another one in the runtime image", self.command)
            self.java(command, found)
        elif name in SHELLS:
            return  # what it runs is a command of its own
        elif "/" in (words[0] or ""):
            path = posixpath.normpath(posixpath.join(command.folder or "/", words[0] or ""))
            installed = re.match(r"(.*/build/install/[^/]+)/bin/[^/]+$", path)
            if installed is not None:
                found.main = installed[1]
                found.others.append(installed[1])
            elif self.inside(path) is None:
                raise Refused(f"the program that starts, {path}, is not one that is followed", self.command)
            else:
                found.others.append(path)
        elif name != "mvn-entrypoint.sh":
            found.programs.add(name)

    def java(self, command: Started, found: JavaStart) -> None:
        """Read the arguments of ``java``. Source: the manual page of the command, java(1) of JDK 21."""
        words = list(command.words[1:])
        class_path: list[str] | None = None
        while words:
            word = words.pop(0)
            if word is None:
                continue  # options out of a variable
            if word in _VALUED:
                value = words.pop(0) if words else None
                if value is None:
                    raise Refused("what `java` runs is known only when it runs", self.command)
                if word == "-jar":
                    found.jars.append(self.at(command, value))
                    found.others += self.beside(found.jars[-1])
                    return
                if word in ("-m", "--module"):
                    found.main = value
                    return
                if not word.startswith("--add"):
                    class_path = [*(class_path or ()), *value.split(":")]
                    self.class_path(command, class_path, found)
                continue
            if word.startswith("@"):
                raise Refused(f"the arguments of `java` stand in a file, {word[1:]}", self.command)
            if word.startswith("-"):
                agent = re.match(r"-(?:javaagent|agentpath):([^=]+)", word)
                named = agent[1] if agent else word.partition("=")[2].removeprefix("file:") if word.startswith("-D") else ""
                path = self.at(command, named) if named and not named.startswith("/dev/") else None
                if path is not None and (agent or self.inside(path) is not None):
                    found.others.append(path)
                continue
            if word.endswith(".java"):
                raise Refused("`java` is given a source file, which takes the compiler", self.command)
            found.main = word
            if class_path is None:
                variable = self.model.behind(self.stage).env.get("CLASSPATH", ".")
                if variable is None:
                    raise Refused("CLASSPATH is known only when it is built", self.command)
                self.class_path(command, variable.split(":"), found)
            return
        raise Refused("`java` is started without a program", self.command)

    def at(self, command: Started, path: str) -> str:
        if not path.startswith("/") and command.folder is None:
            raise Refused("the folder in which it starts is not known", self.command)
        return posixpath.normpath(posixpath.join(command.folder or "/", path))

    def beside(self, jar: str) -> list[str]:
        """The jars, or their folder, that the manifest of a jar names."""
        context = self.model.context
        texts = {f: context.read_text(f) or "" for f in context.files() if _BUILD_FILE.search(f)} if context is not None else {}
        scripts = [self.model.file.instruction(p).value for p in self.stage.positions]
        if "quarkus-app/" in jar:
            return []
        naming = [f for f, text in texts.items() if re.search(r"addClasspath>\s*true|Class-Path|classpathPrefix", text)]
        found = manifest_paths(texts[naming[0]]) if len(naming) == 1 else None
        if found is None and (naming or any("Class-Path" in script for script in scripts)):
            raise Refused(f"{jar} takes in other jars by its manifest, whose places are not followed", self.command)
        return [posixpath.normpath(posixpath.join(posixpath.dirname(jar), path)) for path in found or ()]

    def class_path(self, command: Started, entries: list[str], found: JavaStart) -> None:
        for entry in entries:
            if "$" in entry:
                raise Refused("the class path is known only when it runs", self.command)
            path = self.at(command, entry.removesuffix("/*") or ".")
            if path == "/":
                raise Refused("the class path holds the root folder", self.command)
            if entry.endswith(".jar"):
                found.jars.append(path)
            elif path not in found.classes:
                found.classes.append(path)

    def inside(self, path: str) -> str | None:
        """The file of the context at a path of the image, the whole context left out."""
        found = context_path(self.model, self.stage, path)
        return None if found == "." else found
