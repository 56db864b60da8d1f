"""Python's uv."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Cache, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import PYTHON, behind, behind_module
from optimizer.syntax.shell import Command, Word

_VERBS = {
    "sync": Action.INSTALL,
    "add": Action.INSTALL,
    "remove": Action.REMOVE,
    "build": Action.BUILD,
    "cache": Action.OTHER,
    "export": Action.OTHER,
    "lock": Action.OTHER,
    "pip": Action.OTHER,
    "python": Action.OTHER,
    "run": Action.OTHER,
    "tool": Action.OTHER,
    "venv": Action.OTHER,
}
_INNER = {
    "pip": {"install": Action.INSTALL, "sync": Action.INSTALL, "uninstall": Action.REMOVE},
    "tool": {"install": Action.INSTALL, "uninstall": Action.REMOVE},
    "cache": {"clean": Action.CLEAN},
}
# Source: https://docs.astral.sh/uv/reference/cli/
_VALUED = frozenset({
    "-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints", "--override", "--overrides", "-e", "--editable",
    "--extra", "--group", "--no-group", "--only-group", "--package", "--no-install-package", "-i", "--index-url", "--index",
    "--default-index", "--extra-index-url", "-f", "--find-links", "-p", "--python", "--project", "--directory", "--cache-dir",
    "--config-file", "--link-mode", "--index-strategy", "--keyring-provider", "--prerelease", "--resolution", "-t", "--target",
    "--prefix", "--exclude-newer", "--no-binary", "--only-binary", "--no-build-package", "--no-binary-package", "-C",
    "--config-setting", "--python-version", "--python-platform", "--script", "-b", "--build-constraint", "--build-constraints",
    "--with", "-P", "--upgrade-package", "--reinstall-package", "--color", "--prompt", "-o", "--output-file", "--refresh-package",
    "--allow-insecure-host", "--env-file",
})  # fmt: skip


class Uv(Ecosystem):
    """``uv sync``, ``uv pip install`` and the others, ``python -m uv`` as well.

    ``--no-cache`` is what its own guide for containers says where no cache mount is used:
    https://docs.astral.sh/uv/guides/integration/docker/#caching
    """

    name = "uv"
    programs = re.compile(rf"(uv|{PYTHON})$")
    caches = (
        Cache(
            folders=("~/.cache/uv",),
            filled_by=frozenset({Action.INSTALL}),
            option="--no-cache",
            variables=frozenset({"UV_NO_CACHE", "UV_CACHE_DIR", "XDG_CACHE_HOME"}),
        ),
    )

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``. The verb of ``uv pip install`` is ``install``."""
        words = unwrapped(command)
        found = arguments_of(words)
        if found is None:
            return None
        group, rest = group_of(found)
        action = _VERBS.get(found.verb.value or "", Action.OTHER) if found.verb else Action.OTHER
        verb, operands = found.verb, found.operands
        if group is not None and rest is not None:
            action = _INNER[group].get(rest.value or "", Action.OTHER)
            verb, operands = rest, operands[1:]
        names = tuple(w.value or w.text for w in operands) + found.values("-e", "--editable")
        manifests = found.values(
            "-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints", "--override", "--overrides"
        )
        options = found.names | ({"--no-cache"} if found.names & {"-n", "--no-cache-dir"} else set())
        return Call(self.name, action, command, verb, names, manifests, options, found.complete, words.prefix)


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of uv, None when it is none."""
    rest = behind(words, "uv")
    if rest is None:
        rest = behind_module(words, "uv")
    return None if rest is None else read_arguments(rest, frozenset(_VERBS), _VALUED)


def group_of(found: Arguments) -> tuple[str | None, Word | None]:
    """For ``uv pip install``, ``pip`` and the word ``install``; None twice for a command that has no group."""
    verb = found.verb.value if found.verb else None
    return (verb, found.operands[0]) if verb in _INNER and found.operands else (None, None)
