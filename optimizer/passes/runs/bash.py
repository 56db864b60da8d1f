"""What bash takes otherwise than the ``/bin/sh`` of Debian and its kin."""

from __future__ import annotations

import re

from optimizer.model import State
from optimizer.syntax.shell import Command, Script, Word

_RARE_ESCAPE = re.compile(r"\\[^\\ntr\"%]|%[^sdiuxXcof%]")  # of printf: what not every shell knows
_SETS = re.compile(
    r"\$(?:[0_-]|\{[0_-]\})"
    r"|\$\{?(?:RANDOM|UID|EUID|HOSTNAME|HOSTTYPE|MACHTYPE|OSTYPE|SECONDS|LINENO|PIPESTATUS|GROUPS|SHELLOPTS|SHELL|SHLVL|BASH\w*)\b"
)
_UNKNOWN_TO_SH = frozenset({"[[", "source", "let", "declare", "typeset", "shopt", "((", "mapfile", "readarray", "enable", "builtin"})
_SAY_OTHERWISE = frozenset({"type", "time", "hash", "ulimit", "times", "help"})
_SPECIAL = frozenset({":", ".", "eval", "exec", "export", "readonly", "set", "shift", "times", "trap", "unset"})
_BRACES = re.compile(r"(?<!\$)\{[^}\s]*(?:,|\.\.)[^}\s]*\}|\$'|\$\"|\$\[")
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")
# Commands whose output holds no backslash.
_PLAIN = re.compile(r"\$\(\s*(?:nproc|uname|dpkg|lsb_release|basename|dirname|date|id|hostname|pwd|getconf|arch|rpm)\b[^()`]*\)")


def other_in_bash(script: Script, state: State) -> str | None:
    """The first thing in a script that bash takes otherwise than sh, None when there is none.

    Args:
        script: What the shell is given.
        state: What is in force before it: the values of ENV and ARG.
    """
    if named := _SETS.search(script.text):
        return f"bash sets `{named[0].strip('${}')}`, which sh sets otherwise or not at all"
    if _BRACES.search(_QUOTED.sub("''", script.text)):
        return "bash expands braces, which sh takes as they are"
    if re.search(r"\bset\s+-\w*e", script.text) and any(len(w.substitutions) > 1 for c in script.commands for w in c.words):
        return "`set -e` reaches into the substitutions of sh, and not into those of bash"
    backslashes = "\\" in script.text or any("\\" in (value or "") for value in (*state.env.values(), *state.args.values()))
    return next((reason for command in script.commands if (reason := _other(command, backslashes)) is not None), None)


def _other(command: Command, backslashes: bool) -> str | None:
    """What of a command bash takes otherwise. backslashes: whether a variable may hold one."""
    name, words = command.name, command.words
    if not words:
        return None
    if name in _UNKNOWN_TO_SH or (name in ("[", "test") and any(re.search(r"==|=~|^-v$", word.text) for word in words)):
        return f"sh does not know `{words[0].text}` as it is written here, and may go on without it"
    if name in _SAY_OTHERWISE or (name in ("env", "printenv", "export", "set", "trap", "umask") and _lists(words)):
        return f"`{name}` says something else in bash"
    if command.assignments and name in _SPECIAL:
        return f"a variable set in front of `{name}` stays set in sh, and not in bash"
    texts = [word.text for word in words[1:]]
    escaped = any("\\" in text or _holds_data(text, backslashes) or re.match(r"[\"']?-\w*[eE]", text) for text in texts)
    if (name in ("echo", "read") and escaped) or (name == "printf" and any(map(_RARE_ESCAPE.search, texts))):
        return f"bash writes other characters than sh for a backslash in `{name}`"
    if any(redirect.operator.startswith("&") for redirect in command.redirects):
        return "bash reads &> otherwise"
    if any(re.match(r"[A-Za-z_]\w*=(?:\S*:)?~", text) for text in texts):
        return "bash expands ~ behind an equals sign, and sh does not"
    if name in ("export", "local", "readonly") and any("$" in w.text and '"' not in w.text for w in words[1:]):
        return f"sh splits what `{name}` sets at blanks, and bash does not"
    return None


def _lists(words: tuple[Word, ...]) -> bool:
    """Whether a command is given nothing but options, and so lists what the shell has set."""
    return all(word.text.startswith("-") for word in words[1:])


def _holds_data(text: str, backslashes: bool) -> bool:
    """Whether a word may hold a backslash that nobody sees in it: a variable's, or a command's output."""
    rest = _PLAIN.sub("", text)
    return ("$" in rest and backslashes) or "$(" in rest or "`" in rest
