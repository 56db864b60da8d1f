"""Which files a Go program reads when it runs, and where they lie in the stage that builds it."""

from __future__ import annotations

import posixpath
import re

from msgspec import Struct

from optimizer.context.golang import GoModule, go_literals
from optimizer.model.paths import context_path
from optimizer.passes.split.compiled import copied_elsewhere, data_files, in_system, is_below, outermost
from optimizer.passes.split.go_project import GoProject
from optimizer.passes.split.shared import Refused


class FilesRead(Struct, frozen=True):
    """What goes along with a program. paths: files and folders of the image, absolute; whole: why the working directory is
    among them as a whole, None when it is not."""

    paths: tuple[str, ...]
    whole: str | None = None


def files_read(project: GoProject) -> FilesRead:
    """The files of the build stage that the program reads: those its source names, and what is started or configured with it.

    Where only some of the names are known, the working directory as a whole.

    Raises:
        Refused: That folder is not one of the project's own.
    """
    return _Finder(project).find()


class _Finder:
    def __init__(self, project: GoProject) -> None:
        self.project, self.model, self.stage = project, project.model, project.stage
        self.workdir = project.workdir
        self.data = data_files(project.model, project.stage)
        self.made = self.made_folders()
        self.brought = self.brought_folders()

    def find(self) -> FilesRead:
        project, start = self.project, self.project.start
        found = [*start.scripts, *start.files, *copied_elsewhere(self.model, self.stage, project.source, project.last)]
        whole: str | None = None
        for module in project.modules:
            for place in module.read:
                path = self.place(place.kind, place.path)
                if path is not None and self.workdir is not None and is_below(self.workdir, path):
                    whole = f"it reads {place}"
                elif path is not None:
                    found += self.present(path)
            for place in module.written:
                path = self.place(place.kind, place.path)
                if path is not None:
                    found += [f for f in self.made if is_below(path, f)]
                    found += self.present(path if place.folder else posixpath.dirname(path))
            found += self.literals(module)
        unclear = [str(u) for m in project.modules for u in m.unknown_about("read")]
        unclear += [f"{name} reads files" for name in project.needs.reads]
        left = [d for d in self.data if not any(is_below(d, f) for f in found)]
        strange = f"what `{project.strange}` makes is not known" if project.strange is not None else None
        if unclear and (left or strange or self.brought):
            whole = unclear[0]
        elif strange and any(m.read for m in project.modules):
            whole = strange
        if whole is not None:
            found.append(self.everything(whole))
        return FilesRead(outermost(p for p in found if p not in project.outputs), whole)

    def everything(self, why: str) -> str:
        folder = self.workdir
        if folder is None or folder in ("/", "/go", "/root", "/home") or in_system(folder) or is_below("/go/pkg", folder):
            raise Refused(f"which files it reads is not known: {why}", self.project.position)
        if self.project.start.relocated:
            raise Refused(f"which files it reads is not known, and it is started from another folder: {why}", self.project.position)
        return folder

    def place(self, kind: str, path: str) -> str | None:
        """A path that the source names as a path of the image; None for one of the system's own."""
        if kind == "absolute":
            return None if in_system(path) and context_path(self.model, self.stage, path) is None else path
        return posixpath.normpath(posixpath.join(self.workdir, path)) if self.workdir is not None else None

    def present(self, path: str) -> list[str]:
        """The path, when the build stage has something there that the runtime stage's own copies do not bring."""
        if path in (self.workdir, "/"):
            return []
        inside = context_path(self.model, self.stage, path, self.project.last + 1)
        known = inside is not None and inside != "."
        return [path] if known or any(is_below(path, f) or is_below(f, path) for f in (*self.made, *self.brought)) else []

    def made_folders(self) -> tuple[str, ...]:
        """The folders of the project's own that ``mkdir`` makes."""
        found = []
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            script = node.script if node.keyword == "RUN" else None
            for command in script.commands if script is not None else ():
                if command.name == "mkdir":
                    given = [w.value for w in command.words[1:] if w.value and not w.value.startswith("-")]
                    paths = [self.model.before(position).path(word) for word in given]
                    found += [p for p in paths if p is not None and not in_system(p) and p != self.workdir]
        return tuple(f for f in found if not any(is_below(o, f) for o in self.project.outputs) and not is_below(self.project.source, f))

    def brought_folders(self) -> tuple[str, ...]:
        """Where COPY puts what other stages and images made, before the build ends."""
        found = []
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            if node.keyword == "COPY" and node.flag("from") is not None and position <= self.project.last and node.words:
                path = self.model.before(position).path(node.words[-1], node.escape)
                found += [path] if path is not None and not in_system(path) and path != "/" else []
        return tuple(found)

    def literals(self, module: GoModule) -> list[str]:
        """Files of the context that a string in the source names by a path that does not begin at the root."""
        found = []
        for text in sorted(go_literals(self.project.context, module)):
            name = posixpath.normpath(re.sub(r"^(file://|\./)", "", re.sub(r"[*?\[].*", "", text))) if 1 < len(text) < 200 else ""
            if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", name) or name in (".", "..") or self.workdir is None:
                continue
            path = posixpath.join(self.workdir, name)
            inside = context_path(self.model, self.stage, path, self.project.last + 1)
            if inside is None or inside == "." or any(is_below(e, inside) or is_below(inside, e) for e in module.embeds):
                continue
            if any(is_below(d, path) for d in self.data):
                found.append(path)
        return found
