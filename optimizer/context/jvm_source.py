"""What Java and Kotlin source writes, starts and needs: calls of the standard library, and settings of common frameworks.

No parser: names of variables are followed to the one place where they get their value. A file whose name is computed, a library that
keeps files and a call that takes a file in a way that is not listed here count as unknown.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from optimizer.context.expressions import split_expressions
from optimizer.context.folder import BuildContext
from optimizer.context.places import HOLE, Place, Unknown, join, resolve
from optimizer.context.source_text import line_of, set_apart, source_evidence

_READ_LANGUAGES = (".java", ".kt")
_CONSTRUCTED = re.compile(
    r"(?<![\w.])(?:new\s+)?(?:java\.\w+(?:\.\w+)*\.)?(FileWriter|FileOutputStream|PrintWriter|PrintStream|Formatter|RandomAccessFile|FileHandler)\s*\("
)
_FILES = re.compile(
    r"\bFiles\s*\.\s*(write\w*|newBufferedWriter|newOutputStream|newByteChannel|create\w+|delete\w*|move|copy|set\w+)\s*\("
    r"|\b(?:Asynchronous)?FileChannel\s*\.\s*(open)\s*\(|\bFile\s*\.\s*(createTempFile)\s*\("
)
_METHODS = re.compile(
    r"\.\s*(mkdirs?|createNewFile|renameTo|setWritable|setExecutable|writeText|appendText|writeBytes|appendBytes|copyRecursively|deleteRecursively"
    r"|printWriter|outputStream)\s*\("
)
_RECEIVER = re.compile(r"(?:new\s+)?\w+(?:\s*\.\s*\w+)*\s*(?:\([^()]*\))?\s*$")
_TAKE_FILES = re.compile(
    r"\b(MultipartFile|ImageIO\s*\.\s*write|FileUtils\s*\.\s*(?:write|copy|move|delete|force|touch)\w*|Preferences\s*\.\s*(?:user|system)\w+"
    r"|writeValue\s*\(\s*(?:new\s+File|\w*[fF]ile|\w*[pP]ath)\b|DiskFileItemFactory|UnixDomainSocketAddress|DiskStore|RollingFile\w*|FileAppender|SQLiteDataSource)"
)
_STREAM = re.compile(
    r"Files\s*\.\s*new|new\s+\w*(?:Writer|Stream)\b|System\s*\.\s*(?:out|err)|.*\.\s*get(?:Writer|OutputStream)\s*\(|.*\.\s*openOutputStream\s*\("
)
_NATIVE = re.compile(r"\bSystem\s*\.\s*load(?:Library)?\s*\(|\bcom\.sun\.jna\b|\bforeign\.Linker\b")
_ROOT = re.compile(r"\b(Files\s*\.\s*setOwner|UserPrincipal|PosixFileAttributeView)\b")
_DATABASE = re.compile(r"jdbc:(sqlite|h2|hsqldb|derby|duckdb):([^\s\"'<>]*)")
_SETTINGS = re.compile(
    r"\b(logging\.file|logging\.path|server\.tomcat\.basedir|server\.tomcat\.accesslog|spring\.servlet\.multipart\.location|quarkus\.log\.file"
    r"|server\.undertow\.accesslog|\w*FileAppender|RollingFile\w*|FileHandler|micronaut\.server\.multipart)\b"
    r"|^logging:[^\S\n]*\n(?:[ \t#][^\n]*\n)*?[ \t]+file\b",
    re.MULTILINE,
)
_CONFIGURATION = re.compile(
    r"(^|/)((application|bootstrap)[\w-]*\.(properties|ya?ml)|logback[\w-]*\.(xml|groovy)|log4j2?[\w-]*\.(xml|properties|ya?ml|json)|logging\.properties"
    r"|persistence\.xml|hibernate\.cfg\.xml|microprofile-config\.properties)$"
)
_MANIFEST = re.compile(r"(^|/)(pom\.xml|build\.gradle(\.kts)?|libs\.versions\.toml)$")
_STORES = re.compile(
    r"(?<![\w-])(h2|hsqldb|derby|sqlite-jdbc|duckdb_jdbc|lucene-core|rocksdbjni|mapdb|ehcache|chronicle-\w+|leveldb\w*|xodus-\w+|nitrite\w*|neo4j-embedded"
    r"|activemq-broker|artemis-server|je|lmdbjava|jgit|spring-boot-starter-(?:activemq|artemis))(?![\w-])"
)
_GETENV = "System\\s*\\.\\s*getenv\\s*\\(\\s*\x01(\\d+)\x02\\s*\\)"
_SETTINGS_READ = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        "System\\s*\\.\\s*getenv\\s*\\(\\s*\\)\\s*\\.\\s*getOrDefault\\s*\\(\\s*\x01(\\d+)\x02\\s*,(.*)\\)",
        f"Optional\\s*\\.\\s*ofNullable\\s*\\(\\s*{_GETENV}\\s*\\)\\s*\\.\\s*orElse\\s*\\((.*)\\)",
        f"Objects\\s*\\.\\s*requireNonNullElse\\s*\\(\\s*{_GETENV}\\s*,(.*)\\)",
        f"{_GETENV}\\s*\\?:(.*)",
        f"{_GETENV}\\s*!=\\s*null\\s*\\?\\s*System\\s*\\.\\s*getenv\\s*\\([^()]*\\)\\s*:(.*)",
        f"{_GETENV}()",
    )
)
"""Expressions that read an environment variable: the number of its name, and what they fall back to."""
_PROPERTY = re.compile("System\\s*\\.\\s*getProperty\\s*\\(\\s*\x01(\\d+)\x02\\s*,(.*)\\)", re.DOTALL)
_DEPTH = 8  # of expressions in expressions, and variables that stand for variables


class JvmEvidence(Struct, frozen=True):
    """What Java and Kotlin sources use; tuples are sorted and have no doubles. Libraries are not looked into.

    read, written: paths; programs: started, by name; root: what needs root's rights, such as "Main.java:7 uses Files.setOwner";
    unknown: what is computed or not read.
    """

    read: tuple[Place, ...] = ()
    written: tuple[Place, ...] = ()
    programs: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def jvm_evidence(
    context: BuildContext,
    files: Iterable[str],
    environment: Mapping[str, str | None] | None = None,
    properties: Mapping[str, str] | None = None,
) -> JvmEvidence:
    """Read Java and Kotlin sources, and the settings and manifests of the build context.

    Args:
        context: The build context.
        files: The sources, as context paths.
        environment: The variables that the program finds set, None for a value that is not known.
        properties: The system properties that its command sets.
    """
    paths = tuple(files)
    other = next((path for path in paths if not path.endswith(_READ_LANGUAGES)), None)
    if other is not None:
        return JvmEvidence(unknown=(Unknown("program", other, "is in a language whose source is not read"),))
    texts = {path: context.read_text(path) for path in paths}
    sources = {path: _Source(path, text) for path, text in texts.items() if text is not None}
    reader = _Reader({posixpath.splitext(posixpath.basename(path))[0]: source for path, source in sources.items()})
    reader.environment, reader.properties = environment or {}, properties or {}
    reader.unknown |= {Unknown("context", path, "cannot be read as text") for path, text in texts.items() if text is None}
    for source in sources.values():
        reader.add(source)
    _settings(context, reader)
    found = source_evidence(context, _READ_LANGUAGES)
    reader.unknown.update(found.unknown_about("program"))
    home = (Place("absolute", text) for text in found.literals if text == "/root" or text.startswith("/root/"))
    return JvmEvidence(
        tuple(sorted(home)), tuple(sorted(reader.written)), found.programs, tuple(sorted(reader.root)), tuple(sorted(reader.unknown))
    )


def _settings(context: BuildContext, reader: _Reader) -> None:
    """What settings and the manifests of build tools say."""
    stores: dict[str, str] = {}
    for path in context.files():
        if _CONFIGURATION.search(path):
            text = re.sub(r"<!--.*?-->|^\s*[#!][^\n]*", "", context.read_text(path) or "", flags=re.DOTALL | re.MULTILINE)
            found = _SETTINGS.search(text)
            if found is not None:
                reader.unknown.add(Unknown("write", path, f"names files that are written ({' '.join(found[0].split())[:40]})"))
            for kind, rest in _DATABASE.findall(text):
                reader.database(kind, rest, path)
        elif _MANIFEST.search(path):
            stores |= dict.fromkeys(_STORES.findall(context.read_text(path) or ""), path)
    if not reader.databases:
        reader.unknown |= {Unknown("write", path, f"needs {name}, which keeps files") for name, path in stores.items()}


class _Source:
    """A file: `code` without comments, in which a mark stands for each string literal."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.code, self.literals = set_apart(text)

    def given(self, name: str) -> str | None:
        """The expression that a name stands for: that of its only assignment, where no parameter has its name."""
        values = re.findall(rf"(?<![\w.]){name}\s*(?::\s*\w+\s*)?[-+]?=(?!=)\s*([^;\n]*(?:\n[^;\n]*)??)[;\n]", self.code)
        parameter = re.search(
            rf"[\w>\]]\s+{name}\s*[,)]|[(,]\s*{name}\s*:\s*\w|\b{name}\s*->|\bfor\s*\([^;)]*\b{name}\s*(?::|in\b)", self.code
        )
        return values[0].strip() if len(values) == 1 and parameter is None else None

    def sets(self, name: str) -> bool:
        """Whether it gives a field of that name another value through an object."""
        return re.search(rf"\.\s*{name}\s*[-+]?=(?!=)", self.code) is not None


class _Reader:
    def __init__(self, classes: Mapping[str, _Source]) -> None:
        self.classes = classes
        self.environment: Mapping[str, str | None] = {}
        self.properties: Mapping[str, str] = {}
        self.written: set[Place] = set()
        self.root: set[str] = set()
        self.unknown: set[Unknown] = set()
        self.databases = False

    def add(self, source: _Source) -> None:
        code = source.code
        for call in _CONSTRUCTED.finditer(code):
            given = split_expressions(code, call.end())
            self.constructed(source, call[1], given, line_of(source.path, code, call.start()))
        for call in _FILES.finditer(code):
            given = split_expressions(code, call.end())
            self.file_call(source, call[1] or call[2] or call[3], given, line_of(source.path, code, call.start()))
        for call in _METHODS.finditer(code):
            receiver = _RECEIVER.search(code, max(0, code.rfind("\n\n", 0, call.start())), call.start())
            where = line_of(source.path, code, call.start())
            self.write(source, receiver[0].strip() if receiver else "", where, folder=call[1].startswith("mkdir"))
        for call in _TAKE_FILES.finditer(code):
            where = line_of(source.path, code, call.start())
            self.unknown.add(Unknown("write", where, f"may write files with {''.join(call[1].split())}"))
        for call in _NATIVE.finditer(code):
            self.unknown.add(Unknown("module", line_of(source.path, code, call.start()), "loads a native library"))
        self.root |= {f"{line_of(source.path, code, c.start())} uses {''.join(c[1].split())}" for c in _ROOT.finditer(code)}
        for text in source.literals:
            if text == "user.home":
                self.unknown.add(Unknown("write", source.path, "uses the home of the user"))
            for kind, rest in _DATABASE.findall(text):
                self.database(kind, rest, source.path)

    def constructed(self, source: _Source, name: str, given: list[str], where: str) -> None:
        """``new FileWriter(…)`` and the like."""
        first = given[0] if given else ""
        if name == "RandomAccessFile":
            if len(given) > 1 and self.value(source, given[1]) == "r":
                return
        elif name in ("PrintWriter", "PrintStream", "Formatter"):
            if not given or _STREAM.match(first) or self.is_stream(source, first):
                return
        elif re.match(r"FileDescriptor\s*\.", first):
            return
        self.write(source, first, where)

    def is_stream(self, source: _Source, name: str) -> bool:
        return (
            name.isidentifier()
            and re.search(rf"\b\w*(?:Writer|Stream|StringBuilder)\s+{name}\b|\b{name}\s*:\s*\w*(?:Writer|Stream)\b", source.code)
            is not None
        )

    def file_call(self, source: _Source, name: str, given: list[str], where: str) -> None:
        """``Files.…``, ``FileChannel.open`` and ``File.createTempFile``."""
        if name.startswith("createTemp"):
            position = 2 if name == "createTempFile" and len(given) == 3 and given[0].startswith("\x01") else 0
            if len(given) > position and not given[position].startswith("\x01") and given[position] != "null":
                self.write(source, given[position], where, folder=True)
        elif name in ("open", "newByteChannel"):
            if re.search(r"\b(WRITE|APPEND|CREATE\w*|DELETE_ON_CLOSE)\b", " ".join(given[1:])):
                self.write(source, given[0], where)
        elif name in ("move", "copy"):
            for expression in given[1:2] if name == "copy" else given[:2]:
                if not (name == "copy" and (_STREAM.match(expression) or self.is_stream(source, expression))):
                    self.write(source, expression, where)
        elif given:
            self.write(source, given[0], where, folder=name in ("createDirectory", "createDirectories"))

    def write(self, source: _Source, expression: str, where: str, *, folder: bool = False) -> None:
        text = self.value(source, expression)
        place = resolve(text + "/" if folder and text else text) if text else None
        if place is None:
            self.unknown.add(Unknown("write", where, "writes to a computed path"))
        else:
            self.written.add(place)

    def database(self, kind: str, rest: str, where: str) -> None:
        """A database in a file, by the URL that JDBC knows it by."""
        self.databases = True
        path = re.split(r"[;?]", rest)[0]
        if path.startswith(("mem:", "tcp:", "ssl:", "memory:", ":memory:", "hsql:", "//")) or (kind == "duckdb" and not path):
            return
        path = path.removeprefix("file:").removeprefix("directory:")
        place = resolve(path) if path and not re.search(r"[$~{]", path) else None
        if place is None:
            self.unknown.add(Unknown("write", where, f"keeps a {kind} database in a computed place"))
        else:
            self.written.add(Place(place.kind, place.path, kind == "derby"))

    def value(self, source: _Source, expression: str, depth: int = 0) -> str:
        """The text of a path: literals, names with one value, ``Path.of``, ``new File``, their sums; otherwise with holes."""
        texts: list[str] = []
        for piece in split_expressions(f"{expression})", 0, "+"):
            texts.append(self.piece(source, piece, depth) if depth < _DEPTH else HOLE)
        return "".join(texts)

    def piece(self, source: _Source, piece: str, depth: int) -> str:
        piece = re.sub(
            r"(\s*\.\s*(toPath|toFile|toString|toAbsolutePath|getPath|getAbsolutePath|normalize|absolutePath|path)\s*(\(\s*\))?)+$",
            "",
            piece,
        )
        literal = re.fullmatch("\x01(\\d+)\x02", piece)
        if literal:
            text = source.literals[int(literal[1])]
            return HOLE if "$" in text and source.path.endswith(".kt") else re.sub(r"\\(.)", r"\1", text)
        made = re.match(r"(?:new\s+)?(?:java\.[\w.]+\.)?(?:File|Paths\s*\.\s*get|Path\s*\.\s*of|Path)\s*\(", piece)
        if made and piece.endswith(")"):
            return join(
                *(
                    self.value(source, part, depth + 1).lstrip("/" if i else "")
                    for i, part in enumerate(split_expressions(piece, made.end()))
                )
            )
        resolved = re.match(r"(.*)\.\s*resolve\s*\(([^()]*)\)$", piece, re.DOTALL)
        if resolved:
            return join(self.value(source, resolved[1], depth + 1), self.value(source, resolved[2], depth + 1))
        if piece.isidentifier():
            return self.named(source, piece, depth)
        if "System" in piece:
            return self.setting(source, piece, depth)
        member = re.fullmatch(r"(\w+)\s*\.\s*(\w+)", piece)
        owner = self.classes.get(member[1]) if member else None
        return self.named(owner, member[2], depth) if owner is not None and member is not None else HOLE

    def setting(self, source: _Source, piece: str, depth: int) -> str:
        """The text of a setting: what the image sets, else what the source falls back to."""
        read = next((found for pattern in _SETTINGS_READ if (found := pattern.fullmatch(piece)) is not None), None)
        named = _PROPERTY.fullmatch(piece) if read is None else None
        found = read or named
        if found is None:
            return HOLE
        name = source.literals[int(found[1])]
        given = self.environment.get(name, "") if read is not None else self.properties.get(name, "")
        return HOLE if given is None else given or (self.value(source, found[2].strip(), depth + 1) if found[2] else HOLE)

    def named(self, source: _Source, name: str, depth: int) -> str:
        """The value of a variable or field of a file."""
        given = source.given(name)
        if given is None or any(other.sets(name) for other in self.classes.values()):
            return HOLE
        return self.value(source, given, depth + 1)
