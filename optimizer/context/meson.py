"""Meson projects: the programs they make, what they link, and where they install it.

What stands in a branch counts, whatever its condition. A value that a function computes is not known, and where that matters,
`unknown` says what is not clear. Source: Meson's reference manual (functions, built-in options).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from optimizer.context.expressions import split_expressions
from optimizer.context.folder import BuildContext
from optimizer.context.native_project import Draft, Project

_TOKEN = re.compile(r"#[^\n]*|'''(?P<long>.*?)'''|'(?P<text>(?:\\.|[^'\\\n])*)'", re.DOTALL)
_CALL = re.compile(r"(?<![\w.])(?:(\w+)\s*\+?=\s*)?((?:\w+\s*\.\s*)?\w+)\s*\(")
_ARRAY = re.compile(r"(?m)^[ \t]*(\w+)[ \t]*(\+?=)[ \t]*\[")
_STRING = re.compile(r"(?m)^[ \t]*(\w+)[ \t]*=[ \t]*(\"\d+\"(?:[ \t]*/[ \t]*\"\d+\")*)[ \t]*$")
_FOLDERS = {
    "bindir": "bin",
    "sbindir": "sbin",
    "datadir": "share",
    "sysconfdir": "etc",
    "libdir": "lib",
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
    return reader.project.finished()


class _Meson:
    def __init__(self, context: BuildContext, root: str, options: Mapping[str, str]) -> None:
        self.context, self.root = context, root
        self.project = Draft()
        self.name = ""
        self.options = {**_FOLDERS, **options}
        if options.get("prefix") == "/usr":  # the prefix for which Meson puts configuration and state outside of it
            self.options = {**_FOLDERS, "sysconfdir": "/etc", "localstatedir": "/var", **options}
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
            return [self.options[name]] if name in self.options else ["."] if name == "prefix" else None
        if re.fullmatch(r"meson\s*\.\s*project_name\(\s*\)", expression):
            return [self.name]
        return self.values.get(expression)

    def call(self, variable: str | None, name: str, given: list[str]) -> None:
        plain, named = _arguments(given)
        first = self.value(plain[0]) if plain else None
        if name == "project" and first:
            self.name = first[0]
            self.project.cxx = any(word == "cpp" for part in plain[1:] for word in self.value(part) or ())
            defaults = self.value(named.get("default_options", "[]")) or []
            self.options |= {key: text for key, _, text in (word.partition("=") for word in defaults) if key in _FOLDERS}
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
        elif name == "configure_file" and named.get("install", "false") != "false":
            self.project.unknown.append("it installs a file that it configures")
        elif name.rpartition(".")[2] in _UNCLEAR or name == "meson.add_install_script":
            self.project.unknown.append(f"what {name} does is not read")

    def target(self, kind: str, name: str, sources: list[str], named: Mapping[str, str]) -> None:
        words = [self.value(part) for part in (*sources, *([named["sources"]] if "sources" in named else ()))]
        if None in words:
            self.project.unknown.append(f"the sources of {name} are computed")
        self.project.sources += [posixpath.normpath(posixpath.join(self.folder, word)) for part in words for word in part or ()]
        if kind not in ("executable", "static_library"):
            self.project.unknown.append("the project makes shared libraries of its own")
        if kind != "executable":
            return
        flags = self.value(named.get("link_args", "[]"))
        self.project.static |= "-static" in (flags or ())
        self.project.libraries += [flag[2:] for flag in flags or () if flag.startswith("-l")]
        if named.get("name_suffix") or named.get("name_prefix"):
            self.project.unknown.append(f"the name of {name} is computed")
        self.project.programs[name] = self.step
        if named.get("install", "false") != "false":
            self.place(name, named.get("install_dir"), self.options["bindir"])

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
            self.project.installed.append((source, f"{folder[0].rstrip('/')}{inner}/"))


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
