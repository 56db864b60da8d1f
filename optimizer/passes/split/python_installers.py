"""Poetry and uv by their own installers, which are downloaded and handed to an interpreter.

Sources: python-poetry.org/docs/#installing-with-the-official-installer, docs.astral.sh/uv/getting-started/installation.
"""

from __future__ import annotations

import re

from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command

_INSTALLERS = re.compile(r"https?://(install\.python-poetry\.org|astral\.sh/uv/([\d.]+/)?install\.sh)/?$")
_FETCHES = frozenset({"curl", "wget"})
_RUNS = frozenset({"python", "python3", "sh", "bash"})
# What such steps do besides: they put the manager on PATH, and set it up.
_BESIDE = frozenset({"ln", "cd", "chmod", "mv", "poetry", "uv", "mkdir"})
_ON_PATH = re.compile(r"[\"']?(/root|\$HOME|\$\{HOME\}|~)/\.(local|cargo)/bin/?:(\$PATH|\$\{PATH\})[\"']?$")


def runs_installer(node: Instruction) -> bool:
    """Whether a RUN installs a manager by its installer, and does nothing else that the program could need."""
    if not re.search(r"install\.python-poetry\.org|astral\.sh/uv", node.text) or node.heredocs:
        return False
    script = node.script
    if script is None or not script.understood:
        return False
    found = False
    for statement in script.statements:
        if set(statement.operators) - {"&&"} or statement.terminator == "&":
            return False
        for pipeline in statement.pipelines:
            commands = [command for command in pipeline.commands if isinstance(command, Command)]
            if len(commands) != len(pipeline.commands) or pipeline.negated or any(command.redirects for command in commands):
                return False
            if len(commands) == 2:
                first, second = commands
                urls = [word.value for word in first.words if word.value is not None and _INSTALLERS.match(word.value)]
                if first.name not in _FETCHES or len(urls) != 1 or second.name not in _RUNS:
                    return False
                found = True
            elif len(commands) != 1 or commands[0].name not in _BESIDE or "install" in [w.value for w in commands[0].words[1:2]]:
                return False
    return found


def puts_on_path(node: Instruction) -> bool:
    """Whether an ENV does nothing but put the folder on PATH that an installer fills."""
    return (
        node.keyword == "ENV"
        and len(node.pairs) == 1
        and node.pairs[0].name == "PATH"
        and _ON_PATH.match(node.pairs[0].value or "") is not None
    )
