"""What Next.js builds: the sources behind its routes, and the server of its own that ``output: "standalone"`` makes.

Source: nextjs.org/docs/app/api-reference/config/next-config-js/output.
"""

from __future__ import annotations

import posixpath
import re

from optimizer.context.folder import BuildContext

STANDALONE = ".next/standalone"
"""The folder of that server: ``server.js``, the files it was traced to need, and neither ``public`` nor ``.next/static``."""
_ROUTES = re.compile(r"(src/)?((pages|app)/.*\.([jt]sx?)|(middleware|instrumentation)\.[jt]s)$")
_ENDINGS = (".js", ".mjs", ".ts", ".cjs", ".mts")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def routes(context: BuildContext, folder: str = ".") -> tuple[str, ...]:
    """The files of the context that a project's routes begin with."""
    top = "" if folder == "." else f"{folder}/"
    return tuple(f for f in context.files() if f.startswith(top) and _ROUTES.match(f[len(top) :]))


def is_standalone_server(path: str) -> bool:
    """Whether a path relative to the context is where a build puts the server of its own."""
    return f"/{path}".endswith(f"/{STANDALONE}/server.js")


def builds_standalone(context: BuildContext, folder: str) -> bool:
    """Whether a project's settings say in so many words that ``next build`` makes a server of its own in the usual place."""
    paths = (posixpath.normpath(posixpath.join(folder, f"next.config{ending}")) for ending in _ENDINGS)
    text = next((text for path in paths if (text := context.read_text(path)) is not None), "")
    plain = _COMMENT.sub("", text)
    moved = re.search(r"\b(distDir|outputFileTracingRoot|outputFileTracingExcludes|generateBuildId)\b", plain)
    said = re.findall(r"\boutput\b\s*:\s*([^,}\n]+)", plain)
    return moved is None and len(said) == 1 and said[0].strip() in ('"standalone"', "'standalone'", "`standalone`")
