"""``conda run``: which words of a command are conda's, and which those of the program that runs in the environment."""

from __future__ import annotations

from collections.abc import Sequence

PROGRAMS = frozenset({"conda", "mamba", "micromamba"})
_FLAGS = frozenset({"--no-capture-output", "--live-stream", "-v", "--verbose"})
_NAMES = frozenset({"-n", "--name", "-p", "--prefix"})


def entered(words: Sequence[str | None]) -> tuple[str | None, int] | None:
    """The environment that ``conda run`` enters, and how many words say so; None for any other command.

    Args:
        words: The words of a command, None for one that only running tells.

    Returns:
        The name or path of the environment as written, None for the one that is active.
    """
    if len(words) < 2 or (words[0] or "").rpartition("/")[2] not in PROGRAMS or words[1] != "run":
        return None
    name: str | None = None
    index = 2
    while index < len(words) and (word := words[index]) is not None and word.startswith("-"):
        option, sign, value = word.partition("=")
        if option in _NAMES:
            index += 0 if sign else 1
            name = value if sign else words[index] if index < len(words) else None
            if name is None:
                return None
        elif word not in _FLAGS:
            return None
        index += 1
    return name, index


def behind_run(words: Sequence[str | None]) -> tuple[str | None, int] | None:
    """What ``entered`` tells, where a program follows that runs in the environment."""
    found = entered(words)
    return found if found is not None and found[1] < len(words) else None


def activates(words: Sequence[str | None]) -> str | None:
    """The environment that ``conda activate`` or ``source activate`` enters; None for any other command."""
    if len(words) != 3 or words[1] is None or words[1].rpartition("/")[2] != "activate":
        return None
    return words[2] if words[0] in (*PROGRAMS, ".", "source") else None


def shell_inside(shell: Sequence[str]) -> tuple[str, ...]:
    """The shell of a SHELL instruction without the ``conda run`` that starts it; that of micromamba's images is bash."""
    if shell and shell[0].endswith("/_dockerfile_shell.sh"):
        return ("/bin/bash", "-o", "pipefail", "-c")
    found = behind_run(shell)
    return tuple(shell[found[1] :]) if found is not None else tuple(shell)
