"""Meson projects: the programs they make, what they link, and where they install it.

What stands in a branch counts, whatever its condition. A value that a function computes is not known, and where that matters,
`unknown` says what is not clear. Source: Meson's reference manual (functions, built-in options).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from msgspec.structs import replace

from optimizer.context.expressions import split_expressions
from optimizer.context.folder import BuildContext
from optimizer.context.native_project import LIBRARIES, PREFIX, Draft, Project, below_prefix
from optimizer.context.places import HOLE

_TOKEN = re.compile(r"#[^\n]*|'''(?P<long>.*?)'''|'(?P<text>(?:\\.|[^'\\\n])*)'", re.DOTALL)
_CALL = re.compile(r"(?<![\w.])(?:(\w+)\s*\+?=\s*)?((?:\w+\s*\.\s*)?\w+)\s*\(")
_ARRAY = re.compile(r"(?m)^[ \t]*(\w+)[ \t]*(\+?=)[ \t]*\[")
_STRING = re.compile(r"(?m)^[ \t]*(\w+)[ \t]*=[ \t]*(\"\d+\"(?:[ \t]*/[ \t]*\"\d+\")*)[ \t]*$")
_FOLDERS = {
    "bindir": "bin",
    "sbindir": "sbin",
    "datadir": "share",
    "sysconfdir": "etc",
    "libdir": LIBRARIES,
    "libexecdir": "libexec",
    "localstatedir": "var",
}
_UNCLEAR = frozenset({"subproject", "custom_target", "run_command", "generator", "install_symlink"})


def meson_project(context: BuildContext, folder: str, options: Mapping[str, str]) -> Project | None:
    """Read the meson.build of a folder of the context and those of its subfolders; None when there is none.

    Args:
        context: The build context.
        folder: The root of the project.
        options: Built-in options of the command line by name, such as ``sysconfdir``.
    """
    if context.read_text(posixpath.join(folder, "meson.build")) is None:
        return None
    reader = _Meson(context, folder, options)
    reader.read(folder, ".")
    return replace(reader.project.finished(), multiarch=True)


class _Meson:
    def __init__(self, context: BuildContext, root: str, options: Mapping[str, str]) -> None:
        self.context, self.root = context, root
        self.project = Draft()
        self.name, self.version = "", ""
        # /usr is the prefix for which Meson puts configuration and state outside of it.
        outside = {"sysconfdir": "/etc", "localstatedir": "/var"} if options.get("prefix") == "/usr" else {}
        self.given, self.options = options, {**_FOLDERS, **outside, **options}
        self.values: dict[str, list[str]] = {}
        self.dependencies: dict[str, list[str]] = {}
        self.strings: list[str] = []
        self.folder, self.step = root, "."

    def read(self, folder: str, step: str) -> None:
        text = self.context.read_text(posixpath.join(folder, "meson.build"))
        if text is None:
            self.project.unknown.append(f"{folder}/meson.build is not in the build context")
            return
        outer = self.folder, self.step, self.strings
        self.folder, self.step, self.strings = folder, step, []
        code = _TOKEN.sub(self.token, text)
        at = [(m.start(), m) for m in (*_CALL.finditer(code), *_ARRAY.finditer(code), *_STRING.finditer(code))]
        for _, found in sorted(at, key=lambda one: one[0]):
            if found.re is _STRING:
                self.values[found[1]] = self.value(found[2]) or []
            elif found.re is _ARRAY:
                items = [word for part in split_expressions(code, found.end()) for word in self.value(part) or []]
                self.values[found[1]] = [*(self.values.get(found[1], []) if found[2] == "+=" else []), *items]
            else:
                self.call(found[1], re.sub(r"\s", "", found[2]), split_expressions(code, found.end()))
        self.folder, self.step, self.strings = outer

    def token(self, match: re.Match[str]) -> str:
        value = match["long"] if match["long"] is not None else match["text"]
        if value is None:
            return ""
        self.strings.append(value)
        return f'"{len(self.strings) - 1}"'

    def value(self, expression: str) -> list[str] | None:
        """The strings that an expression stands for, None when they are computed."""
        expression = expression.strip()
        if re.fullmatch(r"\"\d+\"", expression):
            return [self.strings[int(expression[1:-1])]]
        if expression.startswith("[") and expression.endswith("]"):
            parts = [self.value(part) for part in split_expressions(expression, 1)]
            return None if None in parts else [word for part in parts for word in part or ()]
        files = re.match(r"(?:files|join_paths)\s*\(", expression)
        if files and expression.endswith(")"):
            parts = [self.value(part) for part in split_expressions(expression, files.end())]
            words = [word for part in parts for word in part or ()]
            return None if None in parts else [posixpath.join(*words)] if expression.startswith("join") and words else words
        for sign in ("+", "/"):
            pieces = split_expressions(f"{expression})", 0, sign)
            if len(pieces) > 1:
                parts = [self.value(piece) for piece in pieces]
                words = [word for part in parts for word in part or ()]
                return None if None in parts else [posixpath.join(*words)] if sign == "/" else words
        option = re.fullmatch(r"get_option\(\s*\"(\d+)\"\s*\)", expression)
        if option:
            name = self.strings[int(option[1])]
            return [PREFIX] if name == "prefix" else [self.options[name]] if name in self.options else None
        if re.fullmatch(r"meson\s*\.\s*project_name\(\s*\)", expression):
            return [self.name]
        if self.version and re.fullmatch(r"meson\s*\.\s*project_version\(\s*\)", expression):
            return [self.version]
        return self.values.get(expression)

    def call(self, variable: str | None, name: str, given: list[str]) -> None:
        plain, named = _arguments(given)
        first = self.value(plain[0]) if plain else None
        if name == "project" and first:
            self.name = first[0]
            self.project.cxx = any(word == "cpp" for part in plain[1:] for word in self.value(part) or ())
            self.version = (self.value(named["version"]) or [""])[0] if "version" in named else ""
            defaults = self.value(named.get("default_options", "[]")) or []
            own = {key: text for key, _, text in (word.partition("=") for word in defaults)}
            if "prefix" in own and "prefix" not in self.given:
                self.project.unknown.append("it names the prefix that it installs to")
            self.options = {**self.options, **own, **self.given}
        elif name == "subdir" and first:
            self.read(posixpath.join(self.folder, first[0]), posixpath.normpath(posixpath.join(self.step, first[0])))
        elif name == "files" and variable is not None:
            self.values[variable] = [word for part in plain for word in self.value(part) or ()]
        elif name == "dependency" or name.endswith(".find_library"):
            found = first or []
            if first is None:
                self.project.unknown.append("the name of a dependency is computed")
            if variable is not None:
                self.dependencies[variable] = found
            self.project.libraries += [word for word in found if word not in ("", "threads")]
        elif name in ("executable", "static_library", "shared_library", "shared_module", "library", "both_libraries") and first:
            self.target(name, first[0], plain[1:], named)
        elif name in ("install_data", "install_subdir"):
            self.install(name, plain, named)
        elif name.endswith((".set_quoted", ".set")) and len(plain) == 2 and first:
            quote = '"' if name.endswith(".set_quoted") else ""
            self.define(f"-D{first[0]}={quote}{self.text(plain[1])}{quote}")
        elif name in ("add_project_arguments", "add_global_arguments"):
            for part in plain:
                self.arguments(part)
        elif name == "configure_file" and named.get("install", "false") != "false":
            self.project.unknown.append("it installs a file that it configures")
        elif name.rpartition(".")[2] in _UNCLEAR or name == "meson.add_install_script":
            self.project.unknown.append(f"what {name} does is not read")

    def target(self, kind: str, name: str, sources: list[str], named: Mapping[str, str]) -> None:
        words = [self.value(part) for part in (*sources, *([named["sources"]] if "sources" in named else ()))]
        if None in words:
            self.project.unknown.append(f"the sources of {name} are computed")
        self.project.sources += [posixpath.normpath(posixpath.join(self.folder, word)) for part in words for word in part or ()]
        for flags in (named[key] for key in ("c_args", "cpp_args") if key in named):
            self.arguments(flags)
        if named.get("name_suffix") or named.get("name_prefix"):
            self.project.unknown.append(f"the name of {name} is computed")
        if kind in ("library", "shared_library", "both_libraries"):
            self.library(kind, name, named)
        elif kind == "shared_module":
            self.project.unknown.append(f"the project makes {name}, which is loaded when a program runs")
        if kind != "executable":
            return
        link = self.value(named.get("link_args", "[]"))
        self.project.static |= "-static" in (link or ())
        self.project.libraries += [flag[2:] for flag in link or () if flag.startswith("-l")]
        self.project.programs[name] = self.step
        if named.get("install", "false") != "false":
            self.place(name, named.get("install_dir"), self.options["bindir"])

    def library(self, kind: str, name: str, named: Mapping[str, str]) -> None:
        """A library that is shared unless the project's default says otherwise, by the name that programs ask for."""
        if kind == "library" and self.options.get("default_library", "shared") == "static":
            return
        number = self.value(named["soversion"]) if "soversion" in named else None
        version = self.value(named["version"]) if "version" in named else None
        if ("soversion" in named and not number and not named["soversion"].isdigit()) or ("version" in named and not version):
            self.project.unknown.append(f"what the library {name} is called is computed")
        major = number[0] if number else named.get("soversion", version[0].partition(".")[0] if version else "")
        file = f"lib{name}.so{f'.{major}' if major else ''}"
        self.project.shared[file] = self.step
        self.project.libraries.append(name)
        if named.get("install", "false") != "false":
            self.place(file, named.get("install_dir"), self.options["libdir"])

    def text(self, expression: str) -> str:
        """The one string that an expression stands for, with the parts of a sum joined; a hole where it is computed."""
        formatted = re.fullmatch(r"(\"\d+\")\s*\.\s*format\s*\((.*)\)", expression.strip(), re.DOTALL)
        if formatted:
            parts = [self.text(part) for part in split_expressions(f"{formatted[2]})", 0)]
            return re.sub(r"@(\d+)@", lambda m: parts[int(m[1])] if int(m[1]) < len(parts) else HOLE, self.text(formatted[1]))
        found = [self.value(piece) for piece in split_expressions(f"{expression})", 0, "+")]
        return "".join(words[0] if words is not None and len(words) == 1 else HOLE for words in found)

    def arguments(self, expression: str) -> None:
        """The macros among the arguments for a compiler."""
        inner = expression.strip()
        parts = split_expressions(inner, 1) if inner.startswith("[") and inner.endswith("]") else [inner]
        for part in parts:
            self.define(self.text(part))

    def define(self, flag: str) -> None:
        found = re.fullmatch(r"-D(\w+)=\"([^\"]*)\"", flag)
        if found and HOLE not in flag and LIBRARIES not in flag:
            self.project.macros.append((found[1], found[2]))

    def install(self, kind: str, plain: list[str], named: Mapping[str, str]) -> None:
        words = [self.value(part) for part in (*plain, *([named["sources"]] if "sources" in named else ()))]
        if None in words or "rename" in named:
            self.project.unknown.append(f"what {kind} installs is computed")
            return
        for word in (word for part in words for word in part or ()):
            inside = posixpath.normpath(posixpath.join(self.folder, word))
            own = f"/{posixpath.basename(word)}" if kind == "install_subdir" and named.get("strip_directory", "false") == "false" else ""
            self.place(inside, named.get("install_dir"), posixpath.join(self.options["datadir"], self.name), own)

    def place(self, source: str, given: str | None, default: str, inner: str = "") -> None:
        folder = [default] if given is None else self.value(given)
        if not folder:
            self.project.unknown.append(f"where {source} is installed is computed")
        else:
            self.project.installed.append((source, f"{below_prefix(folder[0]).rstrip('/')}{inner}/"))


def _arguments(given: list[str]) -> tuple[list[str], dict[str, str]]:
    """The arguments of a call without and with a name."""
    named: dict[str, str] = {}
    plain: list[str] = []
    for part in given:
        match = re.match(r"(\w+)\s*:(.*)", part, re.DOTALL)
        if match:
            named[match[1]] = match[2].strip()
        elif part:
            plain.append(part)
    return plain, named
