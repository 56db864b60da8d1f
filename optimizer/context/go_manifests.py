"""go.mod and go.work: the modules that a Go module requires, and those of its own project that it is compiled with."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from optimizer.context.folder import BuildContext


class GoRequire(Struct, frozen=True):
    """One required module. indirect: only needed by other modules."""

    path: str
    version: str
    indirect: bool


class GoReplace(Struct, frozen=True):
    """One `replace`. folder: the local folder, relative to the context ("../x" when outside), None for another module."""

    path: str
    target: str
    folder: str | None


class GoManifest(Struct, frozen=True):
    """What a go.mod says.

    Args:
        path: The path of the module.
        go, toolchain: The versions that it names.
        requires: The modules that it and those of ``locals`` require, without these.
        replaces: Its `replace` lines.
        locals: The folders of the modules that are taken from the project, in the context or not.
        modules: The paths of modules by folder, its own among them.
    """

    path: str | None
    go: str | None
    toolchain: str | None
    requires: tuple[GoRequire, ...]
    replaces: tuple[GoReplace, ...]
    locals: tuple[str, ...]
    modules: tuple[tuple[str, str], ...]

    def import_path(self, folder: str) -> str:
        """The path by which source imports the package of a folder; the folder itself where it belongs to no module."""
        for place, path in sorted(self.modules, key=lambda one: -len(one[0])):
            if place == "." or folder == place or folder.startswith(f"{place}/"):
                return posixpath.normpath(posixpath.join(path, posixpath.relpath(folder, place)))
        return folder


def go_manifest(context: BuildContext, folder: str, text: str) -> GoManifest:
    """Read a go.mod, with the go.work that takes its folder in.

    Args:
        context: The build context.
        folder: The folder of the go.mod, or of a go.work.
        text: The text of the go.mod, empty where there is none.
    """
    directives = list(_directives(text))
    one = {words[0]: words[1].strip('"') for words in directives if len(words) == 2}
    replaces = tuple(_replaces(folder, directives))
    found = {replace.folder for replace in replaces if replace.folder is not None} | set(_workspace(context, folder))
    local = tuple(sorted(found - {folder}))
    required = set(_requires(directives))
    modules = [(folder, one["module"])] if "module" in one else []
    for other in local:
        given = list(_directives(context.read_text(posixpath.join(other, "go.mod")) or ""))
        required |= set(_requires(given))
        modules += [(other, words[1].strip('"')) for words in given if words[0] == "module" and len(words) > 1]
    own = {path for _, path in modules} | {r.path for r in replaces if r.folder is not None and context.is_dir(r.folder)}
    requires = tuple(sorted((r for r in required if r.path not in own), key=lambda require: (require.path, require.version)))
    return GoManifest(one.get("module"), one.get("go"), one.get("toolchain"), requires, replaces, local, tuple(modules))


def _workspace(context: BuildContext, folder: str) -> tuple[str, ...]:
    """The folders of the modules that the nearest go.work above a folder uses, where the folder is its own or among them."""
    place = folder
    while (text := context.read_text(posixpath.join(place, "go.work"))) is None:
        if place in ("", "."):
            return ()
        place = posixpath.dirname(place) or "."
    given = list(_directives(text))
    used = tuple(_inside(place, words[1].strip('"')) for words in given if words[0] == "use" and len(words) > 1)
    replaced = tuple(r.folder for r in _replaces(place, given) if r.folder is not None)
    return (*used, *replaced) if folder == place or folder in used else ()


def _inside(folder: str, target: str) -> str:
    inside = posixpath.normpath(posixpath.join(folder, target))
    return f"..{inside}" if inside.startswith("/") else inside


def _directives(text: str) -> Iterator[list[str]]:
    """The lines of go.mod as words, the keyword of a block in front of each of its lines."""
    block = ""
    for line in text.splitlines():
        indirect = re.search(r"//\s*indirect\b", line)
        words = re.sub(r"//.*", "", line).split()
        if not words:
            continue
        if block:
            if words == [")"]:
                block = ""
                continue
            words.insert(0, block)
        elif words[-1] == "(":
            block = words[0]
            continue
        yield [*words, "//indirect"] if indirect else words


def _requires(directives: Iterable[list[str]]) -> Iterator[GoRequire]:
    for words in directives:
        if words[0] == "require" and len(words) >= 3:
            yield GoRequire(words[1].strip('"'), words[2], words[-1] == "//indirect")


def _replaces(folder: str, directives: Iterable[list[str]]) -> Iterator[GoReplace]:
    for words in directives:
        if words[0] == "replace" and "=>" in words:
            target = words[words.index("=>") + 1 :]
            local = bool(target) and target[0].startswith((".", "/"))
            yield GoReplace(words[1], " ".join(target), _inside(folder, target[0]) if local else None)
