"""The arguments of ``make``. Source: "Summary of Options" in the GNU make manual."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct


class MakeCommand(Struct, frozen=True):
    """A call of make.

    Args:
        folder: Where it goes first, relative to where it is called.
        makefile: The file behind ``-f``.
        given: The variables of the command line.
        goals: The goals.
    """

    folder: str
    makefile: str | None
    given: Mapping[str, str]
    goals: tuple[str, ...]


def make_command(words: Sequence[str | None]) -> MakeCommand | None:
    """Read the words of a call of make or ninja, its name the first; None where one of them is computed."""
    folder, makefile = ".", None
    given: dict[str, str] = {}
    goals: list[str] = []
    skip = False
    for index, word in enumerate(words):
        if index == 0 or skip:
            skip = False
            continue
        if word is None and words[index - 1] in ("-j", "-l"):
            continue
        if word is None:
            return None
        following = words[index + 1] if index + 1 < len(words) else None
        if word in ("-C", "--directory", "-f", "--file", "--makefile"):
            if following is None:
                return None
            skip = True
            folder, makefile = (following, makefile) if word in ("-C", "--directory") else (folder, following)
        elif word.startswith("-C"):
            folder = word[2:]
        elif word.startswith("--directory="):
            folder = word.partition("=")[2]
        elif word in ("-j", "-l", "-o", "-W", "-I"):
            skip = following is not None and re.fullmatch(r"\d+|\$\(nproc\)", following) is not None
        elif "=" in word and not word.startswith("-"):
            key, _, value = word.partition("=")
            given[key] = value
        elif not word.startswith("-"):
            goals.append(word)
    return MakeCommand(folder, makefile, given, tuple(goals))
