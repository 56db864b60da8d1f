"""``go run`` as the command of a container: the same program, compiled when the image is built."""

from __future__ import annotations

import json
import posixpath
import re

from optimizer.context.golang import go_module
from optimizer.ecosystems.golang import VALUED
from optimizer.model import Model, Stage
from optimizer.model.paths import build_folder
from optimizer.passes.split.started import exec_form
from optimizer.passes.text import instruction_like
from optimizer.syntax import Dockerfile, Instruction

_OTHERS = frozenset({"-exec", "-race", "-msan", "-asan", "-cover", "-C", "-overlay"})  # flags that mean more than how to compile
_LEAVE = frozenset({"CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL", "VOLUME", "USER"})


def compiled_before(model: Model, stage: Stage, command: int) -> Dockerfile | None:
    """The Dockerfile that compiles what the command of a stage compiles and runs, and runs it; None when that is no ``go run``.

    The words of the command before the package are flags of the compiler, those behind it are the program's ("go help run").

    Args:
        model: Facts of the Dockerfile, with the context at hand.
        stage: The stage.
        command: Position of its only CMD or ENTRYPOINT.
    """
    node = model.file.instruction(command)
    plain = node if node.json is not None else exec_form(node)
    words = list(plain.json or ()) if plain is not None else []
    if words[:2] != ["go", "run"] or plain is None or model.last(stage, "USER") is not None:
        return None
    index = 2
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in VALUED else 1
    flags, rest = words[2:index], words[index:]
    sources = [word for i, word in enumerate(rest) if word.endswith(".go") and all(w.endswith(".go") for w in rest[:i])]
    target = sources or rest[:1]
    name = _name(model, stage, target)
    known = all(re.fullmatch(r"[\w./,=+:@%-]+", word) for word in (*flags, *target))
    if name is None or not known or _OTHERS & {flag.partition("=")[0] for flag in flags}:
        return None
    program = f"/usr/local/bin/{name}"
    build = " ".join(["go", "build", *flags, "-o", program, *target])
    last = max((p for p in stage.positions if model.file.instruction(p).keyword not in _LEAVE), default=stage.position)
    run = instruction_like(model.file, model.file.instruction(last), "RUN", build)
    started = [name, *rest[len(target) :]]
    changed = _with_words(plain, started)
    file = model.file.replaced(command, command + 1, [changed])
    return file.replaced(last + 1, last + 1, [run]) if command > last else None


def _name(model: Model, stage: Stage, target: list[str]) -> str | None:
    """The name of the program: that of its folder, or of the module for one in the module's own folder."""
    workdir = model.behind(stage).workdir
    if not target or workdir is None or "@" in target[0]:
        return None
    place = posixpath.normpath(posixpath.join(workdir, posixpath.dirname(target[0]) if target[0].endswith(".go") else target[0]))
    folder = build_folder(model, stage, place, ("go.mod",))
    module = go_module(model.context, folder) if folder is not None and model.context is not None else None
    name = posixpath.basename(module.path if module is not None and module.path is not None else place)
    return name if re.fullmatch(r"[A-Za-z][\w-]*", name) and name not in ("go", "sh", "test") else None


def _with_words(node: Instruction, words: list[str]) -> Instruction:
    text = node.command_text
    return node.edited((text.source(0), text.source_end(len(text.text)), json.dumps(words, ensure_ascii=False)))
