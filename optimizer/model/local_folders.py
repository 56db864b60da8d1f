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
