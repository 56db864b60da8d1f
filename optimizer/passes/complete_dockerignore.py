"""Keep out of the build what a project's folder holds besides the project."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Action, read_call
from optimizer.model import Model, mounts
from optimizer.model.copies import copy_facts
from optimizer.passes.base import Change, IgnoreFile, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import quote_names

# Folders and files that tools of a developer leave, which nothing else reads: the pattern, and what matches it in a path.
_LEFTOVERS = (
    ("**/__pycache__", re.compile(r"(.*/)?__pycache__/")),
    ("**/.pytest_cache", re.compile(r"(.*/)?\.pytest_cache/")),
    ("**/.mypy_cache", re.compile(r"(.*/)?\.mypy_cache/")),
    ("**/.ruff_cache", re.compile(r"(.*/)?\.ruff_cache/")),
    ("**/.hypothesis", re.compile(r"(.*/)?\.hypothesis/")),
    (".tox", re.compile(r"\.tox/")),
    (".nox", re.compile(r"\.nox/")),
    (".idea", re.compile(r"\.idea/")),
    (".vscode", re.compile(r"\.vscode/")),
    ("**/.DS_Store", re.compile(r"(.*/)?\.DS_Store$")),
    ("**/*.swp", re.compile(r".*\.swp$")),
    (".nyc_output", re.compile(r"\.nyc_output/")),
)
# What package managers and compilers write beside a manifest: the ecosystem, names or endings of the manifest, folders, program.
_WRITTEN = (
    ("dotnet", (".csproj", ".fsproj", ".vbproj"), ("bin", "obj"), "dotnet"),
    ("composer", ("composer.json",), ("vendor",), "composer"),
    ("bundler", ("Gemfile", "gems.rb"), ("vendor/bundle",), "bundle"),
)
_READS_GIT = re.compile(
    r"\bgit\b|setuptools[-_]scm|versioneer|hatch-vcs|\bpbr\b|buildvcs|dunamai|vcs\.revision|git-commit-id|GitVersion|MinVer|GitInfo"
)
_DOCKERFILE = re.compile(r"((Dockerfile|Containerfile)(\..+)?|.+\.(Dockerfile|Containerfile))$", re.I)
_VERSION_FILES = frozenset({
    "pyproject.toml", "setup.py", "setup.cfg", "package.json", "pom.xml", "build.gradle", "Makefile", "Cargo.toml", "build.rs",
})  # fmt: skip
_PROJECT_FILES = (".gemspec", ".csproj", ".fsproj", ".vbproj", ".props", ".targets")
_COMMANDS = frozenset({"RUN", "ONBUILD", "CMD", "ENTRYPOINT"})


class CompleteDockerignore(Pass):
    """Keep leftovers of a working folder out of the build.

    What it does
        Adds patterns to the ignore file of the build context, or makes one, for what the folder holds besides the project:
        ``.git``, virtual environments, ``node_modules``, Composer's ``vendor``, gems, ``bin`` and ``obj`` of .NET, bytecode, and the
        folders of editors and test tools. Only what is there is added.

    Why
        What ``COPY . .`` brings ships with the image and is sent to the builder every time; a change in it
        throws the cache away; a ``node_modules`` of the developer's machine lands over the one that the build made.

    When it refuses
        ``.git`` stays where a RUN uses git or the project reads its version from it. ``node_modules`` and virtual environments
        stay where the Dockerfile does not install packages itself, and everything stays that the Dockerfile names.

    Safety
        Safe: the patterns match leftovers of tools only, and what the Dockerfile names still reaches the builder.
    """

    name = "complete-dockerignore"
    alters = frozenset()
    examples = (
        Rewrites(
            "FROM node:20\nWORKDIR /app\nCOPY package.json ./\nRUN npm install && npm cache clean --force\nCOPY . .\n",
            "FROM node:20\nWORKDIR /app\nCOPY package.json ./\nRUN npm install && npm cache clean --force\nCOPY . .\n",
            files=(("package.json", "{}\n"), ("index.js", "\n"), ("node_modules/a/index.js", "\n")),
            ignore_file="**/node_modules\n",
        ),
        Keeps(
            "FROM node:20-slim\nWORKDIR /app\nCOPY . .\n",
            because="the image runs with the node_modules of the build context: nothing installs another",
            files=(("package.json", "{}\n"), ("index.js", "\n"), ("node_modules/a/index.js", "\n")),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        context = model.context
        if context is None or context.truncated:
            return
        broad = [p for p in model.file.positions if _is_broad(model, p)]
        if not broad:
            return
        others = [text for f in context.files() if _DOCKERFILE.match(posixpath.basename(f)) and (text := context.read_text(f)) is not None]
        others = [text for text in others if text != model.file.bom + model.file.text]
        found = [e for e in _leftovers(model, context) if not _named(model, e.path) and not any(_needs(text, e) for text in others)]
        if not found:
            return
        changed = _completed(context, found)
        kept = frozenset(context.with_patterns(changed.patterns, changed.path).files())
        hidden = [file for file in context.files() if file not in kept]
        if not hidden or any(not any(e.matches(f) for e in found) for f in hidden):
            return
        summary = f"{'complete' if changed.before is not None else 'write'} {changed.path}: {quote_names([e.pattern for e in found], 6)}"
        evidence = tuple(f"{e.path} reaches the builder ({sum(e.matches(f) for f in hidden)} files), and no step reads it" for e in found)
        yield Change(summary, model.file, (broad[0],), evidence, ignore_file=changed)


class _Leftover(Struct, frozen=True):
    """A pattern, the path that shows it is needed, and what it matches."""

    pattern: str
    path: str
    expression: re.Pattern[str]
    installs_python: bool = False
    program: str = ""

    def matches(self, file: str) -> bool:
        return self.expression.match(file) is not None


def _needs(dockerfile: str, leftover: _Leftover) -> bool:
    """Whether another Dockerfile of the same context may build with a leftover: it names it, or does not make its own."""
    name = leftover.path.rpartition("/")[2]
    if re.search(rf"^\s*(COPY|ADD)\b.*{re.escape(name)}", dockerfile, re.M | re.I):
        return True
    if name == "node_modules":
        return not re.search(r"\b(npm|yarn|pnpm|bun)\b", dockerfile)
    if name == ".git":
        return _READS_GIT.search(dockerfile) is not None
    if leftover.program:
        return leftover.program not in dockerfile
    return leftover.installs_python and not re.search(r"\b(pip3?|poetry|uv|pipenv)\b", dockerfile)


def _is_broad(model: Model, position: int) -> bool:
    facts = copy_facts(model, position)
    return facts is not None and "." in facts.sources


def _leftovers(model: Model, context: BuildContext) -> Iterator[_Leftover]:
    files = context.files()
    calls = [
        call
        for p in model.file.positions
        if (script := model.file.instruction(p).script) is not None and model.file.instruction(p).keyword == "RUN"
        for c in script.commands
        if (call := read_call(c)) is not None
    ]
    installed = {call.ecosystem for call in calls if call.action is Action.INSTALL}
    if any(f.startswith(".git/") for f in files) and not _reads_git(model, context):
        yield _Leftover(".git", ".git", re.compile(r"\.git/"))
    modules = next((f for f in files if re.match(r"(.*/)?node_modules/", f)), None)
    if modules is not None and installed & {"npm", "yarn", "pnpm", "bun"}:
        yield _Leftover("**/node_modules", modules[: modules.index("node_modules") + 12], re.compile(r"(.*/)?node_modules/"))
    if installed & {"pip", "poetry", "uv", "pipenv"}:
        for marker in (f for f in files if posixpath.basename(f) == "pyvenv.cfg"):
            folder = posixpath.dirname(marker)
            if folder and "/" not in folder:
                yield _Leftover(folder, folder, re.compile(re.escape(folder) + "/"), installs_python=True)
    fetched = {c.ecosystem for c in calls if c.action is Action.INSTALL or (c.action is Action.BUILD and "--no-restore" not in c.options)}
    for ecosystem, manifests, folders, program in _WRITTEN:
        if ecosystem in fetched:
            yield from _written(files, manifests, folders, program)
    for pattern, expression in _LEFTOVERS:
        shown = next((f for f in files if expression.match(f)), None)
        if shown is not None:
            name = pattern.removeprefix("**/")
            at = shown.find(name) if "*" not in name else -1
            yield _Leftover(pattern, shown[: at + len(name)] if at >= 0 else shown, expression)


def _written(files: tuple[str, ...], manifests: tuple[str, ...], folders: tuple[str, ...], program: str) -> Iterator[_Leftover]:
    """The folders that lie beside a manifest: by a pattern for all of them, where no other folder has their name."""
    endings = tuple(m for m in manifests if m.startswith("."))
    places = {posixpath.dirname(f) for f in files if posixpath.basename(f) in manifests or (endings and f.endswith(endings))}
    for name in folders:
        held = {f[: found.end() - 1] for f in files if (found := re.match(rf"(.*/)?{name}/", f)) is not None}
        beside = sorted(posixpath.join(place, name) for place in places)
        written = [path for path in beside if any(path == other for other in held)]
        if written and len(written) > 1 and held <= set(beside):
            yield _Leftover(f"**/{name}", written[0], re.compile(rf"(.*/)?{name}/"), program=program)
        else:
            for path in written:
                yield _Leftover(path, path, re.compile(re.escape(path) + "/"), program=program)


def _reads_git(model: Model, context: BuildContext) -> bool:
    runs = (model.file.instruction(p) for p in model.file.positions)
    if any(_READS_GIT.search(node.text.replace(".gitignore", "")) for node in runs if node.keyword in _COMMANDS):
        return True
    return any(_READS_GIT.search(context.read_text(f) or "") for f in context.files() if f in _VERSION_FILES or f.endswith(_PROJECT_FILES))


def _named(model: Model, path: str) -> bool:
    """Whether a COPY, ADD or mount of the Dockerfile names a path or something in it."""
    for position in model.file.positions:
        node = model.file.instruction(position)
        words = list(node.words[:-1]) if node.keyword in ("COPY", "ADD") and node.flag("from") is None else []
        words += [m.options.get("source") or m.options.get("src") or "" for m in mounts(node) if m.type == "bind"]
        if any(posixpath.normpath(w.lstrip("/") or ".").startswith(path) for w in words if w not in ("", ".")):
            return True
    return False


def _completed(context: BuildContext, found: list[_Leftover]) -> IgnoreFile:
    """The ignore file with the patterns behind what it has; a new one where there is none."""
    name = context.ignore_file or ".dockerignore"
    before = context.ignore_text
    newline = "\r\n" if before and "\r\n" in before else "\n"
    start = before or ""
    if start and not start.endswith("\n"):
        start += newline
    added = [entry.pattern for entry in found]
    return IgnoreFile(name, before, start + "".join(pattern + newline for pattern in added), (*context.patterns, *added))
