"""CMake projects: the programs they make, what they link, and where they install it.

Only what is written out is read: a target in a loop or behind a condition that is computed counts as made, and where that
matters, `unknown` says what is not clear. Source: cmake-commands(7).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from optimizer.context.folder import BuildContext
from optimizer.context.native_project import LIBRARIES, PREFIX, SOURCE, Draft, Project, below_prefix

_COMMAND = re.compile(r"(?m)^[ \t]*(\w+)[ \t]*\(((?:[^()\"]|\"(?:\\.|[^\"\\])*\"|\([^()]*\))*)\)")
_COMMENT = re.compile(r"#\[\[.*?\]\]|#[^\n]*", re.DOTALL)
_SCOPES = frozenset({"PUBLIC", "PRIVATE", "INTERFACE", "LINK_PUBLIC", "LINK_PRIVATE", "debug", "optimized", "general"})
_INSTALL_KEYWORDS = frozenset({
    "RUNTIME", "LIBRARY", "ARCHIVE", "DESTINATION", "EXPORT", "BUNDLE", "COMPONENT", "PERMISSIONS", "INCLUDES", "FILE_SET",
})  # fmt: skip
_FOLDERS = {
    "BINDIR": "bin", "SBINDIR": "sbin", "LIBDIR": LIBRARIES, "DATADIR": "share", "DATAROOTDIR": "share", "SYSCONFDIR": "etc",
    "INCLUDEDIR": "include", "MANDIR": "share/man", "LIBEXECDIR": "libexec", "LOCALSTATEDIR": "var", "DOCDIR": "share/doc",
}  # fmt: skip
"""The folders that the module GNUInstallDirs names below the prefix."""
_NOT_RUN = re.compile(rf"(^|/)(include|share/man|share/doc|(lib|{LIBRARIES})/cmake|(lib|{LIBRARIES})/pkgconfig|share/info)(/|$)")
_DEFINING = frozenset({"target_compile_definitions", "add_compile_definitions", "add_definitions", "configure_file"})
_OF_FOLDERS = re.compile(r"_(SOURCE|BINARY|LIST)_DIR\}")
_DEFINED = re.compile(r"(?m)^[ \t]*#[ \t]*(?:define|cmakedefine)[ \t]+(\w+)[ \t]+\"([^\"\n]*)\"[ \t]*$")


def cmake_project(context: BuildContext, folder: str, given: Mapping[str, str] | None = None) -> Project | None:
    """Read the CMakeLists.txt of a folder of the context and those it adds; None when there is none.

    given: variables that the command line sets with ``-D``.
    """
    if context.read_text(posixpath.join(folder, "CMakeLists.txt")) is None:
        return None
    reader = _Cmake(context, folder, given or {})
    reader.read(folder, ".")
    return reader.finish()


class _Cmake:
    def __init__(self, context: BuildContext, root: str, given: Mapping[str, str]) -> None:
        self.context, self.root = context, root
        self.project = Draft()
        self.variables: dict[str, str] = {f"CMAKE_INSTALL_{name}": folder for name, folder in _FOLDERS.items()}
        self.variables |= {f"CMAKE_INSTALL_FULL_{name}": f"{PREFIX}/{folder}" for name, folder in _FOLDERS.items()}
        self.variables |= {"CMAKE_INSTALL_PREFIX": PREFIX, **given}
        self.libraries = "lib"
        self.own_libraries: set[str] = set()
        self.shared: dict[str, str] = {}
        self.properties: dict[str, dict[str, str]] = {}
        self.link_names: list[str] = []
        self.found: list[str] = []
        self.placed: set[str] = set()  # variables that name folders of the sources or the build

    def read(self, folder: str, step: str) -> None:
        text = self.context.read_text(posixpath.join(folder, "CMakeLists.txt"))
        if text is None:
            self.project.unknown.append(f"{folder}/CMakeLists.txt is not in the build context")
            return
        for match in _COMMAND.finditer(_COMMENT.sub("", text)):
            name = match[1].lower()
            raw = list(_words(match[2]))
            if name == "set" and (_OF_FOLDERS.search(match[2]) or self.placed & _references(match[2])):
                self.placed.add(raw[0])
            words = raw if name in _DEFINING else [self.expand(word, folder, step) for word in raw]
            words = [part for word in words for part in word.split(";") if part]
            handler = getattr(self, f"do_{name}", None)
            if handler is not None and words:
                handler(words, folder, step)

    def expand(self, word: str, folder: str, step: str, root: str | None = None) -> str:
        root = self.root if root is None else root
        values = {
            **self.variables, "CMAKE_SOURCE_DIR": root, "PROJECT_SOURCE_DIR": root, "CMAKE_CURRENT_SOURCE_DIR": folder,
            "CMAKE_CURRENT_LIST_DIR": folder, "CMAKE_BINARY_DIR": "@build", "PROJECT_BINARY_DIR": "@build",
            "CMAKE_CURRENT_BINARY_DIR": posixpath.join("@build", step),
        }  # fmt: skip
        for _ in range(8):
            expanded = re.sub(r"\$\{([\w.-]+)\}", lambda m: values.get(m[1], m[0]), word)
            if expanded == word:
                break
            word = expanded
        return word

    def do_project(self, words: list[str], folder: str, step: str) -> None:
        self.variables.setdefault("PROJECT_NAME", words[0])
        self.variables.setdefault("CMAKE_PROJECT_NAME", words[0])
        if "VERSION" in words[:-1]:
            version = words[words.index("VERSION") + 1]
            parts = dict(zip(("MAJOR", "MINOR", "PATCH", "TWEAK"), version.split("."), strict=False))
            self.variables["PROJECT_VERSION"] = version
            self.variables |= {f"PROJECT_VERSION_{name}": part for name, part in parts.items()}

    def do_set(self, words: list[str], folder: str, step: str) -> None:
        values = words[1:]
        if "CACHE" in values:
            if words[0] in self.variables and "FORCE" not in values:
                return  # given on the command line, or set before
            values = values[: values.index("CACHE")]
        if words[0] == "CMAKE_INSTALL_PREFIX":
            self.project.unknown.append("it sets the prefix that it installs to")
        self.variables[words[0]] = ";".join(v for v in values if v != "PARENT_SCOPE")

    def do_include(self, words: list[str], folder: str, step: str) -> None:
        if words[0] == "GNUInstallDirs":
            self.libraries = LIBRARIES

    def do_target_compile_definitions(self, words: list[str], folder: str, step: str) -> None:
        self.define(words[1:], folder, step)

    def do_add_compile_definitions(self, words: list[str], folder: str, step: str) -> None:
        self.define(words, folder, step)

    do_add_definitions = do_add_compile_definitions

    def define(self, words: list[str], folder: str, step: str) -> None:
        """Macros that are one literal. A word in quotes has lost these, but not the escaped ones of the literal."""
        for word in words:
            found = re.fullmatch(r"(?:-D)?(\w+)=\\?\"([^\"\\]*)\\?\"", word)
            if found:
                self.macro(found[1], found[2], folder, step)

    def macro(self, name: str, text: str, folder: str, step: str) -> None:
        """A macro, unless its text depends on the machine, on what is computed or on where the build lies."""
        place = posixpath.normpath(posixpath.join(SOURCE, posixpath.relpath(folder, self.root)))
        value = self.expand(text, place, step, SOURCE)
        if not self.placed & _references(text) and "$" not in value and "@build" not in value and LIBRARIES not in value:
            self.project.macros.append((name, value))

    def do_configure_file(self, words: list[str], folder: str, step: str) -> None:
        """A header that is made of a template; the macros in it that become one literal are known."""
        words = [self.expand(word, folder, step) for word in words]
        path = words[0] if self.context.exists(words[0]) else posixpath.normpath(posixpath.join(folder, words[0]))
        text = self.context.read_text(path) if words[1:2] and words[1].endswith((".h", ".hpp", ".hh", ".hxx")) else None
        for name, literal in _DEFINED.findall(text or ""):
            self.macro(name, re.sub(r"@(\w+)@", r"${\1}", literal), folder, step)

    def do_option(self, words: list[str], folder: str, step: str) -> None:
        self.variables.setdefault(words[0], words[-1] if len(words) > 2 else "OFF")

    def do_set_target_properties(self, words: list[str], folder: str, step: str) -> None:
        if "PROPERTIES" in words:
            at = words.index("PROPERTIES")
            pairs = dict(zip(words[at + 1 :: 2], words[at + 2 :: 2], strict=False))
            for name in words[:at]:
                self.properties.setdefault(name, {}).update(pairs)

    def do_file(self, words: list[str], folder: str, step: str) -> None:
        if words[0] in ("GLOB", "GLOB_RECURSE") and len(words) > 2:
            self.variables[words[1]] = ";".join(
                f for f in self.context.under(folder) if any(_globbed(f, p, folder, words[0] == "GLOB_RECURSE") for p in words[2:])
            )

    def do_add_subdirectory(self, words: list[str], folder: str, step: str) -> None:
        self.read(posixpath.normpath(posixpath.join(folder, words[0])), posixpath.normpath(posixpath.join(step, words[0])))

    def do_add_executable(self, words: list[str], folder: str, step: str) -> None:
        if "ALIAS" in words or "IMPORTED" in words or "$" in words[0]:
            return
        place = self.variables.get("CMAKE_RUNTIME_OUTPUT_DIRECTORY") or self.variables.get("EXECUTABLE_OUTPUT_PATH")
        self.project.programs[words[0]] = self.output(place, step)
        self.sources(words[1:], folder)

    def output(self, place: str | None, step: str) -> str:
        """The folder below that of the build, or marked as of the sources, that a target is put into."""
        if place and not place.startswith("@build"):
            return f"@source/{posixpath.relpath(place, self.root)}"
        return place.removeprefix("@build").lstrip("/") or "." if place else step

    def do_add_library(self, words: list[str], folder: str, step: str) -> None:
        self.own_libraries.add(words[0])
        shared = {"SHARED", "MODULE"} & set(words) or (self.variables.get("BUILD_SHARED_LIBS", "OFF").upper() in ("ON", "TRUE", "1"))
        if shared and not {"STATIC", "INTERFACE", "OBJECT", "IMPORTED", "ALIAS"} & set(words):
            place = self.variables.get("CMAKE_LIBRARY_OUTPUT_DIRECTORY") or self.variables.get("LIBRARY_OUTPUT_PATH")
            self.shared[words[0]] = self.output(place, step)
            if "MODULE" in words:
                self.project.unknown.append(f"the project makes {words[0]}, which is loaded when a program runs")
        self.sources(words[1:], folder)

    def do_target_sources(self, words: list[str], folder: str, step: str) -> None:
        self.sources(words[1:], folder)

    def sources(self, words: list[str], folder: str) -> None:
        for word in words:
            if "." in word and "$" not in word:
                path = posixpath.normpath(word if self.context.exists(word) else posixpath.join(folder, word))
                self.project.sources.append(path)

    def do_target_link_libraries(self, words: list[str], folder: str, step: str) -> None:
        self.link_names += [w for w in words[1:] if w not in _SCOPES]

    def do_link_libraries(self, words: list[str], folder: str, step: str) -> None:
        self.link_names += words

    def do_target_link_options(self, words: list[str], folder: str, step: str) -> None:
        if "-static" in words:
            self.project.static = True

    def do_find_package(self, words: list[str], folder: str, step: str) -> None:
        self.found.append(words[0])
        if words[0] == "Boost" and "COMPONENTS" in words:
            self.found += [f"boost_{c}" for c in words[words.index("COMPONENTS") + 1 :] if c.islower()]

    def do_pkg_check_modules(self, words: list[str], folder: str, step: str) -> None:
        self.found += [re.split(r"[<>=]", w)[0] for w in words[1:] if w not in ("REQUIRED", "QUIET", "IMPORTED_TARGET", "GLOBAL")]

    do_pkg_search_module = do_pkg_check_modules

    def do_find_library(self, words: list[str], folder: str, step: str) -> None:
        names = [w for w in words[1:] if not w.isupper()]
        self.found += names[:1]

    def do_fetchcontent_declare(self, words: list[str], folder: str, step: str) -> None:
        self.project.unknown.append("it fetches sources with FetchContent")

    do_externalproject_add = do_fetchcontent_declare

    def do_install(self, words: list[str], folder: str, step: str) -> None:
        kind, rest = words[0], words[1:]
        places = [rest[i + 1] for i, w in enumerate(rest[:-1]) if w in ("DESTINATION", "TYPE")]
        if kind == "TARGETS":
            names = []
            for word in rest:
                if word in _INSTALL_KEYWORDS:
                    break
                names.append(word)
            kinds = {rest[i]: rest[i + 2] for i, w in enumerate(rest[1:-1]) if w == "DESTINATION" and rest[i] in _INSTALL_KEYWORDS}
            plain = places[0] if places and not kinds else None
            for name in names:
                if name in self.shared:
                    self.place(name, (kinds.get("LIBRARY") or plain or self.libraries) + "/")
                elif name not in self.own_libraries:
                    self.place(name, (kinds.get("RUNTIME") or plain or "bin") + "/")
        elif kind in ("FILES", "PROGRAMS") and places:
            files = rest[: rest.index("DESTINATION")] if "DESTINATION" in rest else []
            for name in files:
                self.place(posixpath.normpath(name if self.context.exists(name) else posixpath.join(folder, name)), places[0] + "/")
        elif kind == "DIRECTORY" and places:
            for name in rest[: rest.index("DESTINATION")] if "DESTINATION" in rest else ():
                inside = name if self.context.exists(name.rstrip("/")) else posixpath.join(folder, name)
                last = "" if name.endswith("/") else posixpath.basename(name) + "/"
                self.place(posixpath.normpath(inside), f"{places[0].rstrip('/')}/{last}")
        elif kind in ("CODE", "SCRIPT"):
            self.project.unknown.append("it installs by a script of its own")

    def place(self, source: str, target: str) -> None:
        if "$" in target or "$" in source:
            self.project.unknown.append(f"where {source} is installed is computed")
        elif not _NOT_RUN.search(target):
            self.project.installed.append((source, below_prefix(target)))

    def finish(self) -> Project:
        for name in self.link_names:
            plain = name.replace("Boost::", "boost_").rpartition("::")[2].removeprefix("-l")
            if name in self.shared:
                self.project.libraries.append(self.stem(name))
            if name in self.own_libraries or name.startswith("$<"):
                continue
            if name.startswith("${"):
                continue  # a variable of find_package or pkg_check_modules, whose names are in `found`
            if name == "-static":
                self.project.static = True
            elif not name.startswith("-") or name.startswith("-l"):
                known = next((f for f in self.found if "::" in name and f.lower() == name.split("::")[0].lower()), None)
                self.project.libraries.append(known or plain)
        self.project.libraries += self.found
        others = re.compile(r"(PkgConfig|Git|Doxygen|GTest|Catch2|benchmark)$", re.IGNORECASE)
        self.project.libraries = [name for name in self.project.libraries if not others.match(name)]
        flags = f"{self.variables.get('CMAKE_EXE_LINKER_FLAGS', '')} {self.variables.get('CMAKE_CXX_FLAGS', '')}"
        if re.search(r"(^|\s|;)-static(\s|;|$)", flags):
            self.project.static = True
        self.names()
        return self.project.finished()

    def stem(self, target: str) -> str:
        return self.properties.get(target, {}).get("OUTPUT_NAME", target)

    def names(self) -> None:
        """The names of files in place of those of targets. Source: cmake-properties(7), OUTPUT_NAME, SOVERSION, VERSION."""
        files = {name: self.stem(name) for name in self.project.programs}
        for name, place in self.shared.items():
            own = self.properties.get(name, {})
            version = own.get("SOVERSION") or own.get("VERSION") or ""
            files[name] = f"{own.get('PREFIX', 'lib')}{self.stem(name)}.so{f'.{version}' if version else ''}"
            self.project.shared[files[name]] = place
            if "$" in files[name]:
                self.project.unknown.append(f"what the library {name} is called is computed")
        self.project.programs = {files[name]: place for name, place in self.project.programs.items()}
        self.project.installed = [(files.get(what, what), target) for what, target in self.project.installed]


def _words(text: str) -> Iterator[str]:
    for quoted, plain in re.findall(r"\"((?:\\.|[^\"\\])*)\"|((?:[^\s\"]+\"(?:\\.|[^\"\\])*\")+[^\s\"]*|[^\s\"]+)", text):
        yield quoted or plain


def _references(text: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)\}", text))


def _globbed(path: str, pattern: str, folder: str, recursive: bool) -> bool:
    full = pattern if pattern.startswith(folder) or folder == "." else posixpath.join(folder, pattern)
    full = posixpath.normpath(full)
    if posixpath.dirname(path) != posixpath.dirname(full) and not (recursive and path.startswith(posixpath.dirname(full))):
        return False
    expression = re.escape(posixpath.basename(full)).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, posixpath.basename(path)) is not None
