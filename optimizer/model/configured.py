"""What a configuration file tells a supervisor or a server to start: ``supervisord.conf``, ``uwsgi.ini``, PM2's ecosystem file.

Sources: supervisord.org/configuration.html, uwsgi-docs.readthedocs.io/en/latest/Options.html,
pm2.keymetrics.io/docs/usage/application-declaration.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex

from msgspec import Struct

from optimizer.model.launch import Argv

_COMPUTED = re.compile(r"%\(|\$\(|@\(|%[a-zA-Z]\b")
_SECTIONS = re.compile(r"(program|eventlistener|fcgi-program):")
_TO_NO_FILE = re.compile(r"(/dev/|/proc/self/fd/)|(NONE|AUTO|syslog)$", re.IGNORECASE)
# Settings of uWSGI that neither start a program nor write a file.
_PLAIN = frozenset({
    "auto-procname", "buffer-size", "callable", "chdir", "cheaper", "cheaper-initial", "cheaper-step", "chmod-socket",
    "die-on-term", "disable-logging", "disable-write-exception", "enable-threads", "env", "harakiri", "http", "http-auto-chunked",
    "http-keepalive", "http-socket", "http-timeout", "ignore-sigpipe", "ignore-write-errors", "lazy", "lazy-apps", "limit-post",
    "listen", "log-4xx", "log-5xx", "log-date", "log-format", "log-master", "log-x-forwarded-for", "logformat", "master",
    "max-requests", "max-worker-lifetime", "memory-report", "need-app", "no-orphans", "offload-threads", "plugin", "plugins",
    "post-buffering", "processes", "procname-prefix", "protocol", "py-call-osafterfork", "reload-on-rss", "reuse-port",
    "single-interpreter", "so-keepalive", "socket", "socket-timeout", "static-map", "strict", "thread-stacksize", "threads",
    "thunder-lock", "uwsgi-socket", "vacuum", "worker-reload-mercy", "workers",
})  # fmt: skip
_LOADS = {"module": "--module", "wsgi": "--module", "wsgi-file": "--wsgi-file", "file": "--wsgi-file"}
_WRITES = {"logto": "--logto", "pidfile": "--pidfile", "daemonize": "--daemonize", "safe-pidfile": "--pidfile", "pidfile2": "--pidfile"}


class Supervised(Struct, frozen=True):
    """A program that a supervisor starts. words: the command; folder: its working directory, None for the supervisor's own."""

    words: Argv
    folder: str | None


class Supervisor(Struct, frozen=True):
    """What a supervisor's configuration says. writes: the files it writes, as given; unknown: why that may not be all; user: the
    user that it names for itself or a program, which only root may become.
    """

    programs: tuple[Supervised, ...]
    writes: tuple[str, ...]
    unknown: str | None = None
    user: str | None = None


def supervisor(text: str) -> Supervisor:
    """The programs and the files of a ``supervisord.conf``."""
    parser = _read(text)
    if parser is None:
        return Supervisor((), (), "its configuration is not understood")
    programs: list[Supervised] = []
    writes = {"supervisord.log": None, "supervisord.pid": None}
    unknown: str | None = None
    user: str | None = None
    own = dict(parser["supervisord"]) if parser.has_section("supervisord") else {}
    for key, default in (("logfile", "supervisord.log"), ("pidfile", "supervisord.pid")):
        if own.get(key):
            del writes[default]
            writes[_plain(own[key])] = None
    for name in parser.sections():
        section = dict(parser[name])
        if name == "include":
            unknown = "its configuration takes in others"
        if name == "unix_http_server" and section.get("file"):
            writes[_plain(section["file"])] = None
        if section.get("user"):
            user = _plain(section["user"] or "")
            unknown = "it starts programs as another user" if user not in ("root", "0") else unknown
        if not _SECTIONS.match(name):
            continue
        for key in ("stdout_logfile", "stderr_logfile"):
            writes |= {_plain(section[key]): None} if section.get(key) else {}
        command, folder = _plain(section.get("command") or ""), _plain(section.get("directory") or "") or None
        if not command or _COMPUTED.search(f"{command} {folder}"):
            unknown = f"the command of [{name}] is computed"
            continue
        try:
            programs.append(Supervised(tuple(shlex.split(command)), folder))
        except ValueError:
            unknown = f"the command of [{name}] is not understood"
    return Supervisor(tuple(programs), tuple(w for w in writes if not _TO_NO_FILE.match(w)), unknown, user)


def uwsgi_words(text: str) -> Argv | str:
    """The settings of a ``uwsgi.ini`` as the options that say the same, or why they cannot be told."""
    parser = _read(text)
    if parser is None or not parser.has_section("uwsgi"):
        return "is not understood"
    words: list[str] = []
    for key, value in parser.items("uwsgi"):
        given = _plain(value or "")
        if key == "chdir" and not _COMPUTED.search(given):
            words += ["--chdir", given]
        elif key.endswith("socket") and key in _PLAIN and ("/" in given or given.endswith(".sock")):
            words += ["--socket", given]
        elif key in _PLAIN:
            words += [given] if re.fullmatch(r"[\w.\[\]:*]*:\d+", given) else []
        elif (_LOADS.get(key) or _WRITES.get(key)) and not _COMPUTED.search(given):
            words += [_LOADS.get(key) or _WRITES[key], given]
        else:
            return f"sets {key}" if not _COMPUTED.search(given) else f"computes {key}"
    return tuple(words)


def nodemon_command(settings: str | None, manifest: str) -> str | None:
    """The shell text that nodemon starts where it is given no program, None where that cannot be told.

    Args:
        settings: The text of nodemon.json, None where there is none.
        manifest: The text of package.json, whose ``nodemonConfig`` counts without one, and whose ``main`` is the program then.
    """
    try:
        package = json.loads(manifest)
        found = json.loads(settings) if settings is not None else package.get("nodemonConfig", {})
    except (ValueError, RecursionError, AttributeError):
        return None
    if not isinstance(found, dict) or "execMap" in found:
        return None
    command, script = found.get("exec"), found.get("script")
    if command is None:
        command, script = "node", script or package.get("main", "index.js")
    words = [word for word in (command, script) if word is not None]
    return " ".join(words) if all(isinstance(word, str) for word in words) else None


def pm2_scripts(text: str) -> tuple[str, ...] | str:
    """The files that PM2 starts with Node by its ecosystem file, JSON or JavaScript, or why they cannot be told."""
    plain = re.sub(r"(^|\s)//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    other = re.search(r"\b(args|cwd|interpreter|exec_interpreter|\w*_file|output|error|watch|require|deploy)\b[\"']?\s*:", plain)
    if other is not None:
        return f"sets {other[1]}"
    scripts = re.findall(r"\bscript\b[\"']?\s*:\s*([^,}\n]+)", plain)
    values = [found[1] for script in scripts if (found := re.fullmatch(r"[\"'`]([\w./-]+\.[cm]?js)[\"'`]", script.strip()))]
    return tuple(values) if values and len(values) == len(scripts) else "computes what it starts"


def _plain(value: str) -> str:
    """A value without the comment behind it."""
    return re.sub(r"\s+[;#].*", "", value, flags=re.DOTALL).strip()


def _read(text: str) -> configparser.RawConfigParser | None:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return parser
