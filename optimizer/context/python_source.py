"""What Python programs of the build context import, start, read, write and listen on, read from their source.

The source is parsed with libcst, whose grammar does not depend on the Python that runs this. Most files need no such
reading: a file that names nothing of interest is only searched for imports, with the much faster `ast` of the standard
library, falling back on libcst where that is too old for the file.
"""

from __future__ import annotations

import ast
import itertools
import posixpath
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.places import HOLE, TEMPORARY, Place, Unknown, resolve

if TYPE_CHECKING:
    from optimizer.context.python_modules import Modules

MAXIMUM_SOURCE = 4 << 20  # characters of Python that are read; more of it counts as unknown
# A name that imports, calls or assigns something that python_calls.py knows.
_OF_INTEREST = re.compile(
    r"subprocess|\bos\.(?!environ|getenv|path\b|sep\b|linesep)|\bos import|\bopen\s*\(|popen|pexpect|plumbum|\bsh\b|shutil|sqlite|logging"
    r"|\.(?:write|read)_(?:text|bytes|csv|excel|json|parquet|pickle|table|feather)\b|\.(?:mkdir|touch|unlink|rmdir|symlink_to|save)\s*\("
    r"|\.to_(?:csv|excel|parquet|pickle|feather|hdf)\s*\(|savefig|filename|\.(?:run|bind|listen|launch|connect)\s*\(|\.rename\s*\("
    r"|Server\s*\(|_port\s*\(|create_(?:async_)?engine|Database|DATABASE_URI|dump|load|imread|imwrite|VideoWriter|import_module|__import__"
    r"|FEEDS|FEED_URI|LOG_FILE|JOBDIR|_STORE\b|HTTPCACHE|run_app|run_simple|run_server|run_task|serve|_server\b|send_file|send_from|FileResponse|StaticFiles|Jinja2Templates|FileSystemLoader"
    r"|write_\w+\(|filebased|\.download_|joblib|kit\.from_|h5py|numpy|loguru|tinydb|GzipFile|ZipFile|open_file|urlretrieve|\bpty\b|create_subprocess|Image\b"
)


class PythonEvidence(Struct, frozen=True):
    """What was found; each tuple is sorted and has no doubles.

    imports: top-level names of the modules imported, those of the context itself left out; programs: names or paths of
    programs started or looked up; written, read: places the source names; ports: TCP ports listened on; files: the Python
    files of the context that were read; unknown: what the source leaves open, which stands for any value; loaded: files of
    settings whose values count among those of the source.
    What installed packages do on their own is not part of this.
    """

    imports: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    written: tuple[Place, ...] = ()
    read: tuple[Place, ...] = ()
    ports: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    loaded: tuple[str, ...] = ()

    def unknown_about(self, *about: str) -> tuple[Unknown, ...]:
        """The unknowns of some kinds, such as "program" or "write"; a file that cannot be read is one of every kind."""
        return tuple(item for item in self.unknown if item.about in (*about, "syntax", "context"))


@dataclass
class Findings:
    """Evidence while it is gathered."""

    imports: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    written: set[Place] = field(default_factory=set)
    read: set[Place] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    unknown: set[Unknown] = field(default_factory=set)
    moves: set[Unknown] = field(default_factory=set)
    """Calls that change the working folder, which matter where a relative path is written."""


def python_evidence(
    context: BuildContext,
    folders_or_files: Iterable[str],
    *,
    environment: Mapping[str, str] | None = None,
    arguments: tuple[str | None, ...] = (),
) -> PythonEvidence:
    """Read Python source.

    folders_or_files: relative to the context. Of a folder, every .py file below it is read, without those of tests,
    installed packages and build scripts (setup.py). Of a file, the file and the modules of the context that it imports or
    names in texts, in turn. environment: environment variables known to be set, such as those of ENV; others have the default the source
    gives, and without one are unknown. arguments: the words of the commands that start the program, None for one that is
    computed; options that they do not give have the default the source gives.
    """
    from optimizer.context.python_modules import Modules, is_skipped

    modules = Modules(context, environment or {}, arguments=arguments)
    findings = Findings()
    pending: list[str] = []
    follow: set[str] = set()
    for start in map(posixpath.normpath, folders_or_files):
        if context.is_dir(start):
            pending += [path for path in context.under(start) if path.endswith(".py") and not is_skipped(path)]
            if context.truncated:
                findings.unknown.add(Unknown("context", start, "has too many files to list"))
        else:
            pending.append(start)
            follow.add(start)
    done: set[str] = set()
    total = 0
    searched = bool((environment or {}).get("PYTHONPATH"))
    while pending:
        path = pending.pop()
        if path in done:
            continue
        done.add(path)
        text = context.read_text(path)
        total += len(text or "")
        searched = searched or "sys.path" in (text or "")
        if text is None or total > MAXIMUM_SOURCE:
            reason = "cannot be read as text" if text is None else "is left out, there is too much source to read"
            findings.unknown.add(Unknown("context", path, reason))
            continue
        if path in follow:
            local = [found for name in _named_modules(text) for found in _local_files(modules, path, name)]
            local += [found for name in _named_files(text) if (found := _beside(context, path, name)) is not None]
            follow.update(local)
            pending += local
        for name in _read(path, text, modules, findings):
            local = [found for found in _local_files(modules, path, name) if found != path]
            if path in follow and searched and not local:
                pending += (moved := _in_any_folder(context, name))
                follow.update(moved)
            if path in follow:
                follow.update(local)
                pending += local
            if not local and name and not name.startswith("/"):
                findings.imports.add(name.split(".")[0])
    files = tuple(sorted(done))
    if any(place.kind == "cwd" for place in findings.written):
        findings.unknown |= findings.moves
    return PythonEvidence(
        tuple(sorted(findings.imports)), tuple(sorted(findings.programs)), tuple(sorted(findings.written)),
        tuple(sorted(findings.read)), tuple(sorted(findings.ports)), files, tuple(sorted(findings.unknown)),
        tuple(sorted(modules.loaded)),
    )  # fmt: skip


def _read(path: str, text: str, modules: Modules, findings: Findings) -> list[str]:
    """Add what one file tells to the findings. Returns the modules it imports."""
    from optimizer.context.python_module import parse_quietly

    if not _OF_INTEREST.search(text):
        try:
            return _imports(path, parse_quietly(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass  # newer syntax than this Python knows, or none at all: libcst tells
    module = modules.module(path)
    if module is None:
        line, reason = modules.problems[path]
        findings.unknown.add(Unknown("syntax", f"{path}:{line}", reason))
        return []
    from optimizer.context.python_calls import read_module

    try:
        read_module(module, findings)
    except RecursionError:
        findings.unknown.add(Unknown("syntax", path, "is nested too deeply to be read"))
    return module.imports


def _named_modules(text: str) -> list[str]:
    """The modules that a source names in texts, as servers and task queues take them: "package.module:app", "package.module.name"."""
    named = r"""["']([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:(?=[A-Za-z_])|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+["'])|import_module\(\s*["']([\w.]+)"""
    return [(dotted or given).rstrip(":\"'") for dotted, given in re.findall(named, text)]


def _named_files(text: str) -> list[str]:
    """The Python files that a source names in texts, to run them."""
    return re.findall(r"""["']([\w./-]+\.py)["']""", text)


def _in_any_folder(context: BuildContext, name: str) -> list[str]:
    """The files that a module may be where PYTHONPATH or sys.path name further folders."""
    top = name.split(".")[0]
    if not top or "/" in top or top in sys.stdlib_module_names:
        return []
    return [f for f in context.files() if f.endswith((f"/{top}.py", f"/{top}/__init__.py"))]


def _beside(context: BuildContext, path: str, name: str) -> str | None:
    """The file of the context that a name stands for: beside the file that names it, or from the context's root."""
    places = (posixpath.normpath(posixpath.join(folder, name)) for folder in (posixpath.dirname(path), ""))
    return next((place for place in places if not place.startswith(("/", "..")) and context.exists(place)), None)


def _imports(path: str, tree: ast.Module) -> list[str]:
    from optimizer.context.python_module import absolute_module

    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute_module(path, node.level, node.module or "")
            names.append(base)
            names += [base + alias.name if base.endswith("/") else f"{base}.{alias.name}" for alias in node.names]
    return names


def _local_files(modules: Modules, path: str, name: str) -> list[str]:
    """The files of the context that importing a module runs: its own and those of the packages around it."""
    folder = posixpath.dirname(path)
    found: list[str] = []
    parts = name.strip("/").replace("/", ".").split(".")
    for count in range(1, len(parts) + 1):
        prefix = "/".join(parts[:count])
        # A script finds the modules beside it; relative names start at the root of the context.
        bases = [f"/{prefix}"] if name.startswith("/") else [f"/{folder}/{prefix}" if folder else prefix, prefix]
        found += [file for base in bases if (file := modules.find(base))][:1]
    return found


def add_places(places: set[Place], findings: Findings, values: Iterable[object], unknown: Unknown, folder: bool = False) -> None:
    """Add the places that path texts name, or the unknown when one names none."""
    for value in values:
        if isinstance(value, str) and (value.startswith(TEMPORARY) or value == ":memory:"):
            continue
        if value is None or isinstance(value, int) or value == "":
            continue  # a file descriptor, or no file at all
        place = resolve(value) if isinstance(value, str) and not re.match(r"[a-z][a-z0-9+]+://", value) else None
        if place is not None:
            if not place.path.startswith("/dev/"):
                places.add(Place(place.kind, place.path, folder or place.folder))
        elif not isinstance(value, str) or HOLE in value or value.startswith("\x01"):
            findings.unknown.add(unknown)


def flatten(values: Iterable[object]) -> Iterable[object]:
    """Values with tuples taken apart once."""
    return itertools.chain.from_iterable(value if isinstance(value, tuple) else (value,) for value in values)
