"""C and C++: what sources read, write, start and listen on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from optimizer.context.expressions import split_expressions
from optimizer.context.folder import BuildContext
from optimizer.context.native_commands import HEADERS, SOURCES
from optimizer.context.parameters import calls_of, parameter_at
from optimizer.context.places import HOLE, Place, Unknown, resolve

_TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.DOTALL)
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
_CONSTANT = re.compile(
    r"\bconst(?:expr)?\s+(?:char\s*\*\s*(?:const\s+)?|auto\s+|std::string\s+|std::string_view\s+|char\s+)(\w+)(?:\[\w*\])?\s*=\s*\"(\d+)\""
)
_ELSEWHERE = re.compile(r"\b(?:f?chdir|current_path)\s*\(\s*[^)\s]")
_BIND = re.compile(r"\bbind\s*\(")
_PORT = re.compile(r"\bhtons\s*\(\s*(\w+)\s*\)")


class NativeSources(Struct, frozen=True):
    """What C and C++ sources use; tuples are sorted and have no doubles. Libraries are not looked into.

    read, written: paths in literals; arguments: files named by a command-line argument are read; programs: started, by name;
    ports: bound, in literals; root: calls that need root's rights; unknown: what is computed.
    """

    read: tuple[Place, ...] = ()
    written: tuple[Place, ...] = ()
    arguments: bool = False
    programs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    root: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()


class NativeSettings(Struct, frozen=True):
    """What is known of a program apart from its sources.

    macros: those that the command line defines as one literal, by name; environment: variables that it finds set, None for a
    value that is not known.
    """

    macros: Mapping[str, str] = {}
    environment: Mapping[str, str | None] = {}


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
    reader = _Sources(None if commands is None else "\n".join([commands, *_build_texts(context)]), settings or NativeSettings())
    paths = [path for path in files if path.endswith(SOURCES)]
    texts = {path: context.read_text(path) for path in paths}
    for path, text in texts.items():
        if text is None:
            reader.unknown.add(Unknown("context", path, "cannot be read as text"))
        else:
            reader.collect(path, text)
    for path, text in texts.items():
        if text is not None:
            reader.add(path)
    return NativeSources(
        tuple(sorted(reader.read)), tuple(sorted(reader.written)), reader.arguments, tuple(sorted(reader.programs)),
        tuple(sorted(reader.ports)), tuple(sorted(reader.root)), tuple(sorted(reader.unknown)),
    )  # fmt: skip


def writes_nothing(sources: NativeSources) -> bool:
    """Whether sources are seen to write no file: nothing named, nothing computed, no program started that might."""
    return not sources.written and not sources.programs and not any(u.about in ("write", "program", "context") for u in sources.unknown)


def native_literals(context: BuildContext, files: Iterable[str]) -> frozenset[str]:
    """The values of all string literals in C and C++ sources."""
    texts = [context.read_text(path) for path in files if path.endswith(SOURCES)]
    return frozenset(literal for text in texts if text is not None for literal in _masked(text)[1])


def _build_texts(context: BuildContext) -> list[str]:
    """The texts of the files that tell how the project is built."""
    return [context.read_text(path) or "" for path in context.files() if _BUILD_FILE.search(path)]


class _Sources:
    def __init__(self, building: str | None, settings: NativeSettings) -> None:
        self.building = building
        self.settings = settings
        self.constants: dict[str, str] = {}
        self.shared: dict[str, str] = {}  # variables of headers
        self.codes: dict[str, tuple[str, list[str]]] = {}  # masked, with their literals
        self.known: dict[str, dict[str, str]] = {}  # variables of each file
        self.numbers: dict[str, int] = {}
        self.read: set[Place] = set()
        self.written: set[Place] = set()
        self.programs: set[str] = set()
        self.ports: set[int] = set()
        self.root: set[str] = set()
        self.unknown: set[Unknown] = set()
        self.arguments = False

    def collect(self, path: str, text: str) -> None:
        """The macros of a file that are a literal; one that is defined twice, or only where nothing defined it, is not known."""
        code, strings = _masked(text)
        self.codes[path] = (code, strings)
        guarded = {a or b for a, b in re.findall(r"#\s*(?:ifndef|undef)\s+(\w+)|!\s*defined\s*\(?\s*(\w+)", code)}
        given = {name for name in guarded if self.building is None or re.search(rf"(?:\b|-D){name}\b", self.building)}
        for name, number, rest in re.findall(r"#[ \t]*define[ \t]+(\w+)[ \t]+\(?\"(\d+)\"[ \t]*\)?([^\n]*)", code):
            value = HOLE if rest.strip() else strings[int(number)]
            again = self.constants.get(name, value) != value
            self.constants[name] = self.settings.macros.get(name, HOLE) if name in given else HOLE if again else value
        if path.endswith(HEADERS):
            shared = {name: strings[int(number)] for name, number in _CONSTANT.findall(code) if _assignments(code, name) == 1}
            self.shared = {**shared, **self.shared}
        for name, value in re.findall(r"(?:#\s*define\s+|\b(?:int|uint16_t|unsigned|short)\s+)(\w+)\s*=?\s*\(?(\d+)\b", code):
            self.numbers[name] = int(value)

    def variables(self, path: str) -> dict[str, str]:
        """The variables of a file, and of headers, that have one value in it."""
        code, strings = self.codes[path]
        if path not in self.known:
            own = {name: strings[int(number)] for name, number in _CONSTANT.findall(code)}
            shared = {name: value for name, value in self.shared.items() if not _assignments(code, name) and name not in own}
            self.known[path] = {**{name: value for name, value in own.items() if _assignments(code, name) == 1}, **shared}
        return self.known[path]

    def add(self, path: str) -> None:
        code, _ = self.codes[path]

        def where(at: int) -> str:
            return f"{path}:{code.count(chr(10), 0, at) + 1}"

        def value(expression: str) -> str:
            return self.value(expression, path)

        for call in _STARTS.finditer(code):
            self.start(call[1], value((split_expressions(code, call.end()) or [""])[0]), where(call.start()))
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
            texts = self.texts(path, call.start(), given[0]) if given and given[0] else [""]
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
            found = [self.numbers.get(p, int(p) if p.isdigit() else None) for p in _PORT.findall(code)]
            self.ports |= {p for p in found if p}
            if not found or None in found:
                self.unknown.add(Unknown("port", where(0), "listens on a computed port"))

    def start(self, call: str, command: str, where: str) -> None:
        if call == "dlopen":
            self.unknown.add(Unknown("module", where, "loads a library when it runs"))
        elif HOLE in command.split(" ")[0] or not command or re.search(r"[;&|<>$`(]", command):
            self.unknown.add(Unknown("program", where, "starts a computed program"))
        else:
            self.programs.add(command.split(" ")[0])
            self.programs |= {"sh"} if call in ("system", "popen") else set()

    def open(self, path: str, call: re.Match[str], given: list[str], where: str) -> None:
        index = 1 if call[1] == "openat" else 0
        expression = given[index] if len(given) > index else ""
        mode = given[index + 1] if len(given) > index + 1 else ""
        if call[1] in ("fopen", "fopen64", "freopen", "gzopen"):
            writes = re.fullmatch(r"r[bet]*\d?", self.value(mode, path)) is None
        else:
            writes = call[1] in ("open", "openat") and "O_RDONLY" not in mode
        self.use(path, call.start(), expression, writes, where)

    def use(self, path: str, at: int, expression: str, writes: bool, where: str) -> None:
        """A file that an expression names is read or written."""
        texts = self.texts(path, at, expression) if expression else [HOLE]
        places = [resolve(text) if text and text != HOLE else None for text in texts]
        if places and None not in places:
            (self.written if writes else self.read).update(place for place in places if place is not None)
        elif re.match(r"[\s*+(]*(argv|av|optarg)\b", expression) and not writes:
            self.arguments = True
        elif writes:
            self.unknown.add(Unknown("write", where, "writes to a computed path"))
        else:
            self.unknown.add(Unknown("read", where, "reads a computed path"))

    def texts(self, path: str, at: int, expression: str) -> list[str]:
        """The texts of an expression at an offset; of a parameter, those that all calls of its function give it."""
        text = self.settled(path, at, expression)
        found = parameter_at(self.codes[path][0], at, expression, go=False) if text == HOLE and expression.isidentifier() else None
        calls = calls_of(found.function, [code for code, _ in self.codes.values()], go=False) if found is not None else None
        if found is None or not calls or any(found.index >= len(call.arguments) for call in calls):
            return [text]
        paths = list(self.codes)
        return [self.settled(paths[call.source], call.at, call.arguments[found.index]) for call in calls]

    def settled(self, path: str, at: int, expression: str) -> str:
        """The text of an expression, that of a variable which a setting fills and a literal where it is empty among them."""
        text = self.value(expression, path)
        if text != HOLE or not expression.isidentifier():
            return text
        code, strings = self.codes[path]
        end = code.find("\n}", at)
        body = code[code.rfind("\n}", 0, at) + 1 : end if end > 0 else len(code)]
        filled = re.search(rf"\b{expression}\s*=\s*getenv\s*\(\s*\"(\d+)\"\s*\)\s*;", body)
        empty = rf"\(\s*(?:!\s*{expression}|{expression}\s*==\s*(?:NULL|nullptr|0))(?:\s*\|\|\s*!\s*\*\s*{expression})?\s*\)"
        other = re.search(rf"\bif\s*{empty}\s*\{{?\s*{expression}\s*=\s*([^;]+);", body)
        if filled is None or other is None or len(re.findall(rf"(?<![\w.>]){expression}\s*=(?!=)|(?<!&)&\s*{expression}\b", body)) != 2:
            return HOLE
        given = self.settings.environment.get(strings[int(filled[1])], "")
        return HOLE if given is None else given or self.value(other[1], path)

    def value(self, expression: str, path: str) -> str:
        """The text of literals, macros and variables that stand side by side; otherwise a hole."""
        strings, variables = self.codes[path][1], self.variables(path)
        pieces = re.findall(r"\"\d+\"|\w+|\S", expression.strip())
        texts = []
        for piece in pieces:
            if piece.startswith('"') and len(piece) > 1:
                texts.append(strings[int(piece[1:-1])])
            else:
                texts.append(variables.get(piece, self.constants.get(piece, self.settings.macros.get(piece, HOLE))))
        return "".join(texts) if pieces else ""


def _assignments(code: str, name: str) -> int:
    """How often a variable may get a value: its declaration, assignments, its address, parameters of that name."""
    given = re.findall(rf"\b{name}\b\s*(?:\[\w*\])?\s*[-+|&]?=(?!=)", code)
    return len(given) + len(re.findall(rf"(?<!&)&\s*{name}\b|[\w>][\s*&]+{name}\s*(?:\[\w*\])?\s*[,)]", code))


def _masked(text: str) -> tuple[str, list[str]]:
    """A source without comments, in which ``"7"`` stands for the string literal number 7."""
    strings: list[str] = []

    def token(found: re.Match[str]) -> str:
        one = found[0]
        if one.startswith("/"):
            return "\n" * one.count("\n") or " "
        if one.startswith("'"):
            return "0"
        strings.append(re.sub(r"\\(.)", r"\1", one[1:-1]))
        return f'"{len(strings) - 1}"'

    lines = re.sub(r"^([ \t]*#[ \t]*include[^\n]*)$", "", text.replace("\\\n", " "), flags=re.MULTILINE)
    return _TOKEN.sub(token, lines), strings
