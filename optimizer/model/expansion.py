"""What the words and redirections of a command in a script come to, as far as its variables are known."""

from __future__ import annotations

import posixpath
import re

from optimizer.model.launch import Argv
from optimizer.model.state import State
from optimizer.syntax.shell import Command

ALL_ARGUMENTS = frozenset({'"$@"', "$@", '"${@}"', "${@}", '"$*"', "$*"})

_PORTS = ("/dev/tcp/", "/dev/udp/")
"""Where bash reaches for a port, and no file."""


def value_of(text: str, variables: dict[str, str | None]) -> str | None:
    """A word with its variables put in, None when it has a part that only running tells."""
    if re.search(r"\$[(0-9@*#?!$-]|`|\$\{[0-9@*#?!$-]", text):
        return None
    return State(env=variables).expand(text)


def expanded(command: Command, variables: dict[str, str | None], arguments: Argv) -> Argv:
    """The words of a command. arguments: what ``$@`` stands for."""
    words: list[str | None] = []
    for word in command.words:
        if word.text in ALL_ARGUMENTS:
            words += arguments
            continue
        value = word.value if word.value is not None or word.substitutions else value_of(word.text, variables)
        if value is None or word.value is not None or re.search(r"[\"'\\]", word.text):
            words.append(value)
        else:
            words += value.split()  # without quotes, what a variable holds is split, and vanishes where it is empty
    return tuple(words)


def redirected(command: Command, folder: str | None, variables: dict[str, str | None]) -> tuple[str | None, ...]:
    """The absolute paths that the redirections of a command write to, None for one that is unknown."""
    found: list[str | None] = []
    for redirect in command.redirects:
        if ">" not in redirect.operator or redirect.target is None or redirect.target.text.lstrip('"').startswith(_PORTS):
            continue
        target = redirect.target.value
        target = target if target is not None or redirect.target.substitutions else value_of(redirect.target.text, variables)
        if target is not None and (target.isdigit() or target == "-" or target.startswith(("/dev/", "/proc/"))):
            continue
        absolute = posixpath.join(folder or "", target) if target is not None else None
        found.append(posixpath.normpath(absolute) if absolute is not None and absolute.startswith("/") else None)
    return tuple(found)
