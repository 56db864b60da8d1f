"""The program behind a command that runs a script of package.json, such as ``npm start``."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from msgspec import Struct

from optimizer.context.javascript import PackageJson, package_json
from optimizer.context.workspaces import scripts_run
from optimizer.model.launch import MANAGERS, Argv
from optimizer.model.model import Model, Stage
from optimizer.model.paths import context_path
from optimizer.syntax.shell import Command, parse_script

_SAYS_LESS = frozenset({"-s", "--silent", "-q", "--quiet"})
_MEMBER = frozenset({"-w", "--workspace", "-F", "--filter"})
_DEPTH = 3  # of scripts that run scripts


class ScriptProgram(Struct, frozen=True):
    """The one program that a script starts.

    Args:
        package: The package.json.
        script: The name of its script.
        words: The program and its arguments.
        variables: Those that the script sets for it.
        folder: The folder of the image that it runs in: that of the package.
    """

    package: PackageJson
    script: str
    words: tuple[str, ...]
    variables: Mapping[str, str]
    folder: str


def runs_script(words: Argv) -> str | None:
    """The script of the package.json beside it that a command runs, None for any other command and one with arguments for the script."""
    program = (words[0] or "").rpartition("/")[2] if words else ""
    plain = [word for word in words[1:] if word not in _SAYS_LESS]
    if program not in MANAGERS - {"bun"} or None in plain:
        return None
    if len(plain) == 2 and plain[0] in ("run", "run-script"):
        return plain[1]
    return "start" if plain == ["start"] else None


def runs_member_script(words: Argv) -> bool:
    """Whether a command runs a script of one member of a workspace and gives it no arguments."""
    program = (words[0] or "").rpartition("/")[2] if words else ""
    rest = [word for word in words[1:] if word is not None and word not in _SAYS_LESS]
    if program not in MANAGERS - {"bun"} or None in words:
        return False
    selectors = [i for i, word in enumerate(rest) if word.partition("=")[0] in _MEMBER]
    if len(selectors) == 1 and program in ("npm", "pnpm"):
        (at,) = selectors
        del rest[at : at + (1 if "=" in rest[at] else 2)]
    elif program in ("yarn", "yarnpkg") and rest[:1] == ["workspace"] and not selectors:
        del rest[:2]
    else:
        return False
    named = rest[1:] if rest[:1] in (["run"], ["run-script"]) else rest if rest == ["start"] or program != "npm" else []
    return len(named) == 1 and not named[0].startswith("-")


def script_program(model: Model, stage: Stage, words: Argv) -> ScriptProgram | str | None:
    """The program behind a command that runs a script of package.json where that is one plain program.

    Returns:
        Why there is no such program for a script that is more, None for a command that runs no script.
    """
    folder = model.behind(stage).workdir
    return _followed(model, stage, words, folder, 0) if folder is not None and model.context is not None else None


def _followed(model: Model, stage: Stage, words: Argv, folder: str, depth: int) -> ScriptProgram | str | None:
    assert model.context is not None
    name = runs_script(words)
    member = name is None and runs_member_script(words)
    if name is None and not member:
        return None
    manifest = context_path(model, stage, posixpath.join(folder, "package.json"))
    top = posixpath.dirname(manifest or "") or "."
    package = package_json(model.context, top) if manifest is not None else None
    if member:
        found = scripts_run(model.context, top, [word or "" for word in words]) if package is not None else None
        if found is None or len(found) != 1:
            return "which member of the workspace it starts is not known"
        package, name = found[0]
        folder = posixpath.normpath(posixpath.join(folder, posixpath.relpath(package.folder, top)))
    if package is None or name is None or name not in package.scripts:
        return f"there is no package.json with a script {name} in the build context"
    if f"pre{name}" in package.scripts or f"post{name}" in package.scripts:
        return f"the script {name} has another one before or behind it"
    found_words = _plain_program(package.scripts[name])
    if found_words is None:
        return f"the script {name} is more than one command, or needs a shell"
    values, known = found_words
    inner = _followed(model, stage, values, folder, depth + 1) if depth < _DEPTH else "scripts run scripts"
    if isinstance(inner, ScriptProgram):
        return ScriptProgram(inner.package, inner.script, inner.words, {**known, **inner.variables}, inner.folder)
    return inner if inner is not None else ScriptProgram(package, name, values, known, folder)


def _plain_program(text: str) -> tuple[tuple[str, ...], dict[str, str]] | None:
    """The words of a script that is one plain program, and the variables that it sets for it; None for one that is more."""
    script = parse_script(text)
    chain = script.chain if script.understood else None
    (command,) = script.commands if len(script.commands) == 1 else (None,)
    if chain is None or len(chain) != 1 or chain[0].negated or not isinstance(command, Command) or chain[0].commands != (command,):
        return None
    values = tuple(word.value for word in command.words if word.value is not None and not word.glob and not word.text.startswith("~"))
    variables = {key: word.value if word is not None else "" for key, word in command.assignments}
    known = {key: value for key, value in variables.items() if value is not None and "~" not in value}
    if command.redirects or len(values) < len(command.words) or len(known) < len(variables) or script.commented or not values:
        return None
    values = values[1:] if values[0] == "exec" else values
    while values[:1] in (("cross-env",), ("env",)):
        values = values[1:]
        while values and "=" in values[0] and not values[0].startswith("-"):
            key, _, value = values[0].partition("=")
            known[key], values = value, values[1:]
    return (values, known) if values and not values[0].startswith("-") else None
