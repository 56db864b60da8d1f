"""The calls that tell which programs, files and ports a JavaScript module uses, and the reading of them."""

from __future__ import annotations

import posixpath
import re
from itertools import product
from typing import TYPE_CHECKING, Literal

from optimizer.context.commands import command_programs, shell_programs, shell_writes
from optimizer.context.javascript_module import Module, Scope
from optimizer.context.javascript_packages import COMPUTED, DEFAULTS, FILES, FOLDERS, KEYS, METHODS, NESTED, OPTIONS, SQLITE
from optimizer.context.javascript_source import BUILTIN, Findings
from optimizer.context.javascript_tree import arguments, pairs, text_of
from optimizer.context.places import HOLE, ROOT, TEMPORARY, Place, Unknown, join, resolve
from optimizer.context.scopes import UNKNOWN, Value, Values

if TYPE_CHECKING:
    from tree_sitter import Node

_SHELL = {
    "child_process.exec", "child_process.execSync", "shelljs.exec", "execa.execaCommand", "execa.execaCommandSync", "execa.command",
    "execa.commandSync", "Bun.$", "zx.$", "execa.$",
}  # fmt: skip
_STARTED = {
    "child_process.execFile", "child_process.execFileSync", "child_process.spawn", "child_process.spawnSync", "cross-spawn",
    "cross-spawn.sync", "execa", "execa.execa", "execa.execaSync", "execa.sync", "shelljs.which", "which", "which.sync", "Bun.spawn",
    "Bun.spawnSync", "node-pty.spawn",
}  # fmt: skip
_LOADED = {"require", "import", "require.resolve", "child_process.fork", "worker_threads.Worker", "Worker", "jest.requireActual"}
_READ = {
    **{f"fs.{name}{sync}": 0 for sync in ("", "Sync") for name in (
        "readFile", "readdir", "readlink", "opendir", "access", "exists", "stat", "lstat", "copyFile", "cp", "copy", "readJson", "readJSON",
        "pathExists", "watch", "watchFile",
    )},
    "fs.createReadStream": 0, "express.static": 0, "serve-static": 0, "koa-static": 0, "koa-send": 1, "Bun.file": 0, "dotenv.config": 9,
}  # fmt: skip
_READ_METHODS = {"sendFile": 0, "download": 0, "useStaticAssets": 0, "setBaseViewsDir": 0}
_WRITTEN = {
    **{f"fs.{name}{sync}": (0,) for sync in ("", "Sync") for name in (
        "writeFile", "appendFile", "truncate", "unlink", "rm", "rmdir", "chmod", "outputFile", "outputJson", "writeJson", "outputJSON",
        "writeJSON", "ensureFile", "remove", "utimes",
    )},
    **{f"fs.{name}{sync}": (1,) for sync in ("", "Sync") for name in ("copyFile", "cp", "copy", "symlink", "link")},
    **{f"fs.{name}{sync}": (0, 1) for sync in ("", "Sync") for name in ("rename", "move")},
    "fs.createWriteStream": (0,),
    **FILES,
}  # fmt: skip
_MADE = {f"fs.{name}{sync}" for sync in ("", "Sync") for name in ("mkdir", "mkdtemp", "ensureDir", "mkdirp", "emptyDir", "mkdirs")} | {
    "mkdirp", "mkdirp.mkdirp", "mkdirp.sync", "make-dir",
}  # fmt: skip
# Plugins that load every module of the folder that their option `dir` names.
_LOADERS = {"@fastify/autoload", "fastify-autoload"}
_PATHS = {"path.join", "path.resolve", "path.posix.join", "path.posix.resolve", "URL", "url.URL"}
_SERVERS = {
    "Bun.serve",
    "Deno.serve",
    "@hono/node-server.serve",
    "ws.Server",
    "ws.WebSocketServer",
    "ws.WebSocket.Server",
    "socket.io.Server",
}


def read_calls(module: Module, findings: Findings) -> list[tuple[Node, str]]:
    """Add what the calls of one module tell to the findings. Returns the modules they load, with the calls."""
    loaded: list[tuple[Node, str]] = []
    for node, scope in module.calls:
        _Call(module, node, scope, findings).read(loaded)
    return loaded


class _Call:
    """One call or `new`, with its arguments as values."""

    def __init__(self, module: Module, node: Node, scope: Scope, findings: Findings) -> None:
        self.module, self.node, self.scope, self.findings = module, node, scope, findings
        self.callee = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        self.name = module.name_of(self.callee)
        self.given = arguments(node)

    def argument(self, position: int) -> Values | None:
        """The values of an argument; None when it is not given, unknown when a spread may give it."""
        for index, argument in enumerate(self.given[: position + 1]):
            if argument.type == "spread_element":
                return UNKNOWN
            if index == position:
                return self.module.values(argument, self.scope)
        return None

    def option(self, name: str) -> Values | None:
        """The values of an entry of the last argument that is an object."""
        for argument in self.given:
            entry = pairs(argument).get(name)
            if entry is not None:
                return self.module.values(entry, self.scope)
        return None

    def unknown(self, about: Literal["program", "write", "read", "port", "module"], what: str) -> None:
        self.findings.unknown.add(Unknown(about, f"{self.module.path}:{self.module.line(self.node)}", what))

    def write(self, values: Values, folder: bool = False) -> None:
        for value in values:
            if isinstance(value, int) or (isinstance(value, str) and (value.startswith((TEMPORARY, "/dev/")) or value in (":memory:", ""))):
                continue  # a number is an open file
            place = resolve(value) if isinstance(value, str) else None
            if place is None or self._computed_folder(place, value):
                self.unknown("write", "writes to a computed path")
            else:
                self.findings.written.add(Place(place.kind, place.path, folder or place.folder))

    def _computed_folder(self, place: Place, value: Value) -> bool:
        """Whether a path leads into a computed folder of the project itself, which may be one that it brings."""
        rest = value.partition(HOLE)[2] if isinstance(value, str) else ""
        return "/" in rest and place.kind != "absolute" and place.path == "."

    def load_or_read(self, values: Values) -> None:
        for value in values:
            if isinstance(value, int) or (isinstance(value, str) and value.startswith((TEMPORARY, "/dev/", "http:", "https:"))):
                continue
            place = resolve(value) if isinstance(value, str) and value else None
            if place is None:
                self.unknown("read", "reads a computed path")
            else:
                self.findings.read.add(place)

    def start(self, values: Values, shell: bool) -> None:
        for value in values:
            names = shell_programs(value) if shell and isinstance(value, str) else command_programs(value)
            if names is None:
                self.unknown("program", "starts a computed program")
            else:
                self.findings.programs.update(names)
            if shell and isinstance(value, str):
                self.write(shell_writes(value))

    def listen(self, values: Values) -> None:
        for value in values:
            number = int(value) if isinstance(value, str) and value.isdecimal() else value
            if isinstance(number, int):
                self.findings.ports.update({number} if 0 < number < 65536 else ())
            elif not isinstance(number, str) or not number.startswith("/"):  # a path is a Unix socket
                self.unknown("port", "listens on a computed port")

    def read(self, loaded: list[tuple[Node, str]]) -> None:
        name, method = self.name, ""
        if self.callee is not None and self.callee.type == "member_expression":
            method = text_of(self.callee.child_by_field_name("property"))
        first = self.argument(0)
        if name in _LOADED or (self.callee is not None and self.callee.type == "import"):
            self._load(first or UNKNOWN, loaded)
        elif name in _SHELL:
            template = self.node.child_by_field_name("arguments")
            tagged = template is not None and template.type == "template_string"
            self.start(self.module.values(template, self.scope) if tagged else first or UNKNOWN, shell=True)
        elif name in _STARTED:
            if self.given and text_of(self.given[0]) not in ("process.execPath", "process.argv0"):
                shell = any(self.option("shell") or ())
                # The other words tell more where the program is a shell (`sh -c ...`) or starts another (`sudo ...`).
                others = self.argument(1) or ((),)
                words = tuple(rest if isinstance(rest, tuple) else () for rest in others if len(others) == 1) or ((HOLE,),)
                self.start(first or UNKNOWN if shell else tuple((one, *words[0]) for one in first or UNKNOWN), shell=shell)
        elif name in _MADE:
            self.write(first or UNKNOWN, folder=True)
        elif name in COMPUTED or name == "process.chdir":
            self.unknown("write", "says by a function where files go" if name in COMPUTED else "works in another folder from here on")
        elif name in SQLITE:
            kind, file = (self.option(key) for key in SQLITE[name])
            if any(value == HOLE or "sqlite" in str(value) or value == "sqljs" for value in kind or ()):
                self.write(file or (":memory:",))
        elif name in OPTIONS and self._options(OPTIONS[name]):
            self.settled()
        elif name in NESTED:
            self._nested(NESTED[name])
        elif name in FOLDERS:
            self.settled()
            self.write(self.argument(FOLDERS[name]) or UNKNOWN, folder=True)
        elif name in OPTIONS and name not in FILES:
            self.settled()
            if name in DEFAULTS or (name == "express-fileupload" and any(self.option("useTempFiles") or ())):
                self.write((DEFAULTS.get(name, "tmp/"),), folder=True)
        elif name in _WRITTEN or name in _READ:
            self.settled()
            for position in _WRITTEN.get(name, ()):
                self.write(self.argument(position) or ((":memory:",) if "sqlite" in name or name == "pino.destination" else UNKNOWN))
            if name in _READ and (values := self.argument(_READ[name])) is not None:
                self.load_or_read(values)
        elif name in ("fs.open", "fs.openSync"):
            flags = self.argument(1) or ("r",)
            if any(not isinstance(flag, str) or re.search(rf"[wax+{HOLE}]", flag) for flag in flags):
                self.write(first or UNKNOWN)
            else:
                self.load_or_read(first or UNKNOWN)
        elif name in _SERVERS:
            self.listen(self.option("port") or ((first or ()) if self.given and self.given[0].type != "object" else ()))
        elif method == "listen" and self.given:
            self._listen(first or UNKNOWN)
        elif method == "register" and self.given and self.module.name_of(self.given[0]) in _LOADERS:
            self._load_folder(self.option("dir") or UNKNOWN, loaded)
        elif method in _READ_METHODS:
            root = self.option("root")
            self.load_or_read(root if root is not None else first or UNKNOWN)
        elif method == "set" and len(self.given) == 2 and first in (("views",), ("view engine",)):
            self.load_or_read(self.argument(1) or () if first == ("views",) else ("views/",))
        elif method in METHODS and len(self.given) > METHODS[method][1] and self._imports(METHODS[method][0]):
            self.write(self.argument(METHODS[method][1]) or UNKNOWN)
        elif any(f"{key}/" in KEYS for argument in self.given for key in pairs(argument)) and self._of_package():
            self._options(KEYS)
        elif name in _PATHS:
            # A path made from the program's own folder is one it uses, whatever it is handed to.
            for value in self.module.values(self.node, self.scope):
                if isinstance(value, str) and value.startswith(ROOT) and (place := resolve(value)) is not None and place.path != ".":
                    self.findings.read.add(place)

    def settled(self) -> None:
        """Note that where a package writes is read off this call."""
        self.findings.settled.add(self.name.partition(".")[0])

    def _imports(self, package: str | None) -> bool:
        return package is None or any(full.partition(".")[0] == package for full in self.module.aliases.values())

    def _nested(self, keys: tuple[str, ...]) -> None:
        """Files that options anywhere in the arguments name."""
        self.settled()
        pending = [(argument, self.scope) for argument in self.given]
        while pending:
            node, scope = pending.pop()
            if node.type == "identifier" and (bound := scope.find(text_of(node))) is not None:
                pending += [(b.node, bound[0]) for b in bound[1] if b.node is not None and b.node.type in ("object", "array")]
            elif node.type in ("array", "ternary_expression", "binary_expression", "spread_element"):
                pending += [(child, scope) for child in node.named_children]
            elif node.type == "object":
                pending += [(child, scope) for child in node.named_children if child.type == "spread_element"]
                for key, value in pairs(node).items():
                    if key in keys:
                        self.write(self.module.values(value, scope))
                    else:
                        pending.append((value, scope))
            elif node.type in ("string", "call_expression", "member_expression") and node in self.given and self.name == "log4js.configure":
                self.unknown("write", "takes settings for its logs that are not in this call")

    def _of_package(self) -> bool:
        """Whether what is called comes from a package, and not from Node or the project itself."""
        root = self.name.partition(".")[0]
        known = {full.partition(".")[0] for full in self.module.aliases.values()}
        return root in known and root not in BUILTIN

    def _load(self, values: Values, loaded: list[tuple[Node, str]]) -> None:
        for value in values:
            if isinstance(value, str) and self._below_a_folder(value, loaded):
                continue
            if not isinstance(value, str) or HOLE in value:
                self.unknown("module", "loads a computed module")
            elif self.name in ("child_process.fork", "worker_threads.Worker", "Worker") and not value.startswith((".", "/", ROOT)):
                loaded.append((self.node, f"./{value}"))
            else:
                loaded.append((self.node, value))

    def _below_a_folder(self, value: str, loaded: list[tuple[Node, str]]) -> bool:
        """Note every module of a folder below the project's, where which one is loaded is computed; whether that is so."""
        here = f"{ROOT}/{posixpath.dirname(self.module.path)}".rstrip("/")
        folder, slash, name = value.partition(HOLE)[0].rpartition("/")
        if HOLE not in value or not slash or name or not re.match(rf"\.|{ROOT}", folder) or ".." in value.partition(HOLE)[2]:
            return False
        places = [here] if folder.startswith(".") else list(self.module.folders)
        start = posixpath.normpath(posixpath.join(here, folder)) if folder.startswith(".") else folder
        built = next((f for f in places if f"{start}/".startswith(f"{f}/")), None)
        if built is None:
            return False
        target = f"{here}{start[len(built) :]}"
        if target == ROOT:
            return False  # all of the project
        loaded.append((self.node, f"{target}/*"))
        return True

    def _load_folder(self, values: Values, loaded: list[tuple[Node, str]]) -> None:
        """Note that every module below a folder is loaded, where its source lies: a build keeps folders as they are."""
        here = f"{ROOT}/{posixpath.dirname(self.module.path)}".rstrip("/")
        for value in values:
            built = next((f for f in self.module.folders if isinstance(value, str) and f"{value}/".startswith(f"{f}/")), None)
            if not isinstance(value, str) or built is None or HOLE in value:
                self.unknown("module", "loads every module of a computed folder")
            else:
                loaded.append((self.node, f"{here}{value[len(built) :]}/*"))

    def _options(self, keys: tuple[str, ...]) -> bool:
        """Note what keys of an options object name, those of folders with a slash at their end; whether there is any."""
        any_given = False
        inside = any("dirname" in pairs(argument) for argument in self.given)
        for key, slash in ((key.rstrip("/"), key.endswith("/")) for key in keys):
            entry = next((found for argument in self.given if (found := pairs(argument).get(key)) is not None), None)
            if entry is None:
                methods = [child for argument in self.given for child in argument.named_children if child.type == "method_definition"]
                entry = next((method for method in methods if text_of(method.child_by_field_name("name")) == key), None)
            if entry is None:
                continue
            if entry.type in ("arrow_function", "function_expression", "method_definition"):
                # destination: (request, file, done) => done(null, "uploads/")
                values = self._callback_values(entry)
            else:
                values = self.module.values(entry, self.scope)
            if key == "filename" and inside:  # it lies in the folder
                values = tuple(
                    join(*(v if isinstance(v, str) else HOLE for v in both)) for both in product(self.option("dirname") or (), values)
                )
            dated = tuple(value.replace("%DATE%", HOLE) if isinstance(value, str) else value for value in values)
            self.write(dated, folder=slash)
            any_given = True
        return any_given

    def _callback_values(self, function: Node) -> Values:
        found: list[Values] = []
        for node, scope in self.module.calls:
            given = arguments(node)
            inside = function.start_byte <= node.start_byte and node.end_byte <= function.end_byte
            if inside and len(given) == 2 and given[0].type in ("null", "undefined"):
                found.append(self.module.values(given[1], scope))
        return tuple(value for values in found for value in values) or UNKNOWN

    def _listen(self, first: Values) -> None:
        if self.given[0].type == "object":
            self.listen(self.option("port") or ())
        elif self.given[0].type not in ("arrow_function", "function_expression"):
            self.listen(first)
