"""Where the files of the build context lie in a stage, through its COPY and ADD instructions and those of other stages.

What RUN moves or deletes is not followed: a path found here is where the file was put.
Source of the rules: COPY and ADD in the Dockerfile reference, ``dispatchCopy`` in BuildKit's dockerfile2llb/convert.go and
``prepareTargetDir`` in fsutil's copy package.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from msgspec import Struct

from optimizer.model.copies import names_archive
from optimizer.model.model import Model, Stage
from optimizer.syntax import Instruction

_GLOB = re.compile(r"[*?\[]")
_STANDARD_FOLDERS = frozenset({
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys",
    "/tmp", "/usr", "/usr/bin", "/usr/include", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/local/etc", "/usr/local/lib",
    "/usr/local/sbin", "/usr/local/share", "/usr/sbin", "/usr/share", "/usr/src", "/var", "/var/cache", "/var/lib", "/var/log", "/var/tmp",
})  # fmt: skip
"""Folders of the Filesystem Hierarchy Standard that images of a distribution have."""
_DEPTH = 12  # of stages that copy from stages


class Placement(Struct, frozen=True):
    """One source of a COPY or ADD and where it goes.

    Args:
        source: Its path: relative to the context ("." for all of it), absolute in another stage or image, None when it is
            written in the Dockerfile, downloaded or unpacked.
        target: Where it lies then, absolute: the file, or the folder that the source's contents go into.
        folder: Whether the source is a folder; None when that is not known, as for what a build makes.
        stage: Index of the stage it comes from, None when it comes from the context.
        foreign: Whether it comes from an image that is no stage of this Dockerfile.
    """

    source: str | None
    target: str
    folder: bool | None
    stage: int | None = None
    foreign: bool = False

    def inside(self, path: str) -> str | None:
        """The source's path that ends up at an image path, None when this placement does not reach it."""
        if self.source is None or self.foreign:
            return None
        if self.folder is None:
            if path == self.target:
                return self.source
            if posixpath.basename(path) == posixpath.basename(self.source) and posixpath.dirname(path) == self.target:
                return self.source  # a file that was copied into a folder
        elif path == self.target or not self.folder:
            return self.source if path == self.target else None
        rest = _below(path, self.target)
        return None if rest is None else posixpath.normpath(posixpath.join(self.source, rest))

    def outside(self, path: str) -> str | None:
        """Where a path of the source ends up, None when this placement does not take it."""
        if self.source is None or self.foreign:
            return None
        if path == self.source:
            return self.target
        rest = _below(path, self.source)
        return None if rest is None or self.folder is False else posixpath.normpath(posixpath.join(self.target, rest))


def placements(model: Model, position: int) -> tuple[Placement, ...] | None:
    """What a COPY or ADD puts where, in order; None when it cannot be told (no context, unknown variables or flags).

    Args:
        model: The facts, with the context at hand.
        position: Index in ``Dockerfile.nodes`` of a COPY or ADD.
    """
    node = model.file.instruction(position)
    stage = model.stage_of(position)
    state = model.before(position)
    words = [state.expand(word, node.escape) for word in node.words]
    flags = {flag.name for flag in node.flags}
    if stage is None or len(words) < 2 or None in words or flags & {"parents", "exclude"}:
        return None
    *sources, last = [word for word in words if word is not None]
    target = state.path(node.words[-1], node.escape)
    if target is None:
        return None
    name = node.flag("from")
    name = state.expand(name, node.escape) if name is not None else None
    if name is None and "from" in flags:
        return None
    as_folder = last in (".", "") or last.endswith("/") or len(sources) > 1
    if name is not None:
        return _from_stage(model, name, sources, target, as_folder or is_folder(model, stage, target, position))
    found: list[Placement] = []
    for source in sources:
        placed = _from_context(model, node, source, target, as_folder or is_folder(model, stage, target, position))
        if placed is None:
            return None
        found += placed
    return tuple(found)


def _from_stage(model: Model, name: str, sources: list[str], target: str, as_folder: bool) -> tuple[Placement, ...] | None:
    other = model.find_stage(name)
    found = []
    for source in sources:
        path = posixpath.normpath("/" + source.lstrip("/"))
        if other is not None and _GLOB.search(source) and not as_folder and posixpath.splitext(target)[1]:
            found.append(Placement(path, target, False, other.index))  # one file matches, or BuildKit stops
            continue
        if other is None or _GLOB.search(source):
            found.append(Placement(None, target, None, foreign=other is None))
            continue
        folder = _kind(model, other, path, source)
        if folder is None and as_folder and (posixpath.splitext(path)[1] or posixpath.basename(target) in ("bin", "sbin")):
            folder = False  # what a build makes: a name with an extension, or a program
        if folder is False and as_folder:
            found.append(Placement(path, posixpath.join(target, posixpath.basename(path)), False, other.index))
        else:
            found.append(Placement(path, target, folder, other.index))
    return tuple(found)


def _kind(model: Model, stage: Stage, path: str, written: str) -> bool | None:
    """Whether a path of a stage is a folder, None when not known."""
    if written.endswith(("/", "/.")) or path == "/" or is_folder(model, stage, path, len(model.file.nodes)):
        return True
    inside = context_path(model, stage, path)
    return model.context.is_dir(inside) if inside is not None and model.context is not None else None


def _from_context(model: Model, node: Instruction, source: str, target: str, as_folder: bool) -> list[Placement] | None:
    context = model.context
    if source.startswith("<<") or re.match(r"(https?|ftp)://|git@|git://", source):
        return [Placement(None, target, None)]
    if context is None:
        return None
    found = []
    matches = context.match(source)
    as_folder = as_folder or len(matches) > 1
    for path in matches:
        if path == "." or context.is_dir(path):
            found.append(Placement(path, target, True))
        elif node.keyword == "ADD" and names_archive(path):
            found.append(Placement(None, target, None))
        else:
            found.append(Placement(path, posixpath.join(target, posixpath.basename(path)) if as_folder else target, False))
    return found


def is_folder(model: Model, stage: Stage, path: str, before: int) -> bool:
    """Whether a path is sure to be a folder of a stage: of the system, a working directory, made or copied.

    Args:
        model: The facts.
        stage: The stage to look in.
        path: An absolute path.
        before: Only instructions before that index of ``Dockerfile.nodes`` count.
    """
    if path in _STANDARD_FOLDERS and stage.reference != "scratch":
        return True
    for position in _instructions(model, stage, before):
        node = model.file.instruction(position)
        state = model.before(position)
        if node.keyword == "WORKDIR":
            workdir = state.path(node.value, node.escape)
            if workdir is not None and (workdir == path or _below(workdir, path) is not None):
                return True
        elif node.keyword in ("COPY", "ADD") and len(node.words) > 1:
            last = node.words[-1]
            made = state.path(last, node.escape)
            if made is not None and (_below(made, path) is not None or (made == path and (last.endswith("/") or len(node.words) > 2))):
                return True
            if made == path and model.context is not None and "from" not in {f.name for f in node.flags}:
                source = state.expand(node.words[0], node.escape)
                if source is not None and any(p == "." or model.context.is_dir(p) for p in model.context.match(source)):
                    return True
        elif node.keyword == "RUN" and node.script is not None and node.script.understood:
            for command in node.script.commands:
                made_here = [state.path(w.value) for w in command.words[1:] if w.value and not w.value.startswith("-")]
                if command.name == "mkdir" and any(m is not None and (m == path or _below(m, path) is not None) for m in made_here):
                    return True
    return False


def _instructions(model: Model, stage: Stage, before: int | None) -> list[int]:
    """The instructions of a stage and of those it starts from, the last first."""
    found: list[int] = []
    current: Stage | None = stage
    while current is not None:
        found += [p for p in reversed(current.positions) if before is None or p < before]
        current = model.stages[current.base] if current.base is not None else None
    return found


def image_path(model: Model, stage: Stage, path: str, before: int | None = None) -> tuple[str, ...]:
    """Where a file or folder of the context lies in a stage, in the order in which it is put there.

    Args:
        model: The facts, with the context at hand.
        stage: The stage to look in.
        path: A path relative to the context; it need not exist, as what a build makes in a copied folder does not.
        before: Only instructions before that index of ``Dockerfile.nodes`` count; None for all.

    Returns:
        Absolute paths without doubles; empty when it is not copied or nothing is known.
    """
    return _image_path(model, stage, posixpath.normpath(path), before, 0)


def _image_path(model: Model, stage: Stage, path: str, before: int | None, depth: int) -> tuple[str, ...]:
    found: list[str] = []
    context = model.context
    if context is None or depth > _DEPTH:
        return ()
    for position in reversed(_instructions(model, stage, before)):
        if model.file.instruction(position).keyword not in ("COPY", "ADD"):
            continue
        for placement in placements(model, position) or ():
            if placement.stage is None:
                target = placement.outside(path) if not context.ignored(path) else None
                found += [target] if target is not None else []
            elif placement.stage != stage.index:
                other = model.stages[placement.stage]
                targets = [placement.outside(p) for p in _image_path(model, other, path, None, depth + 1)]
                found += [target for target in targets if target is not None]
    return tuple(dict.fromkeys(found))


def context_path(model: Model, stage: Stage, path: str, before: int | None = None, *, must_exist: bool = True) -> str | None:
    """Which file or folder of the context lies at a path of a stage: that of the last instruction that put one there.

    Args:
        model: The facts, with the context at hand.
        stage: The stage to look in.
        path: An absolute path of the image.
        before: Only instructions before that index of ``Dockerfile.nodes`` count; None for all.
        must_exist: False asks where the path would be in the context, were it there: a folder around it is copied.

    Returns:
        A path relative to the context ("." for the root); None when nothing of the context is there or that is unknown.
    """
    return _context_path(model, stage, posixpath.normpath(path), before, must_exist, 0)


def _context_path(model: Model, stage: Stage, path: str, before: int | None, must_exist: bool, depth: int) -> str | None:
    if model.context is None or depth > _DEPTH:
        return None
    for position in _instructions(model, stage, before):
        if model.file.instruction(position).keyword not in ("COPY", "ADD"):
            continue
        found = placements(model, position)
        if found is None:
            return None  # it may have put something else there
        for placement in reversed(found):
            if placement.source is None and not placement.foreign and path == placement.target:
                return None
            inside = placement.inside(path)
            if inside is None:
                continue
            if placement.stage is not None:
                if placement.stage == stage.index:
                    return None
                other = model.stages[placement.stage]
                result = _context_path(model, other, inside, None, must_exist, depth + 1)
            else:
                result = inside if inside == "." or not must_exist or model.context.exists(inside) else None
            if result is not None:
                return result
    deploys = [p for p in _instructions(model, stage, before) if " deploy" in model.file.instruction(p).text]
    if not deploys:
        return None
    from optimizer.model.deployed import deployed_path  # for few files only

    deployed = deployed_path(model, stage, path, deploys)
    return deployed if deployed is not None and (not must_exist or model.context.exists(deployed)) else None


def build_folder(model: Model, stage: Stage, folder: str, names: Iterable[str], before: int | None = None) -> str | None:
    """The folder of the context whose build file lies in a folder of a stage, be that copied whole or file by file.

    Args:
        model: The facts, with the context at hand.
        stage: The stage to look in.
        folder: An absolute path.
        names: The names that the build file may have, relative to the folder, in the order in which they are looked for.
        before: Only instructions before that index of ``Dockerfile.nodes`` count; None for all.
    """
    for name in names:
        found = context_path(model, stage, posixpath.normpath(posixpath.join(folder, name)), before)
        if found is not None:
            return found.removesuffix(posixpath.normpath(name)).rstrip("/") or "."
    return None


def origin_of(model: Model, stage: Stage, path: str) -> tuple[Stage, str]:
    """The stage in which the file or folder at a path of a stage was made or copied from the context, and its path there."""
    path = posixpath.normpath(path)
    for _ in range(_DEPTH):
        step = _copied_from(model, stage, path)
        if step is None:
            break
        stage, path = step
    return stage, path


def _copied_from(model: Model, stage: Stage, path: str) -> tuple[Stage, str] | None:
    """The other stage, and the path there, that the last COPY onto a path takes from."""
    for position in _instructions(model, stage, None):
        if model.file.instruction(position).keyword in ("COPY", "ADD"):
            for placement in reversed(placements(model, position) or ()):
                inside = placement.inside(path)
                if inside is not None and placement.stage is not None and placement.stage != stage.index:
                    return model.stages[placement.stage], inside
                if inside is not None and model.context is not None and model.context.exists(inside):
                    return None
    return None


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _below(path: str, folder: str) -> str | None:
    """The part of a path behind a folder around it, None when it does not lie below."""
    if folder in ("/", "."):
        inside = path.startswith("/") if folder == "/" else not path.startswith("/")
        return path.lstrip("/") if inside and path != folder else None
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else None


def search_path(model: Model, stage: Stage, before: int | None = None) -> tuple[str, ...]:
    """The folders of PATH that a stage's own ENV lines put there, as far as they are known."""
    found: list[str] = []
    for position in stage.positions:
        node = model.file.instruction(position)
        for pair in node.pairs if node.keyword == "ENV" and (before is None or position < before) else ():
            if pair.name == "PATH" and pair.value is not None:
                state = model.before(position)
                found += [folder for part in node.unquote(pair.value).split(":") if (folder := state.expand(part)) is not None]
    return tuple(folder for part in found for folder in part.split(":") if folder)
