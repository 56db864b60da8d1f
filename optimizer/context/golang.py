"""A Go module: its go.mod, and what its source imports, starts, reads, writes and listens on.

Source is read as text in which comments are gone and every string literal is replaced by its number, so that nothing
inside a comment or a string can be taken for code.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from msgspec import Struct

from optimizer.context.commands import command_programs, shell_writes
from optimizer.context.folder import BuildContext
from optimizer.context.go_constants import GoText, constant
from optimizer.context.go_manifests import GoManifest, GoReplace, GoRequire, go_manifest
from optimizer.context.go_source import GoFile
from optimizer.context.places import HOLE, Place, Unknown, resolve
from optimizer.context.scopes import Value

_OTHER_SYSTEM = re.compile(r"_(windows|darwin|freebsd|netbsd|openbsd|plan9|solaris|js|wasip1|android|ios|aix)(_\w+)?\.go$")
_OTHER_BUILDS = frozenset({"ignore", "windows", "darwin", "js", "wasm", "plan9", "!linux", "tools", "!unix"})
"""Build constraints of files that take no part in a program for Linux."""
_C_SOURCES = (".c", ".cc", ".cpp", ".h", ".hpp")
_PLAIN_LIBRARIES = frozenset({"m", "pthread", "dl", "rt", "z", "stdc++", "gcc"})
_OPENS = re.compile(
    r"\b(?:C\.)?(?:f?open(?:at|64)?|freopen|creat|mkdir|rename|unlink|remove|sqlite3_open\w*|ofstream|fstream)\s*\(|\bofstream\b"
)
_READ: dict[str, dict[str, int | None]] = {
    "os": {"ReadFile": 0, "Open": 0, "ReadDir": 0, "DirFS": 0, "Stat": 0, "Lstat": 0},
    "io/ioutil": {"ReadFile": 0, "ReadDir": 0},
    "net/http": {"Dir": 0, "ServeFile": 2},
    "html/template": {"ParseFiles": None, "ParseGlob": None}, "text/template": {"ParseFiles": None, "ParseGlob": None},
    "crypto/tls": {"LoadX509KeyPair": 0},
}  # fmt: skip
_WRITTEN: dict[str, dict[str, int | None]] = {
    "os": {"Create": 0, "WriteFile": 0, "Remove": 0, "RemoveAll": 0, "Rename": 1, "Truncate": 0, "Chmod": 0, "Mkdir": 0, "MkdirAll": 0},
    "io/ioutil": {"WriteFile": 0},
}
_STARTED = {
    "os/exec": {"Command": 0, "CommandContext": 1, "LookPath": 0}, "os": {"StartProcess": 0}, "syscall": {"Exec": 0, "ForkExec": 0},
}  # fmt: skip
_LISTENED: dict[str, dict[str, int | None]] = {
    "net/http": {"ListenAndServe": 0, "ListenAndServeTLS": 0},
    "net": {"Listen": 1, "ListenPacket": 1},
    "crypto/tls": {"Listen": 1},
}
_READ_METHODS: dict[str, int | None] = {
    "ParseFiles": None,
    "ParseGlob": None,
    "LoadHTMLGlob": None,
    "LoadHTMLFiles": None,
    "Static": 1,
    "StaticFile": 1,
}
_TLS = {
    "net/http": ("Get", "Head", "Post", "PostForm", "Client", "DefaultClient", "NewRequest", "NewRequestWithContext",
    "Transport", "DefaultTransport"),
    "crypto/tls": ("Dial", "DialWithDialer", "Client", "Dialer"), "crypto/x509": ("SystemCertPool",),
}  # fmt: skip


class GoModule(Struct, frozen=True):
    """A Go module; each tuple is sorted and has no doubles. Tests, files for other systems and vendor/ are left out.

    folder: where go.mod lies; path: its module path; go: the version of the `go` line; vendor: vendor/modules.txt is
    there; sum: go.sum is; cgo: files with `import "C"`; main_packages: folders of programs; embeds: the paths in the
    context that //go:embed patterns match, as written, relative to the context; imports: packages of all files; programs,
    read, written, ports: as the source names them, in literals; time_zones: time.LoadLocation is used without time/tzdata;
    tls_client: an HTTP or TLS client is used; unknown: what is computed; files: those read, of other modules of the project
    that it is compiled with among them. Required modules are not looked into.
    """

    folder: str
    path: str | None
    go: str | None
    toolchain: str | None
    requires: tuple[GoRequire, ...]
    replaces: tuple[GoReplace, ...]
    vendor: bool
    sum: bool
    cgo: tuple[str, ...] = ()
    main_packages: tuple[str, ...] = ()
    embeds: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    read: tuple[Place, ...] = ()
    written: tuple[Place, ...] = ()
    ports: tuple[int, ...] = ()
    time_zones: bool = False
    tls_client: bool = False
    unknown: tuple[Unknown, ...] = ()
    files: tuple[str, ...] = ()

    def unknown_about(self, *about: str) -> tuple[Unknown, ...]:
        """The unknowns of some kinds, such as "program" or "write"; a file that cannot be read is one of every kind."""
        return tuple(item for item in self.unknown if item.about in (*about, "syntax", "context"))


@dataclass
class _Findings:
    cgo: set[str] = field(default_factory=set)
    mains: set[str] = field(default_factory=set)
    embeds: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    read: set[Place] = field(default_factory=set)
    written: set[Place] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    unknown: set[Unknown] = field(default_factory=set)
    zones: bool = False
    tls: bool = False


def go_module(
    context: BuildContext,
    folder: str = ".",
    stamped: frozenset[str] = frozenset(),
    environment: Mapping[str, str | None] | None = None,
    programs: Iterable[str] | None = None,
) -> GoModule | None:
    """Read the Go module of a folder; None when it has no go.mod.

    Args:
        context: The build context.
        folder: The folder.
        stamped: Names of variables that the linker sets.
        environment: The variables that the program finds set, and the flags of its command with a dash in front; None for a value
            that is not known.
        programs: The folders of the programs that are built; what these do not import is left out. None for all packages.
    """
    folder = posixpath.normpath(folder)
    text = context.read_text(posixpath.join(folder, "go.mod"))
    return None if text is None else _module(context, folder, text, stamped, environment or {}, programs)


def go_sources(
    context: BuildContext,
    folder: str = ".",
    stamped: frozenset[str] = frozenset(),
    environment: Mapping[str, str | None] | None = None,
    programs: Iterable[str] | None = None,
) -> GoModule:
    """Read the Go source of a folder that has no go.mod: one below GOPATH, or with a go.work. Arguments as above."""
    return _module(context, posixpath.normpath(folder), "", stamped, environment or {}, programs)


def go_literals(context: BuildContext, module: GoModule) -> frozenset[str]:
    """The values of all string literals in the Go source of a module and of those that it is compiled with."""
    sources = {path: context.read_text(path) for path in module.files}
    return frozenset(text for path, source in sources.items() if source is not None for text in GoFile(path, source).strings)


def _module(
    context: BuildContext,
    folder: str,
    text: str,
    stamped: frozenset[str],
    environment: Mapping[str, str | None],
    programs: Iterable[str] | None,
) -> GoModule:
    found = _Findings()
    files: list[GoFile] = []
    if context.truncated:
        found.unknown.add(Unknown("context", folder, "has too many files to list"))
    manifest = go_manifest(context, folder, text)
    folders = (folder, *manifest.locals)
    for missing in (other for other in manifest.locals if not context.is_dir(other)):
        found.unknown.add(Unknown("context", missing, "is not in the build context"))
    places = {path: place for place in folders for path in context.under(place)}
    nested = {posixpath.dirname(path) for path in places if path.endswith("/go.mod")} - set(folders)
    for path, place in places.items():
        parts = posixpath.relpath(path, place).split("/")
        skipped = any(part in ("vendor", "testdata") or part.startswith(("_", ".")) for part in parts[:-1])
        if not path.endswith(".go") or path.endswith("_test.go") or skipped or _OTHER_SYSTEM.search(path):
            continue
        if not any(path.startswith(f"{other}/") for other in nested):
            source = context.read_text(path)
            if source is None:
                found.unknown.add(Unknown("context", path, "cannot be read as text"))
            else:
                files.append(GoFile(path, source))
    files = [file for file in files if file.constraint not in _OTHER_BUILDS]
    if programs is not None and manifest.modules:
        files = _compiled(files, programs, manifest)
    packages: dict[str, list[GoText]] = {}
    for file in files:
        packages.setdefault(posixpath.dirname(file.path), []).append(file.text)
    for file in files:
        file.module, file.environment = files, environment
        place = posixpath.dirname(file.path)
        others = tuple(text for name, texts in packages.items() if name != place for text in texts)
        file.constant = partial(constant, file=file.text, package=packages[place], others=others, stamped=stamped)
    for file in files:
        _Reader(file).add_to(found)
    found.unknown |= {Unknown("write", path, "calls C, which may write files") for path in found.cgo if _c_may_write(context, path)}
    locals_below = tuple(f"{other}/" for other in manifest.locals)
    others_own = {place for place in found.mains if f"{place}/".startswith(locals_below)} if text else set()
    return GoModule(
        folder, manifest.path, manifest.go, manifest.toolchain, manifest.requires, manifest.replaces,
        context.exists(posixpath.join(folder, "vendor/modules.txt")), context.exists(posixpath.join(folder, "go.sum")),
        tuple(sorted(found.cgo)), tuple(sorted(found.mains - others_own)), tuple(sorted(found.embeds)), tuple(sorted(found.imports)),
        tuple(sorted(found.programs)), tuple(sorted(found.read)), tuple(sorted(found.written)), tuple(sorted(found.ports)),
        found.zones, found.tls, tuple(sorted(found.unknown)), tuple(file.path for file in files),
    )  # fmt: skip


def _c_may_write(context: BuildContext, path: str) -> bool:
    """Whether the C code behind a file that imports it may write files: it opens some, or is that of a library."""
    folder = posixpath.dirname(path) or "."
    beside = [file for file in context.under(folder) if posixpath.dirname(file) == posixpath.dirname(path) and file.endswith(_C_SOURCES)]
    texts = [context.read_text(file) or "" for file in (path, *beside)]
    linked = [name for text in texts for name in re.findall(r"#cgo[^\n]*?-l(\w+)", text)]
    named = any(re.search(r"#cgo[^\n]*pkg-config:", text) for text in texts)
    return named or bool(set(linked) - _PLAIN_LIBRARIES) or any(_OPENS.search(text) for text in texts)


def _compiled(files: list[GoFile], programs: Iterable[str], manifest: GoManifest) -> list[GoFile]:
    """The files of programs and of the packages that these import, one through the other."""
    packages: dict[str, list[GoFile]] = {}
    for file in files:
        packages.setdefault(posixpath.dirname(file.path) or ".", []).append(file)
    named = {manifest.import_path(folder): folder for folder in packages}
    reached: dict[str, None] = {}
    ahead = [posixpath.normpath(folder) for folder in programs]
    while ahead:
        folder = ahead.pop()
        if folder not in reached:
            reached[folder] = None
            ahead += [named[name] for file in packages.get(folder, ()) for name in file.names if name in named]
    return [file for file in files if (posixpath.dirname(file.path) or ".") in reached]


class _Reader:
    """Adds what one file holds to the findings."""

    def __init__(self, file: GoFile) -> None:
        self.file = file

    def add_to(self, found: _Findings) -> None:
        folder = posixpath.dirname(self.file.path)
        found.imports.update(self.file.names)
        found.cgo.update({self.file.path} if "C" in self.file.names else ())
        if re.search(r"^package[ \t]+main\b", self.file.code, re.MULTILINE):
            found.mains.add(folder or ".")
        found.embeds.update(posixpath.normpath(posixpath.join(folder, pattern.removeprefix("all:"))) for pattern in self.file.embeds)
        found.zones |= bool(self._calls("time", {"LoadLocation": 0})) and "time/tzdata" not in self.file.names
        found.tls |= any(self._mentions(package, names) for package, names in _TLS.items())
        for line, given in self._commands():
            names = command_programs(given)
            if names is None:
                found.unknown.add(Unknown("program", f"{self.file.path}:{line}", "starts a computed program"))
            found.programs.update(names or ())
            if names and posixpath.basename(names[0]) in ("sh", "bash"):
                redirected = [text for word in given if isinstance(word, str) for text in shell_writes(word)]
                self._places(found, "write", found.written, [(line, text) for text in redirected if not text.startswith("/dev/")])
        self._places(found, "read", found.read, [*self._all(_READ), *self._calls("", _READ_METHODS)])
        self._places(found, "write", found.written, self._all(_WRITTEN))
        for line, flags, value in self._opened():
            writes = re.search(r"O_(WRONLY|RDWR|CREATE|APPEND|TRUNC)", flags) or "O_RDONLY" not in flags
            self._places(found, "write" if writes else "read", found.written if writes else found.read, [(line, value)])
        opened = [
            (at, two) for at, two in self.file.arguments("database/sql", "Open") if len(two) > 1 and "sqlite" in self.file.value(two[0])
        ]
        sqlite = [(self.file.line(at), text) for at, two in opened for text in self.file.values(two[1], at)]
        self._places(found, "write", found.written, [(line, text.removeprefix("file:").split("?")[0]) for line, text in sqlite])
        sockets = [
            (at, two) for at, two in self.file.arguments("net", "Listen") if len(two) > 1 and self.file.value(two[0]).startswith("unix")
        ]
        self._places(
            found, "write", found.written, [(self.file.line(at), text) for at, two in sockets for text in self.file.values(two[1], at)]
        )
        if self._mentions("os", ("Chdir",)):
            found.unknown.add(Unknown("write", self.file.path, "changes the folder that it runs in"))
        addresses = [*self._all(_LISTENED), *self._addresses()]
        for line, value in addresses:
            port = re.search(r":(\d+)$", value)
            if port:
                found.ports.update({int(port[1])} if port[1] != "0" else ())
            elif HOLE in value:
                found.unknown.add(Unknown("port", f"{self.file.path}:{line}", "listens on a computed port"))

    def _places(self, found: _Findings, kind: str, places: set[Place], named: Iterable[tuple[int, str]]) -> None:
        for line, text in named:
            place = resolve(text) if text and text != ":memory:" else None
            if place is not None:
                places.add(place)
            elif HOLE in text:
                about = f"{kind}s {'to ' if kind == 'write' else ''}a computed path"
                found.unknown.add(Unknown("write" if kind == "write" else "read", f"{self.file.path}:{line}", about))

    def _mentions(self, package: str, names: Iterable[str]) -> bool:
        alias = self.file.names.get(package)
        return alias is not None and re.search(rf"\b{re.escape(alias)}\.({'|'.join(names)})\b", self.file.code) is not None

    def _all(self, table: dict[str, dict[str, int | None]]) -> list[tuple[int, str]]:
        return [one for package, calls in table.items() if package in self.file.names for one in self._calls(package, calls)]

    def _calls(self, package: str, calls: Mapping[str, int | None]) -> list[tuple[int, str]]:
        """Line and value of one argument (of all for None) of calls of a package's functions, or of methods for ""."""
        found: list[tuple[int, str]] = []
        for name, position in calls.items():
            for at, given in self.file.arguments(package, name):
                wanted = given if position is None else given[position : position + 1]
                values = [
                    value + ("/" if name.startswith("Mkdir") else "") for argument in wanted for value in self.file.values(argument, at)
                ]
                # Of a pattern, the folder is what is known.
                found += [(self.file.line(at), re.sub(r"[*?\[].*", HOLE, value) if "Glob" in name else value) for value in values]
        return found

    def _commands(self) -> list[tuple[int, tuple[Value, ...]]]:
        """Line and words of every program that is started; of a program that a parameter names, what all calls give it."""
        file = self.file
        found: list[tuple[int, tuple[Value, ...]]] = []
        for package, calls in _STARTED.items():
            for name, position in calls.items():
                for at, given in file.arguments(package, name):
                    words = given[position:]
                    found += [(file.line(at), command) for command in file.commands(words, at)]
        return found

    def _opened(self) -> list[tuple[int, str, str]]:
        opened = [(at, given) for at, given in self.file.arguments("os", "OpenFile") if len(given) > 1]
        return [(self.file.line(at), given[1], value) for at, given in opened for value in self.file.values(given[0], at)]

    def _addresses(self) -> list[tuple[int, str]]:
        """Addresses of http.Server values and of the routers that are started with one literal address."""
        fields = re.finditer(r"\bAddr:\s*([^,}\n]+)", self.file.code) if "net/http" in self.file.names else ()
        found = [(self.file.code.count("\n", 0, one.start()) + 1, self.file.value(one[1], one.start())) for one in fields]
        methods = [one for name in ("Run", "Start", "Listen") for one in self._calls("", {name: 0})]
        return found + [(line, value) for line, value in methods if re.search(r":\d+$", value)]
