"""What Ruby source writes, starts and needs: calls of Ruby's library, of Rails and of common database libraries.

No parser: comments are taken out and literals are set apart, then calls are looked for by name, and names of variables and constants
are followed to the one place where they get their value. What is given in another form counts as unknown.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from optimizer.context.expressions import split_expressions
from optimizer.context.folder import BuildContext
from optimizer.context.found import Found
from optimizer.context.places import HOLE, ROOT, TEMPORARY, Place, Unknown, join, parent, resolve
from optimizer.context.ruby_text import MARK, RubyText
from optimizer.context.source_text import line_of

_WRITE = re.compile(
    r"(?<![\w.])(?:::)?(?:File|IO|FileUtils|Dir|Pathname)\s*\.\s*(write|binwrite|append|delete|unlink|rename|symlink|link|truncate|mkfifo|mkdir\w*|makedirs|touch"
    r"|cp\w*|copy\w*|mv|move|rm\w*|remove\w*|ln\w*|install|chmod\w*|rmdir)\b"
)
_OPEN = re.compile(r"(?<![\w.])(?:::)?(?:File\s*\.\s*(?:open|new)|CSV\s*\.\s*open|Zip::File\s*\.\s*open|Zlib::GzipWriter\s*\.\s*open)\b")
_STORE = re.compile(
    r"(?<![\w.])(?:::)?(PStore|YAML::Store|SQLite3::Database|Logger|ActiveSupport::Logger|ActiveSupport::BroadcastLogger|GDBM|SDBM|DBM|Shrine::Storage::FileSystem"
    r"|ActiveSupport::Cache::FileStore|Ougai::Logger|SemanticLogger|LMDB|Daybreak::DB)\s*\.\s*(new|open|add_appender)\b"
)
_SEQUEL = re.compile(r"(?<![\w.])Sequel\s*\.\s*(sqlite|connect|jdbc)\b")
_RECEIVER = re.compile(
    r"(Rails\.root\.join\s*\([^()]*\)|(?<![\w.:])(?!(?:File|FileUtils|Dir|IO|Pathname|Tempfile)\b)[\w.]*(?:path|file|dir|pathname)\w*)\s*\.\s*(write|binwrite|mkpath|mkdir|delete|unlink|rmtree|open)\b(?!\s*=)",
    re.I,
)
_CACHE = re.compile(r"\bcache_store\s*[=,]\s*:file_store\s*(?:,\s*([^\n]+))?")
_DATABASE = re.compile(r"\bdatabase:\s*([^,}\n)]+)|:database\s*=>\s*([^,}\n)]+)")
_ADAPTER = re.compile("\\badapter:\\s*(\x01\\d+\x02|:sqlite3)|:adapter\\s*=>\\s*(\x01\\d+\x02|:sqlite3)")
_SERVER = re.compile(r"^\s*(pidfile|state_path|stdout_redirect|pid|stderr_path|stdout_path|bind|listen|logger)\b([^\n]*)", re.M)
_STARTS = re.compile(
    r"(?<![\w.:@])(?:Kernel\s*\.\s*|Process\s*\.\s*)?(system|exec|spawn)(?=[\s(]*[(\x01\w])|(?<![\w.])(?:Open3\s*\.\s*\w+|IO\s*\.\s*popen|PTY\s*\.\s*spawn)(?=[\s(])|Process\s*\.\s*spawn(?=[\s(])"
)
_SEND_ROOT = re.compile(
    r"\b(Process::(?:UID|GID|Sys)\b|Process\s*\.\s*(?:setuid|seteuid|uid\s*=|euid\s*=|initgroups)|(?:File|FileUtils)\s*\.\s*l?chown\w*|SOCK_RAW|Etc\s*\.\s*\w+shadow)"
)
_REQUIRE = re.compile("^\\s*require\\s*\\(?\\s*\x01(\\d+)\x02", re.M)
_PORT = re.compile(r"\bset\s+:port\s*,\s*(\d+)|\bPort\s*(?:=>|:)\s*(\d+)")
_SERVER_FILES = re.compile(r"(^|/)(puma|unicorn|thin|falcon)\w*\.rb$")
_DEPTH = 5  # of names that stand for names


class RubyEvidence(Struct, frozen=True):
    """What Ruby sources use; tuples are sorted and have no doubles. Gems are not looked into.

    read, written: paths; programs: started, by name; ports: that a server is told to listen on; modules: required by name; root: what
    needs root's rights; unknown: what is computed.
    """

    read: tuple[Place, ...] = ()
    written: tuple[Place, ...] = ()
    programs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    modules: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def ruby_evidence(context: BuildContext, files: Iterable[str], root: str, environment: Mapping[str, str]) -> RubyEvidence:
    """Read Ruby sources.

    Args:
        context: The build context.
        files: The sources, as context paths.
        root: The folder of the project in the context, which is Rails' root as well.
        environment: Variables known to be set when it starts.
    """
    reader = _Reader(root, environment)
    sources = []
    for path in files:
        text = context.read_text(path)
        if text is None:
            reader.unknown.add(Unknown("context", path, "cannot be read as text"))
            continue
        sources.append(RubyText(path, text))
    reader.sources = sources
    for source in sources:
        reader.add(source)
    return RubyEvidence(
        tuple(sorted(reader.read)), tuple(sorted(reader.written)), tuple(sorted(reader.programs)), tuple(sorted(reader.ports)),
        tuple(sorted(reader.modules)), tuple(sorted(reader.root_calls)), tuple(sorted(reader.unknown)),
    )  # fmt: skip


class _Reader(Found):
    def __init__(self, root: str, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.root = root
        self.environment = environment
        self.sources: list[RubyText] = []
        self.read: set[Place] = set()
        self.ports: set[int] = set()
        self.modules: set[str] = set()
        self.root_calls: set[str] = set()

    def add(self, source: RubyText) -> None:
        code = source.code
        for call in _WRITE.finditer(code):
            self.file_call(source, call[1], source.arguments(call.end()), line_of(source.path, code, call.start()))
        for call in _OPEN.finditer(code):
            self.open(source, source.arguments(call.end()), line_of(source.path, code, call.start()), zipped="Zlib" in call[0])
        for call in _STORE.finditer(code):
            self.store(source, call[1], source.arguments(call.end()), line_of(source.path, code, call.start()))
        for call in _SEQUEL.finditer(code):
            given = source.arguments(call.end())
            if call[1] == "sqlite" and given:
                self.write(source, given[0], line_of(source.path, code, call.start()))
            elif given:
                self.url(self.value(source, given[0]), line_of(source.path, code, call.start()))
        for call in _RECEIVER.finditer(code):
            self.receiver(source, call, line_of(source.path, code, call.start()))
        for call in _CACHE.finditer(code):
            self.write(source, call[1] or "\x00", line_of(source.path, code, call.start()), folder=True)
        self.databases(source)
        for call in _STARTS.finditer(code):
            self.starts(source, source.arguments(call.end()), line_of(source.path, code, call.start()))
        for index, (kind, text) in enumerate(source.literals):
            if kind == "shell":
                where = line_of(source.path, code, code.find(f"\x01{index}\x02"))
                self.shell(self.filled(source, text, 0), where)
            elif re.match(r"sqlite3?:", text):
                self.url(self.filled(source, text, 0) if kind == "double" else text, source.path)
            if re.match(r"/dev/(?!null|stdout|stderr|stdin|shm|u?random|fd|tty\b)\w|.*docker\.sock", text):
                self.root_calls.add(f"{source.path} uses {text}")
        self.root_calls |= {f"{line_of(source.path, code, c.start())} uses {c[1]}" for c in _SEND_ROOT.finditer(code)}
        self.modules.update(source.literals[int(number)][1] for number in _REQUIRE.findall(code))
        self.ports.update(int(a or b) for a, b in _PORT.findall(code))
        if _SERVER_FILES.search(source.path):
            self.server(source)

    def file_call(self, source: RubyText, name: str, given: list[str], where: str) -> None:
        """``File.write``, ``FileUtils.mkdir_p`` and their like."""
        plain = [g for g in given if not re.match(r"\w+:(?!:)|:\w+\s*=>", g)]
        if name.startswith(("cp", "copy", "ln", "install", "link", "symlink")):
            targets = plain[-1:]
        elif name.startswith(("mv", "move", "rename")):
            targets = plain[:2]
        elif name.startswith("chmod"):
            targets = plain[1:]
        elif name in ("write", "binwrite", "append", "truncate"):
            targets = plain[:1]
        else:
            targets = plain
        if name == "copy_stream":
            return
        for expression in targets:
            self.write(source, expression, where, folder=name.startswith(("mkdir", "makedirs")))

    def open(self, source: RubyText, given: list[str], where: str, *, zipped: bool = False) -> None:
        """``File.open`` and its like: the mode says whether it writes."""
        plain = [g for g in given if not re.match(r"\w+:(?!:)", g)]
        named = next((g for g in given if re.match(r"mode:|create:", g)), "")
        mode = self.value(source, plain[1]) if len(plain) > 1 and "\x01" in plain[1] else " ".join([*plain[1:2], named])
        writes = zipped or re.search(r"[wa+]|WRONLY|RDWR|CREAT|APPEND|\btrue\b", mode) is not None
        if not plain:
            return
        if writes or (len(plain) > 1 and "\x01" not in plain[1] and "File" not in plain[1]):
            self.write(source, plain[0], where)
        else:
            place = self.place_of(source, plain[0])
            if place is None:
                self.unknown.add(Unknown("read", where, "opens a file whose name is computed"))
            else:
                self.read.add(place)

    def store(self, source: RubyText, name: str, given: list[str], where: str) -> None:
        """A log, a store of objects, a database."""
        first = given[0] if given else ""
        if "Logger" in name:
            if not first or re.match(
                r"(\$?std(out|err)|STDOUT|STDERR|nil|IO::NULL|File::NULL|io\b|StringIO|\w*(logger|device|output|out|io)\b)", first, re.I
            ):
                return
            self.write(source, first, where)
        elif name == "SQLite3::Database" and self.value(source, first) == ":memory:":
            return
        elif name == "Shrine::Storage::FileSystem":
            prefix = next((re.sub(r"^prefix:\s*", "", g) for g in given if g.startswith("prefix:")), "")
            text = join(self.value(source, first), self.value(source, prefix)) if prefix else self.value(source, first)
            self.place(text + "/", where)
        elif name == "SemanticLogger":
            file = next((re.sub(r"^file_name:\s*", "", g) for g in given if g.startswith("file_name:")), "")
            if file:
                self.write(source, file, where)
        else:
            self.write(source, first, where, folder=name in ("ActiveSupport::Cache::FileStore", "LMDB"))

    def receiver(self, source: RubyText, call: re.Match[str], where: str) -> None:
        """A path that is told to write itself."""
        if call[2] == "open":
            mode = self.value(source, source.arguments(call.end())[0]) if source.arguments(call.end()) else "r"
            if not re.search(r"[wa+]", mode):
                return
        text = self.value(source, call[1].strip())
        if HOLE in text and not call[1].startswith("Rails"):
            if call[2] in ("write", "binwrite", "mkpath"):
                self.unknown.add(Unknown("write", where, "writes to a computed path"))
            return
        self.place(text + ("/" if call[2] in ("mkpath", "mkdir") else ""), where)

    def databases(self, source: RubyText) -> None:
        """A database of ActiveRecord's in a file."""
        kinds = [self.value(source, (a or b).strip()) for a, b in _ADAPTER.findall(source.code)]
        if any(":sqlite3" in k or k == "sqlite3" for k in kinds):
            for call in _DATABASE.finditer(source.code):
                text = self.value(source, (call[1] or call[2]).strip())
                if text != ":memory:":
                    self.place(text, line_of(source.path, source.code, call.start()))

    def url(self, text: str, where: str) -> None:
        """The address of a database, which may name a file."""
        found = re.match(r"sqlite3?:(//)?(.*)$", text, re.S)
        if text in ("sqlite:/", "sqlite::memory:") or (found is not None and found[2] in ("", "/", ":memory:", "memory:")):
            return
        if found is not None:
            self.place(found[2].partition("?")[0], where)
        elif HOLE in text[:4]:
            self.unknown.add(Unknown("write", where, "may keep a database in a file"))

    def server(self, source: RubyText) -> None:
        """What a server's settings make it write."""
        for call in _SERVER.finditer(source.code):
            for expression in split_expressions(f"{call[2].strip().strip('()')})", 0):
                text = self.value(source, expression)
                if call[1] in ("bind", "listen"):
                    text = text.removeprefix("unix://") if text.startswith("unix://") or text.endswith(".sock") else ""
                if text in ("", "true", "false") or (
                    "\x01" not in expression and text == HOLE and call[1] in ("bind", "listen", "logger", "stdout_redirect")
                ):
                    continue
                if text.startswith(("/dev/std", "/proc/self/fd")):
                    continue
                self.place(text, line_of(source.path, source.code, call.start()))

    def starts(self, source: RubyText, given: list[str], where: str) -> None:
        """``system`` and its like: one text for a shell, or a program and its arguments."""
        plain = [g for g in given if not re.match(r"\w+:(?!:)|\{", g) and not re.fullmatch(r"env\w*|@env", g)]
        if not plain:
            return
        first = plain[0].removeprefix("*").strip("[]")
        parts = split_expressions(f"{first})", 0) if plain[0].startswith("[") else [first]
        mark = MARK.fullmatch(parts[0]) if len(parts) == 1 == len(plain) else None
        if mark is not None and source.literals[int(mark[1])][0] == "list":
            self.programs.update(source.literals[int(mark[1])][1].split()[:1])
            return
        text = self.value(source, parts[0])
        if len(parts) > 1 or len(plain) > 1:
            self.program(text, where)
        else:
            self.shell(text, where)

    def write(self, source: RubyText, expression: str, where: str, *, folder: bool = False) -> None:
        text = self.value(source, expression)
        self.place(text + "/" if folder and text else text, where)

    def place_of(self, source: RubyText, expression: str) -> Place | None:
        return resolve(self.value(source, expression))

    def value(self, source: RubyText, expression: str, depth: int = 0) -> str:
        """The text of a path: literals, names with one value, joined paths, settings, their sums; otherwise with holes."""
        expression = expression.strip()
        if depth >= _DEPTH or not expression:
            return HOLE
        if "||" in expression:
            first, _, rest = expression.partition("||")
            found = self.value(source, first, depth + 1)
            return found if HOLE not in found else self.value(source, rest, depth + 1)
        return "".join(self.piece(source, piece, depth) for piece in split_expressions(f"{expression})", 0, "+"))

    def piece(self, source: RubyText, piece: str, depth: int) -> str:
        piece = re.sub(r"(\s*\.\s*(to_s|to_path|to_str|freeze|cleanpath|realpath)(\(\s*\))?)+$", "", piece.strip())
        literal = MARK.fullmatch(piece)
        if literal:
            kind, text = source.literals[int(literal[1])]
            return self.filled(source, text, depth) if kind == "double" else text
        joined = re.match(r"(?:::)?File\s*\.\s*join\s*\(", piece)
        if joined and piece.endswith(")"):
            return join(
                *(self.value(source, p, depth + 1).lstrip("/" if i else "") for i, p in enumerate(split_expressions(piece, joined.end())))
            )
        made = re.match(r"(?:::)?(?:Pathname\s*(?:\.\s*new)?|File\s*\.\s*(?:absolute_path|realpath))\s*\(", piece)
        if made and piece.endswith(")"):
            return self.value(source, (split_expressions(piece, made.end()) or [""])[0], depth + 1)
        expanded = re.match(r"(?:::)?File\s*\.\s*expand_path\s*\(", piece)
        if expanded and piece.endswith(")"):
            return self.expanded(source, split_expressions(piece, expanded.end()), depth)
        named = re.match(r"(?:::)?File\s*\.\s*dirname\s*\(\s*(?:__FILE__|File\s*\.\s*expand_path\s*\(\s*__FILE__\s*\))\s*\)$", piece)
        if named or piece == "__dir__":
            return self.beside(source)
        above = re.match(r"(?:::)?File\s*\.\s*dirname\s*\(", piece)
        if above and piece.endswith(")"):
            return parent(self.value(source, piece[above.end() : -1], depth + 1))
        beyond = re.match(r"(.*\S)\s*\.\s*join\s*\((.*)\)$|(.*\S)\s*/\s*(\S.*)$", piece, re.S)
        if beyond:
            base, rest = (beyond[1], beyond[2]) if beyond[1] is not None else (beyond[3], beyond[4])
            return join(self.value(source, base, depth + 1), *(self.value(source, p, depth + 1) for p in split_expressions(f"{rest})", 0)))
        if re.fullmatch(r"(?:::)?(Rails\s*\.\s*root|Hanami\s*\.\s*root|Padrino\s*\.\s*root|RAILS_ROOT|settings\s*\.\s*root)", piece):
            return posixpath.normpath(posixpath.join(ROOT, self.root))
        if re.fullmatch(r"(?:::)?(Rails\s*\.\s*public_path|settings\s*\.\s*public_folder)", piece):
            return posixpath.normpath(posixpath.join(ROOT, self.root, "public"))
        if re.fullmatch(r"(?:::)?(Rails\s*\.\s*env|ENV\s*\[\s*nil\s*\])", piece):
            return self.environment.get("RAILS_ENV") or self.environment.get("RACK_ENV") or "development"
        if re.fullmatch(r"(?:::)?(Dir\s*\.\s*(pwd|getwd)|Pathname\s*\.\s*pwd)", piece):
            return ""
        if re.match(r"(?:::)?(Dir\s*\.\s*(tmpdir|mktmpdir)|Tempfile\b)", piece) or re.search(
            r"\b(tempfile|tmpfile|tmp_file|temp_file)\b", piece
        ):
            return TEMPORARY
        variable = re.fullmatch(
            "(?:::)?ENV\\s*(?:\\.\\s*fetch\\s*\\(|\\[)\\s*\x01(\\d+)\x02\\s*(?:,\\s*(.*?))?[\\])]\\s*(?:\\{(.*)\\})?", piece, re.S
        )
        if variable:
            found = self.environment.get(source.literals[int(variable[1])][1])
            default = variable[2] or variable[3]
            return found if found is not None else self.value(source, default, depth + 1) if default else HOLE
        if re.fullmatch(r"[a-z_]\w*|[A-Z]\w*", piece):
            given = source.given(piece)
            if given is None and piece[:1].isupper():
                values = [(other, v) for other in self.sources if other is not source and (v := other.given(piece)) is not None]
                return self.value(values[0][0], values[0][1], depth + 1) if len(values) == 1 else HOLE
            return self.passed(source, piece, depth) if given is None else self.value(source, given, depth + 1)
        constant = re.fullmatch(r"(?:::)?(?:\w+::)+([A-Z]\w*)", piece)
        if constant:
            return self.piece(source, constant[1], depth + 1)
        return HOLE

    def passed(self, source: RubyText, name: str, depth: int) -> str:
        """The value of a parameter, where one method has one of that name and is called in one place."""
        methods = re.findall(rf"\bdef\s+(?:self\.)?(\w+)[ \t]*\(([^()]*\b{re.escape(name)}\b[^()]*)\)", source.code)
        if len(methods) != 1:
            return HOLE
        method, parameters = methods[0]
        index = next((i for i, p in enumerate(parameters.split(",")) if re.match(rf"\s*{re.escape(name)}\s*(=|$)", p)), None)
        owners = re.findall(r"^\s*class\s+(?:\w+::)*(\w+)", source.code, re.M)
        if index is None or (method == "initialize" and len(owners) != 1):
            return HOLE
        call = rf"\b{owners[0]}\s*\.\s*new\b" if method == "initialize" else rf"(?<!def )(?<!def self\.)\b{method}\b(?=\s*\()"
        found = [
            (other, given)
            for other in self.sources
            for c in re.finditer(call, other.code)
            if len(given := other.arguments(c.end())) > index
        ]
        return self.value(found[0][0], found[0][1][index], depth + 1) if len(found) == 1 else HOLE

    def beside(self, source: RubyText) -> str:
        return posixpath.dirname(f"{ROOT}/{source.path}")

    def expanded(self, source: RubyText, given: list[str], depth: int) -> str:
        """``File.expand_path``: relative to the file itself, or to its folder."""
        first = self.value(source, given[0], depth + 1) if given else HOLE
        base = given[1] if len(given) > 1 else ""
        if given and given[0] == "__FILE__":
            return f"{ROOT}/{source.path}"
        if first.startswith(("/", HOLE, ROOT, TEMPORARY)) or not base:
            return first
        start = source.path if base == "__FILE__" else posixpath.dirname(source.path) if base == "__dir__" else None
        if start is None:
            return join(self.value(source, base, depth + 1), first)
        inside = posixpath.normpath(posixpath.join(start, first))
        return HOLE if inside.startswith("..") else posixpath.normpath(f"{ROOT}/{inside}")

    def filled(self, source: RubyText, text: str, depth: int) -> str:
        """A text in double quotes with what it takes in put in."""

        def inner(match: re.Match[str]) -> str:
            part = RubyText(source.path, match[1])
            if depth >= _DEPTH:
                return HOLE
            if MARK.search(part.code):
                return self.value(part, part.code, depth + 1)
            return self.value(source, match[1], depth + 1)

        return re.sub(r"\\(.)", r"\1", re.sub(r"#\{((?:[^{}]|\{[^{}]*\})*)\}", inner, text))
