"""What PHP source writes and starts: calls of PHP's library, of Laravel's and Symfony's helpers.

No parser: comments are taken out and string literals are set apart, then calls are looked for by name, and variables and constants are
followed to the one place where they get their value. What is given in another form counts as unknown.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from optimizer.context.expressions import split_expressions
from optimizer.context.folder import BuildContext
from optimizer.context.found import Found
from optimizer.context.places import HOLE, ROOT, TEMPORARY, Place, Unknown, join, parent
from optimizer.context.source_text import line_of

_TOKEN = re.compile(
    r'(?P<comment>//[^\n]*?(?=\?>|\n|$)|#(?!\[)[^\n]*?(?=\?>|\n|$)|/\*.*?\*/)|(?P<double>"(?:\\.|[^"\\])*")|(?P<single>\x27(?:\\.|[^\x27\\])*\x27)'
    r"|(?P<shell>`(?:\\.|[^`\\])*`)"
    r"|(?P<here><<<[ \t]*(?P<quote>[\x27\"]?)(?P<tag>\w+)(?P=quote)\n(?P<body>.*?)^[ \t]*(?P=tag)\b)|(?P<page>\?>.*?(?:<\?(?:php|=)|\Z))",
    re.S | re.M,
)
_MARK = re.compile("\x01(\\d+)\x02")
_WRITE = re.compile(
    r"(?<![\w>:$\\])\\?(file_put_contents|mkdir|touch|unlink|rmdir|rename|copy|symlink|link|move_uploaded_file|tempnam|ftok|chmod|lchown|chown|chgrp|fopen|gzopen"
    r"|image(?:png|jpeg|gif|webp|avif|bmp)|error_log|session_save_path|sqlite_open|dba_open|posix_mkfifo)\s*\("
)
_MADE = re.compile(
    r"\bnew\s+\\?(?:\w+\\)*(SplFileObject|SQLite3|PDO|StreamHandler|RotatingFileHandler|FilesystemAdapter|PhpFilesAdapter|LocalFilesystemAdapter|Local|Filesystem|DirectoryIterator|SplFileInfo)\s*\("
)
_METHODS = re.compile(
    r"(?:->|::)\s*(moveTo|move|saveAs|storeAs|dumpFile|appendToFile|exportToFile|output|writeFile|put|putFile|putFileAs|extractTo|open|mirror|makeDirectory|ensureDirectoryExists)\s*\("
)
_STARTS = re.compile(
    r"(?<![\w>:$\\])\\?(exec|shell_exec|system|passthru|proc_open|popen|pcntl_exec)\s*\(|\bnew\s+\\?(?:\w+\\)*(Process)\s*\(|\bProcess::(?:run|start|fromShellCommandline|path)\s*\("
)
_ROOT_CALLS = re.compile(r"(?<![\w>:$\\])\\?(posix_set\w+|posix_initgroups|chown|lchown|chgrp|socket_create\s*\([^)]*SOCK_RAW)\b")
_DSN = re.compile(r"sqlite:(.*)$", re.S)
_HELPERS = {
    "storage_path": "storage",
    "public_path": "public",
    "base_path": "",
    "database_path": "database",
    "resource_path": "resources",
    "app_path": "app",
}
_DEPTH = 5  # of names that stand for names


class PhpEvidence(Struct, frozen=True):
    """What PHP sources use; tuples are sorted and have no doubles. Packages are not looked into.

    written: paths; programs: started, by name; root: what needs root's rights; unknown: what is computed.
    """

    written: tuple[Place, ...] = ()
    programs: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def php_evidence(context: BuildContext, files: Iterable[str], root: str, environment: Mapping[str, str]) -> PhpEvidence:
    """Read PHP sources.

    Args:
        context: The build context.
        files: The sources, as context paths.
        root: The folder of the project in the context.
        environment: Variables known to be set when they run.
    """
    reader = _Reader(root, environment)
    sources = []
    for path in files:
        text = context.read_text(path)
        if text is None:
            reader.unknown.add(Unknown("context", path, "cannot be read as text"))
        else:
            sources.append(_Source(path, text))
    reader.sources = sources
    for source in sources:
        reader.add(source)
    return PhpEvidence(
        tuple(sorted(reader.written)), tuple(sorted(reader.programs)), tuple(sorted(reader.root_calls)), tuple(sorted(reader.unknown))
    )


class _Source:
    """A file: `code` without comments and what is outside of PHP, in which a mark stands for each literal."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.literals: list[tuple[str, str]] = []
        start = re.search(r"<\?(php\b|=)", text)
        lines = text.count("\n", 0, start.end()) if start else 0
        self.code = "\n" * lines + _TOKEN.sub(self._mark, text[start.end() :]) if start else ""

    def _mark(self, match: re.Match[str]) -> str:
        lines = "\n" * match[0].count("\n")
        if match["comment"] is not None:
            return lines
        if match["page"] is not None:
            return f";{lines}"
        if match["here"] is not None:
            self.literals.append(("single" if match["quote"] == "'" else "double", match["body"]))
        else:
            kind = next(name for name in ("double", "single", "shell") if match[name] is not None)
            text = match[0][1:-1]
            self.literals.append((kind, re.sub(r"\\([\\\x27])", r"\1", text) if kind == "single" else text))
        return f"\x01{len(self.literals) - 1}\x02{lines}"

    def given(self, name: str) -> str | None:
        """The expression that a variable or a constant stands for: that of its only assignment."""
        if name.startswith("$"):
            values = re.findall(rf"{re.escape(name)}\s*=(?![=>])\s*([^;]*);", self.code)
            parameter = re.search(
                rf"function\b[^{{;]*{re.escape(name)}\b|\bas\s+(?:\$\w+\s*=>\s*)?{re.escape(name)}\b|\bfn\s*\([^)]*{re.escape(name)}\b",
                self.code,
            )
            return values[0].strip() if len(values) == 1 and parameter is None else None
        values = re.findall(rf"\bconst\s+(?:\w+\s+)?{re.escape(name)}\s*=\s*([^;]*);", self.code)
        for call in re.finditer(r"(?<![\w>:])define\s*\(", self.code):
            parts = split_expressions(self.code, call.end())
            mark = _MARK.fullmatch(parts[0]) if len(parts) > 1 else None
            if mark is not None and self.literals[int(mark[1])][1] == name:
                values.append(parts[1])
        return values[0].strip() if len(values) == 1 else None


class _Reader(Found):
    def __init__(self, root: str, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.root = root
        self.environment = environment
        self.sources: list[_Source] = []
        self.root_calls: set[str] = set()

    def add(self, source: _Source) -> None:
        code = source.code
        for call in _WRITE.finditer(code):
            self.call(source, call[1], split_expressions(code, call.end()), line_of(source.path, code, call.start()))
        for call in _MADE.finditer(code):
            self.made(source, call[1], split_expressions(code, call.end()), line_of(source.path, code, call.start()))
        for call in _METHODS.finditer(code):
            self.method(source, call[1], split_expressions(code, call.end()), line_of(source.path, code, call.start()))
        for call in _STARTS.finditer(code):
            self.starts(source, call, split_expressions(code, call.end()), line_of(source.path, code, call.start()))
        for index, (kind, text) in enumerate(source.literals):
            if kind == "shell":
                self.shell(self.filled(source, text, 0), line_of(source.path, code, code.find(f"\x01{index}\x02")))
        self.root_calls |= {
            f"{line_of(source.path, code, c.start())} uses {c[1].partition('(')[0].strip()}" for c in _ROOT_CALLS.finditer(code)
        }

    def call(self, source: _Source, name: str, given: list[str], where: str) -> None:
        """A function of PHP's library."""
        if name == "tempnam":
            return
        if name in ("fopen", "gzopen"):
            mode = self.value(source, given[1]) if len(given) > 1 else "r"
            if HOLE not in mode and not re.search(r"[waxc+]", mode):
                return
            targets = given[:1]
        elif name in ("copy", "move_uploaded_file", "symlink", "link", "rename"):
            targets = given[:2] if name == "rename" else given[1:2]
        elif name.startswith("image"):
            targets = given[1:2]
        elif name == "error_log":
            targets = given[2:3] if len(given) > 2 and given[1] == "3" else []
        else:
            targets = given[:1]
        for expression in targets:
            if expression not in ("null", "STDOUT", "STDERR"):
                self.write(source, expression, where, folder=name == "mkdir")

    def made(self, source: _Source, name: str, given: list[str], where: str) -> None:
        """An object that opens a file."""
        first = given[0] if given else ""
        if name == "PDO":
            self.dsn(self.value(source, first), where)
        elif name in ("DirectoryIterator", "SplFileInfo", "Filesystem") or not first:
            return
        elif name == "SplFileObject":
            if len(given) > 1 and re.search(r"[waxc+]", self.value(source, given[1])):
                self.write(source, first, where)
        elif name in ("FilesystemAdapter", "PhpFilesAdapter"):
            for expression in given[2:3]:
                self.write(source, expression, where, folder=True)
        elif name == "SQLite3" and self.value(source, first) == ":memory:":
            return
        else:
            self.write(source, first, where, folder=name.startswith("Local"))

    def method(self, source: _Source, name: str, given: list[str], where: str) -> None:
        """A method that by its name writes a file; those of Laravel's storage lie below its folder."""
        if not given or (
            name in ("output", "put", "open", "move", "putFile", "putFileAs", "mirror") and not self.names_file(source, name, given)
        ):
            return
        if name in ("open",) and len(given) > 1 and not re.search(r"CREATE|OVERWRITE|[\"']w", given[1]):
            return
        self.write(
            source,
            given[0],
            where,
            folder=name in ("moveTo", "move", "extractTo", "makeDirectory", "ensureDirectoryExists") and name != "moveTo",
        )

    def names_file(self, source: _Source, name: str, given: list[str]) -> bool:
        """Whether the first argument of a method with a common name is a path."""
        if name == "open":
            return len(given) > 1 and "ZipArchive" in given[1]
        text = self.value(source, given[0])
        return "/" in text and HOLE not in text[:1]

    def dsn(self, text: str, where: str) -> None:
        """The address of a database, which may be a file."""
        found = _DSN.match(text)
        if found is not None and found[1] not in ("", ":memory:"):
            self.place(found[1], where)
        elif text.startswith(HOLE):
            self.unknown.add(Unknown("write", where, "may keep a database in a file"))

    def starts(self, source: _Source, call: re.Match[str], given: list[str], where: str) -> None:
        first = given[0] if given else ""
        listed = re.match(r"\[|array\s*\(", first)
        if listed is not None:
            name = self.value(source, split_expressions(first, listed.end())[0])
            self.program(name, where)
        elif "Process::path" not in call[0]:
            self.shell(self.value(source, first), where)

    def write(self, source: _Source, expression: str, where: str, *, folder: bool = False) -> None:
        text = self.value(source, expression)
        self.place(text + "/" if folder and text else text, where)

    def value(self, source: _Source, expression: str, depth: int = 0) -> str:
        """The text of a path: literals, names with one value, ``__DIR__``, settings, joined with dots; otherwise with holes."""
        expression = expression.strip()
        if depth >= _DEPTH or not expression:
            return HOLE
        chosen = re.match(r"(.*?)(\?\?|\?:)(.*)$", expression, re.S)
        if chosen is not None:
            found = self.value(source, chosen[1], depth + 1)
            return found if HOLE not in found else self.value(source, chosen[3], depth + 1)
        return "".join(self.piece(source, piece, depth) for piece in split_expressions(f"{expression})", 0, "."))

    def piece(self, source: _Source, piece: str, depth: int) -> str:
        piece = re.sub(r"^\(string\)\s*", "", piece.strip())
        literal = _MARK.fullmatch(piece)
        if literal:
            kind, text = source.literals[int(literal[1])]
            return self.filled(source, text, depth) if kind == "double" else text
        if piece in ("DIRECTORY_SEPARATOR", "\\DIRECTORY_SEPARATOR"):
            return "/"
        if piece == "__DIR__":
            return posixpath.dirname(f"{ROOT}/{source.path}")
        if piece == "__FILE__":
            return f"{ROOT}/{source.path}"
        above = re.match(r"\\?dirname\s*\(", piece)
        if above and piece.endswith(")"):
            given = split_expressions(piece, above.end())
            text = self.value(source, given[0] if given else "", depth + 1)
            for _ in range(int(given[1]) if len(given) > 1 and given[1].isdecimal() else 1):
                text = parent(text)
            return text
        helper = re.match(r"\\?(\w+)\s*\(", piece)
        if helper and piece.endswith(")"):
            return self.helper(source, helper[1], split_expressions(piece, helper.end()), depth)
        variable = re.fullmatch("\\$_(?:ENV|SERVER)\\s*\\[\\s*\x01(\\d+)\x02\\s*\\]", piece)
        if variable:
            return self.environment.get(source.literals[int(variable[1])][1], HOLE)
        constant = re.fullmatch(r"(?:(?:self|static|\\?\w+)::)?([A-Z][A-Z0-9_]*)", piece)
        if constant:
            values = [(other, v) for other in self.sources if (v := other.given(constant[1])) is not None]
            return self.value(values[0][0], values[0][1], depth + 1) if len(values) == 1 else HOLE
        member = re.fullmatch(r"\$this->(\w+)", piece)
        if member:
            given = re.findall(rf"(?:\$this->|\$){member[1]}\s*=(?![=>])\s*([^;,)]*(?:\([^)]*\))?[^;,)]*)[;,)]", source.code)
            return self.value(source, given[0], depth + 1) if len(given) == 1 else HOLE
        if re.fullmatch(r"\$\w+", piece):
            given_value = source.given(piece)
            return HOLE if given_value is None else self.value(source, given_value, depth + 1)
        return HOLE

    def helper(self, source: _Source, name: str, given: list[str], depth: int) -> str:
        """A function that makes a path, or reads a variable."""
        if name in _HELPERS:
            inside = self.value(source, given[0], depth + 1).lstrip("/") if given else ""
            return posixpath.normpath(posixpath.join(ROOT, self.root, _HELPERS[name], inside))
        if name in ("getenv", "env"):
            mark = _MARK.fullmatch(given[0]) if given else None
            found = self.environment.get(source.literals[int(mark[1])][1]) if mark is not None else None
            return found if found is not None else self.value(source, given[1], depth + 1) if name == "env" and len(given) > 1 else HOLE
        if name in ("sys_get_temp_dir", "tempnam"):
            return TEMPORARY
        if name == "getcwd":
            return ""
        if name in ("realpath", "rtrim", "ltrim", "trim", "strval"):
            return self.value(source, given[0], depth + 1) if given else HOLE
        return join(*(self.value(source, g, depth + 1) for g in given)) if name in ("path_join", "join_paths") else HOLE

    def filled(self, source: _Source, text: str, depth: int) -> str:
        """A text in double quotes with the variables in it put in."""

        def inner(match: re.Match[str]) -> str:
            return self.value(source, match[1] or match[2], depth + 1)

        return re.sub(r"\\(.)", r"\1", re.sub(r"\{(\$[^{}]*)\}|(\$\w+(?:->\w+|\[[^\]]*\])?)", inner, text))
