"""What a program's arguments name: the module that a Python server loads, the file that an interpreter runs.

Pure functions over the words of one command, which do not look at any file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from optimizer.ecosystems.conda_run import behind_run

Argv = tuple[str | None, ...]

PYTHON = re.compile(r"(python|pypy)([23](\.\d+)?)?$")
PYTHON_SERVERS = frozenset({
    "gunicorn", "uvicorn", "hypercorn", "daphne", "waitress-serve", "waitress", "granian", "celery", "flask", "streamlit", "fastapi",
    "chainlit", "uwsgi", "dramatiq", "arq", "quart", "sanic",
})  # fmt: skip
PYTHON_TOOLS = frozenset({"scrapy", "mkdocs"})
"""Programs that run what a configuration in the folder names that they start in."""
NODE = frozenset({
    "node", "nodejs", "nodemon", "ts-node", "ts-node-dev", "tsx", "ts-node-esm", "pm2-runtime", "bun", "deno", "fastify",
    "remix-serve", "react-router-serve",
})  # fmt: skip
SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
MANAGERS = frozenset({"npm", "yarn", "pnpm", "bun", "yarnpkg"})
STEP_DOWN = frozenset({"gosu", "su-exec", "setpriv", "runuser", "su", "sudo", "doas", "chroot", "s6-setuidgid", "setuidgid", "chpst"})
"""Programs that run another one as another user, for which they need root."""
LANGUAGES: Mapping[str, str] = {
    **dict.fromkeys(PYTHON_SERVERS, "python"), **dict.fromkeys(PYTHON_TOOLS, "python"),
    **dict.fromkeys(("django-admin", "alembic", "pytest", "rq", "huey_consumer"), "python"),
    **dict.fromkeys(NODE, "node"), **dict.fromkeys(("next", "nuxt", "nest", "vite", "serve", "http-server", "strapi"), "node"),
    **dict.fromkeys(("react-scripts", "vue-cli-service", "webpack", "webpack-dev-server", "docusaurus", "gatsby", "vitepress"), "node"),
    "java": "java", "dotnet": "dotnet", "php": "php", "apache2-foreground": "php", "php-fpm": "php",
    "go": "go", "cargo": "rust",
    **dict.fromkeys(("ruby", "bundle", "rails", "rackup", "puma", "unicorn", "thin", "falcon", "sidekiq", "rake"), "ruby"),
    "perl": "perl", "mix": "elixir",
}  # fmt: skip
RUN_AS_MODULE: Mapping[str, str] = {
    **{name: name for name in (
        "gunicorn", "uvicorn", "flask", "celery", "hypercorn", "daphne", "streamlit", "alembic", "fastapi", "quart", "granian", "dramatiq",
        "pytest", "scrapy", "mkdocs",
    )},
    "waitress-serve": "waitress", "django-admin": "django",
}  # fmt: skip
"""Commands of Python packages that ``python -m`` starts as well: the packages have a ``__main__``."""
_PYTHON_VALUED = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_NODE_VALUED = frozenset({
    "-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "-P", "--project", "--tsconfig", "-w",
    "--watch", "--ext", "-e", "--exec", "--delay", "-i", "--instances", "--name", "-n", "--env", "--cwd", "-O",
    "--compiler-options", "--ignore",
})  # fmt: skip
ENV_FILE_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "dotenv": ("-e",), "dotenvx": ("-f", "--env-file"), "env-cmd": ("-f", "--file"),
    **dict.fromkeys(("node", "nodejs", "tsx", "bun"), ("--env-file", "--env-file-if-exists")),
}  # fmt: skip
"""Programs that set variables of files for what they start, and their options that name the files."""
_PLAIN_WRAPPERS = frozenset({
    "exec", "command", "nohup", "time", "setsid", "unbuffer", "ddtrace-run", "opentelemetry-instrument", "npx", "bunx", "builtin",
})  # fmt: skip
_APPLICATION = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_][\w.]*(\(.*\))?$", re.DOTALL)
_SERVER_FLAGS = frozenset({"--preload", "--reload", "--capture-output", "--enable-stdio-inheritance", "--no-sendfile", "--proxy-headers"})
_MODULE = re.compile(r"[A-Za-z_][\w.]*$")


class Target(Struct, frozen=True):
    """What a command loads.

    modules: dotted names; files: paths as given; folder: where relative names start, None for the working directory;
    rest: the arguments behind it; unknown: why that may not be all, None when it is; configuration: the file that says it.
    """

    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    folder: str | None = None
    rest: Argv = ()
    unknown: str | None = None
    configuration: str | None = None


def option(words: Argv, *names: str) -> tuple[bool, str | None]:
    """Whether one of the options is given, and its value: ``--name value``, ``--name=value`` or ``-nvalue``."""
    for index, word in enumerate(words):
        if word in names:
            return True, words[index + 1] if index + 1 < len(words) else None
        for name in names:
            if word is not None and name.startswith("--") and word.startswith(f"{name}="):
                return True, word[len(name) + 1 :]
            if word is not None and len(name) == 2 and word.startswith(name) and len(word) > 2:
                return True, word[2:].removeprefix("=")
    return False, None


def python_target(words: Argv) -> Target:
    """What ``python`` runs. words: those behind the interpreter."""
    index = 0
    while index < len(words):
        word = words[index]
        if word is None:
            return Target(unknown="Python runs a file that is known only at run time")
        if word == "-m" or re.fullmatch(r"-[a-zA-Z]*m", word):
            module = words[index + 1] if index + 1 < len(words) else None
            if module is None:
                return Target(unknown="Python runs a module that is known only at run time")
            return Target(modules=(module,), rest=words[index + 2 :])
        if word == "-c" or word == "-":
            return Target(unknown="Python runs code that is given on the command line")
        if word.startswith("-"):
            index += 2 if word in _PYTHON_VALUED else 1
            continue
        return Target(files=(word,), rest=words[index + 1 :])
    return Target(unknown="Python starts without a program")


def server_target(name: str, words: Argv, environment: Mapping[str, str | None]) -> Target:
    """What a Python server loads. words: those behind its name; environment: variables known to be set."""
    if name in ("celery", "dramatiq", "arq"):
        return _worker(name, words)
    if name in ("flask", "quart"):
        given, value = option(words, "--app", "-A")
        value = value if given else environment.get("FLASK_APP", "wsgi.py|app.py")
        if value is None:
            return Target(unknown=f"{name} loads an application that is known only at run time")
        return _named(value)
    if name in ("streamlit", "chainlit", "fastapi"):
        found = [w for w in words if w is not None and w.endswith(".py")]
        default = ("main.py|app.py|api.py|app/main.py|app/app.py|app/api.py",) if name == "fastapi" else ()
        files = tuple(found[:1]) or default
        return Target(files=files) if files else Target(unknown=f"{name} runs a file that is known only at run time")
    if name == "uwsgi":
        return _uwsgi(words)
    _, folder = option(words, "--chdir", "--app-dir")
    matches = [m for w in words if w is not None and (m := _APPLICATION.match(w))]
    config = tuple(f for f in [option(words, "-c", "--config")[1]] if f and not f.startswith("python:")) if name == "gunicorn" else ()
    if matches:
        return Target(modules=(matches[-1][1],), files=config, folder=folder)
    if words and words[0] is not None and _MODULE.match(words[0]):
        return Target(modules=(words[0],), files=config, folder=folder)
    last, before = (words[-1] if words else None), (words[-2] if len(words) > 1 else "")
    is_value = before is None or (before.startswith("-") and "=" not in before and before not in _SERVER_FLAGS)
    if last is not None and _MODULE.match(last) and not is_value:
        return Target(modules=(last,), files=config, folder=folder)
    return Target(files=config, folder=folder, unknown=f"{name} loads an application that its command does not name")


def _worker(name: str, words: Argv) -> Target:
    if name == "celery":
        given, value = option(words, "-A", "--app")
        _, folder = option(words, "--workdir")
        if not given or value is None:
            return Target(unknown="celery loads an application that its command does not name")
        return Target(modules=(value.split(":")[0],), folder=folder)
    names = [w.split(":")[0] for w in words if w is not None and _MODULE.match(w.split(":")[0]) and "." in w + "."]
    if not names:
        return Target(unknown=f"{name} loads modules that its command does not name")
    return Target(modules=(names[0].rpartition(".")[0] if name == "arq" else names[0],))


def _named(value: str) -> Target:
    if value.split("|")[0].split(":")[0].endswith(".py"):
        return Target(files=(value.split(":")[0],))
    return Target(modules=(value.split(":")[0],))


def _uwsgi(words: Argv) -> Target:
    _, folder = option(words, "--chdir")
    module = option(words, "--module", "-w")[1]
    file = option(words, "--wsgi-file", "--file")[1]
    config = next((w for w in words if w is not None and re.search(r"\.(ini|ya?ml|xml|json)$", w)), None)
    reason = f"uwsgi is configured by {config}" if config else None if module or file else "uwsgi loads what its command does not name"
    if option(words, "--uid", "--gid")[0]:
        reason = "uwsgi changes its user by itself"
    return Target((module.split(":")[0],) if module else (), (file,) if file else (), folder, unknown=reason)


def preloads(words: Argv) -> tuple[str, ...]:
    """The modules that options tell Node to load before the program. words: a command, or some of it."""
    names = ("-r", "--require", "--import", "--loader", "--experimental-loader")
    given = [option(words[i:], *names) for i, word in enumerate(words) if (word or "").partition("=")[0] in names]
    return tuple(value for _, value in given if value is not None)


def node_target(name: str, words: Argv) -> Target:
    """What ``node`` and its like run. words: those behind the interpreter."""
    if name in ("bun", "deno", "pm2-runtime", "tsx"):
        while words and words[0] in ("run", "start", "watch", "serve"):
            words = words[1:]
    if name == "fastify":
        plugins = [word for word in words[1:] if word is not None and re.search(r"\.[cm]?[jt]s$", word)]
        known = words[:1] == ("start",) and len(plugins) == 1
        return Target(files=tuple(plugins)) if known else Target(unknown="fastify loads a plugin that its command does not name")
    index = 0
    while index < len(words):
        word = words[index]
        if word is None:
            return Target(unknown="Node runs a file that is known only at run time")
        if name == "node" and re.fullmatch(r"-[pe]|--eval|--print", word):
            return Target(unknown="Node runs code that is given on the command line")
        if name == "nodemon" and word in ("-x", "--exec"):
            return Target(unknown="nodemon starts another program")
        if word.startswith("-"):
            index += 2 if word in _NODE_VALUED and name != "deno" and not (name == "node" and word in ("-w", "--watch")) else 1
            continue
        if name == "pm2-runtime" and re.search(r"\.(json|ya?ml)$|ecosystem|\.config\.c?js$", word):
            return Target(unknown=f"pm2 is configured by {word}", configuration=word)
        return Target(files=(word,), rest=words[index + 1 :])
    return Target(unknown="Node starts without a program", configuration="nodemon.json" if name == "nodemon" else None)


def unwrap(argv: Argv) -> Argv | None:
    """A command with one program taken off that only starts the rest of it, None when there is no such program."""
    name = (argv[0] or "").rpartition("/")[2]
    rest = argv[1:]
    if (behind := behind_run(argv)) is not None:
        return argv[behind[1] :]
    if name in ("tini", "dumb-init", "catatonit", "tini-static"):
        return behind_options(rest, ("-p", "-e", "-r", "--rewrite"))
    if name in ("env", "cross-env"):
        rest = behind_options(rest, ("-u", "-C"))
        while rest and rest[0] is not None and "=" in rest[0]:
            rest = rest[1:]
        return rest
    if name == "nodemon":
        return _restarted(rest)
    if name in _PLAIN_WRAPPERS:
        return behind_options(rest, ("-p", "--package"))
    if name in ("nice", "ionice", "stdbuf"):
        return behind_options(rest, ("-n", "-c", "-o", "-e", "-i"))
    if name == "timeout":
        return behind_options(rest, ("-k", "-s"))[1:]
    if (name, rest[:1]) in (("poetry", ("run",)), ("pipenv", ("run",)), ("uv", ("run",)), ("pdm", ("run",)), ("bundle", ("exec",))):
        return behind_options(rest[1:], ("--extra", "--group", "--with", "-p", "--python", "--project", "--directory"))
    if name in ("yarn", "yarnpkg") and rest[:1] == ("node",):
        return rest
    if (name, rest[:1]) in (("newrelic-admin", ("run-program",)), ("pnpm", ("exec",)), ("yarn", ("exec",)), ("npm", ("exec",))):
        return behind_options(rest[1:], ())
    if (name in ("doppler", "dotenv", "dotenvx", "infisical", "op") or name.startswith(("wait-for", "wait_for"))) and "--" in rest:
        return rest[rest.index("--") + 1 :]
    if name in ("dotenv", "dotenvx", "env-cmd"):
        rest = behind_options(rest[1:] if rest[:1] == ("run",) else rest, (*ENV_FILE_OPTIONS[name], "-v", "-p", "-e", "-r"))
        return rest[1:] if name == "env-cmd" and (rest[0] if rest else "") == ".env" else rest
    if name in ("gosu", "su-exec", "s6-setuidgid", "setuidgid", "chpst"):
        return rest[1:] if name != "chpst" else behind_options(rest, ("-u",))
    if name in ("sudo", "doas", "setpriv", "runuser"):
        return behind_options(rest, ("-u", "-g", "-h", "-p", "--user", "--group", "--reuid", "--regid"))
    return None


def _restarted(words: Argv) -> Argv | None:
    """What nodemon is told to start with ``--exec``; None without that. words: those behind its name."""
    given, text = option(words, "-x", "--exec")
    if not given or text is None or not re.fullmatch(r"[\w@./ :=-]+", text):
        return None
    return (*text.split(), *behind_options(words, ("-x", *_NODE_VALUED)))


def behind_options(words: Argv, valued: tuple[str, ...]) -> Argv:
    """What stands behind the options that words begin with. valued: the options with a value of their own."""
    index = 0
    while index < len(words) and words[index] is not None and (words[index] or "").startswith("-"):
        if words[index] == "--":
            return words[index + 1 :]
        index += 2 if words[index] in valued else 1
    return words[index:]
