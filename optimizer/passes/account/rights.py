"""What in an image only root can do, read or find again: reasons why a program cannot be given another user."""

from __future__ import annotations

import os
import posixpath
import re
import stat

from optimizer.context import BuildContext
from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.launch import STEP_DOWN, Argv, option
from optimizer.model.paths import Placement, context_path, image_path, placements
from optimizer.model.site_tools import site_tool
from optimizer.model.started import Started
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command

SERVICES = frozenset({
    "nginx", "httpd", "apache2", "apache2ctl", "apachectl", "apache2-foreground", "php-fpm", "mysqld", "mysqld_safe", "mariadbd",
    "postgres", "mongod", "redis-server", "cron", "crond", "sshd", "supervisord", "systemd", "init", "dockerd", "haproxy",
    "openvpn", "dnsmasq", "named", "ntpd", "rsyslogd", "syslog-ng", "xinetd", "proftpd", "vsftpd", "squid", "varnishd", "memcached",
    "rabbitmq-server", "s6-svscan", "runsvdir", "service", "systemctl", "rc-service", "caddy", "traefik", "slapd", "smbd", "nmbd",
    "exim4", "postfix", "my_init", "runit",
})  # fmt: skip
"""Servers and supervisors that start as root on purpose, most of them to step down by themselves."""
NEEDS_ROOT = STEP_DOWN | frozenset({
    "chown", "chgrp", "useradd", "usermod", "userdel", "groupadd", "groupmod", "adduser", "addgroup", "deluser", "passwd",
    "chpasswd", "apt", "apt-get", "apk", "yum", "dnf", "microdnf", "dpkg", "rpm", "mount", "umount", "iptables", "ip6tables", "nft",
    "ip", "ifconfig", "route", "tc", "sysctl", "modprobe", "insmod", "rmmod", "losetup", "mkfs", "fdisk", "tcpdump", "setcap",
    "update-ca-certificates", "ldconfig", "hwclock", "dmidecode", "docker", "docker-compose", "podman", "nsenter", "unshare", "ufw",
    "reboot", "shutdown", "crontab", "nmap", "arp-scan", "mknod", "setfacl", "wg", "wg-quick", "dhclient", "openvpn", "pppd",
    "hciconfig", "smartctl", "hdparm", "perf", "strace",
})  # fmt: skip
"""Programs whose work is root's: accounts, packages, devices, networks, the docker socket."""
_HARMLESS = frozenset({
    "cat", "grep", "egrep", "awk", "date", "nc", "ncat", "pg_isready", "redis-cli", "psql", "mysqladmin", "mysql", "env", "id",
    "whoami", "which", "dirname", "basename", "readlink", "realpath", "tr", "cut", "head", "tail", "ls", "stat", "find", "seq",
    "expr", "wc", "sort", "uniq", "uname", "nproc", "xargs", "jq", "hostname", "getent", "sh", "bash", "dash", "ash", "npm", "npx",
    "yarn", "pnpm", "bun", "poetry", "pipenv", "uv", "tini", "dumb-init", "catatonit", "exec", "nohup", "nice", "stdbuf", "timeout",
    "time", "setsid", "cross-env", "python", "node", "nodejs", "gunicorn", "uvicorn", "hypercorn", "daphne", "waitress-serve",
    "granian", "celery", "flask", "quart", "uwsgi", "fastapi", "streamlit", "alembic", "pm2-runtime", "tsx", "ts-node", "ts-node-dev",
    "nodemon", "remix-serve", "react-router-serve", "fastify", "concurrently", "npm-run-all", "run-s", "run-p", "next", "serve",
    "http-server", "ddtrace-run", "newrelic-admin", "opentelemetry-instrument", "dotenv", "ping", "curl", "wget", "printenv",
    "file", "wait-on", "wait-port", "md5sum", "sha256sum", "base64", "openssl", "dig", "nslookup", "java", "dotnet", "ruby", "bundle",
    "php", "rails", "rackup", "puma", "unicorn", "thin", "sidekiq", "rake", "falcon", "pidof", "pgrep", "ps", "scrapy", "mkdocs",
})  # fmt: skip
_MIGRATIONS = frozenset({
    ("prisma", "migrate"), ("knex", "migrate:latest"), ("sequelize", "db:migrate"), ("sequelize-cli", "db:migrate"),
    ("typeorm", "migration:run"), ("drizzle-kit", "migrate"), ("node-pg-migrate", "up"), ("db-migrate", "up"),
})  # fmt: skip
"""Commands that bring a database up to date."""
_CONVERTERS = frozenset({
    "ffmpeg", "convert", "magick", "mogrify", "wkhtmltopdf", "wkhtmltoimage", "soffice", "libreoffice", "chromium",
    "chromium-browser", "google-chrome", "git", "tar", "unzip", "zip", "gzip", "rsync", "cp", "mv", "touch", "mkdir", "rm", "ln",
    "tee", "pg_dump", "mysqldump", "sqlite3", "pdflatex", "xelatex", "latex", "gs", "dot", "npm", "npx", "yarn", "pip", "pip3",
    "pdftoppm", "pdfimages", "pdftotext", "tesseract", "sed", "dd", "install", "7z", "exiftool", "pandoc", "inkscape", "sox",
    "yt-dlp", "youtube-dl", "wget", "scp", "ssh", "gpg", "make", "gcc", "g++", "javac", "go", "cargo", "mongodump", "aws", "gsutil",
    "terraform", "kubectl", "helm", "ansible-playbook",
})  # fmt: skip
"""Programs that leave files where their arguments or their settings say."""
_HOME = re.compile(r"(?:^|[\s\"'=:,])(?:/root(?:/|$|[\"'\s:])|~(?:/|$))|\$\{?HOME\b")
_DOWNLOADS = re.compile(
    r"\b(playwright\s+install|nltk[.\s]+download|nltk\.downloader|spacy\s+download|huggingface-cli|hf\s+download|from_pretrained"
    r"|snapshot_download|torch\.hub|whisper\.load|puppeteer\s+browsers|rustup|nvm\b|pyenv\b|pipx\b|uv\s+python\s+install"
    r"|uv\s+tool\s+install|git\s+config\s+--global|SentenceTransformer|webdriver.manager|cypress\s+install|bundle\s+config\s+(set\s+)?--global)"
)
_CLOSING_MODE = re.compile(r"0?[0-7]{3,4}$")


def service_of(application: Application) -> str | None:
    """The reason why the program must start as root, as far as the commands and the source tell."""
    names = tuple(n for n in (*application.start.programs, *application.programs) if n != "supervisord" or not _supervises(application))
    found = next((name.rpartition("/")[2] for name in names if name.rpartition("/")[2] in SERVICES), None)
    if found is not None:
        return f"{found} starts as root and steps down by itself, or serves others that do"
    found = next((name.rpartition("/")[2] for name in names if name.rpartition("/")[2] in NEEDS_ROOT), None)
    if found is not None:
        return f"the program starts {found}, which needs root"
    return application.root[0] if application.root else None


def unclear_program(application: Application, context: BuildContext) -> str | None:
    """The reason why what a started program writes is not known."""
    start = application.start
    own = {path.rpartition("/")[2] for path in (*start.scripts, *start.entries, *start.installed, *start.renamed)}
    for command in application.start.commands:
        name = command.name or ""
        if re.fullmatch(r"(python|pypy)[\d.]*", name):
            reason = _manage(command.words)
            if reason is not None:
                return reason
        elif name in ("curl", "wget") and re.search(r"\s-\w*[oO]|--output", str(command)):
            return f"{command.source} downloads files with {name}"
        elif (name, command.words[1:2]) in (("npm", ("install",)), ("npm", ("ci",)), ("yarn", ("install",)), ("pnpm", ("install",))):
            return f"{command.source} installs packages when the container starts"
        elif _migrates(command, application) or (name == "supervisord" and _supervises(application)):
            continue
        elif name not in _HARMLESS and name not in own and name not in FILE_COMMANDS and site_tool(name, command.words[1:]) is None:
            return f"{command.source} starts {name}, of which nothing is known"
    started = {command.name for command in application.start.commands}
    for program in application.programs:
        name = program.rpartition("/")[2]
        if name in _CONVERTERS and name not in started and not _harmless_call(application, context, name):
            return f"the source starts {name}, whose output files are not known"
    return None


def _supervises(application: Application) -> bool:
    """Whether the settings of supervisord were read, which name all that it starts and no user to become for it."""
    calls = [command for command in application.start.commands if command.name == "supervisord"]
    read = any(command.source not in ("CMD", "ENTRYPOINT") for command in calls)
    return read and not application.start.unknown and not any(option(c.words[1:], "-u", "--user")[0] for c in calls)


def _migrates(command: Started, application: Application) -> bool:
    """Whether a command changes the tables of a database server, and no file: there is no driver for SQLite at hand."""
    verb = next((word for word in command.words[1:] if word is not None and not word.startswith("-")), None)
    packages = application.package.dependencies if application.package is not None else {}
    if command.name == "prisma" and "deploy" not in command.words:
        return False  # in development it writes migrations as well
    return (command.name, verb) in _MIGRATIONS and not any("sqlite" in name or "libsql" in name for name in packages)


FILE_COMMANDS = frozenset({"mkdir", "touch", "rm", "cp", "mv", "ln", "tee", "rmdir"})


def command_writes(command: Started) -> tuple[str | None, ...]:
    """The paths as given that a file command of a start script changes, None for one that is computed."""
    if command.name not in FILE_COMMANDS:
        return ()
    operands = [word for word in command.words[1:] if word is None or not word.startswith("-")]
    return tuple(operands[-1:] if command.name in ("cp", "ln") else operands)


def _manage(words: Argv) -> str | None:
    """The management command of Django that changes the source tree, or an install."""
    texts = [word or "" for word in words]
    found = next((w for w in texts if w in ("makemigrations", "compilemessages", "makemessages", "compress", "startapp")), None)
    if found is not None and any(w.endswith("manage.py") for w in texts):
        return f"manage.py {found} writes into the source when the container starts"
    return "pip installs packages when the container starts" if texts[1:3] == ["-m", "pip"] else None


def _harmless_call(application: Application, context: BuildContext, name: str) -> bool:
    """Whether every call of a program has only constant options, or all goes through temporary files."""
    name = re.escape(name)
    for path in application.files:
        text = context.read_text(path) or ""
        calls = len(re.findall(rf"[\"'`](?:/[\w/]*/)?{name}[\"'`\s]", text))
        fixed = len(re.findall(rf"[\"'](?:/[\w/]*/)?{name}[\"']\s*,?\s*\[?\s*(?:[\"']--?[\w-]+[\"']\s*,?\s*)*[\])]", text))
        fixed += len(re.findall(rf"[\"'`]{name}\s+--?(?:version|help|v|V|h)[\"'`]", text))
        if calls > fixed and not re.search(r"\btempfile\b|tmpdir\(|mkdtemp|MkdirTemp|NamedTemporaryFile|[\"'`]/tmp/", text):
            return False
    return True


def kept_at_home(model: Model, stage: Stage, application: Application) -> str | None:
    """The reason why root's home holds something that the program needs; another user would not find it."""
    text_of_runs = []
    for position, node in model.instructions_of(stage):
        line = model.file.line(position)
        # What another stage has at a path of that name is no matter here, only where it goes.
        taken = node.keyword == "COPY" and node.flag("from") is not None and bool(node.words)
        said = node.words[-1] if taken else node.value
        if node.keyword in ("COPY", "ADD", "ENV", "WORKDIR", "CMD", "ENTRYPOINT") and _HOME.search(said):
            return f"line {line} names root's home"
        if node.keyword != "RUN":
            continue
        text = node.shell_text.text if node.shell_text is not None else " ".join(node.json or ())
        text_of_runs.append(text)
        found = _DOWNLOADS.search(text)
        if found is not None:
            return f"line {line} downloads or configures something for root alone ({found[0]})"
        if node.script is None or not node.script.understood:
            if _HOME.search(text):
                return f"line {line} names root's home"
            continue
        for command in node.script.commands:
            if command.name != "rm" and _HOME.search(" ".join(_texts(command))):
                return f"line {line} names root's home"
            reason = _private_install(model, position, command)
            if reason is not None:
                return f"line {line}: {reason}"
    corepack = any("corepack" in text for text in text_of_runs)
    used = {"yarn", "pnpm"} & set(application.start.programs)
    if corepack and used and "COREPACK_HOME" not in model.behind(stage).env:
        return f"corepack keeps {used.pop()} in root's home"
    return _archives_at_home(model, stage, application)


def _archives_at_home(model: Model, stage: Stage, application: Application) -> str | None:
    """Yarn 4 runs packages out of archives in the home of whoever installed them; Yarn 2 and 3 kept them in the project."""
    from optimizer.context.javascript import plug_and_play

    context, package = model.context, application.package
    if context is None or package is None or not plug_and_play(context, package):
        return None
    settings = context.read_text(posixpath.normpath(posixpath.join(package.folder, ".yarnrc.yml"))) or ""
    named = {"YARN_CACHE_FOLDER", "YARN_ENABLE_GLOBAL_CACHE", "YARN_GLOBAL_FOLDER"} & set(model.behind(stage).env)
    inside = re.search(r"^(enableGlobalCache:\s*false|cacheFolder:|globalFolder:)", settings, re.MULTILINE)
    if named or inside or re.match(r"yarn@[23]", package.package_manager or ""):
        return None
    return "Yarn runs packages out of archives in root's home"


def _texts(command: Command) -> list[str]:
    """Everything a command is made of: words, values of assignments, targets of redirections."""
    values = [value for _, value in command.assignments] + [redirect.target for redirect in command.redirects]
    return [word.text for word in (*command.words, *values) if word is not None]


def _private_install(model: Model, position: int, command: Command) -> str | None:
    words = [w.value or w.text for w in command.words]
    env = model.before(position).env
    if "--user" in words and any(w.startswith("pip") for w in words):
        return "pip install --user installs into root's home"
    if command.name == "poetry" and "install" in words:
        inside = {"POETRY_VIRTUALENVS_CREATE", "POETRY_VIRTUALENVS_IN_PROJECT", "VIRTUAL_ENV", "POETRY_VIRTUALENVS_PATH"} & set(env)
        named = any("virtualenvs.create" in n.value or "virtualenvs.in-project" in n.value for n in _runs(model))
        return None if inside or named else "poetry installs into an environment in root's home"
    if command.name == "pipenv" and {"install", "sync"} & set(words) and not {"--system", "--deploy --system"} & set(words):
        return None if {"PIPENV_VENV_IN_PROJECT", "VIRTUAL_ENV"} & set(env) else "pipenv installs into an environment in root's home"
    return None


def _runs(model: Model) -> list[Instruction]:
    return [node for p in model.file.positions if (node := model.file.instruction(p)).keyword == "RUN"]


def closed_to_others(model: Model, stage: Stage) -> str | None:
    """The reason why another user could not read the program's files, as far as RUN and COPY set modes.

    Files that another stage closes keep that when they are copied from there.
    """
    for position, node in model.instructions_of(stage):
        reason = _closes(model, position, node, None)
        if reason is not None:
            return reason
    taken = [
        (placement.stage, placement.source)
        for position, node in model.instructions_of(stage)
        for placement in (placements(model, position) or () if node.keyword == "COPY" and not node.flag("chmod") else ())
        if placement.stage is not None and placement.source is not None
    ]
    for index in dict.fromkeys(index for index, _ in taken):
        sources = [source for other, source in taken if other == index]
        for position, node in model.instructions_of(model.stages[index]):
            reason = _closes(model, position, node, sources)
            if reason is not None:
                return reason
    return None


def _closes(model: Model, position: int, node: Instruction, taken: list[str] | None) -> str | None:
    """How an instruction keeps others from reading files. taken: the paths that count, None for all."""
    line = model.file.line(position)
    mode = node.flag("chmod")
    if mode is not None:
        placed = placements(model, position)
        needed = 5 if any(placement.folder is not False for placement in placed or ()) else 4
        closed = not _CLOSING_MODE.match(mode) or int(mode[-1]) & needed != needed
        if closed and (placed is None or any(_touches(placement.target, taken) for placement in placed)):
            return f"line {line} copies files that others may not read or enter (--chmod={mode})"
    state = model.before(position)
    for command in node.script.commands if node.keyword == "RUN" and node.script is not None else ():
        words = [w.value or w.text for w in command.words]
        if command.name == "umask" and words[1:] and not re.fullmatch(r"0*(22|2|0|02|002|022)", words[1]):
            return f"line {line} makes files that others may not read (umask {words[1]})"
        modes = words[1:] if command.name == "chmod" else [words[words.index("-m") + 1]] if "-m" in words[:-1] else []
        if command.name in ("chmod", "install", "mkdir") and any(map(_takes_rights, modes)):
            operands = [word.value for word in command.words[1:] if not (word.value or "").startswith("-") and word.value not in modes[:1]]
            if any(_touches(state.path(path) if path is not None else None, taken) for path in operands):
                return f"line {line} takes rights away from others ({' '.join(words)[:60]})"
    return None


def _touches(path: str | None, taken: list[str] | None) -> bool:
    """Whether a path is, holds or lies below one of those that count; a computed one may."""
    if path is None or taken is None:
        return True
    return any(path == one or path.startswith(f"{one.rstrip('/')}/") or one.startswith(f"{path.rstrip('/')}/") for one in taken)


def _takes_rights(mode: str) -> bool:
    """Whether a mode of chmod, octal or symbolic, keeps others from reading."""
    if _CLOSING_MODE.match(mode):
        return not int(mode[-1]) & 4
    clauses = [re.fullmatch(r"([ugoa]*)([-+=][-+=rwxXst]*)", clause) for clause in mode.split(",")]
    for clause in clauses if all(clauses) else ():
        if clause is not None and (not clause[1] or set(clause[1]) & {"o", "a"}):
            sign, rights = clause[2][0], clause[2][1:]
            if (sign == "-" and set(rights) & set("rxX")) or (sign == "=" and "r" not in rights):
                return True
    return False


def unreadable_files(model: Model, stage: Stage) -> dict[int, str]:
    """The COPY and ADD instructions that bring files of the context that others may not read, each with one such file."""
    context = model.context
    found: dict[int, str] = {}
    if context is None:
        return found
    for position, node in model.instructions_of(stage):
        if node.keyword not in ("COPY", "ADD") or {"chmod", "chown"} & {flag.name for flag in node.flags}:
            continue
        for placement in placements(model, position) or ():
            if placement.source is None:
                continue
            if placement.stage is not None:
                paths = _brought_from(model, placement)
            else:
                paths = (placement.source, *context.under(placement.source)) if placement.folder else (placement.source,)
            closed = next((path for path in paths if path != "." and not _open_to_all(context, path)), None)
            if closed is not None:
                found.setdefault(position, closed)
    return found


def _brought_from(model: Model, placement: Placement) -> tuple[str, ...]:
    """The files of the context that a COPY from another stage takes on."""
    context, origin = model.context, model.stages[placement.stage or 0]
    taken = placement.source or ""
    if context is None:
        return ()
    inside = context_path(model, origin, taken)
    if inside is not None:
        return (inside, *context.under(inside)) if context.is_dir(inside) else (inside,)
    # a folder around what is copied from the context
    return tuple(f for f in context.files() if any(p.startswith(f"{taken}/") for p in image_path(model, origin, f)))


def _open_to_all(context: BuildContext, path: str) -> bool:
    """Whether the mode of a file and of the folders around it lets others read it, and run it when its owner may."""
    try:
        mode = os.lstat(context.root / path).st_mode
        if stat.S_ISREG(mode) and (not mode & 0o004 or (mode & 0o100 and not mode & 0o001)):
            return False
        if stat.S_ISDIR(mode) and mode & 0o005 != 0o005:
            return False
        folder = posixpath.dirname(posixpath.normpath(path))
        while folder.strip("/"):
            if os.lstat(context.root / folder).st_mode & 0o005 != 0o005:
                return False
            folder = posixpath.dirname(folder)
        return True
    except OSError:
        return False
