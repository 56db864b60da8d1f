"""What the source of a program for Node uses: its entries, the server that a framework builds, members of its workspace, Prisma."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from optimizer.context.folder import BuildContext
from optimizer.context.frameworks import built_server
from optimizer.context.javascript import package_json
from optimizer.context.javascript_source import SOURCES as SCRIPTS
from optimizer.context.javascript_source import javascript_evidence
from optimizer.context.nextjs import is_standalone_server, routes
from optimizer.context.places import Place, Unknown
from optimizer.context.workspaces import workspace_around
from optimizer.model.built import source_of
from optimizer.model.effects import unclear_database
from optimizer.model.env_files import variables_of_files
from optimizer.model.node_start import preloaded, starts_alone
from optimizer.model.paths import context_path, image_path
from optimizer.model.site_tools import SiteTool, site_tool
from optimizer.model.stores import source_stores
from optimizer.model.used import MadeServer, Used

if TYPE_CHECKING:
    from optimizer.model.application import Gatherer


def _is_script(context: BuildContext, path: str) -> bool:
    """Whether a file without an extension is a program for Node, such as Express' ``bin/www``."""
    if posixpath.splitext(path)[1] or path.startswith("/"):
        return False
    first = (context.read_text(path) or "").partition("\n")[0]
    return "node" in first if first.startswith("#!") else bool(first)


def use_node(gatherer: Gatherer, entries: list[str]) -> None:
    """Read what a program for Node starts with, and all that leads to.

    Args:
        gatherer: What is found so far, and where it goes.
        entries: The files that commands start.
    """
    entries = [e for e in entries if e.endswith(SCRIPTS) or _is_script(gatherer.context, e)]
    folder = next((f for f in gatherer.folders if f is not None), "/")
    manifest = context_path(gatherer.model, gatherer.stage, posixpath.join(folder, "package.json"))
    gatherer.package = package_json(gatherer.context, posixpath.dirname(manifest or "package.json") or ".")
    gatherer.environment = {
        **variables_of_files(gatherer.model, gatherer.stage, gatherer.start, gatherer.package),
        **gatherer.environment,
    }
    tools = {c.name or "": tool for c in gatherer.start.commands if (tool := site_tool(c.name or "", c.words[1:])) is not None}
    for name, tool in tools.items():
        entries += _site(gatherer, name, tool, folder, posixpath.dirname(manifest or ""))
    standalone = [e for e in entries if e.startswith("/") and is_standalone_server(_origin(gatherer, e) or "")]
    if standalone or any(command.name == "next" and {"start", "dev"} & set(command.words) for command in gatherer.start.commands):
        gatherer.written |= {Used(posixpath.join(posixpath.dirname(e), ".next/cache"), True, posixpath.basename(e)) for e in standalone}
        entries = [*(e for e in entries if e not in standalone), *routes(gatherer.context)]
    elif not tools and not any(entry in entries for entry in gatherer.start.entries):
        gatherer.unknown.add(Unknown("module", "", "the program's entry is not known"))
    modules, files = preloaded(gatherer.model, gatherer.stage, gatherer.start, gatherer.environment, folder)
    gatherer.modules.update(modules)
    entries += files
    for entry in entries:  # which grows on the way
        source, runs_as = entry, None
        if entry.startswith("/"):
            runs_as = _origin(gatherer, entry)
            if runs_as is not None and _framework(gatherer, entry, runs_as):
                continue
            source_path = source_of(gatherer.context, runs_as) if runs_as is not None else None
            if source_path is None or runs_as is None:
                gatherer.unknown.add(Unknown("context", entry, "is built from a source that is not found"))
                continue
            source = source_path
        found = javascript_evidence(gatherer.context, source, runs_as=runs_as, environment=gatherer.environment)
        gatherer.take(found.files, found.modules, found.programs, found.ports, found.unknown, found.settled)
        gatherer.uses(found.written, found.read, [runs_as or entry], found.files)
        entries += [f for f in _members(gatherer, found.modules) if f not in entries]
    packages = frozenset(gatherer.package.dependencies) if gatherer.package is not None else frozenset[str]()
    layer = unclear_database(frozenset(gatherer.modules), packages)
    named = any(source_stores(gatherer.context.read_text(file) or "") for file in gatherer.files)
    if layer is not None and not gatherer.written and not named:
        gatherer.unknown.add(Unknown("write", "package.json", f"{layer} may keep an SQLite file"))
    _prisma(gatherer)


def _site(gatherer: Gatherer, name: str, tool: SiteTool, folder: str, top: str) -> list[str]:
    """Note where a tool for a site writes. folder, top: the project's folder in the image and in the context.

    Returns:
        Its settings, which it runs.
    """
    context = gatherer.context
    typed = tool.typed if context.exists(posixpath.join(top, "tsconfig.json")) else ()
    manifest = posixpath.join(top, "package.json")
    said = "browserslist" in (context.read_text(manifest) or "") or context.exists(posixpath.join(top, ".browserslistrc"))
    for path in (*tool.writes, *typed, *(["package.json"] if tool.browsers and not said else [])):
        gatherer.written.add(Used(posixpath.normpath(posixpath.join(folder, path)), path.endswith("/"), name))
    found = [f for stem in tool.settings for ending in SCRIPTS if context.exists(f := posixpath.join(top, f"{stem}{ending}"))]
    for file in found:
        if re.search(r"\bcache(Dir|Directory|Location)\b", context.read_text(file) or ""):
            gatherer.unknown.add(Unknown("write", file, "says where a cache lies"))
    return found


def _framework(gatherer: Gatherer, entry: str, origin: str) -> bool:
    """Read the server that a framework's build makes; whether the entry is one. origin: where it would lie in the context."""
    server = built_server(gatherer.context, origin)
    if server is None:
        return False
    alone = starts_alone(gatherer.model, gatherer.stage, gatherer.start, gatherer.environment, entry)
    folder = entry.removesuffix(f"/{posixpath.relpath(origin, server.folder)}")
    gatherer.server = MadeServer(folder, server.packages if alone else "imported")
    if server.keeps is not None:
        gatherer.unknown.add(Unknown("write", server.folder, f"is a server that may keep files: {server.keeps}"))
    for first in server.sources[:1]:
        found = javascript_evidence(
            gatherer.context, first, runs_as=origin, environment=gatherer.environment, also=server.sources[1:], provided=server.provided
        )
        gatherer.take(found.files, found.modules, found.programs, found.ports, found.unknown, found.settled)
        gatherer.uses(found.written, found.read, [origin], found.files)
    return True


def _origin(gatherer: Gatherer, path: str) -> str | None:
    """The context path of what a build makes at a path of the image, beside what is copied or below a package.json."""
    found = context_path(gatherer.model, gatherer.stage, path, must_exist=False)
    folder = posixpath.dirname(path)
    while found is None and folder != "/":
        manifest = context_path(gatherer.model, gatherer.stage, posixpath.join(folder, "package.json"))
        if manifest is not None:
            found = posixpath.normpath(posixpath.join(posixpath.dirname(manifest), posixpath.relpath(path, folder)))
        folder = posixpath.dirname(folder)
    return found


def _members(gatherer: Gatherer, modules: tuple[str, ...]) -> list[str]:
    """The entries of members and linked packages among imported modules; one that a build makes by its place in the image."""
    folder = gatherer.package.folder if gatherer.package is not None else "."
    root = workspace_around(gatherer.context, folder)
    found = []
    for member in (*root.members, *root.linked) if root is not None else ():
        if member.name is None or member.name not in modules:
            continue
        main = member.main or "index.js"
        path = posixpath.normpath(posixpath.join(member.folder, main))
        # What a build makes beside the member's package.json may be ignored where the context has it.
        places = image_path(gatherer.model, gatherer.stage, posixpath.join(member.folder, "package.json"))
        built = next((posixpath.normpath(posixpath.join(posixpath.dirname(p), main)) for p in places), None)
        if built is None or gatherer.context.exists(path):
            found.append(path if gatherer.context.exists(path) else source_of(gatherer.context, path) or path)
        else:
            found.append(built)
    return found


def _prisma(gatherer: Gatherer) -> None:
    """The SQLite file that Prisma's schema names."""
    text = gatherer.context.read_text("prisma/schema.prisma") or ""
    if "@prisma/client" not in gatherer.modules or not re.search(r'provider\s*=\s*"sqlite"', text):
        return
    url = re.search(r'url\s*=\s*(?:"([^"]*)"|env\("(\w+)"\))', text)
    value = (url[1] or gatherer.environment.get(url[2] or "")) if url else None
    if value is not None and value.startswith("file:"):
        path = value.removeprefix("file:").split("?")[0]
        place = Place("absolute", path) if path.startswith("/") else Place("context", posixpath.normpath(f"prisma/{path}"))
        gatherer.uses([place], (), [], ("package.json",))
    else:
        gatherer.unknown.add(Unknown("write", "prisma/schema.prisma", "keeps its database in a computed place"))
