"""A source edit as a developer makes it between two builds: which file, and a copy of the build context with it."""

from __future__ import annotations

import os
import posixpath
import shutil
from contextlib import suppress
from pathlib import Path

from optimizer.context.folder import BuildContext
from optimizer.model import Model
from optimizer.model.copies import stage_copies

_COMMENTS = {
    **dict.fromkeys((".py", ".rb", ".sh", ".pl", ".r", ".ex", ".exs"), "#"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".go", ".java", ".kt"), "//"),
    **dict.fromkeys((".c", ".cc", ".cpp", ".h", ".rs", ".cs"), "//"),
}
_PLAIN = frozenset({".txt", ".md", ".html", ".css", ".vue", ".svelte"})
_MANIFESTS = frozenset({"setup.py", "conftest.py", "requirements.txt", "CMakeLists.txt", "go.mod"})


def file_to_edit(model: Model) -> str | None:
    """A source file that the last COPY of the build context brings, None when there is none that can be edited blindly.

    Args:
        model: The Dockerfile before, with its build context.
    """
    context = model.context
    if context is None:
        return None
    for stage in [model.final, *reversed([s for s in model.stages if s is not model.final])]:
        for copy in reversed(stage_copies(model, stage)):
            brought = [path for path in context.files() if copy.image_of(model, path) is not None]
            usable = sorted((_rank(path), path) for path in brought if _rank(path)[0] < 2 and (context.root / path).is_file())
            if usable:
                return usable[0][1]
    return None


def _rank(path: str) -> tuple[int, int]:
    """Source before texts before what must not be edited; then what lies higher in the tree."""
    name, ending = posixpath.basename(path), posixpath.splitext(path)[1].lower()
    known = 0 if ending in _COMMENTS else 1 if ending in _PLAIN else 2
    if name in _MANIFESTS or name.startswith((".", "requirements")) or ".config." in name or "/test" in f"/{path}":
        known = 2
    return known, path.count("/")


def edited_copy(context: BuildContext, edited: str, folder: Path) -> Path:
    """A copy of what reaches the builder, with a comment or an empty line behind one file.

    Args:
        context: The build context.
        edited: The file, relative to its root.
        folder: Where the copy is made; must not exist.

    Raises:
        OSError: It cannot be copied, or there is no such file.
    """
    again = any(pattern.lstrip().startswith("!") for pattern in context.patterns)

    def left_out(parent: str, names: list[str]) -> set[str]:
        found = set()
        for name in names:
            path = Path(parent, name)
            relative = path.relative_to(context.root).as_posix()
            folder_or_file = path.is_symlink() or path.is_dir() or path.is_file()
            if not folder_or_file or (context.ignored(relative) and not (again and path.is_dir())):
                found.add(name)
        return found

    shutil.copytree(context.root, folder, symlinks=True, ignore=left_out, copy_function=_link_or_copy)
    target = folder / edited
    data = target.read_bytes()
    comment = _COMMENTS.get(target.suffix.lower(), "")
    status = target.stat()
    target.unlink()  # it may be a link to the original
    gap = b"" if data.endswith(b"\n") or not data else b"\n"
    target.write_bytes(data + gap + (f"{comment} edited\n".encode() if comment else b"\n"))
    target.chmod(status.st_mode & 0o7777)
    return folder


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def context_bytes(context: BuildContext) -> int:
    """The bytes that reach the builder."""
    total = 0
    for path in context.files():
        with suppress(OSError):
            total += os.lstat(context.root / path).st_size
    return total
