"""What the program of a stage is and uses: its start joined with the evidence of its source, in paths of the image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from optimizer.context.django import DjangoSettings, django_settings, project_folder
from optimizer.context.golang import GoModule, go_module
from optimizer.context.javascript import PackageJson
from optimizer.context.native import native_sources
from optimizer.context.places import Place, Unknown
from optimizer.context.python_source import python_evidence
from optimizer.context.requirements import RequirementFiles, requirement_files
from optimizer.knowledge.go_modules import go_needs
from optimizer.model.compiled_program import CompiledProgram, commands_of, compiled_program, loads_own, native_settings
from optimizer.model.effects import (
    FOLDER_VARIABLES,
    ROOT_MODULES,
    WRITING_MODULES,
    configured_writes,
    root_calls,
    server_ports,
    server_writes,
    streamlit_pages,
)
from optimizer.model.launch import LANGUAGES, PYTHON, PYTHON_SERVERS
from optimizer.model.model import Model, Stage
from optimizer.model.node_program import use_node
from optimizer.model.paths import image_path
from optimizer.model.sources import SOURCES, source_use
from optimizer.model.start import healthcheck_of, start_of
from optimizer.model.started import Start, Started
from optimizer.model.stores import changes_settings, settings_files, settings_stores, source_stores
from optimizer.model.used import MadeServer, Used

_REQUIREMENTS = ("requirements.txt", "requirements/production.txt", "requirements/prod.txt", "requirements/base.txt")


class Application(Struct, frozen=True):
    """What is known of the program that a stage starts. Tuples are sorted and have no doubles.

    Args:
        start: What the container starts.
        language: "python", "node", "go", … or None.
        programs: Names or paths of the programs that commands, scripts, the source and HEALTHCHECK start.
        written, read: The paths it uses.
        ports: TCP ports: those of EXPOSE, of the source, of options and of ENV PORT.
        files: The source files of the context that were read.
        modules: The names of libraries imported, those of the context left out.
        root: What needs root's rights in the source, such as "app.py:7 uses os.setuid".
        django: The settings of a Django project.
        requirements: The Python packages of the context's requirements file.
        package: The package.json of a Node program; its ``dependencies`` are those of production.
        server: The server that a framework of Node builds.
        go: The Go module of a Go program.
        unknown: What is left open; kinds as in ``Unknown``.
    """

    start: Start
    language: str | None
    programs: tuple[str, ...] = ()
    written: tuple[Used, ...] = ()
    read: tuple[Used, ...] = ()
    ports: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    django: DjangoSettings | None = None
    requirements: RequirementFiles | None = None
    package: PackageJson | None = None
    server: MadeServer | None = None
    go: GoModule | None = None
    unknown: tuple[Unknown, ...] = ()

    def unknown_about(self, *about: str) -> tuple[Unknown, ...]:
        """The unknowns of some kinds, such as "program" or "write"; a file that cannot be read is one of every kind."""
        return tuple(item for item in self.unknown if item.about in (*about, "syntax", "context"))


def application_of(model: Model, stage: Stage) -> Application | None:
    """What is known of the program of a stage; None without a build context or without CMD and ENTRYPOINT.

    The answer is kept with the model, since several passes ask.
    """
    kept: dict[int, Application | None] = model.__dict__.setdefault("_applications", {})
    if stage.index not in kept:
        start = start_of(model, stage) if model.context is not None else None
        kept[stage.index] = Gatherer(model, stage, start).gather() if start is not None else None
    return kept[stage.index]


def _path_of(command: Started) -> str | None:
    """The path of the program that a command starts, None where that is only known when it runs."""
    program = command.words[0] if command.words else None
    return posixpath.normpath(posixpath.join(command.folder or "/", program)) if program is not None and "/" in program else None


@dataclass
class Gatherer:
    """What is found of a program while its source is read; the modules of the languages add to it."""

    model: Model
    stage: Stage
    start: Start
    written: set[Used] = field(default_factory=set)
    read: set[Used] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    files: dict[str, None] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    root: list[str] = field(default_factory=list)
    unknown: set[Unknown] = field(default_factory=set)
    django: DjangoSettings | None = None
    package: PackageJson | None = None
    server: MadeServer | None = None
    go: GoModule | None = None

    def __post_init__(self) -> None:
        assert self.model.context is not None
        self.context = self.model.context
        state = self.model.behind(self.stage)
        self.environment = {name: value for name, value in state.env.items() if value is not None}
        folders = [c.folder for c in self.start.commands if c.name and (PYTHON.fullmatch(c.name) or c.name in LANGUAGES)]
        if not folders:
            folders = [c.folder for c in self.start.commands if _path_of(c) in self.start.entries]
        self.folders = tuple(dict.fromkeys(folders)) or (state.workdir,)

    def gather(self) -> Application:
        self.unknown |= {Unknown("program", "", reason) for reason in self.start.unknown}
        health = healthcheck_of(self.model, self.stage)
        entries = [*self.start.entries, *(health.entries if health is not None else ())]
        self._commands()
        if self.start.language == "python":
            self._python([e for e in entries if e.endswith(".py") or self._script_of_python(e)])
        elif self.start.language == "node":
            use_node(self, entries)
        elif self.start.language in SOURCES:
            self._source(self.start.language)
        elif self.start.language not in ("go", "c", "rust"):
            language = self.start.language
            what = f"is in {language}, whose source is not read" if language else "is not known"
            self.unknown.add(Unknown("program", "", f"the program {what}"))
        self._compiled(entries)
        self._stores()
        self.programs |= {*self.start.programs, *(health.programs if health is not None else ())}
        self._ports()
        for path in (*self.files, *self.start.scripts):
            self.root += root_calls(path, self.context.read_text(path) or "")
        self.root += [f"the program uses {name}" for name in sorted(self.modules & ROOT_MODULES)]
        requirements = next((p for p in _REQUIREMENTS if self.context.exists(p)), None) if self.start.language == "python" else None
        return Application(
            self.start, self.start.language, tuple(sorted(self.programs)), tuple(sorted(self.written)), tuple(sorted(self.read)),
            tuple(sorted(self.ports)), tuple(self.files), tuple(sorted(self.modules)), tuple(self.root), self.django,
            requirement_files(self.context, requirements) if requirements else None, self.package, self.server, self.go,
            tuple(sorted(self.unknown)),
        )  # fmt: skip

    def _commands(self) -> None:
        """What the commands' options and redirections, and ENV, say about files."""
        for command in self.start.commands:
            for path in command.writes:
                if path is None:
                    self.unknown.add(Unknown("write", command.source, "writes to a computed path"))
                else:
                    self.written.add(Used(path, where=command.source))
            for given in server_writes(command.name or "", command.words[1:]):
                path = posixpath.join(command.folder or "", given) if given is not None else ""
                if path.startswith("/"):
                    self.written.add(Used(posixpath.normpath(path), path.endswith("/"), command.source))
                else:
                    self.unknown.add(Unknown("write", command.source, f"{command.name} writes to a computed path"))
        for name in FOLDER_VARIABLES:
            value = self.environment.get(name)
            if value is not None and value.startswith("/"):
                self.written.add(Used(posixpath.normpath(value), True, f"ENV {name}"))

    def _python(self, entries: list[str]) -> None:
        evidence_of: list[str] = list(entries)
        settings = django_settings(self.context, environment=self.environment)
        if settings is not None:
            folder = project_folder(self.context, settings)
            inside = [e for e in entries if folder == "." or e.startswith(f"{folder}/")]
            if inside:
                self.django = settings
                evidence_of.append(folder)
        if any("streamlit" in command.words for command in self.start.commands):
            evidence_of += streamlit_pages(self.context, entries)
        words = tuple(word for command in self.start.commands for word in command.words)
        found = python_evidence(self.context, evidence_of, environment=self.environment, arguments=words)
        self.take(found.files, found.imports, found.programs, found.ports, found.unknown)
        self.uses(found.written, found.read, entries, found.files)
        changed = [file for file in found.loaded if changes_settings(self.model, file)]
        self.unknown |= {Unknown("write", file, "is not in the image as it is in the build context") for file in changed}
        for entry in entries:
            if posixpath.basename(entry) == "gunicorn.conf.py" or entry.endswith("gunicorn_conf.py"):
                named = configured_writes(self.context.read_text(entry) or "")
                places = [Place("absolute" if path.startswith("/") else "cwd", path) for path in named]
                self.uses(places, (), entries, (entry,))
        if self.django is not None:
            self._settings(self.django, entries)

    def _stores(self) -> None:
        """Names of databases, logs and the like in the source, and in settings that it reads, count as written."""
        known = {posixpath.basename(used.path) for used in (*self.written, *self.read)}
        texts = {file: self.context.read_text(file) or "" for file in (*self.files, *self.start.scripts)}
        words = [" ".join(word or "" for word in command.words) for command in self.start.commands]
        settings = settings_files(self.context, (*texts.values(), *words), [command.name for command in self.start.commands])
        found = [(name, file) for file in self.files for name in source_stores(texts[file])]
        found += [(name, file) for file in settings for name in settings_stores(self.context.read_text(file) or "")]
        for name, file in found:
            if posixpath.basename(name) not in known:
                self.uses([Place("absolute" if name.startswith("/") else "cwd", posixpath.normpath(name))], (), [], (file,))

    def _settings(self, settings: DjangoSettings, entries: list[str]) -> None:
        databases = [database.place for database in settings.databases]
        collects = any("collectstatic" in command.words for command in self.start.commands)
        files = (settings.file, *self.files)
        self.uses([place for place in (*databases, *settings.logs) if place is not None], (), entries, files)
        folders = [settings.media_root or self._uploads(settings), settings.static_root if collects else None]
        self.uses([Place(place.kind, place.path, True) for place in folders if place is not None], (), entries, files)
        if settings.static_root is not None:
            self.uses((), [settings.static_root], entries, files)
        unknown = {u for u in settings.unknown if collects or "STATIC_ROOT" not in u.what}
        self.unknown |= unknown

    def _uploads(self, settings: DjangoSettings) -> Place | None:
        """Where a Django project without MEDIA_ROOT keeps uploads: the folder it is started in, if its models have any."""
        named = any("MEDIA_ROOT" in unknown.what for unknown in settings.unknown)
        uploads = any(re.search(r"\b(File|Image)Field\(", self.context.read_text(file) or "") for file in self.files)
        return Place("cwd", ".") if uploads and not named else None

    def _script_of_python(self, path: str) -> bool:
        """Whether a file of the context without an extension is a program for Python."""
        first = (self.context.read_text(path) or "").partition("\n")[0] if not posixpath.splitext(path)[1] else ""
        return bool(first) and ("python" in first or not first.startswith("#!"))

    def _go(self, program: CompiledProgram | None) -> None:
        folders = sorted(posixpath.dirname(f) or "." for f in self.context.files() if posixpath.basename(f) == "go.mod")
        module = program.module if program is not None else go_module(self.context, folders[0]) if len(folders) == 1 else None
        if module is None:
            self.unknown.add(Unknown("program", "", "the Go module of the program is not clear"))
            return
        self.go = module
        files = module.files
        self.take(files, module.imports, module.programs, module.ports, module.unknown)
        self.uses(module.written, module.read, [], files)
        needs = go_needs((*(require.path for require in module.requires), *module.imports))
        self.programs.update(needs.programs)
        self.unknown |= {Unknown("write", "go.mod", f"needs {name}, which keeps files") for name in needs.writes}
        self.unknown |= {Unknown("program", "go.mod", "needs a module that starts programs") for name in needs.programs if name == "?"}

    def _native(self, program: CompiledProgram) -> None:
        found = native_sources(
            self.context, program.sources, commands_of(self.model, program.stage), native_settings(self.model, program.stage)
        )
        self.take(program.sources, (), found.programs, found.ports, found.unknown)
        foreign = [place for place in found.loaded if not loads_own(self.model, self.stage, place)]
        self.unknown |= {Unknown("module", str(place), "is loaded when it runs") for place in foreign}
        self.uses(found.written, found.read, [], program.sources)
        self.root += found.root

    def _rust(self, program: CompiledProgram) -> None:
        from optimizer.context.rust_source import rust_evidence  # not for other languages

        found = rust_evidence(self.context, program.sources, self.environment)
        self.take(program.sources, (), found.programs, found.ports, found.unknown)
        self.uses(found.written, found.read, [], program.sources)
        self.root += found.root

    def _compiled(self, entries: list[str]) -> None:
        """The programs among the entries that a stage compiles; in a program in Go, C or Rust, all must be."""
        found = {entry: compiled_program(self.model, self.stage, entry) for entry in entries if entry.startswith("/")}
        programs = [program for program in found.values() if program is not None]
        for program in programs:
            if program.unknown is not None:
                self.unknown.add(Unknown("program", "", program.unknown))
            elif program.language == "c":
                self._native(program)
            elif program.language == "rust":
                self._rust(program)
            else:
                self._go(program)
        if self.start.language not in ("go", "c", "rust"):
            return
        others = [entry for entry in entries if found.get(entry) is None]
        if not programs and len(others) < 2 and self.start.language != "rust":
            self._go(None)
        elif others or not programs:
            self.unknown.add(Unknown("program", "", f"what {others[0] if others else 'the program'} does is not known"))

    def _source(self, language: str) -> None:
        found = source_use(language, self.model, self.stage, self.start, self.environment)
        self.take(found.files, found.modules, found.programs, found.ports, found.unknown)
        self.uses(found.written, found.read, [], found.files)
        self.root += found.root

    def take(
        self, files: Iterable[str], modules: Iterable[str], programs: Iterable[str], ports: Iterable[int], unknown: Iterable[Unknown],
        settled: Iterable[str] = (),
    ) -> None:  # fmt: skip
        """Add what a reader of source found. settled: the libraries that keep files, whose places it found as well."""
        self.files.update(dict.fromkeys(files))
        self.modules.update(modules)
        self.programs.update(programs)
        self.ports.update(ports)
        self.unknown.update(unknown)
        for name in sorted((set(modules) & set(WRITING_MODULES)) - set(settled)):
            configured = name == "scrapy" and any(command.name == name for command in self.start.commands)  # its settings are read
            if WRITING_MODULES[name] == self.start.language and not configured:
                self.unknown.add(Unknown("write", "", f"{name} writes files of its own"))

    def uses(self, written: Iterable[Place], read: Iterable[Place], entries: list[str], files: tuple[str, ...]) -> None:
        """Add the paths that source writes and reads. entries, files: the sources, beside which a place may lie."""
        self.written |= self._used(written, "write", entries, files)
        self.read |= self._used(read, "read", entries, files)

    def _used(self, places: Iterable[Place], about: Literal["write", "read"], entries: list[str], files: tuple[str, ...]) -> set[Used]:
        found: set[Used] = set()
        for place in places:
            where = self._where(place, files)
            paths = self._image_paths(place, [*entries, *files])
            if not paths:
                self.unknown.add(Unknown(about, where or "the source", f"uses {place.path}, whose place in the image is not known"))
            found |= {Used(path, place.folder, where) for path in paths}
        return found

    def _image_paths(self, place: Place, files: list[str]) -> tuple[str, ...]:
        """Where a place of the source lies in the image."""
        if place.kind == "absolute":
            return (place.path,)
        if place.kind == "cwd":
            if place.path.startswith("~"):
                return ()
            found = [posixpath.normpath(posixpath.join(f, place.path)) for f in self.folders if f is not None]
            return tuple(dict.fromkeys(found)) if None not in self.folders else ()
        beside = []
        for file in dict.fromkeys(files):
            step = posixpath.relpath(place.path, posixpath.dirname(file) or ".")
            beside += [posixpath.normpath(posixpath.join(posixpath.dirname(p), step)) for p in image_path(self.model, self.stage, file)]
        direct = image_path(self.model, self.stage, place.path)
        both = tuple(path for path in direct if path in beside)
        return both or direct or tuple(dict.fromkeys(beside[:1]))

    def _where(self, place: Place, files: tuple[str, ...]) -> str:
        """The first line of the sources that names the last part of a path in quotes."""
        name = re.escape(posixpath.basename(place.path))
        for file in files:
            text = self.context.read_text(file) or ""
            found = re.search(rf"""["'`/]{name}["'`/]""", text)
            if found is not None:
                return f"{file}:{text.count(chr(10), 0, found.start()) + 1}"
        return files[0] if len(files) == 1 else ""

    def _ports(self) -> None:
        for command in self.start.commands:
            if command.name and (command.name in PYTHON_SERVERS or PYTHON.match(command.name)):
                self.ports.update(server_ports(command.words[1:]))
        if self.environment.get("PORT", "").isdecimal():
            self.ports.add(int(self.environment["PORT"]))
        current: Stage | None = self.stage
        while current is not None:
            for position in current.positions:
                node = self.model.file.instruction(position)
                for word in node.words if node.keyword == "EXPOSE" else ():
                    port = (self.model.before(position).expand(word, node.escape) or "").split("/")[0]
                    self.ports.update({int(port)} if port.isdecimal() else ())
            current = self.model.stages[current.base] if current.base is not None else None
