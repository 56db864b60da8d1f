"""What is told of the commands of RUN."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from optimizer.checks.base import Check, Observation, Passes, Tells
from optimizer.ecosystems import Action, Call, read_call, unwrapped
from optimizer.model import Model
from optimizer.passes.runs.readable import readable_runs

# Package managers whose packages have versions that stay available, with what separates name and version.
_PINS = {"pip": ("==", "===", "~=", ">=", "<", "@"), "npm": ("@",), "gem": (":",), "go": ("@",)}
_PROGRAMS = ("pip", "npm", "gem", "go ")
# Source: hadolint's rule DL3001.
_POINTLESS = frozenset({"free", "kill", "mount", "ps", "service", "shutdown", "ssh", "top", "vim", "ifconfig", "nano"})
_INSECURE = {"curl": ("-k", "--insecure"), "wget": ("--no-check-certificate",)}


class UnpinnedPackages(Check):
    """Packages of a language are installed without a version.

    The same Dockerfile installs something else on another day. A file of requirements or a lock file says it for all.
    """

    name = "unpinned-packages"
    rules = ("DL3013", "DL3016", "DL3028", "DL3062")
    reason = "only its author knows which versions the program works with"
    examples = (
        Tells("FROM python:3.13\nRUN pip install flask gunicorn==23.0\n", "flask has no version", 2),
        Tells("FROM node:22\nRUN npm install -g @angular/cli\n", "@angular/cli has no version", 2),
        Passes("FROM python:3.13\nRUN pip install -r requirements.txt\n", because="the file may hold them"),
        Passes("FROM python:3.13\nRUN pip install --upgrade pip\n", because="the tools of pip are not part of the program"),
        Passes("FROM python:3.13\nRUN pip install . ./lib.whl git+https://example.org/a@v1\n", because="each is one thing"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for run in readable_runs(model, *_PROGRAMS):
            for command in run.script.commands:
                call = read_call(command)
                loose = _unpinned(call) if call is not None else []
                if loose:
                    yield Observation(f"{', '.join(loose)} {'has' if len(loose) == 1 else 'have'} no version", run.position)


def _unpinned(call: Call) -> list[str]:
    """The packages that a call installs in whatever version is newest, as written."""
    marks = _PINS.get(call.ecosystem)
    wanted = call.action is Action.INSTALL or (call.ecosystem == "go" and call.verb is not None and call.verb.value == "install")
    if marks is None or not wanted or call.options & {"-v", "--version", "-c", "--constraint", "-r", "--requirement", "--no-index"}:
        return []
    return [package for package in call.packages if _is_name(call.ecosystem, package) and not any(mark in package[1:] for mark in marks)]


def _is_name(ecosystem: str, package: str) -> bool:
    """Whether a word is the name of a package in the registry and not a file, a URL or a tool of the manager itself."""
    if ecosystem == "go":
        return "." in package.partition("/")[0] and not package.startswith(".")
    if ecosystem == "pip" and package.partition("[")[0].lower() in ("pip", "setuptools", "wheel", "poetry", "pipenv", "uv", "build"):
        return False
    path = package.startswith((".", "/", "~", "$", '"$', "git+", "file:")) or "://" in package
    archive = package.endswith((".whl", ".tar.gz", ".zip", ".tgz", ".gem"))
    return not path and not archive and (ecosystem == "npm" or "/" not in package)


class UpgradedDistribution(Check):
    """The whole distribution is upgraded to another release.

    What the base image holds then depends on the day of the build, and the layer holds most of it a second time.
    """

    name = "upgraded-distribution"
    rules = ("DL3005", "DL3035")
    reason = "what the build needs of the newer packages is not known; a newer base image brings them"
    examples = (
        Tells(
            "FROM debian:bookworm\nRUN apt-get update && apt-get dist-upgrade -y\n",
            "apt-get dist-upgrade replaces what the base image holds",
            2,
        ),
        Passes("FROM debian:bookworm\nRUN apt-get update && apt-get upgrade -y\n", because="it stays within the release"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        verbs = ("dist-upgrade", "full-upgrade", "dup")
        for run in readable_runs(model, *verbs):
            for command in run.script.commands:
                words = unwrapped(command)
                verb = next((w.value for w in words.words[1:] if w.value in verbs), None)
                if words.program in ("apt-get", "apt", "zypper", "aptitude") and verb is not None:
                    yield Observation(f"{words.program} {verb} replaces what the base image holds", run.position)


class PointlessCommand(Check):
    """A command that has no use while an image is built.

    No process and no service outlives its RUN, and nobody is there to log in.
    """

    name = "pointless-command"
    rules = ("DL3001",)
    reason = "what it was meant for is not known"
    examples = (
        Tells("FROM debian\nRUN service nginx start\n", "service has no use in a build: nothing that it starts outlives the RUN", 2),
        Passes("FROM debian:bookworm\nRUN service db start && createdb app\n", because="something of the same RUN uses it"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for run in readable_runs(model, *_POINTLESS):
            commands = run.script.commands
            if commands and unwrapped(commands[-1]).program in _POINTLESS:
                program = unwrapped(commands[-1]).program
                yield Observation(f"{program} has no use in a build: nothing that it starts outlives the RUN", run.position)


class ReplacedShell(Check):
    """``/bin/sh`` is replaced by another shell.

    Every script of the distribution that starts with ``#!/bin/sh`` then runs in a shell it was not written for.
    """

    name = "replaced-shell"
    rules = ("DL4005",)
    reason = "scripts may have come to need it; SHELL chooses the shell of the build alone"
    examples = (
        Tells("FROM debian:bookworm\nRUN ln -sf /bin/bash /bin/sh\n", "/bin/sh becomes another shell for the whole system", 2),
        Passes("FROM debian:bookworm\nRUN ln -s /opt/app /bin/app\n", because="it is no shell"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for run in readable_runs(model, "bin/sh"):
            for command in run.script.commands:
                words = unwrapped(command)
                if words.program in ("ln", "mv", "cp") and posixpath.normpath(words.words[-1].value or ".") in ("/bin/sh", "/usr/bin/sh"):
                    yield Observation("/bin/sh becomes another shell for the whole system", run.position)


class InsecureDownload(Check):
    """Something is downloaded without knowing from whom.

    Over plain http, or with the certificate unchecked, whoever sits on the way decides what the image holds.
    """

    name = "insecure-download"
    reason = "whether the server answers over https with a valid certificate is not known"
    examples = (
        Tells("FROM debian:bookworm\nRUN curl -O http://example.org/a.tar.gz\n", "http://example.org/a.tar.gz comes over plain http", 2),
        Tells("FROM debian:bookworm\nRUN curl -k -O https://example.org/a\n", "curl is told not to look at certificates", 2),
        Tells("FROM debian:bookworm\nADD http://example.org/a /\n", "http://example.org/a comes over plain http", 2),
        Passes("FROM debian:bookworm\nRUN curl -f http://localhost:8080/ && curl -O https://example.org/a\n", because="the first is here"),
        Passes("FROM debian:bookworm\nRUN curl -O http://example.org/a && echo abc a | sha256sum -c\n", because="a checksum is looked at"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        added = [(position, url) for position, url in _added(model, "http://") if not _is_local(url)]
        found = [Observation(f"{url} comes over plain http", position) for position, url in added]
        for run in readable_runs(model, "curl", "wget"):
            if any(word in run.text.text for word in ("sha256sum", "sha512sum", "sha1sum", "md5sum", "shasum", "gpg")):
                continue
            for command in run.script.commands:
                words = unwrapped(command)
                careless = _INSECURE.get(words.program or "")
                if careless is None:
                    continue
                if any(w.value in careless for w in words.words):
                    found.append(Observation(f"{words.program} is told not to look at certificates", run.position))
                urls = [w.value for w in words.words if w.value and w.value.startswith("http://") and not _is_local(w.value)]
                found += [Observation(f"{url} comes over plain http", run.position) for url in urls]
        yield from sorted(found, key=lambda each: each.position)


class UnverifiedDownload(Check):
    """ADD downloads something and looks at no checksum.

    What the address holds tomorrow may be another thing, and the build takes it.
    """

    name = "unverified-download"
    reason = "the checksum of what was meant is known to its author; ADD --checksum=sha256:… takes it"
    examples = (
        Tells("FROM debian:bookworm\nADD https://example.org/a.tar.gz /\n", "https://example.org/a.tar.gz may be another tomorrow", 2),
        Passes(f"FROM debian:bookworm\nADD --checksum=sha256:{'0' * 64} https://example.org/a /\n", because="a checksum is looked at"),
        Passes("FROM debian:bookworm\nADD https://github.com/a/b.git#v1 /\n", because="git has its own"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for position, url in _added(model, "https://"):
            if not url.partition("#")[0].endswith(".git"):
                yield Observation(f"{url} may be another tomorrow", position)


def _added(model: Model, scheme: str) -> Iterator[tuple[int, str]]:
    """What ADD downloads without a checksum, by the beginning of its address: position of the instruction, and address."""
    for position in model.file.positions:
        node = model.file.instruction(position)
        if node.keyword == "ADD" and node.flag("checksum") is None:
            yield from ((position, word) for word in node.words[:-1] if word.startswith(scheme))


def _is_local(url: str) -> bool:
    host = url.removeprefix("http://").partition("/")[0].partition(":")[0]
    return host in ("localhost", "127.0.0.1", "0.0.0.0") or "." not in host
