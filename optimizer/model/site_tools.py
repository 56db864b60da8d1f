"""Tools that serve a site while it is developed, or what they built of it: what they read at start, and where they write."""

from __future__ import annotations

from msgspec import Struct

from optimizer.model.launch import Argv

_STATIC = frozenset({"serve", "http-server", "sirv"})
"""Servers of files as they are."""


class SiteTool(Struct, frozen=True):
    """What a tool does besides serving.

    Args:
        settings: The files of settings that it runs, without their endings.
        writes: The folders it writes to, with a slash at their end, and files; relative to the project's folder.
        typed: What it writes as well where there is a tsconfig.json.
        browsers: Whether it writes into package.json which browsers are meant, where nothing says that.
        compiles: Whether it compiles the sources, with packages that these do not name.
    """

    settings: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()
    browsers: bool = False
    compiles: bool = True


# Source: the documentation of each tool's command and of its cache.
# Vite compiles its settings into a file that lies beside them up to version 5, and in node_modules/.vite-temp from 6 on.
_VITE = SiteTool(("vite.config",), ("./", "node_modules/.vite/", "node_modules/.vite-temp/"))
_WEBPACK = SiteTool(("webpack.config",), ("node_modules/.cache/",))
_TOOLS: dict[tuple[str, str], SiteTool] = {
    **dict.fromkeys((("vite", ""), ("vite", "dev"), ("vite", "serve")), _VITE),
    ("vite", "preview"): SiteTool(("vite.config",), ("./", "node_modules/.vite-temp/")),
    ("react-scripts", "start"): SiteTool((), ("node_modules/.cache/",), ("src/react-app-env.d.ts", "tsconfig.json"), browsers=True),
    ("vue-cli-service", "serve"): SiteTool(("vue.config", "babel.config"), ("node_modules/.cache/",)),
    ("webpack", "serve"): _WEBPACK,
    ("webpack-dev-server", ""): _WEBPACK,
    ("next", "dev"): SiteTool((), (".next/",), ("next-env.d.ts", "tsconfig.json")),
    ("docusaurus", "serve"): SiteTool(("docusaurus.config",)),
    ("docusaurus", "start"): SiteTool(("docusaurus.config", "sidebars"), (".docusaurus/", "node_modules/.cache/")),
    ("gatsby", "serve"): SiteTool(("gatsby-config",), (".cache/",)),
    ("vitepress", "preview"): SiteTool((), ("./", "node_modules/.vite-temp/")),
}


def site_server(name: str, words: Argv) -> str | None:
    """The name of a program that serves the files of a site as they are, None for any other program. words: its arguments."""
    return name if name in _STATIC or (name == "vite" and "preview" in words) else None


def site_tool(name: str, words: Argv) -> SiteTool | None:
    """What a tool that serves a site does, None for any other program. words: its arguments."""
    if name in _STATIC:
        return SiteTool(compiles=False)
    verb = words[0] if words else ""
    if verb is None:
        return None
    return _TOOLS.get((name, "" if verb.startswith("-") else verb))
