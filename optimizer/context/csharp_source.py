"""What C# source writes, starts and needs: calls of .NET's library, with the settings of ``appsettings.json`` put in.

No parser: names of variables are followed to the one place where they get their value. A file whose name is computed and a call
that takes a file in a way that is not listed here count as unknown.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from optimizer.context.expressions import split_expressions
from optimizer.context.folder import BuildContext
from optimizer.context.found import Found
from optimizer.context.places import HOLE, TEMPORARY, Place, Unknown, join, resolve
from optimizer.context.source_text import line_of

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|(?P<raw>\$*"""(?P<rawtext>.*?)""")|(?P<verbatim>(?:\$@|@\$|@)"(?P<verbatimtext>(?:[^"]|"")*)")'
    r'|(?P<plain>\$?"(?P<plaintext>(?:\\.|[^"\\\n])*)")|\'(?:\\[^\']*|[^\'\\])\'',
    re.S,
)
_FILE = re.compile(r"(?<![\w])File\s*\.\s*(Write\w+|Append\w+|Create\w*|OpenWrite|Open|Delete|Move|Copy|Replace|Set\w+)\s*\(")
_FOLDER = re.compile(r"(?<![\w])Directory\s*\.\s*(CreateDirectory|Delete|Move)\s*\(")
_MADE = re.compile(r"\bnew\s+(?:System\s*\.\s*IO\s*\.\s*)?(StreamWriter|FileStream|FileInfo|DirectoryInfo|LiteDatabase)\s*\(")
_READ = re.compile(r"(?<![\w])File\s*\.\s*(Read\w+|OpenRead|OpenText)\s*\(|\bnew\s+(?:System\s*\.\s*IO\s*\.\s*)?(StreamReader)\s*\(")
_ARCHIVE = re.compile(r"\bZipFile\s*\.\s*(CreateFromDirectory|ExtractToDirectory|Open)\s*\(")
_SINK = re.compile(r"\.\s*WriteTo\s*\.\s*(?:Async\s*\([^;]*?\.\s*)?File\s*\(|\.\s*AddFile\s*\(")
_SAVES = re.compile(r"\.\s*(?:Save|SaveAs|SaveAsync|SaveAsPng\w*|SaveAsJpeg\w*|ExtractToFile|WriteXml|DownloadFile\w*)\s*\(")
_STARTS = re.compile(
    r"\bProcess\s*\.\s*Start\s*\(|\bnew\s+(?:System\s*\.\s*Diagnostics\s*\.\s*)?ProcessStartInfo\s*[({]|\bFileName\s*=(?!=)\s*"
)
_ROOT = re.compile(r"\b(SocketType\s*\.\s*Raw|new\s+Ping\s*\(|Syscall\s*\.\s*\w+|UnixFileSystemInfo|File\s*\.\s*SetUnixFileMode)")
_NATIVE = re.compile(r"\[\s*(?:DllImport|LibraryImport)\s*\(\s*\x01(\d+)\x02|\bNativeLibrary\s*\.\s*Load\s*\(")
_DATABASE = re.compile(r"(?:^|;)\s*(?:Data\s?Source|Filename)\s*=\s*([^;]*)", re.I)
_HOME = re.compile(r"\bSpecialFolder\s*\.\s*\w+")
_SETTINGS = re.compile(r"(^|/)appsettings(\.\w+)?\.json$")
_DEPTH = 5  # of names that stand for names
_STREAMS = re.compile(r"(?i)(\w*stream\w*|ms|memory\w*|\w*output\w*|\w*writer\w*|response\.body)\b")
_IN_SYSTEM = frozenset(
    {"libc", "libdl", "libpthread", "libm", "kernel32", "user32", "ntdll", "kernel32.dll", "user32.dll", "ntdll.dll", "libSystem"}
)


class CsharpEvidence(Struct, frozen=True):
    """What C# sources use; tuples are sorted and have no doubles. Libraries are not looked into.

    read, written: paths; programs: started, by name; root: what needs root's rights; literals: the texts of all string literals;
    code: the sources without comments and literals; unknown: what is computed or not read.
    """

    read: tuple[Place, ...] = ()
    written: tuple[Place, ...] = ()
    programs: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()
    code: str = ""
    unknown: tuple[Unknown, ...] = ()


def csharp_evidence(
    context: BuildContext, files: Iterable[str], folder: str, base: str | None, environment: Mapping[str, str], *, sqlite: bool
) -> CsharpEvidence:
    """Read C# sources.

    Args:
        context: The build context.
        files: The sources, as context paths.
        folder: The folder of the context that holds the settings of the program.
        base: The folder of the image in which the program lies, None when unknown.
        environment: Variables known to be set when it starts.
        sqlite: Whether a connection string may name a file.
    """
    paths = tuple(files)
    other = next((path for path in paths if not path.endswith(".cs")), None)
    if other is not None:
        return CsharpEvidence(unknown=(Unknown("program", other, "is in a language whose source is not read"),))
    reader = _Reader(_settings(context, folder, environment), base, environment, sqlite)
    codes, literals = [], set()
    for path in paths:
        text = context.read_text(path)
        if text is None:
            reader.unknown.add(Unknown("context", path, "cannot be read as text"))
            continue
        source = _Source(path, text)
        codes.append(source.code)
        literals.update(source.literals)
        reader.add(source)
    for name, value in reader.settings.items():
        reader.setting(name, value)
    if sqlite and not reader.databases:
        reader.unknown.add(Unknown("write", "", "keeps an SQLite database in a computed place"))
    return CsharpEvidence(
        tuple(sorted(reader.read)), tuple(sorted(reader.written)), tuple(sorted(reader.programs)), tuple(sorted(reader.root)),
        tuple(sorted(literals)), "\n".join(codes), tuple(sorted(reader.unknown)),
    )  # fmt: skip


def _settings(context: BuildContext, folder: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of a program by path, ``:`` between the parts; variables with ``__`` in their names come last."""
    found: dict[str, str] = {}
    stage = environment.get("ASPNETCORE_ENVIRONMENT") or environment.get("DOTNET_ENVIRONMENT") or "Production"
    for name in ("appsettings.json", f"appsettings.{stage}.json"):
        text = context.read_text(posixpath.normpath(posixpath.join(folder, name))) or ""
        strings = r'("(?:\\.|[^"\\])*")'
        text = re.sub(rf"{strings}|//[^\n]*|/\*.*?\*/", lambda one: one[1] or "", text, flags=re.S)
        text = re.sub(rf"{strings}|,(?=\s*[}}\]])", lambda one: one[1] or "", text)
        try:
            _flatten(json.loads(text.removeprefix("\ufeff")), "", found)
        except (ValueError, RecursionError):
            continue
    for name, value in environment.items():
        if "__" in name:
            found[name.replace("__", ":").lower()] = value
    return found


def _flatten(data: object, name: str, found: dict[str, str]) -> None:
    if isinstance(data, dict):
        for key, value in data.items():
            _flatten(value, f"{name}:{key}".lstrip(":").lower(), found)
    elif isinstance(data, list):
        for index, value in enumerate(data):
            _flatten(value, f"{name}:{index}", found)
    elif isinstance(data, str):
        found[name] = data


class _Source:
    """A file: `code` without comments, in which a mark stands for each string literal; what is put into one is a hole."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.literals: list[str] = []
        self.code = _TOKEN.sub(self._mark, text)

    def _mark(self, match: re.Match[str]) -> str:
        lines = "\n" * match[0].count("\n")
        text = next((match[n] for n in ("rawtext", "verbatimtext", "plaintext") if match[n] is not None), None)
        if text is None:
            return lines if match[0].startswith("/") else "' '"
        if match["verbatim"]:
            text = text.replace('""', '"')
        elif match["plain"]:
            text = re.sub(r"\\(.)", r"\1", text)
        if match[0].startswith(("$", "@$")):
            text = re.sub(r"\{[^{}]*\}", HOLE, text)
        self.literals.append(text)
        return f"\x01{len(self.literals) - 1}\x02{lines}"

    def given(self, name: str) -> str | None:
        """The expression that a name stands for: that of its only assignment, where no parameter has its name."""
        values = re.findall(rf"(?<![\w.]){re.escape(name)}\s*(?:\{{[^{{}}]*\}}\s*)?(?:=>|(?<![=!<>+])=(?![=>]))\s*([^;]*);", self.code)
        parameter = re.search(rf"[\w>?\]]\s+{re.escape(name)}\s*[,)]|\bin\b[^;]*\b{re.escape(name)}\b\s*=>", self.code)
        return values[0].strip() if len(values) == 1 and parameter is None else None


class _Reader(Found):
    def __init__(self, settings: dict[str, str], base: str | None, environment: Mapping[str, str], sqlite: bool) -> None:
        super().__init__()
        self.settings = settings
        self.base = base
        self.environment = environment
        self.sqlite = sqlite
        self.databases = False
        self.read: set[Place] = set()
        self.root: set[str] = set()

    def add(self, source: _Source) -> None:
        code = source.code
        for call in _FILE.finditer(code):
            self.file_call(source, call[1], split_expressions(code, call.end()), line_of(source.path, code, call.start()))
        for call in _FOLDER.finditer(code):
            given = split_expressions(code, call.end())
            for expression in given[: 2 if call[1] == "Move" else 1]:
                self.write(source, expression, line_of(source.path, code, call.start()), folder=True)
        for call in _MADE.finditer(code):
            self.made(source, call, line_of(source.path, code, call.start()))
        for call in _READ.finditer(code):
            given = split_expressions(code, call.end())
            if given and not (call[2] and self.is_stream(source, given[0])):
                self.reads(source, given[0], line_of(source.path, code, call.start()))
        for call in _ARCHIVE.finditer(code):
            given = split_expressions(code, call.end())
            target = given[1:2] if call[1] != "Open" else given[:1] if "Read" not in " ".join(given[1:]) else []
            for expression in target:
                self.write(source, expression, line_of(source.path, code, call.start()), folder=call[1] == "ExtractToDirectory")
        for call in _SINK.finditer(code):
            given = [g for g in split_expressions(code, call.end()) if not re.match(r"\w+\s*:(?!:)|new\s", g) or re.match(r"path\s*:", g)]
            self.sink(source, re.sub(r"^path\s*:\s*", "", given[0]) if given else "", line_of(source.path, code, call.start()))
        for call in _SAVES.finditer(code):
            given = split_expressions(code, call.end())
            if given and not self.is_stream(source, given[0]):
                self.write(source, given[0], line_of(source.path, code, call.start()))
        for call in _STARTS.finditer(code):
            self.starts(source, call, line_of(source.path, code, call.start()))
        for call in _NATIVE.finditer(code):
            name = source.literals[int(call[1])] if call[1] else ""
            if name.partition(".so")[0] not in _IN_SYSTEM:
                self.unknown.add(Unknown("module", line_of(source.path, code, call.start()), f"loads a native library {name}".rstrip()))
        for call in _HOME.finditer(code):
            self.unknown.add(Unknown("write", line_of(source.path, code, call.start()), "uses a folder of the user's home"))
        self.root |= {f"{line_of(source.path, code, c.start())} uses {' '.join(c[1].split())}" for c in _ROOT.finditer(code)}
        for text in source.literals:
            self.connection(text, source.path)
            if re.match(r"/dev/(?!null|stdout|stderr|shm|u?random)|.*docker\.sock", text):
                self.root.add(f"{source.path} uses {text}")

    def file_call(self, source: _Source, name: str, given: list[str], where: str) -> None:
        """``File.…``."""
        if name == "Open" and "FileMode.Open" in [g.replace(" ", "") for g in given[1:]] and "Write" not in " ".join(given[1:]):
            self.reads(source, given[0], where)
            return
        targets = {"Copy": given[1:2], "Move": given[:2], "Replace": given[:3]}.get(name, given[:1])
        for expression in targets:
            self.write(source, expression, where)

    def made(self, source: _Source, call: re.Match[str], where: str) -> None:
        """``new FileStream(…)`` and the like."""
        given = split_expressions(source.code, call.end())
        first, rest = (given[0], " ".join(given[1:])) if given else ("", "")
        if call[1] in ("FileInfo", "DirectoryInfo"):
            behind = re.compile(r"[^;]*?\)\s*\.\s*(Create\w*|Open\w*|Append\w*|Delete|MoveTo|CopyTo)\s*\(").match(source.code, call.end())
            held = re.search(r"\.\s*(Create\w*|OpenWrite|AppendText|Delete|MoveTo|CopyTo)\s*\(", source.code)
            if (behind or held) and not (behind and behind[1] in ("OpenRead", "OpenText")):
                self.write(source, first, where, folder=call[1] == "DirectoryInfo")
        elif call[1] == "LiteDatabase":
            self.databases = True
            text = self.value(source, first)
            named = _DATABASE.search(text)
            self.place(named[1] if named else text, where)
        elif call[1] == "FileStream" and re.search(r"FileMode\s*\.\s*Open\b(?!OrCreate)", rest) and "Write" not in rest:
            self.reads(source, first, where)
        elif first and not self.is_stream(source, first):
            self.write(source, first, where)

    def is_stream(self, source: _Source, expression: str) -> bool:
        """Whether an argument is a stream, and no path."""
        if re.match(r"(await\s+)?[\w.]*\.\s*(Open\w*|Get\w*Stream\w*|Create\w*)\s*\(|new\s+\w*Stream", expression):
            return True
        return _STREAMS.fullmatch(expression) is not None or (
            expression.isidentifier()
            and re.search(
                rf"\b\w*(?:Stream|Writer|Reader)\s+{expression}\b|\bvar\s+{expression}\s*=\s*(?:await\s+)?(?:new\s+\w*Stream|File\s*\.\s*(?:Open|Create)|[\w.]+\.\s*(?:Open|Get)\w*Stream)",
                source.code,
            )
            is not None
        )

    def starts(self, source: _Source, call: re.Match[str], where: str) -> None:
        """A program that is started, by name."""
        code = source.code
        if call[0].startswith("FileName"):
            given = [re.compile(r"[^,;}\n]*").match(code, call.end())[0]]  # type: ignore[index]
            if not re.search(r"ProcessStartInfo|Process\b", code):
                return
        else:
            given = split_expressions(code, call.end()) if call[0].endswith("(") else []
        first = given[0] if given else ""
        if (
            not first
            or re.search(r"StartInfo|\bpsi\b|\binfo\b", first)
            or (first.isidentifier() and re.search(rf"ProcessStartInfo\s+{first}\b|\b{first}\s*=\s*new\s+ProcessStartInfo", code))
        ):
            return
        text = self.value(source, first)
        self.program(text if HOLE in text else text.partition(" ")[0], where)

    def sink(self, source: _Source, expression: str, where: str) -> None:
        """A log file, whose name may get a date: files below its folder."""
        text = self.value(source, expression) if expression else HOLE
        self.place(posixpath.dirname(text) + "/" if "/" in text and HOLE not in text else text, where)

    def setting(self, name: str, value: str) -> None:
        """A setting that names a file to write: a log of Serilog's, a database."""
        if name.startswith("connectionstrings:"):
            self.connection(value, "appsettings.json")
        elif name.startswith("serilog:") and name.endswith("args:path"):
            self.place(posixpath.dirname(value) + "/" if "/" in value else "./", "appsettings.json")

    def connection(self, text: str, where: str) -> None:
        """A connection string that names the file of an SQLite database."""
        found = _DATABASE.search(text) if self.sqlite else None
        if found is None or ":memory:" in text or "Mode=Memory" in text:
            self.databases = self.databases or (found is not None)
            return
        self.databases = True
        self.place(found[1].strip(), where)

    def reads(self, source: _Source, expression: str, where: str) -> None:
        place = resolve(self.value(source, expression))
        if place is None:
            self.unknown.add(Unknown("read", where, "opens a file whose name is computed"))
        else:
            self.read.add(place)

    def write(self, source: _Source, expression: str, where: str, *, folder: bool = False) -> None:
        text = self.value(source, expression)
        self.place(text + "/" if folder and text else text, where)

    def value(self, source: _Source, expression: str, depth: int = 0) -> str:
        """The text of a path: literals, names with one value, ``Path.Combine``, settings, their sums; otherwise with holes."""
        if depth >= _DEPTH:
            return HOLE
        first, chosen, rest = expression.partition("??")
        if chosen:
            found = self.value(source, first.strip(), depth + 1)
            return found if HOLE not in found and found else self.value(source, rest.strip(), depth + 1)
        return "".join(self.piece(source, piece, depth) for piece in split_expressions(f"{expression})", 0, "+"))

    def piece(self, source: _Source, piece: str, depth: int) -> str:
        piece = re.sub(r"^\((?:string\??)\)\s*|!$", "", piece.strip())
        literal = re.fullmatch("\x01(\\d+)\x02", piece)
        if literal:
            return source.literals[int(literal[1])].replace("\\", "/")
        combined = re.match(r"(?:System\.IO\.)?Path\s*\.\s*(Combine|Join|GetFullPath)\s*\(", piece)
        if combined and piece.endswith(")"):
            return join(*(self.value(source, part, depth + 1) for part in split_expressions(piece, combined.end())))
        above = re.match(r"(?:System\.IO\.)?Path\s*\.\s*GetDirectoryName\s*\(", piece)
        if above and piece.endswith(")"):
            text = self.value(source, piece[above.end() : -1], depth + 1)
            return text if HOLE in text else posixpath.dirname(text)
        if re.fullmatch(r"(?:System\.IO\.)?Path\s*\.\s*GetTemp\w+\s*\(\s*\)", piece):
            return TEMPORARY
        if re.fullmatch(
            r"(?:System\.IO\.)?Directory\s*\.\s*GetCurrentDirectory\s*\(\s*\)|[\w.]*\bContentRootPath|Environment\s*\.\s*CurrentDirectory",
            piece,
        ):
            return ""
        if re.fullmatch(r"[\w.]*\bWebRootPath", piece):
            return "wwwroot"
        if re.fullmatch(r"(?:System\.)?AppContext\s*\.\s*BaseDirectory|AppDomain\s*\.\s*CurrentDomain\s*\.\s*BaseDirectory", piece):
            return self.base if self.base is not None else HOLE
        variable = re.fullmatch("Environment\\s*\\.\\s*GetEnvironmentVariable\\s*\\(\\s*\x01(\\d+)\x02\\s*\\)", piece)
        if variable:
            return self.environment.get(source.literals[int(variable[1])], HOLE)
        setting = re.fullmatch(
            "[\\w.]*(?:[cC]onfiguration|[cC]onfig)\\s*(?:\\[|\\.\\s*GetValue\\s*<\\s*string\\??\\s*>\\s*\\()\\s*\x01(\\d+)\x02\\s*(?:,\\s*(.*))?[\\])]",
            piece,
        )
        if setting:
            found = self.settings.get(source.literals[int(setting[1])].lower())
            return found if found is not None else self.value(source, setting[2], depth + 1) if setting[2] else HOLE
        if piece.isidentifier():
            given = source.given(piece)
            return HOLE if given is None else self.value(source, given, depth + 1)
        return HOLE
