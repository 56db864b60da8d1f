"""Servers that the builds of web frameworks make: the sources behind them, and which packages they take along.

Sources: nitro.build/deploy/runtimes/node, nuxt.com/docs/getting-started/deployment, svelte.dev/docs/kit/adapter-node,
docs.astro.build/en/guides/integrations-guide/node and reactrouter.com/start/framework/deploying.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from optimizer.context.components import COMPONENTS
from optimizer.context.folder import BuildContext
from optimizer.context.javascript import PackageJson, package_json
from optimizer.context.javascript_source import SOURCES

Packages = Literal["none", "production", "imported"]

_ENDINGS = (".ts", ".js", ".mjs", ".cjs", ".mts")
_COMMENT = re.compile(r"(?<![:\w])//[^\n]*|/\*.*?\*/", re.DOTALL)
# Tests, settings of tools, types, and what a browser is given as it is.
_NO_SOURCES = re.compile(
    r"(^|/)(node_modules|tests?|__tests__|e2e|cypress|public|static|\.[^/]+)/|\.(test|spec|stories|d|config)\.[cm]?[jt]sx?$"
)


class BuiltServer(Struct, frozen=True):
    """A server that the build of a framework makes.

    Args:
        folder: The folder that the build writes, relative to the context.
        sources: The files of the context that it is made of.
        provided: A pattern of the module names that the framework gives its sources, none of which is a package.
        packages: Which packages it needs beside it: none, since it carries copies of them; those of production, since it
            holds the others; or all that are imported.
        keeps: Why it may write files of its own; None when it does not.
    """

    folder: str
    sources: tuple[str, ...]
    provided: str
    packages: Packages
    keeps: str | None = None


def built_server(context: BuildContext, path: str) -> BuiltServer | None:
    """The server whose start is a path relative to the context; None when no framework is known to make one there."""
    for ending, reader in _READERS.items():
        if f"/{path}".endswith(ending):
            folder = posixpath.normpath(f"/{path}"[: -len(ending)].lstrip("/") or ".")
            return reader(context, folder, path)
    folder = posixpath.dirname(path)
    return _kit(context, posixpath.dirname(folder) or ".", path) if posixpath.basename(path) == "index.js" else None


def kit_output(context: BuildContext, folder: str) -> str | None:
    """The folder, relative to a project's, into which SvelteKit builds a server for Node; None when it does not, or that is computed."""
    text = _settings(context, folder, "svelte.config")
    if text is None or not re.search(r"[\"']@sveltejs/adapter-node[\"']", text):
        return None
    out = re.search(r"\bout\s*:\s*(?:[\"']([^\"']+)[\"'])?", text)
    return "build" if out is None else posixpath.normpath(out[1]) if out[1] else None


def _nitro(context: BuildContext, folder: str, path: str) -> BuiltServer | None:
    """Nitro, which Nuxt builds its servers with."""
    package = package_json(context, folder)
    names = _names(package)
    if package is None or not names & {"nuxt", "nitropack", "nitro"}:
        return None
    texts = [text for stem in ("nuxt.config", "nitro.config") if (text := _settings(context, folder, stem)) is not None]
    settings = "\n".join(texts)
    preset = re.sub(r"\bpreset\s*:\s*[\"']node[-_]server[\"']", "", settings)
    if re.search(r"\b(preset|output|externals|noExternals|extends|rootDir|rollupConfig)\b|NITRO_PRESET|SERVER_PRESET", preset):
        return None
    if any(re.search(r"--preset|NITRO_PRESET|SERVER_PRESET", text) for text in package.scripts.values()):
        return None
    sources = _sources(context, folder)
    keeps: str | None = next((name for name in ("@nuxt/content", "@nuxthub/core", "@nuxt/scripts") if name in names), None)
    if keeps is None and re.search(r"\b(storage|database)\b", settings):
        keeps = "the storage of its settings"
    stores = re.compile(r"\buseStorage\s*(<[^>]*>)?\(\s*[\"'`](data|root|src|build|cache)\b|\buseDatabase\s*\(")
    if keeps is None and any(stores.search(context.read_text(f) or "") for f in sources):
        keeps = "Nitro's storage"
    packages: Packages = "imported" if "@prisma/client" in names else "none"  # its engine is no module that could be traced
    return BuiltServer(posixpath.dirname(posixpath.dirname(path)), sources, r"(~~?|@@?)/|#", packages, keeps)


def _kit(context: BuildContext, folder: str, path: str) -> BuiltServer | None:
    """SvelteKit with its adapter for Node, which takes the development dependencies into the server."""
    out = kit_output(context, folder)
    if out is None or path != posixpath.normpath(posixpath.join(folder, out, "index.js")):
        return None
    external = re.search(r"\b(external|noExternal|rollupOptions)\b", _settings(context, folder, "vite.config") or "")
    sources = _sources(context, posixpath.normpath(posixpath.join(folder, "src")))
    return BuiltServer(posixpath.dirname(path), sources, r"\$(app|lib|env|service-worker)\b", "imported" if external else "production")


def _astro(context: BuildContext, folder: str, path: str) -> BuiltServer | None:
    """Astro with its adapter for Node in standalone mode."""
    text = _settings(context, folder, "astro.config")
    if text is None or not re.search(r"[\"']@astrojs/node[\"']", text) or not re.search(r"\bmode\s*:\s*[\"']standalone[\"']", text):
        return None
    if re.search(r"\b(outDir|build|srcDir|root)\s*:", text):
        return None
    sources = _sources(context, posixpath.normpath(posixpath.join(folder, "src")))
    keeps = "Astro's database" if "@astrojs/db" in _names(package_json(context, folder)) else None
    session = re.compile(r"\b(Astro|context|ctx)\.session\b|\{[^}]*\bsession\b")
    if keeps is None and any(session.search(context.read_text(f) or "") for f in sources):
        keeps = "Astro's sessions"
    return BuiltServer(posixpath.dirname(posixpath.dirname(path)), sources, r"(astro|virtual):", "imported", keeps)


def _router(context: BuildContext, folder: str, path: str) -> BuiltServer | None:
    """React Router, and Remix before it, whose own programs serve what they build."""
    names = _names(package_json(context, folder))
    if not names & {"@react-router/dev", "@remix-run/dev"}:
        return None
    texts = [_settings(context, folder, stem) or "" for stem in ("react-router.config", "remix.config", "vite.config")]
    if any(
        re.search(r"\b(appDirectory|buildDirectory|serverBuildFile|serverBundles|noExternal|ssr\s*:\s*false)\b", text) for text in texts
    ):
        return None
    table = posixpath.normpath(posixpath.join(folder, "app/routes"))  # the build reads it, and the server does not
    sources = tuple(f for f in _sources(context, posixpath.dirname(table)) if posixpath.splitext(f)[0] != table)
    return BuiltServer(posixpath.dirname(posixpath.dirname(path)), sources, r"(virtual:|~/|\./\+types/)", "imported")


_READERS: dict[str, Callable[[BuildContext, str, str], BuiltServer | None]] = {
    "/.output/server/index.mjs": _nitro,
    "/dist/server/entry.mjs": _astro,
    "/build/server/index.js": _router,
}


def _settings(context: BuildContext, folder: str, stem: str) -> str | None:
    paths = (posixpath.normpath(posixpath.join(folder, f"{stem}{ending}")) for ending in _ENDINGS)
    text = next((text for path in paths if (text := context.read_text(path)) is not None), None)
    return _COMMENT.sub("", text) if text is not None else None


def _names(package: PackageJson | None) -> set[str]:
    return {*package.dependencies, *package.dev_dependencies} if package is not None else set()


def _sources(context: BuildContext, folder: str) -> tuple[str, ...]:
    top = "" if folder == "." else f"{folder}/"
    inside = [f for f in context.files() if f.startswith(top) and f.endswith((*SOURCES, *COMPONENTS))]
    return tuple(f for f in inside if not _NO_SOURCES.search(f[len(top) :]))
