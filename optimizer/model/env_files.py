"""The variables that files of the build context set for a program of Node when it starts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from optimizer.context.javascript import PackageJson
from optimizer.context.places import HOLE
from optimizer.model.launch import ENV_FILE_OPTIONS, Argv
from optimizer.model.model import Model, Stage
from optimizer.model.paths import context_path, image_path
from optimizer.model.started import Start

_READERS = frozenset({"dotenv", "dotenv-cli", "dotenv-flow", "dotenv-safe", "dotenv-expand", "@nestjs/config"})
"""Packages that read the file ``.env`` of the working directory."""


def variables_of_files(model: Model, stage: Stage, start: Start, package: PackageJson | None) -> dict[str, str]:
    """The variables that files set: ``.env`` where something reads it, and those that commands name. `HOLE` stands for computed ones."""
    reads = False
    packages = {*package.dependencies, *package.dev_dependencies} if package is not None else set[str]()
    found: dict[str, str] = {}
    for command in start.commands:
        named = list(_named(command.name or "", command.words[1:]))
        if packages & _READERS or command.name == "bun":
            named.append(".env")
            reads = True
        for name in dict.fromkeys(named):
            path = context_path(model, stage, posixpath.join(command.folder or "/", name))
            text = model.context.read_text(path) if path is not None and model.context is not None else None
            found = {**dict(_variables(text or "")), **found}
    for file in _others(model, stage, package) if reads else ():
        text = model.context.read_text(file) if model.context is not None else None
        found = {**{name: HOLE for name, _ in _variables(text or "")}, **found}
    return found


def _others(model: Model, stage: Stage, package: PackageJson | None) -> list[str]:
    """Further files of variables in the image, which the source may name; examples of them left out."""
    context, top = model.context, package.folder if package is not None else "."
    files = [f for f in context.files() if re.match(r"\.env(\.|$)", posixpath.basename(f))] if context is not None else []
    examples = re.compile(r"example|sample|template|dist|defaults?$|test")
    own = posixpath.normpath(posixpath.join(top, ".env"))
    return [f for f in files if f != own and not examples.search(posixpath.basename(f)) and image_path(model, stage, f)]


def _named(program: str, words: Argv) -> Iterable[str]:
    """The files that the options of a command name."""
    for index, word in enumerate(words):
        name, sign, value = (word or "").partition("=")
        if name in ENV_FILE_OPTIONS.get(program, ()):
            following = words[index + 1] if index + 1 < len(words) else None
            yield value if sign else following or ""


def _variables(text: str) -> Iterable[tuple[str, str]]:
    """Names and values; a value with a variable in it is not followed."""
    for name, value in re.findall(r"""^[ \t]*(?:export[ \t]+)?([\w.]+)[ \t]*=[ \t]*("[^"]*"|'[^']*'|[^\r\n#]*)""", text, re.MULTILINE):
        plain = value.strip()
        plain = plain[1:-1] if plain[:1] in "\"'" and len(plain) > 1 else plain
        yield name, HOLE if "$" in plain else plain
