"""The files behind what a command names: Python modules, Node's programs, commands that a project installs."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Mapping

from msgspec import Struct

from optimizer.context.javascript import package_json
from optimizer.context.python_projects import MANIFESTS, console_scripts
from optimizer.model.launch import Target
from optimizer.model.model import Model, Stage
from optimizer.model.paths import context_path, image_path
from optimizer.model.state import DEFAULT_PATH

_JAVASCRIPT = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx")
_OUTPUTS = frozenset({"build", "dist", "out", "lib", "output"})  # folders that builds write
_PROJECTS = 20  # of a build context that are looked into
SYSTEM_PATH = tuple(DEFAULT_PATH.split(":"))
"""The folders that every image searches for programs."""


class Found(Struct, frozen=True):
    """entries: context paths, or absolute image paths of what the context does not hold; unknown: what was not found."""

    entries: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Files(Struct, frozen=True):
    """Looks files up in one stage. environment: variables known to be set when the container starts."""

    model: Model
    stage: Stage
    environment: Mapping[str, str | None]

    def find(self, path: str, folder: str | None) -> str | None:
        """The file or folder of the context at a path of the image; relative ones start in ``folder``."""
        absolute = posixpath.join(folder or "", path)
        return context_path(self.model, self.stage, absolute) if absolute.startswith("/") else None

    def script(self, path: str, folder: str | None) -> str | None:
        """The file of the context at a path of the image, where COPY or a ``cp`` of a RUN put it."""
        found = self.find(path, folder)
        absolute = posixpath.join(folder or "", path)
        if found is not None or not absolute.startswith("/"):
            return found
        from optimizer.model.compiled_program import placed_file  # heavy: it reads builds

        return placed_file(self.model, self.stage, posixpath.normpath(absolute))

    def entry(self, path: str, folder: str | None) -> str:
        """The context path of a file, else its image path."""
        inside = self.find(path, folder)
        return inside if inside is not None else posixpath.normpath(posixpath.join(folder or "/", path))

    def program(self, name: str, folder: str | None) -> tuple[str, ...]:
        """The image paths at which a program may lie: its own path, or the folders of PATH."""
        if "/" in name:
            return (posixpath.normpath(posixpath.join(folder or "/", name)),)
        known = self.environment.get("PATH")
        places = known.split(":") if known else search_path(self.model, self.stage)
        return tuple(posixpath.join(place, name) for place in places)

    def node(self, target: Target, folder: str | None) -> Found:
        """The files that Node starts: with or without extension, a folder by its package.json."""
        entries = tuple(self._node_entry(file, folder) for file in target.files)
        return Found(entries, (target.unknown,) if target.unknown is not None else ())

    def _node_entry(self, path: str, folder: str | None) -> str:
        inside = self.find(path, folder)
        context = self.model.context
        if inside is not None and context is not None and context.is_dir(inside):
            package = package_json(context, inside)
            main = package.main if package is not None and package.main else "index.js"
            return self._node_entry(posixpath.join(path, main), folder) if main not in (".", "./") else inside
        known = path.endswith(_JAVASCRIPT)
        if inside is None and not known:
            inside = next((f for s in (*_JAVASCRIPT, "/index.js") if (f := self.find(path + s, folder)) is not None), None)
        made = path if known else f"{path}/index.js" if posixpath.normpath(path) in _OUTPUTS else f"{path}.js"
        return inside if inside is not None else self.entry(made, folder)

    def python(self, target: Target, folder: str | None, *, module_runs: bool) -> Found:
        """The files that Python starts. module_runs: ``-m``, for which a package's ``__main__`` counts."""
        folder = posixpath.join(folder or "", target.folder) if target.folder is not None else folder
        entries: list[str] = []
        unknown = [target.unknown] if target.unknown is not None else []
        for alternatives in target.files:
            choices = alternatives.split("|")
            found = next((f for choice in choices if (f := self.find(choice, folder)) is not None), None)
            if found is not None:
                entries.append(found)
            else:
                entries += [self.entry(choices[0], folder)] if len(choices) == 1 else []
                unknown.append(f"{' or '.join(choices)} is not in the build context")
        for module in target.modules:
            found = self.module(module, folder, module_runs)
            if found is not None:
                entries.append(found)
            elif not (module_runs and module.split(".")[0] in sys.stdlib_module_names):
                unknown.append(f"the module {module} is not in the build context")
        return Found(tuple(entries), tuple(unknown))

    def module(self, name: str, folder: str | None, runs: bool, inside: str = "") -> str | None:
        """The file of the context that a Python module begins with: beside the program, in PYTHONPATH, or of a project in `inside`."""
        context = self.model.context
        if context is None:
            return None
        path = name.replace(".", "/")
        endings = (".py", "/__main__.py", "/__init__.py") if runs else (".py", "/__init__.py")
        search = (folder, *(self.environment.get("PYTHONPATH") or "").split(":"))
        for base in (place for place in search if place is not None and place.startswith("/")):
            for ending in endings:
                found = context_path(self.model, self.stage, posixpath.join(base, path + ending))
                if found is not None:
                    return found
        for candidate in (posixpath.join(inside, inner, path) + ending for inner in ("", "src") for ending in endings):
            if context.exists(candidate) and any(image_path(self.model, stage, candidate) for stage in self.model.stages):
                return candidate
        return None

    def console_script(self, name: str, folder: str | None) -> str | None:
        """The file behind a command that installing a project of the context makes."""
        context = self.model.context
        if context is None:
            return None
        projects = sorted({posixpath.dirname(file) for file in context.files() if posixpath.basename(file) in MANIFESTS}, key=len)
        for project in projects[:_PROJECTS]:
            target = console_scripts(context, project or ".").get(name)
            if target is not None:
                return self.module(target.split(":")[0].strip(), folder, False, inside=project)
        return None


def compiled_language(model: Model, stage: Stage) -> list[str]:
    """The language of a program that a RUN of a stage compiles; empty when that is not seen."""
    current: Stage | None = stage
    while current is not None:
        nodes = [model.file.instruction(position) for position in current.positions]
        scripts = [node.script for node in nodes if node.keyword == "RUN" and node.script is not None and node.script.understood]
        for command in (command for script in scripts for command in script.commands):
            if command.name == "go" and command.argv[1:2] in (("build",), ("install",)):
                return ["go"]
            if command.name == "cargo" and command.argv[1:2] in (("build",), ("install",)):
                return ["rust"]
            if command.name == "dotnet" and command.argv[1:2] == ("publish",):
                return ["dotnet"]
        current = model.stages[current.base] if current.base is not None else None
    return []


def search_path(model: Model, stage: Stage) -> tuple[str, ...]:
    """The folders of PATH that are known: those that ENV puts before others, those of the image, and those of every image."""
    chain = [stage]
    while chain[-1].base is not None:
        chain.append(model.stages[chain[-1].base])
    image = chain[-1].image
    found = list((image.env.get("PATH") or "").split(":")) if image is not None else []
    for position in (position for one in reversed(chain) for position in one.positions):
        node = model.file.instruction(position)
        for pair in node.pairs if node.keyword == "ENV" else ():
            if pair.name == "PATH" and pair.value is not None:
                pieces = [model.before(position).expand(piece) for piece in node.unquote(pair.value).split(":")]
                found = [piece for piece in pieces if piece] + found
    return tuple(dict.fromkeys((*(place for place in found if place), *SYSTEM_PATH)))
