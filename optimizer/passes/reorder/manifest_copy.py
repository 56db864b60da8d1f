"""A COPY of what an install reads, set apart from the one that brings everything."""

from __future__ import annotations

import json
import posixpath
import re

from optimizer.model import Model
from optimizer.model.copies import CopyFacts
from optimizer.passes.text import indent_of, keyword_like, line_end_of
from optimizer.syntax import Instruction


def copy_of(model: Model, copy: CopyFacts, folder: str, files: list[tuple[str, str]], place: int) -> Instruction:
    """A COPY of a few files, in the style of the one that brought them until now.

    Args:
        model: Facts of the Dockerfile.
        copy: The instruction that brought them.
        folder: The folder of the image that they land in.
        files: Pairs of a file of the context and its path in the image.
        place: Position of the instruction in front of which it goes.
    """
    node = copy.node
    sources = [file for file, _ in files]
    renamed = len(files) == 1 and posixpath.basename(files[0][0]) != posixpath.basename(files[0][1])
    workdir = model.before(place).workdir
    path = files[0][1] if renamed else folder
    target = path if node.words[-1].startswith("/") or workdir is None else written_below(workdir, path, node.words[-1])
    if (not renamed and len(sources) > 1 and not target.endswith("/")) or (
        not renamed and target not in (".", "./") and not target.endswith("/")
    ):
        target += "/"
    flags = "".join(f"--{f.name}={f.value} " for f in node.flags)
    keyword = keyword_like(node, "COPY")
    quoted = node.json is not None or any(re.search(r"[\s\"'\\$]", w) for w in (*sources, target))
    words = json.dumps([*sources, target], ensure_ascii=False) if quoted else " ".join([*sources, target])
    return Instruction(f"{indent_of(node)}{keyword} {flags}{words}{line_end_of(model.file, node)}", node.escape)


def written_below(workdir: str, path: str, written: str) -> str:
    """A path of the image relative to WORKDIR where it lies below it, in the style of what an author wrote: with ``./`` or without."""
    if not (path + "/").startswith(workdir.rstrip("/") + "/"):
        return path
    relative = posixpath.relpath(path, workdir)
    if relative == ".":
        return written if written in (".", "./") else "./"
    return f"./{relative}" if written.startswith("./") else relative
