"""The program behind a command that runs a script of package.json, such as ``npm start``."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from msgspec import Struct

from optimizer.context.javascript import PackageJson, package_json
from optimizer.model.launch import MANAGERS, Argv
from optimizer.model.model import Model, Stage
from optimizer.model.paths import context_path
from optimizer.syntax.shell import Command, parse_script

_SAYS_LESS = frozenset({"-s", "--silent", "-q", "--quiet"})


class ScriptProgram(Struct, frozen=True):
    """The one program that a script starts.

    Args:
        package: The package.json.
        script: The name of its script.
        words: The program and its arguments.
        variables: Those that the script sets for it.
    """

    package: PackageJson
    script: str
    words: tuple[str, ...]
    variables: Mapping[str, str]


def runs_script(words: Argv) -> str | None:
    """The script of the package.json beside it that a command runs, None for any other command and one with arguments for the script."""
    program = (words[0] or "").rpartition("/")[2] if words else ""
    plain = [word for word in words[1:] if word not in _SAYS_LESS]
    if program not in MANAGERS - {"bun"} or None in plain:
        return None
    if len(plain) == 2 and plain[0] in ("run", "run-script"):
        return plain[1]
    return "start" if plain == ["start"] else None


def script_program(model: Model, stage: Stage, words: Argv) -> ScriptProgram | str | None:
    """The program behind a command that runs a script of package.json where that is one plain program.

    Returns:
        Why there is no such program for a script that is more, None for a command that runs no script.
    """
    name = runs_script(words)
    folder = model.behind(stage).workdir
    if name is None or model.context is None or folder is None:
        return None
    manifest = context_path(model, stage, posixpath.join(folder, "package.json"))
    package = package_json(model.context, posixpath.dirname(manifest) or ".") if manifest is not None else None
    if package is None or name not in package.scripts:
        return f"there is no package.json with a script {name} in the build context"
    if f"pre{name}" in package.scripts or f"post{name}" in package.scripts:
        return f"the script {name} has another one before or behind it"
    script = parse_script(package.scripts[name])
    chain = script.chain if script.understood else None
    (command,) = script.commands if len(script.commands) == 1 else (None,)
    if chain is None or len(chain) != 1 or chain[0].negated or not isinstance(command, Command) or chain[0].commands != (command,):
        return f"the script {name} is more than one command"
    values = tuple(word.value for word in command.words if word.value is not None and not word.glob and not word.text.startswith("~"))
    variables = {key: word.value if word is not None else "" for key, word in command.assignments}
    known = {key: value for key, value in variables.items() if value is not None and "~" not in value}
    if command.redirects or len(values) < len(command.words) or len(known) < len(variables) or script.commented or not values:
        return f"the script {name} needs a shell"
    values = values[1:] if values[0] == "exec" else values
    while values[:1] in (("cross-env",), ("env",)):
        values = values[1:]
        while values and "=" in values[0] and not values[0].startswith("-"):
            key, _, value = values[0].partition("=")
            known[key], values = value, values[1:]
    return ScriptProgram(package, name, values, known) if values and not values[0].startswith("-") else f"the script {name} needs a shell"
