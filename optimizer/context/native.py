"""C and C++: what sources read, write, start and listen on."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from optimizer.context.expressions import split_expressions
from optimizer.context.folder import BuildContext
from optimizer.context.native_commands import SOURCES
from optimizer.context.native_values import NativeSettings, NativeValues, masked
from optimizer.context.places import HOLE, Place, Unknown, resolve

_STARTS = re.compile(r"\b(system|popen|exec[lv]p?e?|execvpe|posix_spawnp?|fexecve|dlopen|wordexp)\s*\(")
_READING = re.compile(r"\b(fopen|fopen64|freopen|open|openat|opendir|gzopen|stat|lstat|access|nftw|ftw|scandir|mmap)\s*\(")
_STREAMS = re.compile(r"\b(?:std::)?(ifstream|ofstream|fstream)\s*(?:\w+\s*)?[({]")
_WRITING = re.compile(
    r"\b(creat|mkdirat?|mkstemps?|mkdtemp|tmpnam|tempnam|rename|renameat|unlink|unlinkat|remove|rmdir|symlink|link|mkfifo|mknod|truncate|chmod|chown|utime"
    r"|sqlite3_open(?:_v2)?|gdbm_open|mdb_env_open|leveldb_open|rocksdb_open|syslog|openlog|shm_open|sem_open|flock|lockf"
    r"|curl_easy_setopt\s*\([^;]*CURLOPT_COOKIEJAR|create_director(?:y|ies)|filesystem::(?:copy\w*|rename|remove\w*|resize_file))\s*\("
)
_ROOT = re.compile(
    r"\b(set(?:e|res|re)?[ug]id|setgroups|initgroups|chroot|u?mount2?|sethostname|pivot_root|unshare|setns|reboot|iopl|ioperm|mlockall|ptrace|klogctl)\s*\("
    r"|\b(SOCK_RAW|AF_PACKET|PF_PACKET|IPPROTO_ICMP|pcap_open_live|/dev/mem)\b"
)
_LIBRARY_WRITES = re.compile(
    r"\b(spdlog::\w*(?:basic|rotating|daily|hourly)\w*|google::(?:InitGoogleLogging|SetLogDestination)|imwrite|stbi_write_\w+|SaveFile|save_to_file)\s*\("
)
_BUILD_FILE = re.compile(r"(^|/)((GNUm|m|M)akefile([.-]\w+)?|CMakeLists\.txt|meson\.build|configure(\.ac|\.in)?)$|\.(mk|cmake|sh|am|in)$")
_ELSEWHERE = re.compile(r"\b(?:f?chdir|current_path)\s*\(\s*[^)\s]")
_BIND = re.compile(r"\bbind\s*\(")
_PORT = re.compile(r"\bhtons\s*\(\s*(\w+)\s*\)")


class NativeSources(Struct, frozen=True):
    """What C and C++ sources use; tuples are sorted and have no doubles. Libraries are not looked into.

    read, written: paths in literals; arguments: files named by a command-line argument are read; programs: started, by name;
    loaded: libraries that dlopen loads by a path; ports: bound, in literals; root: calls that need root's rights; unknown: what
    is computed.
    """

    read: tuple[Place, ...] = ()
    written: tuple[Place, ...] = ()
    arguments: bool = False
    programs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    root: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    loaded: tuple[Place, ...] = ()


def native_sources(
    context: BuildContext, files: Iterable[str], commands: str | None = None, settings: NativeSettings | None = None
) -> NativeSources:
    """Read C and C++ sources of the build context.

    Args:
        context: The build context.
        files: The sources and headers.
        commands: The text of the commands that compile them, with which they may define macros; None where that is not known.
        settings: What is known of macros and environment variables.
    """
    building = None if commands is None else "\n".join([commands, *_build_texts(context)])
    values = NativeValues(building, settings or NativeSettings())
    reader = _Sources(values)
    paths = [path for path in files if path.endswith(SOURCES)]
    texts = {path: context.read_text(path) for path in paths}
    for path, text in texts.items():
        if text is None:
            reader.unknown.add(Unknown("context", path, "cannot be read as text"))
        else:
            values.collect(path, text)
    for path, text in texts.items():
        if text is not None:
            reader.add(path)
    return NativeSources(
        tuple(sorted(reader.read)), tuple(sorted(reader.written)), reader.arguments, tuple(sorted(reader.programs)),
        tuple(sorted(reader.ports)), tuple(sorted(reader.root)), tuple(sorted(reader.unknown)),
        tuple(sorted(reader.loaded)),
    )  # fmt: skip


def writes_nothing(sources: NativeSources) -> bool:
    """Whether sources are seen to write no file: nothing named, nothing computed, no program started that might."""
    return not sources.written and not sources.programs and not any(u.about in ("write", "program", "context") for u in sources.unknown)


def native_literals(context: BuildContext, files: Iterable[str]) -> frozenset[str]:
    """The values of all string literals in C and C++ sources."""
    texts = [context.read_text(path) for path in files if path.endswith(SOURCES)]
    return frozenset(literal for text in texts if text is not None for literal in masked(text)[1])


def _build_texts(context: BuildContext) -> list[str]:
    """The texts of the files that tell how the project is built."""
    return [context.read_text(path) or "" for path in context.files() if _BUILD_FILE.search(path)]


class _Sources:
    def __init__(self, values: NativeValues) -> None:
        self.values = values
        self.read: set[Place] = set()
        self.written: set[Place] = set()
        self.programs: set[str] = set()
        self.loaded: set[Place] = set()
        self.ports: set[int] = set()
        self.root: set[str] = set()
        self.unknown: set[Unknown] = set()
        self.arguments = False

    def add(self, path: str) -> None:
        code, _ = self.values.codes[path]

        def where(at: int) -> str:
            return f"{path}:{code.count(chr(10), 0, at) + 1}"

        def value(expression: str) -> str:
            return self.values.value(expression, path)

        for call in _STARTS.finditer(code):
            first = (split_expressions(code, call.end()) or [""])[0]
            if call[1] == "dlopen":
                self.load(path, call.start(), first, where(call.start()))
            else:
                self.start(call[1], value(first), where(call.start()))
        for call in _READING.finditer(code):
            given = split_expressions(code, call.end())
            if not given or call[1] == "mmap" or re.search(r"(->|\.)\s*$", code[max(0, call.start() - 4) : call.start()]):
                continue
            if re.match(r"\s*(const\b|char\b|void\b|int\b|struct\b)", given[0]):
                continue  # a declaration
            self.open(path, call, given, where(call.start()))
        for call in _STREAMS.finditer(code):
            given = split_expressions(code, call.end())
            mode = " ".join(given[1:])
            writes = call[1] == "ofstream" or "ios::out" in mode or "::app" in mode or (call[1] == "fstream" and "::in" not in mode)
            if given or call[1] != "ifstream":
                self.use(path, call.start(), given[0] if given else "", writes, where(call.start()))
        for line, name in ((where(c.start()), c[0]) for c in re.finditer(r"\b\w+\.open\s*\(", code)):
            if re.search(r"\b(ofstream|fstream)\b", code):
                self.unknown.add(Unknown("write", line, f"opens a file with {name.split('.')[0]}"))
        for call in _WRITING.finditer(code):
            given = split_expressions(code, call.end())
            if given and re.match(r"\s*(const\b|char\b|void\b|int\b|struct\b)", given[0]):
                continue
            if call[1].startswith(("syslog", "openlog")):
                continue
            texts = self.values.texts(path, call.start(), given[0]) if given and given[0] else [""]
            places = [resolve(text) if text and text != HOLE else None for text in texts if text != ":memory:"]
            if None in places:
                self.unknown.add(Unknown("write", where(call.start()), f"calls {call[1].split('(')[0].strip()}"))
            else:
                self.written.update(place for place in places if place is not None)
        for call in _LIBRARY_WRITES.finditer(code):
            self.unknown.add(Unknown("write", where(call.start()), f"may write files with {call[1]}"))
        self.root |= {f"{where(c.start())} uses {c[1] or c[2]}" for c in _ROOT.finditer(code)}
        for call in _ELSEWHERE.finditer(code):
            self.unknown.add(Unknown("write", where(call.start()), "changes the folder that it runs in"))
        if _BIND.search(code) and (local := re.search(r"\b(AF_UNIX|AF_LOCAL|sockaddr_un)\b", code)):
            self.unknown.add(Unknown("write", where(local.start()), "makes a file for a socket"))
        elif _BIND.search(code):
            found = [self.values.numbers.get(p, int(p) if p.isdigit() else None) for p in _PORT.findall(code)]
            self.ports |= {p for p in found if p}
            if not found or None in found:
                self.unknown.add(Unknown("port", where(0), "listens on a computed port"))

    def load(self, path: str, at: int, expression: str, where: str) -> None:
        """A library that dlopen loads; by a name without a folder, the system's linker looks for it."""
        texts = [] if expression in ("NULL", "nullptr", "0") else self.values.texts(path, at, expression) if expression else [HOLE]
        places = [resolve(text) if "/" in text else None for text in texts]
        if None in places:
            self.unknown.add(Unknown("module", where, "loads a library when it runs"))
        self.loaded.update(place for place in places if place is not None)

    def start(self, call: str, command: str, where: str) -> None:
        if HOLE in command.split(" ")[0] or not command or re.search(r"[;&|<>$`(]", command):
            self.unknown.add(Unknown("program", where, "starts a computed program"))
        else:
            self.programs.add(command.split(" ")[0])
            self.programs |= {"sh"} if call in ("system", "popen") else set()

    def open(self, path: str, call: re.Match[str], given: list[str], where: str) -> None:
        index = 1 if call[1] == "openat" else 0
        expression = given[index] if len(given) > index else ""
        mode = given[index + 1] if len(given) > index + 1 else ""
        if call[1] in ("fopen", "fopen64", "freopen", "gzopen"):
            writes = re.fullmatch(r"r[bet]*\d?", self.values.value(mode, path)) is None
        else:
            writes = call[1] in ("open", "openat") and "O_RDONLY" not in mode
        self.use(path, call.start(), expression, writes, where)

    def use(self, path: str, at: int, expression: str, writes: bool, where: str) -> None:
        """A file that an expression names is read or written."""
        texts = self.values.texts(path, at, expression) if expression else [HOLE]
        places = [resolve(text) if text and text != HOLE else None for text in texts]
        if places and None not in places:
            (self.written if writes else self.read).update(place for place in places if place is not None)
        elif re.match(r"[\s*+(]*(argv|av|optarg)\b", expression) and not writes:
            self.arguments = True
        elif writes:
            self.unknown.add(Unknown("write", where, "writes to a computed path"))
        else:
            self.unknown.add(Unknown("read", where, "reads a computed path"))
