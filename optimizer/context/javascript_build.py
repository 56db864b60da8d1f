"""What the build scripts of a package.json write, read off the commands they run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.frameworks import kit_output
from optimizer.context.javascript import PackageJson, package_json
from optimizer.context.workspaces import scripts_run
from optimizer.syntax.shell import parse_script

# Commands that write nothing that ships, or only into what other commands made.
_NO_OUTPUT = frozenset({
    "echo", "rm", "rimraf", "del-cli", "mkdir", "mkdirp", "eslint", "prettier", "jest", "vitest", "mocha", "true", "exit", "test",
    "stylelint", "tslint", "shx", "chmod", "sleep", "time", "biome", "ls",
})  # fmt: skip
_REMOVES = frozenset({"echo", "rm", "rimraf", "del-cli", "mkdir", "mkdirp", "true"})
# Tools and the folder that they write by default. Source: each tool's documentation of its build command.
_DEFAULTS = {
    ("next", "build"): ".next",
    ("nuxt", "build"): ".output",
    ("nuxi", "build"): ".output",
    ("nitro", "build"): ".output",
    ("nitropack", "build"): ".output",
    ("react-scripts", "build"): "build",
    ("react-app-rewired", "build"): "build",
    ("craco", "build"): "build",
    ("vue-cli-service", "build"): "dist",
    ("parcel", "build"): "dist",
    ("astro", "build"): "dist",
    ("gatsby", "build"): "public",
    ("docusaurus", "build"): "build",
    ("react-router", "build"): "build",
    ("remix", "vite:build"): "build",
    ("vinxi", "build"): ".output",
    ("hexo", "generate"): "public",
}
# Plugins of Vite that write elsewhere than it does by itself.
_FRAMEWORKS = r"\b(sveltekit|reactRouter|solidStart|qwikCity|tanstackStart|vike|remix|nitro)\b"
_VITE_VALUED = frozenset({
    "--outDir", "--assetsDir", "--assetsInlineLimit", "--base", "--mode", "-m", "--config", "-c", "--target", "--logLevel", "-l",
    "--configLoader",
})  # fmt: skip
# Commands of package managers, which are no programs of dependencies.
_MANAGES = frozenset({"install", "i", "add", "remove", "run", "exec", "dlx", "create", "workspace", "workspaces", "config", "set", "cache"})
_PREFIXES = frozenset({"cross-env", "env", "npx", "bunx", "--bun", "dotenv", "--", "env-cmd", "node_modules/.bin"})


class BuildOutputs(Struct, frozen=True):
    """What a build writes: paths relative to the folder of its package.json, and why there may be more (None: there is not).

    reads: the folders that its tools take their sources from, None when these may be anywhere.
    """

    paths: tuple[str, ...]
    unknown: str | None = None
    reads: tuple[str, ...] | None = None


def build_outputs(context: BuildContext, folder: str, script: str, command: str = "") -> BuildOutputs:
    """What ``npm run SCRIPT`` or another command writes, hooks and scripts that it calls included, those of workspace members as well."""
    package = package_json(context, folder)
    if package is None:
        return BuildOutputs((), "there is no package.json")
    reader = _Reader(context, package)
    if command:
        reader.text(command, 0)
    else:
        reader.script(package, script, 0)
    return BuildOutputs(tuple(dict.fromkeys(reader.paths)), reader.unknown, tuple(reader.reads) if not reader.anywhere else None)


class _Reader:
    def __init__(self, context: BuildContext, package: PackageJson) -> None:
        self.context, self.top, self.folder = context, package.folder, package.folder
        self.paths: list[str] = []
        self.unknown: str | None = None
        self.reads: list[str] = []
        self.anywhere = False

    def script(self, package: PackageJson, name: str, depth: int) -> None:
        if depth > 8 or name not in package.scripts:
            self.unknown = self.unknown or f"there is no script {name}"
            return
        for step in (f"pre{name}", name, f"post{name}"):
            if step in package.scripts:
                before, self.folder = self.folder, package.folder
                self.text(package.scripts[step], depth)
                self.folder = before

    def text(self, text: str, depth: int) -> None:
        parsed = parse_script(text)
        if not parsed.understood:
            self.unknown = self.unknown or f"`{text}` is not understood"
            return
        for command in parsed.commands:
            if any(r.target is not None and r.operator in (">", ">>") and r.descriptor != "2" for r in command.redirects):
                self.add(next((r.target.value for r in command.redirects if r.target), None), text)
            words = [w.value for w in command.words]
            if None in words:
                self.unknown = self.unknown or f"`{text}` has a part that is known only when it runs"
                return
            self.command([w for w in words if w is not None], text, depth)

    def command(self, words: list[str], text: str, depth: int) -> None:
        while words and (words[0] in _PREFIXES or re.match(r"\w+=", words[0])):
            words = words[1:]
        if not words:
            return
        program, rest = posixpath.basename(words[0]), words[1:]
        operands = [w for w in rest if not w.startswith("-")]
        if program == "bun" and operands[:1] == ["build"]:
            self.tool(program, rest, operands, text)
        elif program in ("npm", "yarn", "pnpm", "bun", "turbo", "lerna"):
            found = scripts_run(self.context, self.folder, words)
            if found is None and program in ("yarn", "pnpm", "bun") and operands and operands[0] == rest[0] and operands[0] not in _MANAGES:
                self.command(words[1:], text, depth)  # a program of a dependency
                return
            if found is None:
                self.unknown = self.unknown or f"which scripts `{text}` runs is not known"
            for package, script in found or ():
                self.script(package, script, depth + 1)
        elif program in ("npm-run-all", "run-s", "run-p", "concurrently"):
            own = package_json(self.context, self.folder)
            for operand in operands:
                name = operand.removeprefix("npm:")
                if "*" in name or " " in name or own is None:
                    self.unknown = self.unknown or f"`{text}` runs scripts by pattern"
                else:
                    self.script(own, name, depth + 1)
        elif program == "cd":
            self.folder = posixpath.normpath(posixpath.join(self.folder, operands[0] if operands else ".."))
            if self.folder.startswith("..") or not self.context.is_dir(self.folder):
                self.unknown = self.unknown or f"where `{text}` runs is not known"
        elif program in _NO_OUTPUT:
            self.anywhere = self.anywhere or program not in _REMOVES
        elif program in ("cp", "mv", "copyfiles", "cpx", "cpy", "ncp"):
            self.anywhere = True
            self.add(operands[-1] if operands else None, text)
        elif (program, operands[0] if operands else "") in _DEFAULTS:
            self.configured(program, _DEFAULTS[(program, operands[0])], rest, text)
        else:
            self.tool(program, rest, operands, text)

    def tool(self, program: str, rest: list[str], operands: list[str], text: str) -> None:
        self.anywhere = self.anywhere or program != "vite"
        if program in ("esbuild", "bun"):
            self.add(_option(rest, "--outfile") or _option(rest, "--outdir"), text)
        elif program in ("tsc", "ttsc", "vue-tsc"):
            if "--noEmit" not in rest:
                self.add(_option(rest, "--outDir") or self.typescript(_option(rest, "-p", "--project", "-b", "--build")), text)
        elif program == "nest":
            self.add(self.typescript("tsconfig.build.json") or self.typescript(None) or "dist", text)
        elif program == "vite" and operands[:1] == ["build"]:
            self.add(self._vite(rest), text)
        elif program == "webpack":
            self.add(
                _option(rest, "--output-path", "-o")
                or self.setting("webpack.config", r"path\.(?:resolve|join)\(\s*__dirname\s*,\s*[\"']([^\"']+)", "dist"),
                text,
            )
        elif program == "rollup":
            self.add(_option(rest, "-d", "--dir", "-o", "--file"), text)
        elif program in ("babel", "swc"):
            self.add(_option(rest, "-d", "--out-dir", "-o", "--out-file"), text)
        elif program == "ncc":
            self.add(_option(rest, "-o", "--out") or "dist", text)
        elif program == "eleventy":
            self.add(_option(rest, "--output") or self.setting(".eleventy", r"output\s*:\s*[\"']([^\"']+)", "_site"), text)
        elif program in ("tsup", "tsdown"):
            self.add(_option(rest, "-d", "--out-dir") or self.setting("tsup.config", r"outDir\s*:\s*[\"']([^\"']+)", "dist"), text)
        elif program in ("tailwindcss", "postcss", "openapi-typescript"):
            self.add(_option(rest, "-o", "--output"), text)
        elif program == "sass":
            self.add(operands[-1].partition(":")[2] or operands[-1] if operands else None, text)
        else:
            self.unknown = self.unknown or f"what `{program}` writes is not known"

    def _vite(self, rest: list[str]) -> str | None:
        """Where ``vite build [FOLDER]`` writes, which it takes against its root; None when that is computed or a framework decides."""
        folder, index = ".", rest.index("build") + 1
        while index < len(rest) and folder == ".":
            folder = rest[index] if not rest[index].startswith("-") else folder
            index += 2 if rest[index] in _VITE_VALUED else 1
        settings = posixpath.join(folder, "vite.config")
        root = self.setting(settings, r"root\s*:\s*[\"']([^\"']+)", ".")
        framework = self.setting(settings, _FRAMEWORKS, "")
        if framework == "sveltekit" and folder == "." and "--outDir" not in rest:
            return kit_output(self.context, self.folder)
        if root is None or (folder != "." and root != ".") or framework != "":
            return None
        base = posixpath.normpath(folder if root == "." else root)
        self.reads.append(posixpath.normpath(posixpath.join(self.folder, base)))
        self.anywhere = self.anywhere or folder == "." or self.folder != self.top
        out = _option(rest, "--outDir") or self.setting(settings, r"outDir\s*:\s*[\"']([^\"']+)", "dist")
        return posixpath.join(base, out) if out is not None else None

    def configured(self, program: str, default: str, rest: list[str], text: str) -> None:
        self.anywhere = True
        if program in ("next",):
            default = self.setting("next.config", r"distDir\s*:\s*[\"']([^\"']+)", default) or default
        self.add(_option(rest, "--dest", "--dist-dir", "--outDir", "--out-dir") or default, text)
        if program == "next" and self.setting("next.config", r"output\s*:\s*[\"'](export)[\"']", ""):
            self.add("out", text)

    def add(self, path: str | None, text: str) -> None:
        """Note an output by the first folder of its path, or the file itself at the top; one in another package's folder in full."""
        if path is not None and path.endswith((".d.ts", ".d.mts", ".d.cts")):
            return  # types are gone when the program runs
        normal = posixpath.normpath(path) if path else "."
        first = normal if normal.startswith("../") else normal.partition("/")[0]
        place = posixpath.normpath(posixpath.join(self.folder, first))
        if not path or normal.startswith("/") or place.startswith("..") or f"{self.folder}/".startswith(f"{place}/") or place == ".":
            self.unknown = self.unknown or f"where `{text}` writes is not known"
            return
        self.paths.append(posixpath.relpath(place, self.top))

    def typescript(self, project: str | None) -> str | None:
        """``outDir`` of a tsconfig, its ``extends`` followed inside the context."""
        from optimizer.context.tsconfig import compiler_options

        name = posixpath.normpath(posixpath.join(self.folder, project or "tsconfig.json"))
        if self.context.is_dir(name):
            name = posixpath.join(name, "tsconfig.json")
        output = compiler_options(self.context, name).get("outDir")
        return posixpath.relpath(output, self.folder) if isinstance(output, str) else None

    def setting(self, stem: str, pattern: str, default: str) -> str | None:
        """A literal in a tool's configuration file; the default where there is none; None where it is computed."""
        for ending in (".js", ".ts", ".mjs", ".cjs", ".mts", ".cts"):
            text = self.context.read_text(posixpath.join(self.folder, stem + ending))
            if text is not None:
                key = pattern.partition("\\s*:")[0]
                found = re.search(pattern, text)
                if found:
                    return found[1]
                return None if re.search(rf"\b{key}\b", text) and "\\s*:" in pattern else default
        return default


def _option(words: Sequence[str], *names: str) -> str | None:
    for i, word in enumerate(words):
        name, sign, value = word.partition("=")
        if name in names:
            return value if sign else (words[i + 1] if i + 1 < len(words) else None)
    return None
