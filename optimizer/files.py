"""Files on disk: finding Dockerfiles, finding the folder each is built with, reading, and replacing in one step."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from optimizer.compose import composed_context
from optimizer.model import mounts
from optimizer.syntax import Dockerfile, Instruction

_NAME = re.compile(r"(?:Dockerfile|Containerfile)(?:\..+)?|dockerfile|.+\.(?:[Dd]ockerfile|Containerfile)")
# Behind the last dot of names that look like a Dockerfile's: other kinds of files, templates, what editors and merges leave.
_OTHERS = frozenset({
    "dockerignore", "containerignore", "md", "rst", "j2", "jinja", "jinja2", "tmpl", "tpl", "template", "erb", "mustache", "hbs", "in",
    "m4", "bak", "backup", "orig", "rej", "save", "swo", "swp", "tmp",
})  # fmt: skip
_SKIPPED = frozenset({
    ".git", ".hg", ".svn", ".jj", "node_modules", "bower_components", "jspm_packages", "vendor", "third_party", "venv", ".venv",
    "virtualenv", "site-packages", "__pycache__", "__pypackages__", ".eggs", ".tox", ".nox", ".direnv", ".mypy_cache", ".ruff_cache",
    ".pytest_cache", ".terraform", ".cache",
})  # fmt: skip
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|git@")


class InputError(Exception):
    """A file or folder cannot be worked on: which one, why, and where in it (line and column from 1, None for the whole)."""

    def __init__(self, path: str, reason: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(path, reason, line, column)
        self.path, self.reason, self.line, self.column = path, reason, line, column

    def __str__(self) -> str:
        place = "".join(f":{number}" for number in (self.line, self.column) if number is not None)
        return f"{self.path}{place}: {self.reason}"


def is_dockerfile_name(name: str) -> bool:
    """Whether a file of that name is taken for a Dockerfile when a folder is searched.

    Example:
        >>> [is_dockerfile_name(name) for name in ("Dockerfile.dev", "api.Dockerfile", "Dockerfile.dockerignore")]
        [True, True, False]
    """
    return _NAME.fullmatch(name) is not None and not name.endswith("~") and name.rpartition(".")[2].lower() not in _OTHERS


def find_dockerfiles(
    paths: Iterable[Path], excluded: Callable[[Path], bool] = lambda _: False
) -> tuple[tuple[Path, ...], tuple[InputError, ...]]:
    """The Dockerfiles that paths stand for, and what is wrong with the paths.

    Args:
        paths: Files, which are taken whatever their names, and folders, which are searched through and through.
            Folders that hold other people's code or caches are left out, and links to folders are not followed.
        excluded: Whether a file found in a folder is left out.

    Returns:
        The Dockerfiles, in the order of ``paths`` and sorted within a folder, no file twice; a folder without any and
        folders that cannot be read are errors. Whether a file exists is not looked at.
    """
    found: dict[str, Path] = {}
    errors: list[InputError] = []
    for path in paths:
        if not path.is_dir():
            found.setdefault(os.path.realpath(path), path)
            continue
        unreadable: list[InputError] = []
        below = sorted(_search(path, unreadable))
        kept = [file for file in below if not excluded(file)]
        errors.extend(unreadable)
        if not kept and not unreadable:
            errors.append(InputError(str(path), "no Dockerfile here" + (f" but the {len(below)} that are excluded" if below else "")))
        for file in kept:
            found.setdefault(os.path.realpath(file), file)
    return tuple(found.values()), tuple(errors)


def _search(folder: Path, errors: list[InputError]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        errors.append(InputError(str(error.filename), _said(error)))

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        yield from (Path(parent, name) for name in names if is_dockerfile_name(name))


def search_limit(dockerfile: Path, starts: Iterable[Path]) -> Path:
    """The outermost folder that may belong to the same project as a Dockerfile.

    Args:
        dockerfile: The Dockerfile.
        starts: The folders that dopt was started in and asked to search.

    Returns:
        The nearest folder at or above the Dockerfile's that holds ``.git``, else the first of ``starts`` that is above
        the Dockerfile, else the Dockerfile's own folder. Absolute.
    """
    own = Path(os.path.abspath(dockerfile)).parent
    repository = next((folder for folder in (own, *own.parents) if os.path.exists(os.path.join(folder, ".git"))), None)
    above = (start for start in (Path(os.path.abspath(start)) for start in starts) if own.is_relative_to(start))
    return repository or next(above, own)


def context_sources(file: Dockerfile) -> tuple[str, ...]:
    """The paths, relative to the build context, that a Dockerfile names and that tell one folder from another.

    Those of COPY, ADD and ``RUN --mount=type=bind`` that come from no stage, image or network. Left out: the whole
    context (``.``), heredocs, and paths with variables. They may hold wildcards.
    """
    named: list[str] = []
    for position in file.positions:
        node = file.instruction(position)
        if node.keyword in ("COPY", "ADD") and node.flag("from") is None:
            named.extend(word for word in node.words[:-1] if "<<" not in word and not _REMOTE.match(word))
        elif node.keyword == "RUN":
            named.extend(_bind_sources(node))
    inside = (posixpath.normpath("/" + word).lstrip("/") for word in named if "$" not in word and "\0" not in word)
    return tuple(dict.fromkeys(path for path in inside if path.strip("*")))


def _bind_sources(node: Instruction) -> Iterator[str]:
    for mount in mounts(node):
        if mount.type == "bind" and "from" not in mount.options:
            yield mount.options.get("source") or mount.options.get("src") or ""


def context_folder(dockerfile: Path, sources: Iterable[str], limit: Path) -> Path | None:
    """The folder that a Dockerfile is built with, as far as the files that it copies tell.

    That is the folder that a compose file above gives it, where that holds all of ``sources``; else its own folder where that
    does, else the nearest folder above that does: a ``docker/Dockerfile`` is usually built from the project's root. Where no
    folder holds them all, it is still the own folder if every source that exists anywhere exists there, since the others may be
    made before the build.

    Args:
        dockerfile: The Dockerfile.
        sources: Paths relative to the build context, as ``context_sources`` gives them.
        limit: The outermost folder to look at.

    Returns:
        An absolute folder, or None when the sources are in none of them.
    """
    own = Path(os.path.abspath(dockerfile)).parent
    wanted = frozenset(sources)
    composed = composed_context(dockerfile, limit) if own != limit else None
    if composed is not None and all(_exists(composed, source) for source in wanted):
        return composed
    held = {own: frozenset(source for source in wanted if _exists(own, source))}
    if held[own] == wanted:
        return own
    for folder in own.parents:
        if not folder.is_relative_to(limit):
            break
        held[folder] = frozenset(source for source in wanted if _exists(folder, source))
        if held[folder] == wanted:
            return folder
    return own if held[own] and held[own] >= frozenset().union(*held.values()) else None


def _exists(folder: Path, source: str) -> bool:
    if not any(c in source for c in "*?["):
        return os.path.lexists(folder / source)
    try:
        # To the builder, ** is * and a caret negates a class (Go's filepath.Match).
        return any(True for _ in folder.glob(re.sub(r"\*+", "*", source).replace("[^", "[!")))
    except (OSError, ValueError):
        return False


def read(path: Path) -> bytes:
    """The bytes of a Dockerfile.

    Raises:
        InputError: It is missing, unreadable, no regular file, or not text.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError(str(path), "not a regular file")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), _said(error)) from error
    check_text(str(path), data)
    return data


def check_text(path: str, data: bytes) -> None:
    """Raise InputError for bytes that are no text (a NUL among them)."""
    at = data.find(b"\0")
    if at >= 0:
        line, column = data.count(b"\n", 0, at) + 1, at - data.rfind(b"\n", 0, at)
        raise InputError(path, "not a text file: it holds NUL bytes", line, column)


def replace(path: Path, before: bytes, after: bytes) -> None:
    """Replace a file's content in one step, so that a crash leaves the old file or the new one, never half of one.

    The new content goes into a file beside it, which then takes its name, with mode and (where allowed) owner kept; a
    symbolic link stays and its target is replaced. A file that has several hard links, or whose folder takes no new
    files, is written in place instead, because a renamed file would leave the links behind or cannot be made.

    Args:
        path: The file.
        before: What it held when it was read.
        after: What it shall hold.

    Raises:
        InputError: It is write-protected, holds something else than ``before`` by now, or writing fails; the file is
            then as it was.
    """
    try:
        target = path.resolve(strict=True)
        status = target.stat()
        if not os.access(target, os.W_OK):
            raise InputError(str(path), "write-protected")
        if status.st_nlink > 1 or not os.access(target.parent, os.W_OK):
            _write_in_place(path, target, before, after)
        else:
            _write_beside(path, target, status, before, after)
    except OSError as error:
        raise InputError(str(path), f"not written: {_said(error)}") from error


def create(path: Path, content: bytes) -> None:
    """Make a file that does not exist.

    Raises:
        InputError: It exists by now, or writing fails; then there is no new file.
    """
    try:
        with open(path, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if not isinstance(error, FileExistsError):
            path.unlink(missing_ok=True)
        raise InputError(str(path), f"not written: {_said(error)}") from error


def _write_beside(path: Path, target: Path, status: os.stat_result, before: bytes, after: bytes) -> None:
    temporary = target.with_name(f".{target.name}.dopt-{os.urandom(4).hex()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(after)
            file.flush()
            if hasattr(os, "chown"):
                with suppress(PermissionError):  # only root gives files away; the content matters more
                    os.chown(temporary, status.st_uid, status.st_gid)
            os.chmod(temporary, stat.S_IMODE(status.st_mode))
            os.fsync(file.fileno())
        _check_unchanged(path, target, before)
        try:
            os.replace(temporary, target)
        except OSError as error:
            if error.errno != errno.EBUSY:  # a file that is mounted by itself cannot be renamed over
                raise
            _write_in_place(path, target, before, after)
    finally:
        temporary.unlink(missing_ok=True)


def _write_in_place(path: Path, target: Path, before: bytes, after: bytes) -> None:
    _check_unchanged(path, target, before)
    with open(target, "r+b") as file:
        file.write(after)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _check_unchanged(path: Path, target: Path, before: bytes) -> None:
    if target.read_bytes() != before:
        raise InputError(str(path), "changed while it was being rewritten; not written")


def _said(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
