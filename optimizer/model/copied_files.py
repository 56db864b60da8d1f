"""Where the files lie that COPY and ADD bring before a RUN, and which of them lies at a path of the image."""

from __future__ import annotations

import posixpath
import re
import sys

from optimizer.model.copies import CopyFacts, overlap
from optimizer.model.model import Model
from optimizer.model.state import State
from optimizer.syntax.shell import Word

# Modules that pip and the build backends it starts import by these names.
_PYTHON_NAMES = sys.stdlib_module_names | {
    "sitecustomize",
    "usercustomize",
    "pip",
    "setuptools",
    "wheel",
    "pkg_resources",
    "distutils",
    "_distutils_hack",
}
_SYSTEM_FOLDERS = ("/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/var", "/root", "/dev", "/proc", "/sys", "/run", "/boot")
_CERTIFICATES = "/usr/local/share/ca-certificates/"
_PROJECT_FOLDERS = (
    "/usr/src",
    "/usr/local/src",
    "/usr/app",
    "/var/www",
    "/var/app",
    "/var/task",
    "/usr/local/app",
    "/usr/share/nginx/html",
)


class CannotTell(Exception):
    """What a RUN reads is not known. The message says why."""


class InstallsProject(CannotTell):
    """An install takes the project, or a folder of it, and so reads any of its files."""


class CopiedFiles:
    """The files that some instructions bring, seen from a RUN behind them.

    Args:
        model: Facts of the Dockerfile.
        state: The state before the RUN.
        copies: The COPY and ADD instructions in force before it, in order.

    Attributes:
        cwd: The working directory, absolute; None when unknown.
        files: What is known to be read, by its path in the image.
    """

    def __init__(self, model: Model, state: State, copies: tuple[CopyFacts, ...]) -> None:
        self.model, self.state, self.copies = model, state, copies
        self.cwd = state.workdir
        self.files: dict[str, str] = {}

    def shadows(self, folder: str | None) -> bool:
        """Whether Python modules that are copied to a folder on PYTHONPATH may get between pip and what it imports or finds installed."""
        context = self.model.context
        if folder is None or context is None or context.truncated:
            return folder is None or self.copied(folder)
        names = set()
        for copy in self.copies:
            for file in context.files():
                image = copy.image_of(self.model, file) or ""
                if image.startswith(folder.rstrip("/") + "/"):
                    names.add(image[len(folder.rstrip("/")) + 1 :].partition("/")[0])
        return any(
            name.partition(".")[0] in _PYTHON_NAMES or name.endswith((".egg-info", ".dist-info", ".egg", ".egg-link")) for name in names
        )

    def path(self, word: str) -> str | None:
        """The absolute path that a word names, None when unknown."""
        if word.startswith("/"):
            return posixpath.normpath(word)
        return None if self.cwd is None else posixpath.normpath(posixpath.join(self.cwd, word))

    def copied(self, path: str | None) -> bool:
        """Whether a path lies where files are copied to; an unknown path may."""
        return path is None or any(c.destination is None or overlap(path, c.destination) for c in self.copies)

    def brings(self, folder: str) -> bool:
        """Whether the copied files include some below a folder of the image; unknown counts as yes."""
        if self.model.context is None or self.model.context.truncated:
            return True
        context = self.model.context
        return any(
            (copy.image_of(self.model, f) or "").startswith(folder.rstrip("/") + "/") for copy in self.copies for f in context.files()
        )

    def brings_file(self, word: Word) -> bool:
        """Whether a word may name a file that is copied."""
        path = self.path(word.value or "")
        return path is None or self.model.context is None or any(copy.context_of(self.model, path) for copy in self.copies)

    def at_home(self, word: Word) -> str | None:
        """The path of a word that names one in the home of root, who runs the command; None for any other word."""
        home = re.match(r"(~|\$HOME|\$\{HOME\})/(?=[\w./-]+$)", word.text)
        return f"/root/{word.text[home.end() :]}" if home is not None and self.state.user in ("root", "0") else None

    def outside_the_system(self) -> None:
        """Note certificates, which whatever fetches packages reads.

        Raises:
            CannotTell: Files are copied where packages put theirs.
        """
        for copy, at in [(each, at) for each in self.copies for at in self.targets(each)]:
            if at is None:
                raise CannotTell("where files are copied to is not known")
            if at.endswith(".sh") and posixpath.basename(posixpath.dirname(at)) in ("bin", "sbin") and copy.into:
                continue  # no package brings a script of such a name there
            if self.certificate(copy, at):
                continue
            project = any(at == f or at.startswith(f + "/") for f in _PROJECT_FOLDERS)
            if at == "/" or (not project and any(at == f or at.startswith(f + "/") for f in _SYSTEM_FOLDERS)):
                raise CannotTell(f"files are copied to {at}, which packages use as well")

    def certificate(self, copy: CopyFacts, at: str) -> bool:
        """Whether a file is a certificate, which whatever fetches packages reads."""
        file = copy.context_of(self.model, at) if at.startswith(_CERTIFICATES) else None
        if file is not None:
            self.files[at] = file
        return file is not None

    def targets(self, copy: CopyFacts) -> list[str | None]:
        """Where an instruction puts its files: one path each where it copies a few files, else the folder."""
        context = self.model.context
        if (
            context is not None
            and copy.into
            and copy.plain
            and not any(context.is_dir(m) or m == "." for s in copy.sources for m in context.match(s))
        ):
            return [copy.image_of(self.model, m) for s in copy.sources for m in context.match(s)] or [copy.destination]
        return [copy.destination]

    def provider(self, path: str | None, shown: str) -> tuple[CopyFacts, str]:
        """The last instruction that puts a file at a path of the image, and the file of the context."""
        if path is not None:
            for copy in reversed(self.copies):
                source = copy.context_of(self.model, path)
                if source is not None:
                    return copy, source
        raise CannotTell(f"{shown} is not among the files that are copied from the build context")
