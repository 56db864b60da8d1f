"""Engines that build but run nothing here: buildah, and a builder of buildx without an engine beside it.

Their images come as an archive in the format of ``docker save``: ``manifest.json`` names the configuration and the layers,
and a layer removes what is below it with marks (https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts).
"""

from __future__ import annotations

import json
import tarfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from optimizer.verify.commands import query
from optimizer.verify.engines import LABEL, Build, Engine, Image, answer
from optimizer.verify.errors import NoEngine, TimeLimit
from optimizer.verify.tree import Elves, Tree, read_tree

_MARK, _OPAQUE = ".wh.", ".wh..wh..opq"


@dataclass(frozen=True)
class ArchiveEngine(Engine):
    """Builds to an archive on this machine."""

    runs = False

    def answers(self) -> str | None:
        """See ``Engine.answers``."""
        return super().answers() if self.name == "buildah" else answer(["docker", "buildx", "inspect", self.builder or ""])

    def build(self, build: Build, on_line: Callable[[str], None]) -> float:
        """See ``Engine.build``."""
        seconds = super().build(build, on_line)
        if self.name == "buildah":
            self._ask("push", build.tag, f"docker-archive:{self._path(build.tag)}:{build.tag}")
        return seconds

    def _output(self, build: Build) -> list[str]:
        return ["--output", f"type=docker,dest={self._path(build.tag)}"]

    def _path(self, tag: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{uuid.uuid5(uuid.NAMESPACE_URL, tag)}.tar"

    def image(self, tag: str) -> Image:
        """See ``Engine.image``."""
        path = self._path(tag)
        try:
            with tarfile.open(path) as archive:
                config, layers = _manifest(archive)
                size = 0
                for layer in layers:
                    with tarfile.open(fileobj=archive.extractfile(layer), mode="r|*") as members:
                        size += sum(member.size for member in members)
        except (OSError, KeyError, ValueError, tarfile.TarError) as error:
            raise NoEngine(f"{self.title} gave no archive that can be read: {error}") from error
        return Image(tag, config, size, len(layers))

    def tree(self, image: Image, elves: Elves) -> Tree:
        """An image's file system."""
        tree = Tree()
        with tarfile.open(self._path(image.reference)) as archive:
            for layer in _manifest(archive)[1]:
                stream = archive.extractfile(layer)
                assert stream is not None
                _overlay(tree, read_tree(stream, elves))
        return tree

    def remove_image(self, image: Image) -> None:
        """See ``Engine.remove_image``."""
        self._path(image.reference).unlink(missing_ok=True)
        if self.name == "buildah":
            query(["buildah", "rmi", "--force", image.reference])

    def clean(self, run: str) -> str | None:
        """See ``Engine.clean``."""
        if self.name != "buildah":
            return None
        with suppress(TimeLimit, OSError):
            found = query(["buildah", "images", "--all", "--quiet", "--filter", f"label={LABEL}={run}"])
            names = found.output.split()
            if found.code == 0 and (not names or query(["buildah", "rmi", "--force", *names]).code == 0):
                return None
        return f"buildah does not clean up: images labelled {LABEL}={run} may be left"


def _manifest(archive: tarfile.TarFile) -> tuple[dict[str, object], list[str]]:
    def read(name: str) -> bytes:
        stream = archive.extractfile(name)
        assert stream is not None
        return stream.read()

    entry = json.loads(read("manifest.json"))[0]
    config = json.loads(read(entry["Config"]))
    return config.get("config") or {}, list(entry["Layers"])


def _overlay(lower: Tree, upper: Tree) -> None:
    """Put a layer over a file system."""
    for path in upper.entries:
        folder, _, name = path.rpartition("/")
        if name == _OPAQUE:
            lower.remove(folder, itself=False)
        elif name.startswith(_MARK):
            lower.remove(f"{folder}/{name[len(_MARK) :]}".lstrip("/"))
    for path, entry in upper.entries.items():
        if path.rpartition("/")[2].startswith(_MARK):
            continue
        if entry.kind != "folder":
            lower.remove(path)
        lower.entries[path] = entry
    lower.elves.update(upper.elves)
    lower.scripts.update(upper.scripts)
    lower.library_cache = upper.library_cache or lower.library_cache
