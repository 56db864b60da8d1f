"""The programs that a command in a program's source starts. RUN and scripts have a shell parser of their own; these texts are
short, come with unknown parts, and are only asked which programs they name."""

from __future__ import annotations

import posixpath
import re
import shlex

from optimizer.context.places import HOLE
from optimizer.context.scopes import Value

_SHELL_WORDS = {
    "!", ".", ":", "[", "[[", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done", "echo", "elif", "else", "esac",
    "eval", "exec", "exit", "export", "false", "fi", "for", "function", "if", "printf", "pwd", "read", "return", "set", "shift", "source",
    "test", "then", "time", "trap", "true", "type", "ulimit", "umask", "unset", "until", "wait", "while", "{", "}",
}  # fmt: skip
_WRAPPERS = {"sudo", "env", "nohup", "nice", "exec", "command", "time", "xvfb-run", "stdbuf", "setsid"}


def shell_writes(text: str) -> tuple[str, ...]:
    """The path texts that the redirections of a shell command write to."""
    return tuple(re.findall(r"(?<![<>=&-])>{1,2}\s*([^\s;&|<>()'\"]+)", text))


def command_programs(value: Value) -> list[str] | None:
    """The programs that a list of words starts, or None when that is computed."""
    words = [value] if isinstance(value, str) else list(value) if isinstance(value, tuple) else []
    if value is None:
        return []
    if not words or not isinstance(words[0], str) or HOLE in words[0]:
        return None
    name = posixpath.basename(words[0])
    if name in ("sh", "bash", "dash", "ash") and len(words) > 2 and words[1] in ("-c", "-lc", "-ec"):
        inner = shell_programs(words[2]) if isinstance(words[2], str) else None
        return None if inner is None else [words[0], *inner]
    if name in _WRAPPERS and len(words) > 1:
        rest = tuple(w for w in words[1:] if not isinstance(w, str) or (not w.startswith("-") and not re.match(r"\w+=", w)))
        inner = command_programs(rest) if rest else []
        return None if inner is None else [words[0], *inner]
    return [words[0]]


def shell_programs(text: str) -> list[str] | None:
    """The programs a shell command starts, builtins left out; None when one of them is computed."""
    if re.search(r"`|\$\(", text):
        return None
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        tokens = list(lexer)
    except ValueError:
        return None
    programs: list[str] = []
    command: list[str] = []
    for token in [*tokens, ";"]:
        if token.strip(";&|()\n"):
            command.append(token)
            continue
        words = _words_of(command)
        command = []
        if words:
            names = command_programs(tuple(words))
            if names is None or any("$" in name for name in names):
                return None
            programs += [name for name in names if name not in _SHELL_WORDS]
    return programs


def _words_of(command: list[str]) -> list[str]:
    """The words of a simple command without redirections, assignments and the shell's own words in front."""
    words: list[str] = []
    skip = False
    for token in command:
        if skip:
            skip = False
        elif set(token) <= set("<>&"):
            skip = True
        else:
            words.append(token)
    while words and (re.match(r"\w+=", words[0]) or words[0] in ("if", "then", "else", "elif", "do", "while", "until", "!", "{")):
        words.pop(0)
    return words
