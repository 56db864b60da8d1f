"""What pip reads of the folders of the project that it is told to install: a library beside the application."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.ecosystems import Call
    from optimizer.model.copies import CopyFacts
    from optimizer.model.model import Model
    from optimizer.syntax.shell import Command

# What leads a build out of its folder: a path above it, or the version control around it.
_OUTSIDE = r"\.\./|[\"']\.\.[\"']|scm|vcs|git[-_]version|versioneer|versioningit|dunamai|parents?\b"


def is_local(package: str) -> bool:
    """Whether an argument of ``pip install`` is a path or a repository on disk."""
    return package.startswith((".", "/", "~", "file:", "git+file:")) or (
        "/" in package.partition("@")[0].partition("[")[0] and "://" not in package
    )


def local_files(model: Model, copies: Sequence[CopyFacts], cwd: str | None, call: Call) -> dict[str, str] | None:
    """The files of the folders that a call installs, as pairs of a path in the image and one in the build context.

    Args:
        model: Facts of the Dockerfile.
        copies: The instructions that copied files so far.
        cwd: The folder that pip runs in.
        call: The call; its manifests are left to others.

    Returns:
        None where one of them is the folder that pip runs in or one around it, or the build may read files outside of it.
    """
    from optimizer.context.python_projects import MANIFESTS  # heavy: it parses TOML and Python

    context = model.context
    found: dict[str, str] = {}
    if context is None or context.truncated or cwd is None or call.options & {"-e", "--editable"}:
        return None
    for package in filter(is_local, call.packages):
        place = posixpath.normpath(posixpath.join(cwd, package.partition("[")[0]))
        if not package.startswith((".", "/")) or f"{cwd.rstrip('/')}/".startswith(f"{place.rstrip('/')}/"):
            return None
        files = {
            image: file
            for copy in copies
            for file in context.files()
            if (image := copy.image_of(model, file)) is not None and image.startswith(f"{place}/")
        }
        manifests = [file for image, file in files.items() if image in {f"{place}/{name}" for name in MANIFESTS}]
        if not manifests or any(re.search(_OUTSIDE, context.read_text(file) or "../") for file in manifests):
            return None
        found |= files
    return found


def setup_reads(model: Model, copies: Sequence[CopyFacts], place: str | None) -> dict[str, str] | None:
    """The files that building a project by its setup.py reads, as pairs of a path in the image and one in the build context.

    Args:
        model: Facts of the Dockerfile.
        copies: The instructions that copied files so far.
        place: The project's folder in the image.

    Returns:
        None where they are not known, or do not lie in the image as they do in the build context.
    """
    from optimizer.context.python_setup import setup_files  # heavy: it parses Python

    context = model.context
    script = next((f for c in reversed(copies) if place is not None and (f := c.context_of(model, f"{place}/setup.py"))), None)
    folder = posixpath.dirname(script or "") or "."
    names = setup_files(context, folder) if context is not None and script is not None else None
    if names is None:
        return None
    found = {f"{place}/{posixpath.relpath(name, folder)}": name for name in names}
    there = all(next((f for c in reversed(copies) if (f := c.context_of(model, image))), None) == name for image, name in found.items())
    return found if there else None


def compiles_in_place(command: Command) -> bool:
    """Whether a command leaves the extensions of the project that it stands in among the sources."""
    words = [word.value for word in command.words]
    python = words[:1] and re.fullmatch(r"python[\d.]*", words[0] or "") is not None
    return bool(python) and words[1:3] == ["setup.py", "build_ext"] and bool({"--inplace", "-i"} & set(words[3:]))
