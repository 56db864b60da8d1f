"""The manual page ``dopt(1)``, out of the commands and their options."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import click

from optimizer import __version__

RELEASED = "2026-11-28"
"""The day of this version, for the page's foot."""
_DESCRIPTION = (
    "dopt reads a Dockerfile and its build context and rewrites it into what an expert would have written for the same project: "
    "fewer layers, empty package caches, stages for building and running, a USER. The image keeps its meaning. "
    "Each rewrite is told with its evidence; what evidence does not carry is refused, with the reason."
)
_EXIT_STATUS = (
    ("0", "Nothing went wrong; for check: nothing would change; for verify: it is proved."),
    ("1", "For check: something would change. For verify: it is not proved. For all: interrupted."),
    ("2", "A file could not be done (the others are), the command line makes no sense, or (verify) nothing can be said."),
)
_FILES = (
    ("dopt.toml, pyproject.toml", "Settings, in [tool.dopt] of pyproject.toml; the nearest file at or above a Dockerfile holds."),
    (".hadolint.yaml", "Rules that are switched off there are neither mended nor told."),
    (".dockerignore", "What of the build context the builder sees."),
)
_ENVIRONMENT = (
    ("NO_COLOR, FORCE_COLOR", "Whether output is coloured, unless --color says."),
    ("GITHUB_WORKSPACE", "Where the repository lies from which --output github counts paths."),
    ("DOCKER_HOST", "The engine that builds for verify and fix --verify, as docker reads it."),
)
_EXAMPLES = (
    ("dopt fix --diff", "Show every change below this folder."),
    ("dopt check --since origin/main", "Exit with 1 if anything would change in what this branch has changed."),
    ("dopt fix --stdin-filename api/Dockerfile - < buffer", "Rewrite a text as if it lay there."),
    ("dopt fix --verify --smoke ./smoke.sh", "Keep only the rewrites that building and testing proves."),
)


def manual(command: click.Group) -> str:
    """The page in the language of ``man(7)``."""
    name = "dopt"
    lines = [
        f'.TH {name.upper()} 1 "{RELEASED}" "{name} {__version__}" "User Commands"',
        ".SH NAME",
        f"{name} \\- {_escaped(_summary(command)[:1].lower() + _summary(command)[1:])}",
        ".SH SYNOPSIS",
        f".B {name}",
        "\\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...",
        ".SH DESCRIPTION",
        *_filled(_DESCRIPTION),
        ".SH COMMANDS",
    ]
    for each in command.commands.values():
        lines += _command(name, each)
    for title, pairs in (("EXIT STATUS", _EXIT_STATUS), ("FILES", _FILES), ("ENVIRONMENT", _ENVIRONMENT), ("EXAMPLES", _EXAMPLES)):
        lines.append(f".SH {title}")
        for term, text in pairs:
            lines += [".TP", f"\\fB{_escaped(term)}\\fR", *_filled(text)]
    return "\n".join(lines) + "\n"


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=command.name)
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    usage = " ".join(parameter.metavar or str(parameter.name).upper() for parameter in arguments)
    yield f'.SS "{_escaped(f"{name} {command.name} {usage}".strip())}"'
    paragraphs = re.split(r"\n\s*\n", (command.help or "").strip())
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        yield from _filled(paragraph)
    for option in command.params:
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None:
            yield ".TP"
            yield f"\\fB{_escaped(record[0])}\\fR"
            yield from _filled(record[1])


def _summary(command: click.Command) -> str:
    return (command.help or "").strip().partition("\n")[0].rstrip(".")


def _filled(text: str) -> list[str]:
    """Text in lines short enough for those who read the source."""
    return [_escaped(line) for line in textwrap.wrap(" ".join(text.split()), 70, break_long_words=False, break_on_hyphens=False)]


def _escaped(text: str) -> str:
    """Text that roff shows as it is, and in which what people copy keeps its hyphens."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain
