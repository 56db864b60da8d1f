"""What known programs and libraries write, listen on or need on their own account, beyond what a project's source says."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from optimizer.context.folder import BuildContext
from optimizer.model.launch import Argv, option

WRITING_MODULES: Mapping[str, str] = {
    **dict.fromkeys((
        "chromadb", "diskcache", "whoosh", "lancedb", "duckdb", "plyvel", "lmdb", "rocksdb", "unqlite", "pickledb", "flask_uploads",
        "flask_caching", "flask_session", "gradio", "mlflow", "airflow", "notebook", "jupyterlab", "wandb", "scrapy", "moviepy", "yt_dlp",
        "youtube_dl", "selenium", "playwright", "pyppeteer", "cherrypy", "huey", "tensorboard", "faiss", "telethon", "pyrogram",
        "requests_cache", "sqlitedict",
    ), "python"),
    **dict.fromkeys((
        "level", "leveldown", "classic-level", "node-persist", "keyv-file", "connect-sqlite3", "session-file-store", "pouchdb",
        "pouchdb-node", "json-server", "nedb-promises", "log4js", "bunyan", "puppeteer", "playwright", "file-stream-rotator",
        "node-localstorage", "flat-cache", "lokijs", "stormdb", "configstore", "conf", "electron-store", "easy-db", "simple-json-db",
        "quick.db", "enmap", "unplugin-auto-import", "unplugin-vue-components", "vite-plugin-pwa", "vite-plugin-mkcert",
        "@tanstack/router-plugin", "@tanstack/router-vite-plugin",
    ), "node"),
}  # fmt: skip
"""Libraries that keep files where their caller, a configuration or they themselves say, by language."""
_DATABASE_LAYERS = frozenset({"typeorm", "knex", "sequelize", "@mikro-orm/core", "drizzle-orm", "objection", "bookshelf"})
_SQLITE = frozenset({"sqlite3", "better-sqlite3", "sql.js", "@libsql/client", "sqlite"})
FOLDER_VARIABLES = (
    "PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir", "HF_HOME", "HF_HUB_CACHE", "TRANSFORMERS_CACHE", "SENTENCE_TRANSFORMERS_HOME",
    "TORCH_HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "NUMBA_CACHE_DIR", "JOBLIB_TEMP_FOLDER", "TMPDIR", "NLTK_DATA",
)  # fmt: skip
"""Environment variables that name folders which libraries write to."""
_LOG_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "gunicorn": ("--access-logfile", "--error-logfile", "--log-file", "--pid", "-p"),
    "celery": ("--logfile", "-f", "--pidfile", "--schedule", "-s", "--statedb", "-S"),
    "uvicorn": ("--uds",),
    "daphne": ("--access-log", "-u", "--unix-socket"),
    "flask": (),
    "scrapy": ("-o", "-O", "--output", "--overwrite-output", "--logfile", "--pidfile"),
    "uwsgi": ("--logto", "--pidfile", "--socket", "-s", "--daemonize", "--logger"),
    "pm2-runtime": ("--output", "-o", "--error", "-e", "--log", "-l"),
}
_CONFIGURED = re.compile(r"^\s*(accesslog|errorlog|pidfile|logfile)\s*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)
_PYTHON_ROOT = re.compile(
    r"\b(os\.(?:set(?:uid|gid|groups|euid|egid|resuid|priority)|initgroups|chroot|l?chown|fchown|mknod)|shutil\.chown)\s*\("
    r"|\b(SOCK_RAW|AF_PACKET|SO_BINDTODEVICE)\b|(/dev/(?!null|stdout|stderr|stdin|shm|u?random|fd|zero|tty\b)\w+|docker\.sock|/proc/sys\b)"
)
_JAVASCRIPT_ROOT = re.compile(
    r"\b(process\.(?:set(?:uid|gid|groups|euid|egid)|initgroups)|fs\.(?:promises\.)?l?chown(?:Sync)?)\s*\("
    r"|((?<![\w-])/dev/(?!null|stdout|stderr|stdin|shm|u?random|fd|zero|tty\b|(?:tcp|udp)/)\w+|docker\.sock|/proc/sys\b)"
)
_GO_ROOT = re.compile(
    r"\b((?:syscall|unix)\.(?:Setuid|Setgid|Chroot|Mount|Sethostname|Setns|Unshare)|os\.L?[Cc]hown)\s*\("
    r"|(/dev/(?!null|stdout|stderr|stdin|shm|u?random|fd|zero|tty\b)\w+|docker\.sock|/proc/sys\b)"
)
_PATTERNS = {"py": _PYTHON_ROOT, "go": _GO_ROOT}
ROOT_MODULES = frozenset({
    "docker", "scapy", "pcapy", "RPi", "gpiozero", "smbus", "smbus2", "pyroute2", "nftables", "iptc", "usb", "evdev", "bluepy", "spwd",
    "pam", "systemd", "dbus", "dockerode", "raw-socket", "pcap", "onoff", "i2c-bus", "usb-detection", "serialport", "posix", "serial",
    "github.com/docker/docker/client", "github.com/vishvananda/netlink", "github.com/google/gopacket/pcap",
})  # fmt: skip
"""Libraries for devices, raw sockets, the docker socket and accounts, whose calls need rights that only root is sure to have."""


def root_calls(path: str, text: str) -> Iterator[str]:
    """What a source file calls or names that only root may, as "file:line names it"."""
    pattern = _PATTERNS.get(path.rpartition(".")[2], _JAVASCRIPT_ROOT)
    for found in pattern.finditer(text):
        yield f"{path}:{text.count(chr(10), 0, found.start()) + 1} uses {next(g for g in found.groups() if g)}"


def server_writes(name: str, words: Argv) -> Iterator[str | None]:
    """The paths that a server's options make it write to, as given, None for one that is computed. words: its arguments."""
    for one in _LOG_OPTIONS.get(name, ()):
        given, value = option(words, one)
        if name == "scrapy" and value is not None and re.match(r"(?!file:)[a-z0-9+]+://", value):
            continue  # a feed that is kept elsewhere
        if name == "scrapy" and value is not None:
            value = re.sub(r"^file://|:\w+$", "", value)  # the format is named behind the file
        if given and value not in ("-", "syslog", "/dev/null", "/dev/stdout", "/dev/stderr") and not (name == "celery" and value == ""):
            yield value
    for bind in (option(words, "--bind", "-b")[1], option(words, "--unix-socket")[1]):
        if bind is not None and bind.startswith("unix:"):
            yield bind.removeprefix("unix:").removeprefix("//")
    if name == "celery" and ("beat" in words or "-B" in words or "--beat" in words):
        if not option(words, "--schedule", "-s", "-S", "--scheduler")[0]:
            yield "celerybeat-schedule"
        if "beat" in words and not option(words, "--pidfile")[0]:
            yield "celerybeat.pid"
    if name == "next":
        yield ".next/cache/"


def streamlit_pages(context: BuildContext, entries: Iterable[str]) -> list[str]:
    """The pages that Streamlit finds beside a program by itself (docs.streamlit.io, "pages directory")."""
    folders = dict.fromkeys(posixpath.join(posixpath.dirname(entry), "pages") for entry in entries)
    return [file for folder in folders for file in context.under(folder) if file.endswith(".py")]


def configured_writes(text: str) -> tuple[str, ...]:
    """The files that a configuration of gunicorn in Python names."""
    return tuple(value for _, value in _CONFIGURED.findall(text) if value not in ("-", "/dev/stdout", "/dev/stderr"))


def unclear_database(modules: frozenset[str], packages: frozenset[str]) -> str | None:
    """The library that may open an SQLite file nobody named. modules: imported; packages: installed for production."""
    layer = sorted(modules & _DATABASE_LAYERS)
    return layer[0] if layer and packages & _SQLITE else None


def server_ports(words: Argv) -> tuple[int, ...]:
    """The ports that a server's options name."""
    texts = [option(words, name)[1] for name in ("--bind", "-b", "--port", "-p", "--listen", "-l")]
    texts += [w for w in words if w is not None and re.fullmatch(r"[\w.*\[\]:]*:\d{2,5}", w)]
    found = [re.search(r"(?:^|:)(\d{2,5})$", text) for text in texts if text is not None]
    return tuple(int(match[1]) for match in found if match)
