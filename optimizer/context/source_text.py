"""What the source of a Java, Kotlin, Scala or Rust program says of the files it opens and the programs it starts.

No parser: comments are taken out and string literals are set apart, then the calls of the standard library are looked for by
name. What such a call is given in another form than a literal counts as unknown.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.places import Unknown

JVM_SOURCES = (".java", ".kt", ".scala", ".groovy", ".clj")
RUST_SOURCES = (".rs",)
_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"""(?P<long>.*?)"""|\bb?r(?P<hash>#*)"(?P<raw>.*?)"(?P=hash)|"(?P<text>(?:\\.|[^"\\\n])*)"'
    r"|'(?:\\[^']*|[^'\\])'",
    re.S,
)
_MARK = re.compile("\x01(\\d+)\x02")
_JVM_OPEN = re.compile(
    r"\b(?:new\s+)?(?:java\.\w+\.)*(File|FileReader|FileInputStream|RandomAccessFile|FileSystemResource|Scanner|FileWriter|FileOutputStream|PrintWriter"
    r"|PrintStream|Paths\s*\.\s*get|Path\s*\.\s*of)\s*\("
)
_JVM_START = re.compile(r"\b(?:ProcessBuilder\s*\(|(?:getRuntime\(\)|runtime|rt)\s*\.\s*exec\s*\()")
_RUST_OPEN = re.compile(
    r"\b(File\s*::\s*(?:open|create)|fs\s*::\s*\w+|OpenOptions\b[^;]*?\.\s*open|ServeDir\s*::\s*new|ServeFile\s*::\s*new|NamedFile\s*::\s*open\w*)\s*\("
)
_RUST_START = re.compile(r"\bCommand\s*::\s*new\s*\(")
_CLASSES = re.compile(r"^\s*package\s+([\w.]+)", re.M)


class SourceEvidence(Struct, frozen=True):
    """What sources say.

    Args:
        files: The files read, sorted.
        literals: The texts of all string literals that could be names of files, sorted.
        programs: Names or paths of the programs started.
        packages: Packages that the sources declare ("" for none), for Java and its like.
        code: The sources without comments and literals, one text.
        unknown: What is computed: kind "read" for a file's name, "program" for a program's.
    """

    files: tuple[str, ...]
    literals: tuple[str, ...]
    programs: tuple[str, ...]
    packages: tuple[str, ...]
    code: str
    unknown: tuple[Unknown, ...]

    def unknown_about(self, about: str) -> tuple[Unknown, ...]:
        """The unknowns of a kind."""
        return tuple(item for item in self.unknown if item.about == about)


def source_evidence(context: BuildContext, endings: Iterable[str]) -> SourceEvidence:
    """Read the sources of a build context by their endings, those of tests left out."""
    files = tuple(
        f for f in context.files() if f.endswith(tuple(endings)) and not re.search(r"(^|/)(src/test|tests?|benches|examples)/", f)
    )
    literals: set[str] = set()
    programs: set[str] = set()
    packages: set[str] = set()
    unknown: list[Unknown] = []
    codes: list[str] = []
    for file in files:
        text = context.read_text(file)
        if text is None:
            unknown += [Unknown("read", file, "cannot be read"), Unknown("program", file, "cannot be read")]
            continue
        code, found = set_apart(text)
        codes.append(code)
        literals.update(t for t in found if 0 < len(t) < 200 and "\n" not in t)
        rust = file.endswith(RUST_SOURCES)
        if not rust:
            match = _CLASSES.search(code)
            packages.add(match[1] if match else "")
        for match in (_RUST_OPEN if rust else _JVM_OPEN).finditer(code):
            if _argument(code, match.end(), found) is None and not _harmless(code, match.end()):
                unknown.append(Unknown("read", line_of(file, code, match.start()), "opens a file whose name is computed"))
        for match in (_RUST_START if rust else _JVM_START).finditer(code):
            given = _argument(code, match.end(), found)
            if given is None or not given.split():
                unknown.append(Unknown("program", line_of(file, code, match.start()), "starts a program whose name is computed"))
            else:
                programs.add(given.split()[0])
    return SourceEvidence(
        files, tuple(sorted(literals)), tuple(sorted(programs)), tuple(sorted(packages)), "\n".join(codes), tuple(unknown)
    )


def set_apart(text: str) -> tuple[str, list[str]]:
    """The code with a mark for each string literal, its number between \\x01 and \\x02, and the literals. Lines keep their numbers."""
    found: list[str] = []

    def replace(match: re.Match[str]) -> str:
        value = next((match[n] for n in ("long", "raw", "text") if match[n] is not None), None)
        lines = "\n" * match[0].count("\n")
        if value is None:
            return lines if match[0].startswith("/") else "' '"
        found.append(value)
        return f"\x01{len(found) - 1}\x02{lines}"

    return _TOKEN.sub(replace, text), found


def _argument(code: str, at: int, literals: list[str]) -> str | None:
    """The literal that a call is given as its first argument, None for anything else."""
    match = re.compile("\\s*(?:&|(?:List|Arrays)\\.\\w+\\(|new\\s+String\\[\\]\\s*\\{|listOf\\()?\\s*\x01(\\d+)\x02\\s*([,)}])").match(
        code, at
    )
    return literals[int(match[1])] if match else None


def _harmless(code: str, at: int) -> bool:
    """Whether the first argument is a stream, or a File that is made there and is looked at by itself."""
    return (
        re.compile(r"\s*(System\.(in|out|err)|new\s|\w+\s*\.\s*(getInputStream|getOutputStream|openStream)\(|socket|\))").match(code, at)
        is not None
    )


def line_of(file: str, code: str, at: int) -> str:
    """The place of an offset in a file, as "file:line"."""
    return f"{file}:{code.count(chr(10), 0, at) + 1}"


def named_paths(evidence: SourceEvidence, more: Iterable[str] = ()) -> tuple[str, ...]:
    """The literals that can be paths below the working directory or absolute paths, wildcards cut off, normalised."""
    found: set[str] = set()
    for text in (*evidence.literals, *more):
        plain = re.sub(r"^(file:(//)?|\./)", "", re.sub(r"[*?{\[].*", "", text))
        if plain and re.fullmatch(r"/?[\w.@+-]+(/[\w.@+-]+)*/?", plain):
            path = posixpath.normpath(plain)
            if path not in (".", "..", "/") and not path.startswith(".."):
                found.add(path)
    return tuple(sorted(found))
