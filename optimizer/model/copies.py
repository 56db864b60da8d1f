"""What COPY and ADD bring into a stage, path by path."""

from __future__ import annotations

import posixpath
import re

from msgspec import Struct

from optimizer.model.model import Model, Stage
from optimizer.syntax import Instruction

# Names under which archives go about: tar in every compression that ADD unpacks, and those compressions by themselves.
_ARCHIVE = re.compile(r"\.(tar|t[gbx]z2?|tlz|tzst|gz|bz2?|xz|zst|lzma|lz|z)$|\.tar\.", re.I)
_REMOTE = re.compile(r"^(https?://|git@|git://|ssh://|.*\.git(#|$))")


class CopyFacts(Struct, frozen=True):
    """One COPY or ADD from the build context.

    Args:
        position: Its index in ``Dockerfile.nodes``.
        node: The instruction.
        sources: Its sources as paths relative to the context, normalised ("." for the whole context).
        destination: The absolute path it writes to, None when unknown.
        into: Whether the destination is certainly a folder that the sources are put into.
        plain: Whether every file arrives under a path that its source tells: no archive, no remote source, no heredoc.
    """

    position: int
    node: Instruction
    sources: tuple[str, ...]
    destination: str | None
    into: bool
    plain: bool

    def image_of(self, model: Model, path: str) -> str | None:
        """Where a file of the context lands, None when this instruction does not copy it (or it cannot be told)."""
        if self.destination is None or not self.plain:
            return None
        found = None
        for source in self.sources:
            if source == ".":
                found = posixpath.join(self.destination, path)
            elif model.context is None:
                # Without a context a source that is named exactly is taken for the file itself.
                if path == source:
                    found = posixpath.join(self.destination, posixpath.basename(path)) if self.into else self.destination
            else:
                for match in model.context.match(source):
                    if path == match:
                        inner = posixpath.join(self.destination, posixpath.basename(path))
                        found = inner if self.into and not model.context.is_dir(match) else self.destination
                    elif path.startswith(match + "/") and model.context.is_dir(match):
                        found = posixpath.join(self.destination, path[len(match) + 1 :])
        return posixpath.normpath(found) if found else None

    def context_of(self, model: Model, image_path: str) -> str | None:
        """The file of the context that lands at a path of the image, None when this instruction puts none there."""
        if self.destination is None or not self.plain:
            return None
        candidates = []
        inside = image_path.startswith(self.destination.rstrip("/") + "/")
        relative = posixpath.relpath(image_path, self.destination) if inside else ""
        for source in self.sources:
            if source == "." and inside:
                candidates.append(relative)
            elif model.context is None:
                if (self.into and inside and posixpath.basename(source) == relative) or (not self.into and image_path == self.destination):
                    candidates.append(source)
            else:
                for match in model.context.match(source):
                    if model.context.is_dir(match):
                        if inside:
                            candidates.append(posixpath.join(match, relative))
                    elif (inside and self.into and posixpath.basename(match) == relative) or (
                        not self.into and image_path == self.destination
                    ):
                        candidates.append(match)
        if model.context is None:
            return candidates[-1] if candidates else None
        return next((c for c in reversed(candidates) if model.context.exists(c)), None)


def names_archive(source: str) -> bool:
    """Whether a file has the name of an archive, or of something compressed, which ADD may unpack."""
    return _ARCHIVE.search(source) is not None


def is_remote(source: str) -> bool:
    """Whether a source of ADD is downloaded: a URL or a git repository."""
    return _REMOTE.match(source) is not None


def copy_facts(model: Model, position: int) -> CopyFacts | None:
    """The facts of a COPY or ADD that takes files from the build context, None for any other instruction."""
    node = model.file.instruction(position)
    if node.keyword not in ("COPY", "ADD") or node.flag("from") is not None or len(node.words) < 2:
        return None
    state = model.before(position)
    words = [state.expand(word, node.escape) if node.json is None else word for word in _raw_words(node)]
    known = [w for w in words[:-1] if w is not None]
    target = words[-1]
    plain = len(known) == len(words) - 1 and not node.heredocs
    if node.keyword == "ADD":
        plain = plain and not any(is_remote(w) or names_archive(w) or "*" in w for w in known)
    sources = tuple(posixpath.normpath(w.lstrip("/") or ".") if not w.startswith("<<") else w for w in known)
    destination = None
    if target is not None:
        destination = state.path(target) if node.json is None else _absolute(target, state.workdir)
    into = (
        len(sources) > 1
        or (target or "").endswith(("/", "/."))
        or target == "."
        or (_holds(destination, state.workdir) and model.context is not None)
    )
    return CopyFacts(position, node, sources, destination, into, plain)


def stage_copies(model: Model, stage: Stage) -> tuple[CopyFacts, ...]:
    """The COPY and ADD instructions of a stage that take files from the build context, in order."""
    found = [copy_facts(model, position) for position in stage.positions]
    return tuple(facts for facts in found if facts is not None)


def _raw_words(node: Instruction) -> tuple[str, ...]:
    return node.json if node.json is not None else tuple(a.text for a in node.arguments)


def _holds(folder: str | None, workdir: str | None) -> bool:
    """Whether a path is the working folder, which WORKDIR makes, or one around it."""
    return folder is not None and workdir is not None and f"{workdir.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def _absolute(path: str, workdir: str | None) -> str | None:
    if path.startswith("/"):
        return posixpath.normpath(path)
    return None if workdir is None else posixpath.normpath(posixpath.join(workdir, path))


def overlap(one: str, other: str) -> bool:
    """Whether two absolute paths are the same or one holds the other."""
    a, b = one.rstrip("/") + "/", other.rstrip("/") + "/"
    return a.startswith(b) or b.startswith(a)
