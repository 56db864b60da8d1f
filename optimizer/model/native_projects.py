"""What the projects of CMake, Meson and automake make when a stage builds them, and where they put it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from optimizer.context.automake import automake_project
from optimizer.context.cmake import cmake_project
from optimizer.context.cmake_presets import cmake_preset
from optimizer.context.makefile import UNKNOWN
from optimizer.context.meson import meson_project
from optimizer.context.native_project import LIBRARIES, PREFIX, SOURCE, Project
from optimizer.context.project_commands import read_cmake, read_meson
from optimizer.model.model import Model, Stage
from optimizer.model.native_made import Made
from optimizer.model.paths import build_folder
from optimizer.model.state import State

_BUILD_FILES = ("CMakeLists.txt", "meson.build", "Makefile.am")


@dataclass
class ProjectReader:
    """What is seen of a build so far, and the commands of build systems that describe a project as a whole."""

    model: Model
    stage: Stage
    at: list[int] = field(default_factory=list)
    made: dict[str, Made] = field(default_factory=dict)
    installed: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    private: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    macros: dict[str, str | None] = field(default_factory=dict)
    unknown: list[tuple[int, str]] = field(default_factory=list)
    projects: dict[str, tuple[Project, str, str]] = field(default_factory=dict)
    position: int = 0
    state: State = field(default_factory=State)
    variables: dict[str, str | None] = field(default_factory=dict)
    destdir: str | None = ""
    packages: set[str] = field(default_factory=set)

    def note(self, why: str) -> None:
        self.unknown.append((self.position, why))

    def built(self) -> None:
        self.at.append(self.position)

    def define(self, name: str, text: str | None) -> None:
        """A macro on a command line; one with two values is not known."""
        self.macros[name] = text if self.macros.get(name, text) == text else None

    def path(self, word: str | None, cwd: str | None) -> str | None:
        if word is None or UNKNOWN in word:
            return None
        if word.startswith("/"):
            return posixpath.normpath(word)
        return posixpath.normpath(posixpath.join(cwd, word)) if cwd is not None else None

    def inside(self, folder: str | None, *names: str) -> str | None:
        return build_folder(self.model, self.stage, folder, names, self.position) if folder is not None else None

    def configure(self, words: Sequence[str | None], cwd: str | None) -> None:
        self.built()
        folder = self.path(posixpath.dirname(words[0] or "") or ".", cwd)
        inside = self.inside(folder, "Makefile.am")
        options = dict(w[2:].split("=", 1) for w in words[1:] if w is not None and re.match(r"--\w+dir=/", w))
        options |= {"disable-shared": ""} if {"--disable-shared", "--enable-shared=no"} & set(words) else {}
        project = automake_project(self.model.context, inside, options) if inside is not None and self.model.context is not None else None
        if project is None or cwd is None:
            self.note("what ./configure sets up is not in the build context")
            return
        prefix = next((w.partition("=")[2] for w in words[1:] if w is not None and w.startswith("--prefix=")), "/usr/local")
        self.projects[cwd] = (project, prefix, folder or cwd)

    def cmake(self, words: Sequence[str | None], cwd: str | None) -> None:
        call = read_cmake(words)
        if call is None:
            return
        self.built()
        place = self.path(call.source or ".", cwd) if call.sets_up or call.preset is not None else None
        inside, context = self.inside(place, "CMakeLists.txt"), self.model.context
        build, given, goals = call.build, call.given, call.goals
        if call.preset is not None:
            preset = (
                cmake_preset(context, inside, call.preset, builds=not call.sets_up) if inside is not None and context is not None else None
            )
            if preset is None or place is None:
                self.note(f"what the preset {call.preset} stands for is not clear")
                return
            build = build or posixpath.join(place, preset.build)
            given, goals = {**preset.variables, **given}, (*goals, *preset.goals)
        folder = self.path(build, cwd) if build is not None else cwd
        prefix = call.prefix or given.get("CMAKE_INSTALL_PREFIX")
        if call.sets_up:
            project = cmake_project(context, inside, given) if inside is not None and context is not None else None
            if project is None or folder is None or place is None:
                self.note("the CMakeLists.txt is not in the build context")
            else:
                self.projects[folder] = (project, prefix or "/usr/local", place)
        elif folder is None or folder not in self.projects:
            self.note("what cmake builds is not clear")
        else:
            project, known, source = self.projects[folder]
            self.projects[folder] = (project, prefix or known, source)
            self.generated(folder, goals, {})

    def meson(self, words: Sequence[str | None], cwd: str | None) -> None:
        self.built()
        given = [w for w in words if w is not None]
        if len(given) != len(words):
            self.note("the arguments of meson are computed")
            return
        call = read_meson(given)
        if call is None:
            return
        folder = self.path(call.build, cwd)
        if not call.sets_up:
            if folder is None or folder not in self.projects or "destdir" in call.given:
                self.note("what meson builds is not clear")
            else:
                self.generated(folder, call.goals, {})
            return
        place = self.path(call.source, cwd)
        inside = self.inside(place, "meson.build")
        project = meson_project(self.model.context, inside, call.given) if inside is not None and self.model.context is not None else None
        if project is None or folder is None or place is None:
            self.note("the meson.build is not in the build context")
        else:
            self.projects[folder] = (project, call.prefix or "/usr/local", place)

    def generated(self, folder: str, goals: Sequence[str], given: Mapping[str, str]) -> None:
        """make or cmake in a folder that cmake or configure set up."""
        project, prefix, source = self.projects[folder]
        inside = self.inside(source, *_BUILD_FILES) or "."
        for reason in project.unknown:
            self.note(reason)
        sources = tuple(posixpath.join(source, posixpath.relpath(s, inside)) for s in project.sources)

        def project_path(name: str, place: str) -> str:
            base = source if place.startswith("@source/") else folder
            return posixpath.normpath(posixpath.join(base, place.removeprefix("@source/"), name))

        for name, place in project.programs.items():
            path = project_path(name, place)
            self.made[path] = Made(path, tuple(project.libraries), sources, project.cxx, project.static)
        for macro, text in project.macros:
            self.define(macro, text.replace(PREFIX, prefix).replace(SOURCE, source))
        for name, place in project.shared.items():
            path = project_path(name, place)
            self.made[path] = Made(path, (), sources, project.cxx, shared=True)
        if not any(goal.startswith("install") for goal in goals):
            return
        root = given.get("DESTDIR", self.destdir)
        if root is None:
            self.note("where it installs to is computed")
            return
        self.folders += [posixpath.normpath(root + posixpath.join(prefix, made)) for made in project.folders]
        for what, target in project.installed:
            target = self.beside_libraries(project, prefix, what, target)
            place = posixpath.normpath(root + posixpath.join(prefix, target))
            target_place = project.programs.get(what) or project.shared.get(what)
            if target_place is not None:
                self.installed[posixpath.join(place, what)] = project_path(what, target_place)
            else:
                origin = posixpath.join(source, posixpath.relpath(what, inside))
                folder_like = self.model.context is not None and self.model.context.is_dir(what)
                self.installed[place if folder_like else posixpath.join(place, posixpath.basename(what))] = origin

    def beside_libraries(self, project: Project, prefix: str, what: str, target: str) -> str:
        """A place below the prefix with the folder of libraries in it, a pattern where that is named after the machine.

        Source: the module GNUInstallDirs of CMake, and `default_libdir` in Meson's mesonlib/universal.py, which asks dpkg-dev.
        """
        if LIBRARIES not in target:
            return target
        if not project.multiarch and prefix != "/usr":
            return target.replace(LIBRARIES, "lib")
        if target != f"{LIBRARIES}/" or what not in project.shared or (project.multiarch and "dpkg-dev" not in self.packages):
            self.note(f"where {what} is installed depends on the machine")
        return target.replace(LIBRARIES, "lib/*")
