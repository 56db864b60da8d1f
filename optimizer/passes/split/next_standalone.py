"""Next.js with ``output: "standalone"``: the build makes a server of its own with the packages that it was traced to need."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence

from msgspec import Struct

from optimizer.context.javascript_source import SOURCES
from optimizer.context.nextjs import STANDALONE, builds_standalone
from optimizer.context.workspaces import Workspace
from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.passes.split.node_steps import Install, Plan
from optimizer.passes.split.shared import line
from optimizer.passes.split.started import exec_form
from optimizer.passes.text import instruction_like
from optimizer.syntax import Node

# Packages that read settings beside the program under a computed name.
_READ_SETTINGS = frozenset({"next-i18next", "config", "node-config-ts", "dotenv-flow", "next-intl", "payload"})
_PORT, _HOST = ("-p", "--port"), ("-H", "--hostname")


class Standalone(Struct, frozen=True):
    """The server that a build makes.

    Args:
        folder: The project's folder in the image.
        public: Whether the project has a folder of files that are served as they are.
        whole: Whether the program may read more of the project than was traced, so that its sources come along.
        position: The CMD.
        command: What stands in its place.
    """

    folder: str
    public: bool
    whole: bool
    position: int
    command: tuple[Node, ...]

    def copies(self, model: Model, stage: Stage, source: str, position: int) -> list[Node]:
        """The COPY instructions that bring the server into the runtime stage. source: the build stage."""
        folder = self.folder
        near = "./" if model.before(position).workdir == folder else f"{folder}/"
        nodes = [f"{folder}/{STANDALONE} {near}", f"{folder}/.next/static {near}.next/static"]
        nodes += [f"{folder}/public {near}public"] if self.public else []
        return [line(model, stage, "COPY", f"--from={source} {text}") for text in nodes]


def standalone_server(
    model: Model, stage: Stage, plan: Plan, main: Install, workspace: Workspace, outputs: Sequence[str] | None, application: Application
) -> Standalone | None:
    """The server that the build of a stage makes and that can take the place of ``next start``; None when there is none."""
    context, folder = model.context, main.folder.rstrip("/")
    if context is None or len(plan.installs) != 1 or workspace.members or plan.prune is not None or plan.checks:
        return None
    if {b.folder for b in plan.builds} != {folder} or tuple(outputs or ()) != (f"{folder}/.next",):
        return None
    if not builds_standalone(context, main.root) or model.before(plan.last).user not in ("root", "0"):
        return None
    position = model.last(stage, "CMD")
    if position is None or model.last(stage, "ENTRYPOINT") is not None or model.behind(stage).workdir != folder:
        return None
    command = _command(model, position)
    if command is None:
        return None
    packages = {name: text for package in workspace.packages for name, text in package.dependencies.items()}
    if "sharp" not in packages and not _brings_sharp(packages.get("next", "")) and _optimizes_images(model, main.root):
        return None
    whole = bool(application.read or application.unknown_about("read", "module") or packages.keys() & _READ_SETTINGS)
    public = context.is_dir(posixpath.normpath(posixpath.join(main.root, "public")))
    return Standalone(folder, public, whole, position, command)


def _brings_sharp(version: str) -> bool:
    """Whether a version of Next.js depends on sharp, without which the server of its own serves no images before 15."""
    major = re.search(r"\d+", version)
    return major is not None and int(major[0]) >= 15


def _optimizes_images(model: Model, root: str) -> bool:
    """Whether a source of a project names the component whose images are made when they are asked for."""
    assert model.context is not None
    sources = [f for f in model.context.under(root) if f.endswith(SOURCES)]
    return any(re.search(r"next/(legacy/|future/)?image\b", model.context.read_text(f) or "") for f in sources)


def _command(model: Model, position: int) -> tuple[Node, ...] | None:
    """The server's own start in the place of ``next start``: its port and address are variables, and Docker sets one of them."""
    node = model.file.instruction(position)
    form = node if node.json is not None else exec_form(node)
    words = list(form.json or ()) if form is not None else []
    words = words[1:] if words[:1] == ["npx"] else words
    if len(words) < 2 or posixpath.basename(words[0]) != "next" or words[1] != "start":
        return None
    values = {"HOSTNAME": "0.0.0.0"}
    rest = words[2:]
    while len(rest) > 1 and rest[0] in (*_PORT, *_HOST):
        values["PORT" if rest[0] in _PORT else "HOSTNAME"] = rest[1]
        rest = rest[2:]
    if rest or not all(re.fullmatch(r"[\w.:-]+", value) for value in values.values()):
        return None
    environment = instruction_like(model.file, node, "ENV", " ".join(f"{name}={value}" for name, value in values.items()))
    return environment, instruction_like(model.file, node, "CMD", json.dumps(["node", "server.js"]))
