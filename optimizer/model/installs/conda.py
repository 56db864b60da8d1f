"""conda, mamba and micromamba: environment files and lists of packages, which may lie anywhere in the image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from itertools import pairwise

from optimizer.context.conda_environment import NAMES, CondaEnvironment, conda_environment, local_package, package_name
from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Action, Call
from optimizer.model.copies import CopyFacts
from optimizer.model.model import Model

_PLAIN = frozenset({"config", "init", "info", "list", "clean", "search", "tos"})
_ELSEWHERE = frozenset({"--use-local", "--offline", "-r", "--root-prefix", "--rc-file"})


def conda_files(model: Model, copies: Sequence[CopyFacts], folder: str | None, call: Call) -> tuple[tuple[str, str], ...] | str:
    """What a call reads of the copied files.

    Args:
        model: Facts of the Dockerfile.
        copies: The COPY and ADD instructions in force before it, in order.
        folder: The working directory (absolute), None when unknown.
        call: A call of conda or one of its twins.

    Returns:
        Pairs of a path in the image and the file of the context that is there; or the reason why that is not all.
    """
    verb = call.verb.value if call.verb else None
    context = model.context
    if context is None or context.truncated:
        return f"without the whole build context nothing tells what `{call.ecosystem}` reads"
    if not call.manifests and (verb in _PLAIN or call.packages[:1] == ("activate",)):
        return ()
    if call.action not in (Action.INSTALL, Action.REMOVE):
        return f"`{call.ecosystem} {verb or ''}`".rstrip() + " may read the copied files"
    values = [word.value or "" for word in call.command.words]
    channels = [after for word, after in pairwise(values) if word in ("-c", "--channel")]
    if call.options & _ELSEWHERE or any(re.match(r"file:|[./~]", channel) for channel in channels):
        return "an option leads it to a folder"
    if any(local_package(package) is not None for package in call.packages):
        return "it installs a package file"
    found = environments(model, copies, folder, call)
    if isinstance(found, str):
        return found
    pairs: dict[str, str] = {}
    for image, environment in found:
        manifest = environment.files[0]
        for file in environment.files:
            beside = posixpath.join(posixpath.dirname(image), posixpath.relpath(file, posixpath.dirname(manifest) or "."))
            place = image if file == manifest else posixpath.normpath(beside)
            if _at(model, copies, place) != file:
                return f"{file} is not copied to its place beside {manifest}"
            pairs[place] = file
    return tuple(pairs.items())


def environments(
    model: Model, copies: Sequence[CopyFacts], folder: str | None, call: Call
) -> tuple[tuple[str, CondaEnvironment], ...] | str:
    """The environment files and lists of packages that a call names, each with its place in the image; or why they are not known."""
    names: Sequence[str] = call.manifests
    if not names and call.verb is not None and call.verb.value == "env":
        inside = [n for n in NAMES if folder is not None and _at(model, copies, posixpath.join(folder, n)) is not None]
        if not inside:
            return f"`{call.ecosystem} env` finds no environment.yml where it runs"
        names = inside[:1]
    found = []
    for name in names:
        path = posixpath.normpath(posixpath.join(folder or "", name)) if folder is not None or name.startswith("/") else None
        file = _at(model, copies, path) if path is not None else None
        if path is None or file is None:
            return f"{name} is not among the files that are copied from the build context"
        assert model.context is not None
        read = conda_environment(model.context, file) if name.endswith((".yml", ".yaml")) else package_list(model.context, file)
        if read.problem is not None:
            return read.problem
        found.append((path, read))
    return tuple(found)


def package_list(context: BuildContext, path: str) -> CondaEnvironment:
    """A text file of packages, one a line, as ``conda install --file`` takes it."""
    lines = [line.partition("#")[0].strip() for line in (context.read_text(path) or "").splitlines()]
    strange = next((line for line in lines if line.startswith(("-", "@", "http")) or local_package(line) is not None), None)
    if strange is not None:
        return CondaEnvironment(problem=f"{path} has a line that is no name of a package: {strange}")
    return CondaEnvironment(packages=tuple(package_name(line) for line in lines if line), files=(path,))


def _at(model: Model, copies: Sequence[CopyFacts], path: str) -> str | None:
    """The file of the context that lies at a path of the image."""
    return next((file for copy in reversed(copies) if (file := copy.context_of(model, path)) is not None), None)
