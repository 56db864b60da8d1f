"""Python's pip."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Cache, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.syntax.shell import Command, Word

_PROGRAM = re.compile(r"pip(\d+(\.\d+)?)?$")
_PYTHON = re.compile(r"python(\d+(\.\d+)?)?$")
_VERBS = {
    "install": Action.INSTALL,
    "download": Action.OTHER,
    "wheel": Action.OTHER,
    "uninstall": Action.REMOVE,
    "cache": Action.OTHER,
    "freeze": Action.OTHER,
    "list": Action.OTHER,
    "check": Action.OTHER,
    "config": Action.OTHER,
    "show": Action.OTHER,
}
# Options with a value: `pip install --help`, pip 24.
_VALUED = frozenset({
    "-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-t", "--target", "--platform", "--python-version", "--prefix",
    "--root", "--src", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-binary", "--only-binary", "--cache-dir",
    "--trusted-host", "--timeout", "--retries", "--proxy", "--cert", "--client-cert", "--log", "--upgrade-strategy", "--implementation",
    "--abi", "--report", "--config-settings", "-C", "--global-option", "--progress-bar", "--root-user-action", "--use-feature",
    "--exists-action", "--python", "--build", "--group",
})  # fmt: skip


class Pip(Ecosystem):
    """``pip``, ``pip3``, ``pip3.11``, ``python -m pip``."""

    name = "pip"
    programs = re.compile(r"(pip|python)(\d+(\.\d+)?)?$")
    caches = (
        Cache(
            folders=("~/.cache/pip",),
            filled_by=frozenset({Action.INSTALL}),
            option="--no-cache-dir",
            variables=frozenset({"PIP_NO_CACHE_DIR", "PIP_CACHE_DIR", "XDG_CACHE_HOME"}),
        ),
    )

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``."""
        words = unwrapped(command)
        behind = arguments_of(words)
        if behind is None:
            return None
        found = read_arguments(behind, frozenset(_VERBS), _VALUED)
        action = _VERBS.get(found.verb.value or "", Action.OTHER) if found.verb else Action.OTHER
        if found.verb is not None and found.verb.value == "cache" and any(w.value == "purge" for w in found.operands):
            action = Action.CLEAN
        names = tuple(w.value or w.text.strip("\"'") for w in found.operands) + found.values("-e", "--editable")
        manifests = found.values("-r", "--requirement", "-c", "--constraint")
        return Call("pip", action, command, found.verb, names, manifests, found.names, found.complete, words.prefix)


def arguments_of(words: Words) -> tuple[Word, ...] | None:
    """The words behind pip, however it is called; None when it is not."""
    program = words.program
    if program is None:
        return None
    if _PROGRAM.match(program):
        return words.words[1:]
    if _PYTHON.match(program):
        values = [w.value for w in words.words[1:]]
        at = values.index("-m") if "-m" in values else len(values)
        if values[at + 1 : at + 2] == ["pip"] and all(v is not None and v.startswith("-") for v in values[:at]):
            return words.words[at + 3 :]
    return None


def project_name(requirement: str) -> str:
    """The normalised name in a requirement such as ``Django[argon2]>=4`` (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~;@ ]", requirement, maxsplit=1)[0]).lower()


def activated(command: Command) -> str | None:
    """The virtual environment, as written, that a command puts in front of PATH for those behind it; None for any other command."""
    words = command.words
    if len(words) != 2 or words[0].value not in (".", "source"):
        return None
    found = re.fullmatch(r"(.+)/bin/activate", words[1].value or words[1].text)
    return found[1].strip("\"'") if found is not None else None
