"""The calls that tell which programs, files and ports a Python module uses, and the reading of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from optimizer.context.commands import command_programs, shell_programs, shell_writes
from optimizer.context.flask import databases
from optimizer.context.places import HOLE, ROOT, TEMPORARY, Unknown, resolve
from optimizer.context.python_loaded import loaded, named_files
from optimizer.context.python_module import Module, Scope, children, dotted
from optimizer.context.python_source import Findings, add_places, flatten
from optimizer.context.scopes import UNKNOWN, Value, Values
from optimizer.context.scrapy import feeds

if TYPE_CHECKING:
    import libcst as cst

# Position of the program, keyword for it, and whether a text is a shell command ("shell" keyword decides for None).
_PROGRAMS: dict[str, tuple[int, str, bool | None]] = {
    **{f"subprocess.{name}": (0, "args", None) for name in ("run", "call", "check_call", "check_output", "Popen")},
    **{f"subprocess.{name}": (0, "cmd", True) for name in ("getoutput", "getstatusoutput")},
    **dict.fromkeys(("os.system", "os.popen", "pexpect.run", "pexpect.spawn", "pexpect.spawnu"), (0, "command", True)),
    **{f"os.exec{kind}": (0, "file", False) for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")},
    **{f"os.spawn{kind}": (1, "file", False) for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")},
    **{f"os.posix_spawn{kind}": (0, "path", False) for kind in ("", "p")},
    "shutil.which": (0, "cmd", False), "pty.spawn": (0, "argv", False),
    "asyncio.create_subprocess_exec": (0, "program", False), "asyncio.create_subprocess_shell": (0, "cmd", True),
    "asyncio.subprocess.create_subprocess_exec": (0, "program", False), "plumbum.local.get": (0, "name", False),
}  # fmt: skip
_OPEN = {
    "open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", "aiofiles.open", "tarfile.open", "anyio.open_file",
    "zipfile.ZipFile", "gzip.GzipFile", "h5py.File", "shelve.open", "dbm.open", "builtins.open",
}  # fmt: skip
_OPEN_MODES = {"shelve.open": "c"}  # where the default is not to read
# Positions of arguments that are paths: written files, written folders, read files.
_WRITTEN = {
    **{f"os.{name}": (0,) for name in ("remove", "unlink", "truncate", "mkfifo", "mknod", "chmod", "utime", "rmdir")},
    **{f"os.{name}": (0, 1) for name in ("rename", "replace", "renames")},
    "os.symlink": (1,), "os.link": (1,),
    **{f"shutil.{name}": (1,) for name in ("copy", "copy2", "copyfile", "copytree", "unpack_archive")},
    "shutil.move": (0, 1), "shutil.rmtree": (0,), "shutil.make_archive": (0,),
    "sqlite3.connect": (0,), "aiosqlite.connect": (0,), "peewee.SqliteDatabase": (0,), "playhouse.sqlite_ext.SqliteExtDatabase": (0,),
    "logging.FileHandler": (0,), **{f"logging.handlers.{kind}FileHandler": (0,) for kind in ("Rotating", "TimedRotating", "Watched")},
    "joblib.dump": (1,), "torch.save": (1,), "numpy.save": (0,), "numpy.savez": (0,), "numpy.savetxt": (0,), "cv2.imwrite": (0,),
    "cv2.VideoWriter": (0,), "imageio.imwrite": (0,), "urllib.request.urlretrieve": (1,), "matplotlib.pyplot.savefig": (0,),
    "loguru.logger.add": (0,), "tinydb.TinyDB": (0,), "joblib.Memory": (0,),
    **{f"{kit}.from_{source}": (1,) for kit in ("pdfkit", "imgkit") for source in ("string", "file", "url")},
}  # fmt: skip
_MADE = {"os.makedirs", "os.mkdir"}
_READ = {
    **{f"shutil.{name}": 0 for name in ("copy", "copy2", "copyfile", "copytree", "unpack_archive")},
    **{f"pandas.read_{name}": 0 for name in ("csv", "excel", "json", "parquet", "pickle", "table", "feather")},
    "joblib.load": 0, "torch.load": 0, "numpy.load": 0, "cv2.imread": 0, "PIL.Image.open": 0, "os.listdir": 0, "os.scandir": 0,
    "flask.send_file": 0, "flask.send_from_directory": 0, "fastapi.responses.FileResponse": 0, "starlette.responses.FileResponse": 0,
    "jinja2.FileSystemLoader": 0, "dotenv.load_dotenv": 0, "os.walk": 0,
}  # fmt: skip
_DIRECTORY = {"StaticFiles", "Jinja2Templates"}
_WRITING_METHODS = {"write_text", "write_bytes"}
_EXPORTS = {
    "to_csv", "to_excel", "to_parquet", "to_pickle", "to_feather", "to_hdf", "savefig", "write_pdf", "write_png", "write_html",
    "write_image", "write_videofile", "write_gif", "download_to_filename",
}  # fmt: skip
_PATH_CHANGES = {"mkdir", "touch", "unlink", "rmdir", "symlink_to", "hardlink_to", "chmod"}
# Position of the port, keyword for it, and the port without either.
_PORTS: dict[str, tuple[int | None, str, int | None]] = {
    "uvicorn.run": (None, "port", 8000), "waitress.serve": (None, "port", 8080), "aiohttp.web.run_app": (None, "port", 8080),
    "wsgiref.simple_server.make_server": (1, "port", None), "prometheus_client.start_http_server": (0, "port", None),
    "asyncio.start_server": (2, "port", None), "bottle.run": (None, "port", 8080), "werkzeug.serving.run_simple": (1, "port", None),
    "eventlet.wsgi.server": (None, "port", None), "werkzeug.run_simple": (1, "port", None),
}  # fmt: skip
_PORT_METHODS = {"run", "run_server", "launch", "listen", "create_server", "serve_forever", "run_task"}


def read_module(module: Module, findings: Findings) -> None:
    """Add what the calls of one module tell to the findings."""
    for name in module.imports:
        found = re.fullmatch(r"(?:plumbum\.cmd|sh)\.(\w+)", name)
        if found:
            findings.programs.add(found[1])
    for call, scope in module.calls:
        _read_call(_Call(module, call, scope, findings))
    read_handlers(module, findings)
    for subscript, scope in module.subscripts:
        if module.name_of(subscript.value, scope) == "plumbum.local":
            for element in subscript.slice:
                for child in children(element.slice):
                    _Call(module, subscript, scope, findings).add_program(module.values(child, scope))
    databases(module, findings)
    if any(name.partition(".")[0] == "scrapy" for name in module.imports) or "BOT_NAME" in module.scope.names:
        feeds(module, findings)


class _Call:
    """One call, with its arguments as values."""

    def __init__(self, module: Module, node: cst.Call | cst.Subscript | cst.Dict, scope: Scope, findings: Findings) -> None:
        self.module, self.node, self.scope, self.findings = module, node, scope, findings

    @property
    def arguments(self) -> tuple[cst.Arg, ...]:
        return tuple(getattr(self.node, "args", ()))

    def argument(self, position: int | None, keyword: str) -> Values | None:
        """The values of an argument; None when it is not given; unknown when `*` or `**` may give it."""
        positional = [argument for argument in self.arguments if argument.keyword is None and argument.star != "**"]
        for argument in self.arguments:
            if argument.keyword is not None and argument.keyword.value == keyword:
                return self.module.values(argument.value, self.scope)
        for index, argument in enumerate(positional):
            if argument.star:
                return UNKNOWN
            if index == position:
                return self.module.values(argument.value, self.scope)
        return UNKNOWN if any(argument.star == "**" for argument in self.arguments) else None

    def given(self, keyword: str) -> bool:
        return any(argument.keyword is not None and argument.keyword.value == keyword for argument in self.arguments)

    def unknown(self, about: str, what: str) -> Unknown:
        return Unknown(about, self.module.where(self.node), what)  # type: ignore[arg-type]

    def add_program(self, values: Values, shell: bool = False) -> None:
        for value in values:
            names = shell_programs(value) if shell and isinstance(value, str) else command_programs(value)
            if shell and isinstance(value, str):
                self.write(shell_writes(value))
            if names is None:
                self.findings.unknown.add(self.unknown("program", "starts a computed program"))
            else:
                self.findings.programs.update(names)

    def write(self, values: Values, folder: bool = False) -> None:
        unclear = any(v != ":memory:" and (not isinstance(v, str) or resolve(v) is None) for v in values)
        where = self.unknown("write", "writes to a computed path") if unclear else _NONE
        add_places(self.findings.written, self.findings, flatten(values), where, folder)

    def read(self, values: Values) -> None:
        unclear = any(not isinstance(v, str) or resolve(v) is None for v in values)
        where = self.unknown("read", "reads a computed path") if unclear else _NONE
        add_places(self.findings.read, self.findings, flatten(values), where)

    def listen(self, values: Values) -> None:
        for value in flatten(values):
            number = int(value) if isinstance(value, str) and value.isdecimal() else value
            if isinstance(number, int):
                if 0 < number < 65536:
                    self.findings.ports.add(number)
            else:
                self.findings.unknown.add(self.unknown("port", "listens on a computed port"))


_NONE = Unknown("write", "", "")


def _read_call(call: _Call) -> None:
    import libcst as cst

    assert isinstance(call.node, cst.Call)
    name = call.module.name_of(call.node.func, call.scope) or ""
    method = call.node.func.attr.value if isinstance(call.node.func, cst.Attribute) else name
    if name in _PROGRAMS:
        position, keyword, shell = _PROGRAMS[name]
        shell = any(value != 0 for value in call.argument(None, "shell") or (0,)) if shell is None else shell
        # sys.executable is the interpreter itself, which is there.
        argument = next((a for a in call.arguments if a.keyword is None or a.keyword.value == keyword), None)
        if argument is not None and not _is_interpreter(call.module, argument.value, call.scope):
            call.add_program(call.argument(position, keyword) or UNKNOWN, shell)
    elif name in _OPEN:
        mode = call.argument(1, "mode") or call.argument(1, "flag") or (_OPEN_MODES.get(name, "r"),)
        _open(call, call.argument(0, "file") or call.argument(0, "filename") or UNKNOWN, mode)
    elif name == "os.open":
        flags = call.module.tree.code_for_node(call.arguments[1].value) if len(call.arguments) > 1 else "O_WRONLY"
        _open(call, call.argument(0, "path") or UNKNOWN, ("w" if re.search("WRONLY|RDWR|CREAT|APPEND", flags) else "r",))
    elif name in _MADE:
        call.write(call.argument(0, "name") or UNKNOWN, folder=True)
    elif name in _WRITTEN or name in _READ:
        _copy(call, name)
    elif name == "os.chdir":
        values = call.argument(0, "path") or UNKNOWN
        if not all(isinstance(value, str) and value.startswith((ROOT, TEMPORARY)) for value in values):
            call.findings.moves.add(call.unknown("write", "changes the folder that relative paths start in"))
    elif name == "logging.config.dictConfig" and call.arguments:
        data = loaded(call.module, call.arguments[0].value, call.scope)
        call.write(tuple(file if isinstance(file, str) else HOLE for file in named_files(data.value if data is not None else None)))
    elif name == "logging.basicConfig":
        call.write(call.argument(None, "filename") or ())
    elif re.search(r"(^|\.)create_(async_)?engine$", name) or name in ("dataset.connect", "databases.Database"):
        call.write(tuple(map(sqlite_file, call.argument(0, "url") or UNKNOWN)))
    elif name in ("importlib.import_module", "__import__"):
        if any(not isinstance(value, str) or HOLE in value for value in call.argument(0, "name") or UNKNOWN):
            call.findings.unknown.add(call.unknown("module", "imports a computed module"))
    elif name.rsplit(".", 1)[-1] in _DIRECTORY:
        call.read(call.argument(0, "directory") or UNKNOWN)
    elif not _port(call, name, method) and isinstance(call.node.func, cst.Attribute):
        _method(call, call.node.func.value, method)


def _is_interpreter(module: Module, node: cst.BaseExpression, scope: Scope) -> bool:
    import libcst as cst

    if isinstance(node, (cst.List, cst.Tuple)) and node.elements:
        node = node.elements[0].value
    return module.name_of(node, scope) == "sys.executable"


def _open(call: _Call, paths: Values, modes: Values) -> None:
    if any(not isinstance(mode, str) or re.search(rf"[wax+cn{HOLE}]", mode) for mode in modes):
        call.write(paths)
    if any(not isinstance(mode, str) or re.search(rf"[r+{HOLE}]", mode) for mode in modes):
        call.read(paths)


def _copy(call: _Call, name: str) -> None:
    for position in _WRITTEN.get(name, ()):
        call.write(_sqlite_paths(call, call.argument(position, "database" if position == 0 else "dst") or UNKNOWN))
    if name in _READ:
        call.read(call.argument(_READ[name], "src") or ())


def _sqlite_paths(call: _Call, values: Values) -> Values:
    """Paths in which a `file:` address of SQLite is taken apart."""
    plain = []
    for value in values:
        if isinstance(value, str) and value.startswith("file:"):
            path, _, query = value[5:].removeprefix("//").partition("?")
            value = ":memory:" if "mode=memory" in query or "mode=ro" in query or path == ":memory:" else path
        plain.append(value)
    return tuple(plain)


def sqlite_file(url: Value) -> Value:
    """The file of an SQLAlchemy address: `sqlite:///x.db` is relative, `sqlite:////x.db` absolute; None for a server."""
    if not isinstance(url, str):
        return HOLE
    found = re.match(r"sqlite(\+\w+)?://", url)
    if found is None:
        return HOLE if url.startswith(HOLE) else None
    path = url[found.end() :].removeprefix("/").split("?")[0]
    return path or ":memory:"


def _port(call: _Call, name: str, method: str) -> bool:
    """Whether the call listens on a port; the port is added."""
    if name in _PORTS:
        position, keyword, default = _PORTS[name]
        call.listen(call.argument(position, keyword) or ((default,) if default else UNKNOWN))
        return True
    if method == "bind":
        call.write(tuple(path for path in call.argument(0, "address") or () if isinstance(path, str) and "/" in path))
    if method == "bind" or method.endswith(("HTTPServer", "TCPServer", "UDPServer", "WSGIServer")):
        for address in call.argument(0, "server_address") or ():
            if isinstance(address, tuple) and len(address) == 2:
                call.listen((address[1],))
                return True
        return method != "bind"
    if method in ("add_insecure_port", "add_secure_port"):
        for value in call.argument(0, "address") or UNKNOWN:
            call.listen((value.rsplit(":", 1)[-1] if isinstance(value, str) else HOLE,))
        return True
    if method not in _PORT_METHODS or name in _PROGRAMS:
        return False
    for keyword in ("port", "server_port"):
        if call.given(keyword):
            call.listen(call.argument(None, keyword) or UNKNOWN)
            return True
    roots = {imported.split(".")[0] for imported in call.module.imports}
    if method == "listen" and "tornado" in roots:
        call.listen(call.argument(0, "port") or UNKNOWN)
    elif method == "run" and (receiver := name.rpartition(".")[0]):
        made = {_maker(call.module, receiver, call.scope)} & {"flask.Flask", "flask.app.Flask", "flask_socketio.SocketIO"}
        if made:
            socketio = "flask_socketio.SocketIO" in made
            call.listen(call.argument(2 if socketio else 1, "port") or (5000,))
    return False


def _maker(module: Module, name: str, scope: Scope) -> str | None:
    """The full name of what a variable is an instance of, when it is assigned once from a call."""
    import libcst as cst

    found = scope.find(name)
    if found is None or len(found[1]) != 1 or not isinstance(found[1][0].node, cst.Call):
        return None
    return module.name_of(found[1][0].node.func, found[0])


def _method(call: _Call, receiver: cst.BaseExpression, method: str) -> None:
    """Methods of paths, tables and pictures that write or read a file."""

    def receivers() -> Values:
        return call.module.values(receiver, call.scope)

    if method in _WRITING_METHODS:
        call.write(receivers())
    elif method in ("read_text", "read_bytes"):
        call.read(receivers())
    elif method == "open" and dotted(receiver) not in call.module.aliases:  # `webbrowser.open` and the like
        mode = call.argument(0, "mode") or ("r",)
        known = tuple(value for value in receivers() if isinstance(value, str))
        if any(value != HOLE for value in known) or (call.arguments and all(m in _MODES for m in mode)):
            _open(call, known or UNKNOWN, mode)
    elif method in _PATH_CHANGES:
        known = tuple(v for v in receivers() if isinstance(v, str) and v.strip(HOLE))
        call.write(known or (UNKNOWN if method == "mkdir" else ()), folder=method == "mkdir")
    elif method in ("rename", "replace") and len(call.arguments) == 1:
        known = tuple(v for v in receivers() if isinstance(v, str) and ("/" in v or v.startswith(ROOT)))
        if known:
            call.write((*known, *(call.argument(0, "target") or ())))
    elif method in _EXPORTS and call.arguments:
        call.write(call.argument(0, "path_or_buf") or ())
    elif method == "save" and not (call.module.name_of(receiver, call.scope) or "").startswith("django."):  # a storage has its own root
        # Models, forms and tensors have a `save` too: only an argument that is a path says that this is a file.
        values = call.argument(0, "dst") or ()
        call.write(tuple(v for v in values if isinstance(v, str) and resolve(v) and not v.startswith(TEMPORARY)))


_MODES = {mode + extra for mode in "rwax" for extra in ("", "b", "t", "+", "b+", "+b")}


def read_handlers(module: Module, findings: Findings) -> None:
    """Add the files of dictionaries: of logging.config.dictConfig ("class" and "filename"), of a file cache of Django's ("LOCATION")."""
    import libcst as cst

    for node, scope in module.dicts:
        entries = {
            element.key.raw_value: element.value
            for element in node.elements
            if isinstance(element, cst.DictElement) and isinstance(element.key, cst.SimpleString)
        }
        if "filename" in entries and ("class" in entries or "()" in entries):
            _Call(module, node, scope, findings).write(module.values(entries["filename"], scope))
        backends = module.values(entries["BACKEND"], scope) if {"BACKEND", "LOCATION"} <= set(entries) else ()
        if any("filebased" in str(backend) for backend in backends):
            _Call(module, node, scope, findings).write(module.values(entries["LOCATION"], scope), folder=True)
