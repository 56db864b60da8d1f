"""Files that hold markup and a program in one, as Vue, Svelte and Astro have them: the part that is JavaScript or TypeScript."""

from __future__ import annotations

import re

COMPONENTS = (".vue", ".svelte", ".astro")
_SCRIPT = re.compile(r"<script\b[^>]*>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
_FRONT = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)^---", re.DOTALL | re.MULTILINE)
_NOT_A_LINE_END = re.compile(r"[^\r\n]")


def script_of(path: str, text: str) -> str:
    """A component's text with everything but its scripts blanked, so that lines keep their numbers.

    Scripts in the markup of Astro run in the browser only; what counts there is the block between the first two ``---``.
    """
    found = _FRONT.finditer(text) if path.endswith(".astro") else _SCRIPT.finditer(text)
    pieces, end = [], 0
    for match in found:
        pieces += [_NOT_A_LINE_END.sub(" ", text[end : match.start(1)]), match[1]]
        end = match.end(1)
        if path.endswith(".astro"):
            break
    return "".join([*pieces, _NOT_A_LINE_END.sub(" ", text[end:])])
