"""The source file behind a JavaScript file that a build makes: through the build script, tsconfig.json, or the same name."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from optimizer.context import BuildContext
from optimizer.context.javascript import package_json
from optimizer.context.tsconfig import compiler_options
from optimizer.model.launch import Argv, option
from optimizer.syntax.shell import parse_script

_SOURCE = (".ts", ".tsx", ".mts", ".cts", ".js", ".mjs", ".cjs", ".jsx")
_CONFIGURATION = re.compile(r"(webpack|rollup|tsup|esbuild|build|tsdown|vite)[\w.]*\.(c|m)?[jt]s$")
_ENTRY = re.compile(r"""\b(?:entry(?:Points)?|input)\s*:\s*[\[{]?\s*(?:[\w'"]+\s*:\s*)?['"]([^'"]+)['"]""")
_BUNDLERS = frozenset({"esbuild", "tsup", "ncc", "rollup", "microbundle", "parcel", "bun", "webpack", "tsdown"})


def source_of(context: BuildContext, built: str) -> str | None:
    """The source file that a built one comes from, None when nothing tells.

    Args:
        context: The build context.
        built: Where the built file would lie in the context, such as ``dist/server.js``.
    """
    folder = posixpath.dirname(built)
    while folder and not context.exists(posixpath.join(folder, "package.json")):
        folder = posixpath.dirname(folder)
    for candidate in (*_from_scripts(context, folder, built), *_from_tsconfig(context, folder, built), *_from_name(folder, built)):
        path = posixpath.normpath(candidate)
        if path != built and context.exists(path) and not context.is_dir(path):
            return path
    return None


def _from_scripts(context: BuildContext, folder: str, built: str) -> Iterator[str]:
    """What the build commands of package.json name as the source of that output."""
    package = package_json(context, folder or ".")
    inside = posixpath.relpath(built, folder or ".")
    for text in package.scripts.values() if package is not None else ():
        for command in parse_script(text).commands:
            words = command.argv[1:] if command.name in ("npx", "node", "bunx", "cross-env") else command.argv
            for entry in _entries(words, inside):
                yield posixpath.join(folder, entry)
    if package is not None and any(re.search(r"\b(webpack|rollup|tsup|vite|node|tsdown)\b", t) for t in package.scripts.values()):
        files = [f for f in context.files() if posixpath.dirname(f) == folder and _CONFIGURATION.match(posixpath.basename(f))]
        named = {entry for f in files for entry in _ENTRY.findall(context.read_text(f) or "")}
        if len(named) == 1:
            yield posixpath.join(folder, named.pop())


def _entries(words: Argv, built: str) -> Iterator[str]:
    """The sources a build command names for an output, both relative to the package's folder."""
    name = (words[0] or "").rpartition("/")[2] if words else ""
    given, target = option(words, "--outfile", "--outFile", "-o", "--file")
    _, folder = option(words, "--outdir", "--out-dir", "--outDir", "-d", "--dir", "--ssr-outdir")
    plain = [w for w in words[1:] if w is not None and not w.startswith("-")]
    sources = [w for w in plain if w.endswith(_SOURCE) and w not in (target, built)]
    _, ssr = option(words, "--ssr", "-i", "--input")
    sources += [ssr] if ssr is not None and ssr.endswith(_SOURCE) else []
    stem = posixpath.splitext(posixpath.basename(built))[0]
    if name in ("babel", "swc") and plain and (target or folder):
        relative = posixpath.relpath(built, target or folder or ".")
        yield from (posixpath.join(plain[0], posixpath.splitext(relative)[0] + s) for s in _SOURCE)
    elif name in _BUNDLERS or name == "vite":
        if (given and target is not None and posixpath.normpath(target) == built) or (name == "ncc" and stem == "index"):
            yield from sources[:1]
        else:
            yield from (s for s in sources if posixpath.splitext(posixpath.basename(s))[0] == stem)
            if len(sources) == 1 and name != "esbuild":
                yield sources[0]


def _from_tsconfig(context: BuildContext, folder: str, built: str) -> Iterator[str]:
    """Where the TypeScript compiler takes a file of its output folder from."""
    for name in ("tsconfig.json", "tsconfig.build.json", "tsconfig.server.json", "tsconfig.prod.json"):
        path = posixpath.join(folder, name)
        options = compiler_options(context, path)
        output = options.get("outDir")
        if not isinstance(output, str):
            continue
        relative = posixpath.relpath(built, output)
        if relative.startswith(".."):
            continue
        root = options.get("rootDir")
        # Without rootDir it is the folder that all sources share.
        bases = [root] if isinstance(root, str) else [posixpath.join(folder, "src"), folder]
        for base in bases:
            yield from (posixpath.join(base, posixpath.splitext(relative)[0] + suffix) for suffix in _SOURCE)


def _from_name(folder: str, built: str) -> Iterator[str]:
    """The same name under src/ or beside the output folder."""
    inside = posixpath.relpath(built, folder or ".")
    first, _, rest = inside.partition("/")
    if first not in ("dist", "build", "out", "lib", "output", ".build", "prod", "bin") or not rest:
        return
    stem = posixpath.splitext(rest)[0]
    for base in ("src", "server", "app", "."):
        yield from (posixpath.join(folder, base, stem + suffix) for suffix in _SOURCE)
    if stem == "main":
        yield from (posixpath.join(folder, "src", f"index{suffix}") for suffix in _SOURCE)  # webpack's default
