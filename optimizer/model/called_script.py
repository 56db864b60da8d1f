"""The script of the build context that a command of a RUN starts."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from msgspec import Struct

from optimizer.context.scripts import script_text, shebang, unrolled
from optimizer.model.launch import SHELLS
from optimizer.model.model import Model, Stage
from optimizer.model.paths import context_path
from optimizer.syntax.shell import Script, parse_script


class CalledScript(Struct, frozen=True):
    """A script of the context and what it says, with loops over plain words written out."""

    path: str
    script: Script


def called_script(model: Model, stage: Stage, words: Sequence[str | None], cwd: str | None, position: int) -> CalledScript | None:
    """The script that a command starts; None for any other command, and for a script that is not in the context.

    Args:
        model: The facts, with the context at hand.
        stage: The stage of the RUN.
        words: The values of the command's words, None for one that is computed.
        cwd: The folder that it runs in.
        position: Index of the RUN.
    """
    shell = posixpath.basename(words[0] or "") in SHELLS
    target = next((w for w in words[1:] if w is not None and not w.startswith("-")), None) if shell else words[0]
    if target is None or cwd is None or model.context is None or not (shell or "/" in target):
        return None
    inside = context_path(model, stage, posixpath.normpath(posixpath.join(cwd, target)), position)
    text = script_text(model.context, inside) if inside is not None else None
    if text is None or inside is None:
        return None
    named = {word.rpartition("/")[2] for part in shebang(text) or ("sh",) for word in part.split()}
    if not shell and not named & SHELLS:
        return None
    return CalledScript(inside, parse_script(unrolled(text.replace("\r\n", "\n"))))
