"""What an install reads of the project, one module an ecosystem.

Each has a function ``needs(context, folder, call)``: the files that the call reads when it runs in that folder of the build
context, or the reason why it may read or overwrite others. Pip and Node's npm, Yarn and pnpm are read in ``model.reads``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Call, unwrapped
from optimizer.model.copies import CopyFacts, overlap
from optimizer.model.installs import bun, bundler, cargo, composer, dotnet, gradle, maven, pipenv, poetry, uv
from optimizer.model.installs.needs import NOTHING, Needs
from optimizer.model.model import Model

__all__ = ["READERS", "Needs", "project_files"]

READERS: Mapping[str, Callable[[BuildContext, str, Call], Needs]] = {
    "poetry": poetry.needs,
    "uv": uv.needs,
    "pipenv": pipenv.needs,
    "bundler": bundler.needs,
    "gem": bundler.gem_needs,
    "composer": composer.needs,
    "maven": maven.needs,
    "gradle": gradle.needs,
    "cargo": cargo.needs,
    "dotnet": dotnet.needs,
    "bun": bun.needs,
}


def project_files(model: Model, copies: Sequence[CopyFacts], folder: str | None, call: Call) -> tuple[tuple[str, str], ...] | str:
    """What a call reads of the copied files.

    Args:
        model: Facts of the Dockerfile.
        copies: The COPY and ADD instructions in force before it, in order.
        folder: The working directory (absolute), None when unknown.
        call: A call of one of the ``READERS``.

    Returns:
        Pairs of a path in the image and the file of the context that is there; or the reason why that is not all.
    """
    context = model.context
    if context is None or context.truncated:
        return f"without the whole build context nothing tells what `{call.ecosystem}` reads"
    trouble = _led_elsewhere(copies, folder, call)
    if trouble is not None:
        return trouble
    places = _context_folders(model, copies, folder, frozenset(map(posixpath.basename, call.manifests))) if folder is not None else ()
    if folder is None or len(places) > 1:
        return f"the folder in which `{call.ecosystem}` runs does not lie like one of the build context"
    if not places:
        alone = READERS[call.ecosystem](context, ".", call) == NOTHING
        return () if alone else f"`{call.ecosystem}` runs in {folder}, where no manifest is copied to"
    place = places[0]
    found = READERS[call.ecosystem](context, place, call)
    if found.reason is not None:
        return found.reason
    stray = _stray(model, copies, folder, place)
    if stray is not None and (found.files or found.outer):
        return f"{stray} is copied to another place than it has in the build context"
    pairs = []
    for file in (*found.files, *found.outer):
        image = posixpath.normpath(posixpath.join(folder, posixpath.relpath(file, place)))
        source = next((s for copy in reversed(copies) if (s := copy.context_of(model, image)) is not None), None)
        if source == file:
            pairs.append((image, file))
        elif file in found.files:
            return f"{file} is not copied to where `{call.ecosystem}` looks for it"
        elif source is not None:
            return f"{image} is not {file} of the build context"
    return tuple(pairs)


def _led_elsewhere(copies: Sequence[CopyFacts], folder: str | None, call: Call) -> str | None:
    """A program among the copied files other than a wrapper beside the manifest, or an argument that names a place among them."""
    program = unwrapped(call.command).words[0].value or ""
    if "/" in program:
        place = posixpath.normpath(posixpath.join(folder or "/", program))
        wrapper = posixpath.dirname(place) == folder and posixpath.basename(place) in _WRAPPERS
        if not wrapper and any(overlap(place, c.destination or "/") for c in copies):
            return f"it runs {program}, which may be copied"
    for word in call.command.words[1:]:
        for path in (word.value, (word.value or "").partition("=")[2]):
            if path and path.startswith("/") and any(overlap(posixpath.normpath(path), c.destination or "/") for c in copies):
                return f"the argument {word.text} leads to the copied files"
    return None


def _context_folders(model: Model, copies: Sequence[CopyFacts], folder: str, named: frozenset[str]) -> tuple[str, ...]:
    """The folders of the context whose files are put into a folder of the image, the last first. named: manifests of the call."""
    context = model.context
    assert context is not None
    found: dict[str, None] = {}
    for copy in reversed(copies):
        if copy.destination is None or not copy.plain:
            continue
        rest = posixpath.relpath(folder, copy.destination)
        below = rest == "." or not rest.startswith("..")
        for match in (m for source in copy.sources for m in context.match(source)):
            if match == "." or context.is_dir(match):
                path = posixpath.normpath(posixpath.join(match, rest)) if below else ""
                if path and (path == "." or context.is_dir(path)):
                    found[path] = None
                continue
            here = rest == "." if copy.into else posixpath.dirname(copy.destination) == folder
            if here and (_is_manifest(match) or posixpath.basename(match) in named):
                found[posixpath.dirname(match) or "."] = None
    return tuple(found)


_WRAPPERS = frozenset({"mvnw", "gradlew", "composer.phar"})
# What package managers look for by name.
_NAMES = frozenset({
    "pyproject.toml", "poetry.lock", "poetry.toml", "uv.lock", "uv.toml", ".python-version", "pipfile", "pipfile.lock", "gemfile",
    "gemfile.lock", "gems.rb", "composer.json", "composer.lock", "auth.json", "pom.xml", "settings.xml", "cargo.toml", "cargo.lock",
    "nuget.config", "global.json", "package.json", "bun.lock", "bun.lockb", "bunfig.toml", ".npmrc", "gradle.properties",
    "settings.gradle", "build.gradle", "settings.gradle.kts", "build.gradle.kts",
})  # fmt: skip


def _is_manifest(path: str) -> bool:
    name = posixpath.basename(path).lower()
    return name in _NAMES or name.startswith("directory.") or name.endswith(("proj", ".sln", ".slnx"))


def _stray(model: Model, copies: Sequence[CopyFacts], folder: str, place: str) -> str | None:
    """A manifest or configuration file that lies elsewhere in the image than its place in the context tells."""
    context = model.context
    assert context is not None
    for file in context.files():
        if not _is_manifest(file):
            continue
        own = posixpath.normpath(posixpath.join(folder, posixpath.relpath(file, place)))
        for copy in copies:
            image = copy.image_of(model, file)
            if image is not None and image != own and overlap(posixpath.dirname(image), folder):
                return file
    for copy in copies:
        target = "" if copy.into or copy.destination is None else copy.destination
        renamed = [s for s in copy.sources if posixpath.basename(s) != posixpath.basename(target)]
        if renamed and _is_manifest(target) and not context.is_dir(renamed[0]):
            return renamed[0]
    return None
