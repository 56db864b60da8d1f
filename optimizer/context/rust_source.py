"""What Rust source writes, starts and needs: calls of the standard library, and crates that keep files.

No parser: names are followed to the one place where they get their value, functions without arguments to their one expression. A
file whose name is computed and a call that takes a file in a way that is not listed here count as unknown.
Source: https://doc.rust-lang.org/std/fs/.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from optimizer.context.expressions import split_expressions
from optimizer.context.folder import BuildContext
from optimizer.context.found import Found
from optimizer.context.places import HOLE, TEMPORARY, Place, Unknown, join
from optimizer.context.source_text import RUST_SOURCES, line_of, set_apart, source_evidence

_WRITES = re.compile(
    r"\bFile\s*::\s*(?P<file>create(?:_new)?)\s*\("
    r"|\b(?:std\s*::\s*|tokio\s*::\s*|async_std\s*::\s*)?fs\s*::\s*"
    r"(?P<fs>write|create_dir|create_dir_all|remove_\w+|rename|copy|hard_link|set_permissions|symlink)\s*\("
    r"|\bDirBuilder\b[^;]*?\.\s*(?P<dir>create)\s*\(|\b(?:Connection|SqliteConnection)\s*::\s*(?P<sql>open|establish)\s*\("
    r"|\bUnix(?:Listener|Datagram)\s*::\s*(?P<unix>bind)\s*\("
)
_OPTIONS = re.compile(
    r"\bOpenOptions\s*::\s*new\s*\(\s*\)(?P<set>[^;]*?)\.\s*open\s*\(|\bFile\s*::\s*options\s*\(\s*\)(?P<more>[^;]*?)\.\s*open\s*\("
)
_USE = re.compile(r"\buse\s[^;]*;")
_NAMES_OF_FS = re.compile(r"\bfs\s*::\s*(?:\{([^{}]*)\}|(\w+|\*))")
_HARMLESS_NAMES = frozenset({"self", "File", "OpenOptions", "read", "read_to_string", "read_dir", "metadata", "Metadata", "DirEntry", ""})
_OTHER = re.compile(r"\b(include!|dlopen|libloading|tempdir_in|NamedTempFile\s*::\s*new_in|current_exe|home_dir|set_current_dir)\b")
_ROOT = re.compile(
    r"\b(setuid|setgid|setgroups|chroot|mount|unshare|chown|fchown|lchown|sethostname|SOCK_RAW|RawSocket|Type\s*::\s*RAW|pcap)\b"
)
_FOREIGN = re.compile("\\bextern\\s*(?:\x01\\d+\x02)?\\s*\\{")
_PORT = re.compile(r"(?:^|:)(\d{1,5})$")
_STORES = frozenset({
    "sled", "rocksdb", "heed", "lmdb", "lmdb-rkv", "redb", "rusqlite", "sqlite", "libsqlite3-sys", "tantivy", "persy", "fjall", "jammdb",
    "tracing-appender", "log4rs", "flexi_logger", "fern", "file-rotate", "simplelog", "cacache", "directories", "dirs", "tempfile",
    "memmap2", "git2", "zip", "tar", "tonic-reflection", "duckdb", "native_db", "rolling-file", "daemonize",
})  # fmt: skip
"""Crates that write files where the program tells them, or where they please."""
_DEPTH = 6  # of names that stand for names
_PLAIN = re.compile(
    r"(\s*(\?|\.\s*(to_string|to_owned|into|as_str|as_path|as_ref|clone|to_path_buf|display|unwrap|borrow|to_str|into_os_string)\s*\(\s*\)"
    r"|\.\s*(expect|unwrap_or_default)\s*\([^()]*\)))+$"
)
_MADE = re.compile(r"(?:std\s*::\s*path\s*::\s*)?(?:String|Path|PathBuf|OsString|Utf8PathBuf)\s*::\s*(?:from|new)\s*\((.*)\)$", re.DOTALL)
_VARIABLE = re.compile(
    r"(?:std\s*::\s*)?env\s*::\s*var(?:_os)?\s*\(\s*\x01(\d+)\x02\s*\)\s*(?:\.\s*map\s*\([^()]*\)\s*)?"
    r"\.\s*(?:unwrap_or_else\s*\(\s*\|[^|]*\||unwrap_or\s*\()\s*(.*)\)$",
    re.DOTALL,
)


class RustEvidence(Struct, frozen=True):
    """What Rust sources use; tuples are sorted and have no doubles.

    read, written: paths; programs: started, by name; ports; root: what needs root's rights, such as "src/main.rs:7 uses chown";
    unknown: what is computed or not read.
    """

    read: tuple[Place, ...] = ()
    written: tuple[Place, ...] = ()
    programs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    root: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def rust_evidence(context: BuildContext, files: Iterable[str], environment: Mapping[str, str]) -> RustEvidence:
    """Read Rust sources.

    Args:
        context: The build context.
        files: The sources, as context paths.
        environment: Variables that the image sets.
    """
    reader = _Reader(environment)
    for path in files:
        text = context.read_text(path)
        if text is None:
            reader.unknown.add(Unknown("context", path, "cannot be read as text"))
        else:
            reader.sources[path] = set_apart(text)
    taken_in = {posixpath.dirname(path) for path in context.files() if posixpath.basename(path) == ".cargo-checksum.json"}
    for path in reader.sources:
        reader.read(path)
        if _FOREIGN.search(reader.sources[path][0]) and not any(path.startswith(f"{crate}/") for crate in taken_in):
            reader.unknown.add(Unknown("write", path, "calls functions of another language"))
    for crate, lock in _crates(context).items():
        if crate in _STORES:
            reader.unknown.add(Unknown("write", lock, f"needs {crate}, which writes files"))
    found = source_evidence(context, RUST_SOURCES)
    reader.unknown.update(found.unknown_about("program"))
    home = (Place("absolute", text) for text in found.literals if text == "/root" or text.startswith("/root/"))
    ports = {int(match[1]) for text in found.literals if (match := _PORT.search(text)) is not None and int(match[1]) < 65536}
    return RustEvidence(
        tuple(sorted(home)), tuple(sorted(reader.written)), found.programs, tuple(sorted(ports)), tuple(sorted(reader.root)),
        tuple(sorted(reader.unknown)),
    )  # fmt: skip


def _crates(context: BuildContext) -> dict[str, str]:
    """The crates that the lock files and manifests of the context name, and where."""
    found: dict[str, str] = {}
    for path in context.files():
        if path.endswith("Cargo.lock"):
            found |= dict.fromkeys(re.findall(r'(?m)^name = "([\w-]+)"', context.read_text(path) or ""), path)
        elif path.endswith("Cargo.toml"):
            found |= dict.fromkeys(
                re.findall(r"(?m)^\s*([\w-]+)\s*=|^\[[\w.-]*dependencies\.([\w-]+)\]", context.read_text(path) or ""), path
            )
    return {name: path for name, path in found.items() if isinstance(name, str)}


class _Reader(Found):
    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.environment = environment
        self.sources: dict[str, tuple[str, list[str]]] = {}
        self.root: set[str] = set()

    def read(self, path: str) -> None:
        code, _ = self.sources[path]
        for call in _WRITES.finditer(code):
            given = split_expressions(code, call.end())
            where = line_of(path, code, call.start())
            name = call["fs"] or ""
            targets = given[1:2] if name in ("copy", "hard_link", "symlink") else given[:2] if name == "rename" else given[:1]
            for expression in targets:
                self.write(path, expression, where, folder=name.startswith("create_dir") or call["dir"] is not None)
        for call in _OPTIONS.finditer(code):
            if re.search(r"\b(write|append|create|create_new|truncate)\b", call["set"] or call["more"] or ""):
                given = split_expressions(code, call.end())
                self.write(path, given[0] if given else "", line_of(path, code, call.start()))
        bare = len(re.findall(r"\bOpenOptions\s*::\s*new\b|\bFile\s*::\s*options\b", code)) - len(_OPTIONS.findall(code))
        if bare > 0:
            self.unknown.add(Unknown("write", path, "opens files in a way that is not followed"))
        for use in _USE.finditer(code):
            found = [name for listed, one in _NAMES_OF_FS.findall(use[0]) for name in (listed or one).split(",")]
            if {name.strip().partition(" ")[0] for name in found} - _HARMLESS_NAMES or re.search(r"\bfs\s+as\b", use[0]):
                self.unknown.add(Unknown("write", line_of(path, code, use.start()), "takes functions that may write by other names"))
        for call in _OTHER.finditer(code):
            self.unknown.add(Unknown("write", line_of(path, code, call.start()), f"may use files with {call[1]}"))
        self.root |= {f"{line_of(path, code, c.start())} uses {''.join(c[1].split())}" for c in _ROOT.finditer(code)}

    def write(self, path: str, expression: str, where: str, *, folder: bool = False) -> None:
        text = self.value(path, expression)
        self.place(text + "/" if folder and text else text, where)

    def value(self, path: str, expression: str, depth: int = 0) -> str:
        """The text of a path, with holes for what is computed."""
        piece = _PLAIN.sub("", re.sub(r"^\s*[&*]*\s*(mut\s+)?", "", expression).strip())
        if depth > _DEPTH:
            return HOLE
        literals = self.sources[path][1]
        literal = re.fullmatch("\x01(\\d+)\x02", piece)
        if literal:
            return literals[int(literal[1])]
        if re.fullmatch(r"(?:std\s*::\s*)?env\s*::\s*temp_dir\s*\(\s*\)", piece):
            return TEMPORARY
        chosen = _VARIABLE.fullmatch(piece)
        if chosen:
            given = self.environment.get(literals[int(chosen[1])])
            return given if given is not None else self.value(path, chosen[2], depth + 1)
        made = _MADE.fullmatch(piece)
        if made:
            return self.value(path, made[1], depth + 1)
        joined = re.fullmatch(r"(.*)\.\s*join\s*\(([^()]*(?:\([^()]*\))?[^()]*)\)", piece, re.DOTALL)
        if joined:
            return join(self.value(path, joined[1], depth + 1), self.value(path, joined[2], depth + 1))
        formatted = re.match("format!\\s*\\(\\s*\x01(\\d+)\x02", piece)
        if formatted:
            return self.formatted(path, literals[int(formatted[1])], split_expressions(piece, piece.index("(") + 1)[1:], depth)
        if re.fullmatch(r"(?:\w+\s*::\s*)*\w+", piece):
            return self.named(path, piece.rpartition(":")[2].strip(), depth)
        called = re.fullmatch(r"(?:\w+\s*::\s*)*(\w+)\s*\((.*)\)", piece, re.DOTALL)
        if called is None:
            return HOLE
        return self.looked_up(path, called[1], called[2], depth) if called[2].strip() else self.called(called[1], depth)

    def looked_up(self, path: str, name: str, given: str, depth: int) -> str:
        """The value of a function that reads the environment variable that one argument names, and falls back to another one."""
        found = [
            (parameters, body)
            for code, _ in self.sources.values()
            for parameters, body in re.findall(rf"\bfn\s+{name}\s*\(([^()]*)\)\s*->\s*String\s*\{{(.*?)\n\}}", code, re.DOTALL)
        ]
        names = [part.split(":")[0].strip() for part in split_expressions(f"{found[0][0]})", 0)] if len(found) == 1 else []
        read = re.fullmatch(
            r"\s*(?:std\s*::\s*)?env\s*::\s*var\s*\(\s*(\w+)\s*\)\s*\.\s*(?:unwrap_or_else\s*\(\s*\|[^|]*\||unwrap_or\s*\()\s*"
            r"(\w+)\s*\.\s*(?:to_string|to_owned|into)\s*\(\s*\)\s*\)\s*",
            found[0][1] if names else "",
        )
        arguments = split_expressions(f"{given})", 0)
        if read is None or read[1] not in names or read[2] not in names or len(arguments) != len(names):
            return HOLE
        key = self.value(path, arguments[names.index(read[1])], depth + 1)
        value = self.environment.get(key) if HOLE not in key else HOLE
        return value if value is not None else self.value(path, arguments[names.index(read[2])], depth + 1)

    def formatted(self, path: str, text: str, given: list[str], depth: int) -> str:
        """A text with its braces filled. Source: https://doc.rust-lang.org/std/fmt/."""
        rest = list(given)

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name:
                return self.named(path, name, depth + 1) if name.isidentifier() else HOLE
            return self.value(path, rest.pop(0), depth + 1) if rest else HOLE

        return re.sub(r"\{(\w*)(?::[^}]*)?\}", fill, text)

    def named(self, path: str, name: str, depth: int) -> str:
        """The value of a variable, constant or static: that of its only definition, where no parameter has its name."""
        code = self.sources[path][0]
        defined = rf"\b(?:let|const|static)\s+(?:mut\s+)?{name}\b"
        bound = rf"[(,|]\s*(?:mut\s+)?{name}\s*[:|]|\bfor\s+{name}\b|\w\(\s*{name}\s*\)\s*=|(?<![.\w=!<>]){name}\s*=(?!=)"
        if re.search(bound, re.sub(defined, "", code)):
            return HOLE  # a parameter, a pattern, or a variable that changes
        found = [(path, value) for value in re.findall(rf"{defined}\s*(?::[^=;]+)?=\s*([^;]*);", code)]
        if not found:
            found = [
                (p, v) for p, (c, _) in self.sources.items() for v in re.findall(rf"\b(?:const|static)\s+{name}\s*:[^=;]+=\s*([^;]*);", c)
            ]
        return self.value(*found[0], depth + 1) if len(found) == 1 else HOLE

    def called(self, name: str, depth: int) -> str:
        """The value of a function without arguments whose body is one expression."""
        found = [
            (path, body)
            for path, (code, _) in self.sources.items()
            for body in re.findall(rf"\bfn\s+{name}\s*\(\s*\)\s*(?:->[^{{;]+)?\{{\s*([^;{{}}]*?)\s*\}}", code)
        ]
        return self.value(found[0][0], found[0][1], depth + 1) if len(found) == 1 else HOLE
