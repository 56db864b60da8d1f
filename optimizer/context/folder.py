"""The build context: the folder a Dockerfile is built with, as the builder sees it after .dockerignore."""

from __future__ import annotations

import codecs
import os
import posixpath
import re
import stat
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from e2b_dockerfile_utils import PatternMatcher

MAXIMUM_FILES = 20_000
MAXIMUM_TEXT = 1 << 20  # bytes


class ContextError(Exception):
    """The build context cannot be used. path: the folder or file at fault; reason: why, in one sentence."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def _matcher(patterns: tuple[str, ...]) -> PatternMatcher:
    """ValueError when a pattern is none."""
    from e2b_dockerfile_utils import PatternMatcher

    return PatternMatcher(list(patterns))


class BuildContext(Struct, frozen=True, dict=True):
    """A folder and its ignore file. Paths are POSIX texts relative to the root; `./a` and `/a` both mean `a`.

    Nothing outside the root is ever read: symbolic links are listed, and read only where they lead to a file that reaches
    the builder itself. root: the folder, absolute; ignore_file: name of the file whose patterns apply, relative to the root
    where it is below it, or None; patterns: its patterns, in order; ignore_text: its text, None without one.
    """

    root: Path
    ignore_file: str | None = None
    patterns: tuple[str, ...] = ()
    ignore_text: str | None = None

    @classmethod
    def open(cls, root: Path, dockerfile: Path | None = None) -> BuildContext:
        """Open a folder. dockerfile: the Dockerfile, by default the one in the root.

        `<Dockerfile>.dockerignore` beside the Dockerfile replaces `.dockerignore` in the root, as in BuildKit.
        Raises ContextError when the folder is missing or unreadable, or the ignore file is.
        """
        try:
            root = root.resolve(strict=True)
            with os.scandir(root):
                pass
        except OSError as error:
            raise ContextError(root, error.strerror or "cannot be read") from error
        beside = root / "Dockerfile" if dockerfile is None else dockerfile
        for ignore in (beside.with_name(f"{beside.name}.dockerignore"), root / ".dockerignore"):
            try:
                # BuildKit drops a byte order mark and takes the lines as they are.
                full = ignore.read_bytes().decode("utf-8", "surrogateescape")
                text = full.removeprefix("\ufeff")
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ContextError(ignore, error.strerror or "cannot be read") from error
            patterns = tuple(line for line in text.split("\n") if line.strip() and not line.startswith("#"))
            try:
                _matcher(patterns)
            except ValueError as error:
                raise ContextError(ignore, str(error)) from error
            absolute = Path(os.path.abspath(ignore))
            name = absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)
            return cls(root, name, patterns, full)
        return cls(root)

    def with_patterns(self, patterns: tuple[str, ...], ignore_file: str, text: str | None = None) -> BuildContext:
        """This context as another ignore file lets it through; nothing is written. text: that of the file."""
        return BuildContext(self.root, ignore_file, patterns, text)

    @cached_property
    def _modes(self) -> dict[str, int | None]:
        """The modes of the paths that were looked at, None where there is nothing."""
        return {}

    @cached_property
    def _texts(self) -> dict[str, str | None]:
        """The texts of the files that were read."""
        return {}

    @cached_property
    def _matcher(self) -> PatternMatcher:
        return _matcher(self.patterns)

    @cached_property
    def _tree(self) -> tuple[tuple[str, ...], frozenset[str], bool]:
        """Files, folders and whether the walk stopped at the bound. Links are files; sockets and devices are left out."""
        files: list[str] = []
        folders: set[str] = set()
        pending = [""]
        while pending:
            folder = pending.pop()
            try:
                entries = sorted(os.scandir(self.root / folder), key=lambda entry: entry.name)
            except OSError:
                return tuple(sorted(files)), frozenset(folders), True
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                ignored = self.ignored(path)
                if entry.is_dir(follow_symlinks=False):
                    if not ignored:
                        folders.add(path)
                    if not ignored or self._matcher.may_match_under(path):
                        pending.append(path)
                elif not ignored and (entry.is_symlink() or entry.is_file(follow_symlinks=False)):
                    files.append(path)
                    while path := posixpath.dirname(path):
                        folders.add(path)  # an ignored folder still comes along with a file that is not
            if len(files) > MAXIMUM_FILES:
                return tuple(sorted(files[:MAXIMUM_FILES])), frozenset(folders), True
        return tuple(sorted(files)), frozenset(folders), False

    @property
    def truncated(self) -> bool:
        """Whether `files()` is incomplete: more than MAXIMUM_FILES files, or a folder that cannot be read."""
        return self._tree[2]

    def files(self) -> tuple[str, ...]:
        """All files and symbolic links that reach the builder, sorted."""
        return self._tree[0]

    def ignored(self, path: str) -> bool:
        """Whether the ignore file keeps a path from the builder. The path need not exist."""
        path = _inside(path)
        return bool(self.patterns) and path != "." and self._matcher.matches(path)

    def exists(self, path: str) -> bool:
        """Whether a file, link or folder of that path reaches the builder."""
        path = _inside(path)
        return self._mode(path) is not None and (not self.ignored(path) or path in self._tree[1])

    def is_dir(self, path: str) -> bool:
        """Whether a folder (not a link to one) of that path reaches the builder."""
        mode = self._mode(_inside(path))
        return mode is not None and stat.S_ISDIR(mode) and self.exists(path)

    def permissions(self, path: str) -> int | None:
        """The permission bits of a regular file that reaches the builder, None of anything else."""
        path = _inside(path)
        mode = self._mode(path)
        return stat.S_IMODE(mode) if mode is not None and stat.S_ISREG(mode) and self.exists(path) else None

    def is_link(self, path: str) -> bool:
        """Whether a symbolic link of that path reaches the builder."""
        mode = self._mode(_inside(path))
        return mode is not None and stat.S_ISLNK(mode) and self.exists(path)

    def _mode(self, path: str) -> int | None:
        """The mode of a path that has no link among its folders and is not above the root, looked at once."""
        if path not in self._modes:
            self._modes[path] = self._lstat(path)
        return self._modes[path]

    def _lstat(self, path: str) -> int | None:
        if path.startswith(".."):
            return None
        here = self.root
        try:
            mode = os.lstat(here).st_mode
            for part in path.split("/"):
                if not stat.S_ISDIR(mode):
                    return None
                here = here / part
                mode = os.lstat(here).st_mode
        except (OSError, ValueError):
            return None
        return mode

    def read_text(self, path: str) -> str | None:
        """The text of a file, its line ends as they are; None when it is absent, ignored, over 1 MiB or not text."""
        path = _inside(path)
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def first_bytes(self, path: str, count: int = 512) -> bytes | None:
        """The first ``count`` bytes of a file; None when it is absent, ignored, or a link that leaves the context."""
        file = self._file(_inside(path))
        try:
            if file is None:
                return None
            with file.open("rb") as stream:
                return stream.read(count)
        except OSError:
            return None

    def _file(self, path: str) -> Path | None:
        """Where the regular file of a path lies, links followed; None when no such file reaches the builder."""
        mode = self._mode(path)
        if mode is None or self.ignored(path):
            return None
        if stat.S_ISLNK(mode):
            target = Path(os.path.realpath(self.root / path))
            if not target.is_relative_to(self.root) or target.is_symlink():
                return None
            return self._file(target.relative_to(self.root).as_posix())
        return self.root / path if stat.S_ISREG(mode) else None

    def _read(self, path: str) -> str | None:
        file = self._file(path)
        try:
            if file is None or os.path.getsize(file) > MAXIMUM_TEXT:
                return None
            data = file.read_bytes()
        except OSError:
            return None
        # Files written by PowerShell are UTF-16 with a byte order mark; pip and others read them.
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if not utf16 and b"\0" in data:
            return None
        try:
            return data.decode("utf-16" if utf16 else "utf-8-sig")
        except UnicodeDecodeError:
            return None

    def under(self, folder: str) -> tuple[str, ...]:
        """The files below a folder, sorted; all files for "."."""
        folder = _inside(folder)
        return self.files() if folder == "." else tuple(f for f in self.files() if f.startswith(f"{folder}/"))

    def match(self, pattern: str) -> tuple[str, ...]:
        """The paths a source of COPY or ADD names, sorted. A folder stands for itself, "." for the whole context.

        Wildcards are those of Go's filepath.Match: no `**`, `*` takes a leading dot, `[^a]` negates. Nothing matches a
        malformed pattern. Source: https://docs.docker.com/reference/dockerfile/#copy
        """
        path = _inside(f"/{pattern}")
        if not re.search(r"[*?\[\\]", path):
            return (path,) if path == "." or self.exists(path) else ()
        expression = _filepath_match(path)
        if expression is None:
            return ()
        return tuple(sorted(name for name in {*self.files(), *self._tree[1]} if expression.fullmatch(name)))


def _inside(path: str) -> str:
    """A path relative to the root. A leading slash stands for the root, above which `..` does not lead then."""
    path = posixpath.normpath(path)
    return (path.lstrip("/") or ".") if path.startswith("/") else path


def _filepath_match(pattern: str) -> re.Pattern[str] | None:
    """Go's filepath.Match as a regular expression; None for a malformed pattern."""
    result, position = "", 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            result += "[^/]*"
        elif character == "?":
            result += "[^/]"
        elif character == "\\":
            if position == len(pattern):
                return None
            result += re.escape(pattern[position])
            position += 1
        elif character == "[":
            found = re.compile(r"(\^?)((?:(?:\\.|[^\]\\-])(?:-(?:\\.|[^\]\\-]))?)+)\]", re.DOTALL).match(pattern, position)
            if found is None:
                return None
            ranges = re.sub(r"\\?(.)", lambda one: one[1] if one[0] == "-" else re.escape(one[1]), found[2], flags=re.DOTALL)
            result += f"[{found[1]}{ranges}]"
            position = found.end()
        else:
            result += re.escape(character)
    try:
        return re.compile(result, re.DOTALL)
    except re.error:  # a range that runs backwards matches nothing
        return None
