"""What a JavaScript or TypeScript program imports, starts, reads, writes and listens on, read from its source."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

from optimizer.context.components import COMPONENTS, script_of
from optimizer.context.folder import BuildContext
from optimizer.context.package_names import own_modules
from optimizer.context.places import HOLE, ROOT, Place, Unknown, join, resolve
from optimizer.context.scopes import UNKNOWN, Values

if TYPE_CHECKING:
    from tree_sitter import Node

    from optimizer.context.javascript_module import Module

_ROUNDS = 3  # of reading everything again, which may lead to more modules
MAXIMUM_SOURCE = 4 << 20  # characters that are read; more of it counts as unknown
SOURCES = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")
_COMPILED = {".js": (".ts", ".tsx"), ".mjs": (".mts",), ".cjs": (".cts",), ".jsx": (".tsx",)}
BUILTIN = frozenset(
    [
        "assert",
        "async_hooks",
        "buffer",
        "child_process",
        "cluster",
        "console",
        "constants",
        "crypto",
        "dgram",
        "diagnostics_channel",
        "dns",
        "domain",
        "events",
        "fs",
        "http",
        "http2",
        "https",
        "inspector",
        "module",
        "net",
        "os",
        "path",
        "perf_hooks",
        "process",
        "punycode",
        "querystring",
        "readline",
        "repl",
        "sqlite",
        "stream",
        "string_decoder",
        "sys",
        "test",
        "timers",
        "tls",
        "trace_events",
        "tty",
        "url",
        "util",
        "v8",
        "vm",
        "wasi",
        "worker_threads",
        "zlib",
        "bun",
    ]
)


class JavaScriptEvidence(Struct, frozen=True):
    """What was found from an entry on; each tuple is sorted and has no doubles.

    modules: bare names imported, `@scope/name` or `name`, `node:` taken off; files: the files of the context that are
    loaded, JSON among them; programs: names or paths of programs started; read, written: places the source names; ports:
    TCP ports listened on; settled: packages that keep files, whose calls tell where; unknown: what the source leaves open.
    What installed packages do on their own is not part of it.
    """

    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    read: tuple[Place, ...] = ()
    written: tuple[Place, ...] = ()
    ports: tuple[int, ...] = ()
    settled: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """The modules that are not part of Node.js."""
        return tuple(name for name in self.modules if name not in BUILTIN)

    def unknown_about(self, *about: str) -> tuple[Unknown, ...]:
        """The unknowns of some kinds, such as "program" or "write"; a file that cannot be read is one of every kind."""
        return tuple(item for item in self.unknown if item.about in (*about, "syntax", "context"))


@dataclass
class Findings:
    """Evidence while it is gathered."""

    modules: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    read: set[Place] = field(default_factory=set)
    written: set[Place] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    unknown: set[Unknown] = field(default_factory=set)


def javascript_evidence(
    context: BuildContext,
    entry: str,
    *,
    runs_as: str | None = None,
    environment: Mapping[str, str] | None = None,
    also: Iterable[str] = (),
    provided: str | None = None,
) -> JavaScriptEvidence:
    """Read a program from its entry file on, local modules followed.

    entry: the source file, relative to the context; runs_as: where a build puts the file that is run instead, such as
    dist/server.js: `__dirname` then lies there, both as a compiler that keeps folders and as a bundler would have it;
    environment: environment variables known to be set; others have the default the source gives. also: more files that the
    program begins with; provided: a pattern of module names that are neither files nor packages.
    """
    reader = _Reader(context, posixpath.normpath(entry), runs_as, environment or {}, provided)
    pending = [reader.entry, *also]
    if not context.exists(reader.entry):
        reader.findings.unknown.add(Unknown("context", reader.entry, "is not in the build context"))
        pending = []
    done = reader.follow(pending)
    for _ in range(_ROUNDS if reader.asked else 0):
        before = done
        reader.start_again()
        done = reader.follow(sorted(before))
        if done == before:
            break
    found = reader.findings
    return JavaScriptEvidence(
        tuple(sorted(found.modules)), tuple(sorted(done)), tuple(sorted(found.programs)), tuple(sorted(found.read)),
        tuple(sorted(found.written)), tuple(sorted(found.ports)), tuple(sorted(found.settled)), tuple(sorted(found.unknown)),
    )  # fmt: skip


class _Reader:
    def __init__(
        self, context: BuildContext, entry: str, runs_as: str | None, environment: Mapping[str, str], provided: str | None
    ) -> None:
        self.provided = re.compile(provided) if provided is not None else None
        self.context = context
        self.entry = entry
        self.runs_as = runs_as
        self.environment = environment
        self.findings = Findings()
        self.total = 0
        self.complete = False  # whether all modules are known, so that calls of what one exports are
        self.asked = False
        self._modules: dict[str, Module | None] = {}
        self._exports: dict[tuple[str, str], Values] = {}
        self._paths: dict[str, list[tuple[str, tuple[str, ...]]]] = {}

    def follow(self, pending: list[str]) -> set[str]:
        """Read files and all that they load. Returns the files."""
        done: set[str] = set()
        while pending:
            path = pending.pop()
            if path not in done:
                done.add(path)
                pending += self.read(path)
        return done

    def start_again(self) -> None:
        """Forget what was found, now that all modules are known."""
        self.complete = True
        self.findings = Findings()
        self._exports.clear()
        for module in self._modules.values():
            if module is not None:
                module.forget()

    def _callers(self, path: str, exported: str, index: int, depth: int) -> Values:
        from optimizer.context.javascript_parameters import calls_from

        if not self.complete:
            self.asked = True
            return UNKNOWN
        if depth > 30:
            return UNKNOWN
        modules = [module for module in self._modules.values() if module is not None]
        return calls_from(modules, self.find, path, exported, index, depth)

    def module(self, path: str) -> Module | None:
        from optimizer.context.javascript_module import Module

        if path not in self._modules:
            text = self.context.read_text(path)
            if text is not None and path.endswith(COMPONENTS):
                text = script_of(path, text)
            if text is not None and path.endswith(".json"):
                text = f"module.exports = {text}"
            self.total += len(text or "")
            if text is None or self.total > MAXIMUM_SOURCE:
                self._modules[path] = None
            else:
                try:
                    self._modules[path] = Module(path, text, self._folders(path), self.environment, self._elsewhere, self._callers)
                except RecursionError:
                    self._modules[path] = None
        return self._modules[path]

    def _folders(self, path: str) -> tuple[str, ...]:
        """The folders a file may lie in when it runs, as path texts."""
        folder = posixpath.dirname(path)
        if self.runs_as is None:
            return (f"{ROOT}/{folder}".rstrip("/"),)
        start, target = posixpath.dirname(self.entry), posixpath.dirname(posixpath.normpath(self.runs_as))
        bundled = f"{ROOT}/{target}".rstrip("/")
        inside = posixpath.relpath(folder or ".", start or ".")
        compiled = f"{bundled}/{inside}" if inside != "." else bundled
        return (bundled,) if compiled == bundled else (HOLE, bundled) if inside.startswith("..") else (compiled, bundled)

    def _elsewhere(self, path: str, source: str, export: str, depth: int) -> Values:
        names = [export]
        found = self.find(path, source) if source.strip(".") and depth < 40 else None
        while found is None and re.search(r"[^./]\.\w+$", source):
            source, _, name = source.rpartition(".")  # `settings.storage.folder` of the module `settings`
            names.insert(0, name)
            found = self.find(path, source)
        module = self.module(found) if found and found.endswith((*SOURCES, ".json")) else None
        if module is None:
            return UNKNOWN
        key = (module.path, ".".join(names))
        if key not in self._exports:
            self._exports[key] = UNKNOWN  # for modules that export each other's values
            self._exports[key] = module.exported(tuple(names), depth)
        return self._exports[key]

    def find(self, path: str, name: str) -> str | None:
        """The file of the context that a local module name stands for."""
        bases = [posixpath.normpath(posixpath.join(posixpath.dirname(path), name))]
        if name.startswith(ROOT):
            bases = [posixpath.normpath(name[1:].lstrip("/"))]
        elif not name.startswith("."):
            bases = [*self._mapped(path, name), *(own_modules(self.context, path, name) or ())]
        for base in bases:
            stem, extension = posixpath.splitext(base)
            candidates = [
                base,
                *(stem + other for other in _COMPILED.get(extension, ())),
                *(base + other for other in (*SOURCES, ".json", ".node")),
            ]
            candidates += [f"{base}/index{other}" for other in SOURCES]
            for candidate in candidates:
                if self.context.exists(candidate) and not self.context.is_dir(candidate):
                    return candidate
        return None

    def _mapped(self, path: str, name: str) -> list[str]:
        """Where `paths` and `baseUrl` of the nearest tsconfig.json lead."""
        folder = posixpath.dirname(path)
        while folder and not self.context.exists(f"{folder}/tsconfig.json"):
            folder = posixpath.dirname(folder)
        if folder not in self._paths:
            self._paths[folder] = list(_tsconfig_paths(self.context, folder))
        found = []
        for pattern, targets in self._paths[folder]:
            before, star, after = pattern.partition("*")
            if name == pattern or (star and name.startswith(before) and name.endswith(after) and len(name) >= len(before) + len(after)):
                middle = name[len(before) : len(name) - len(after)] if star else ""
                found += [target.replace("*", middle) for target in targets]
        return found

    def read(self, path: str) -> list[str]:
        """Add what one file tells to the findings. Returns the local files it loads."""
        from optimizer.context.javascript_calls import read_calls

        unknown = self.findings.unknown
        if path != self.entry and not path.endswith((*SOURCES, *COMPONENTS)):
            return []
        module = self.module(path)
        if module is None:
            unknown.add(Unknown("context", path, "cannot be read: it is not text, nested too deeply, or there is too much source"))
            return []
        line = module.broken_line()
        if line is not None:
            unknown.add(Unknown("syntax", f"{path}:{line}", "cannot be parsed"))
        found: list[str] = []
        try:
            names: Iterable[tuple[Node, str]] = [*module.imports, *read_calls(module, self.findings)]
        except RecursionError:
            unknown.add(Unknown("syntax", path, "is nested too deeply to be read"))
            return []
        for node, name in names:
            if self.provided is not None and self.provided.match(name):
                continue
            if name.endswith("/*"):
                below = [f for f in self.context.under(posixpath.normpath(name[1:-2].lstrip("/"))) if f.endswith(SOURCES)]
                if not below:
                    unknown.add(Unknown("module", f"{path}:{module.line(node)}", "loads a computed module"))
                found += below
            elif name.startswith((".", ROOT)) or not re.match(r"[@\w]", name):
                local = self.find(path, name)
                if local is None:
                    unknown.add(
                        Unknown("module", f"{path}:{module.line(node)}", f"imports {name.lstrip(ROOT)}, which is not in the build context")
                    )
                else:
                    found.append(local)
                if local is not None and local.endswith(".json"):  # a bundler may take it in, a compiler leaves it
                    self.findings.read.update(place for folder in module.folders if (place := resolve(join(folder, name))))
            elif (local := self.find(path, name)) is not None:
                found.append(local)
            elif own_modules(self.context, path, name) is not None:
                unknown.add(Unknown("module", f"{path}:{module.line(node)}", f"imports {name}, which is not in the build context"))
            else:
                plain = "bun" if name.startswith("bun:") else name.removeprefix("node:")
                self.findings.modules.add("/".join(plain.split("/")[: 2 if plain.startswith("@") else 1]))
        return found


def _tsconfig_paths(context: BuildContext, folder: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    from optimizer.context.tsconfig import compiler_options

    options = compiler_options(context, posixpath.join(folder, "tsconfig.json"))
    yield from options.get("paths", {}).items()
    if isinstance(options.get("baseUrl"), str):
        yield "*", (posixpath.normpath(posixpath.join(options["baseUrl"], "*")),)
