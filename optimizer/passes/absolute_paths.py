"""Write the folders of WORKDIR and COPY whole."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from optimizer.model import Model, Stage
from optimizer.model.folders import working_directory
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.shells import windows
from optimizer.syntax import Instruction


class AbsolutePaths(Pass):
    """Write the folders of WORKDIR and COPY whole.

    What it does
        Writes ``WORKDIR /app/web`` for ``WORKDIR web`` below ``WORKDIR /app``, and ``COPY app.py /app.py`` for
        ``COPY app.py app.py`` where no WORKDIR says what that is relative to.

    Why
        A relative WORKDIR means something else as soon as one above it changes, and a relative destination without a WORKDIR
        follows the base image's, which few readers know.

    When it refuses
        Where the base image's working directory is not known, where it depends on variables that were set again, and for
        ``~``, which is a folder of that name here and probably meant as another.

    Safety
        Safe: the same folder is written out.
    """

    name = "absolute-paths"
    alters = frozenset({Fact.COPIES})
    mends = ("DL3000", "DL3045", "WorkdirRelativePath")
    examples = (
        Rewrites(
            "FROM debian:bookworm\nWORKDIR /app\nCOPY . .\nWORKDIR web\nRUN make\n",
            "FROM debian:bookworm\nWORKDIR /app\nCOPY . .\nWORKDIR /app/web\nRUN make\n",
        ),
        Rewrites("FROM golang:1.22\nCOPY main.go .\n", "FROM golang:1.22\nCOPY main.go /go/\n"),
        Keeps("FROM example/base\nWORKDIR app\n", because="nobody knows which folder it is in"),
        Keeps("FROM debian:bookworm\nWORKDIR ~/app\n", because="it makes a folder called ~, which only its author can mend"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            set_here = stage.base is not None and model.last(model.stages[stage.base], "WORKDIR") is not None
            for position in stage.positions:
                node = model.file.instruction(position)
                if node.keyword == "WORKDIR":
                    set_here = True
                    word = node.value
                elif node.keyword in ("COPY", "ADD") and not set_here and len(node.words) > 1:
                    word = node.words[-1]
                else:
                    continue
                if word and word[0] not in "/$\"'\\" and not re.match(r"[A-Za-z]:", word) and not windows(model, position):
                    yield _absolute(model, stage, position, node, word)


def _absolute(model: Model, stage: Stage, position: int, node: Instruction, word: str) -> Change | Refusal:
    folder = working_directory(model, stage, position)
    if folder is None:
        return Refusal(f"stays relative: which folder `{word}` is in is not known", position)
    if word.startswith("~") or not re.fullmatch(r"[\w./@+,:${}*-]+", word) or (".." in word.split("/") and "$" in folder + word):
        return Refusal(f"stays relative: `{word}` may not mean what it says", position)
    path = posixpath.normpath(posixpath.join(folder, word))
    if node.keyword != "WORKDIR" and (word.endswith("/") or posixpath.basename(word) in (".", "..")):
        path = path.rstrip("/") + "/"  # a folder, even where one file is copied
    start = node.text.rfind(word, 0, node.head_end)
    new = node.edited((start, start + len(word), path))
    if new.keyword != node.keyword or (new.value if node.keyword == "WORKDIR" else new.words[-1]) != path:
        return Refusal(f"stays relative: `{word}` is broken over lines", position)
    file = model.file.replaced(position, position + 1, [new])
    return Change(f"{node.keyword} to {path}, written whole", file, (position,), (f"the working directory is {folder} there",))
