"""What BuildKit rejects, in its own words, with line and column.

Source of rules and messages: BuildKit's frontend/dockerfile: parser/parser.go, instructions/parse.go, instructions/bflag.go
and dockerfile2llb/convert.go. BuildKit stops at the first; here each instruction is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.syntax.heredocs import is_marker
from optimizer.syntax.joined import SPACES
from optimizer.syntax.nodes import Comment, Directive, Flag, Instruction, read_json
from optimizer.syntax.suggestion import suggest
from optimizer.syntax.tree import Dockerfile, Problem
from optimizer.syntax.words import fields

INSTRUCTIONS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
    "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip

FLAGS: dict[str, frozenset[str]] = {
    "ADD": frozenset({"chown", "chmod", "link", "keep-git-dir", "checksum", "unpack", "exclude", "parents"}),
    "COPY": frozenset({"from", "chown", "chmod", "link", "parents", "exclude"}),
    "FROM": frozenset({"platform"}),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period", "start-interval", "retries"}),
    "RUN": frozenset({"mount", "network", "security", "device"}),
}
_BOOLEAN = frozenset({"link", "keep-git-dir", "unpack", "parents"})
_REPEATABLE = frozenset({"exclude", "mount", "device"})
_FLAGS_UNREAD = frozenset({"ARG", "STOPSIGNAL"})  # BuildKit drops their flags without a look
_MOUNT_TYPES = ("bind", "cache", "secret", "ssh", "tmpfs")
_MOUNT_KEYS = (
    "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid", "src", "dst",
    "destination", "ro", "rw", "readwrite", "env",
)  # fmt: skip
_SHARING = ("locked", "private", "shared")
_NETWORKS = ("default", "host", "none")
_SECURITIES = ("insecure", "sandbox")
_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=\s*\S", re.I)
_EXEC_FORM = frozenset({"RUN", "CMD", "ENTRYPOINT", "SHELL", "HEALTHCHECK", "COPY", "ADD", "VOLUME"})
_ONE = frozenset({"MAINTAINER", "STOPSIGNAL", "USER", "WORKDIR"})
_SOME = frozenset({"ARG", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "SHELL", "VOLUME"})


def find_problems(file: Dockerfile) -> tuple[Problem, ...]:
    """Every problem of a Dockerfile, in order of lines."""
    found: list[Problem] = []
    in_stage = False
    leading = True  # whether nothing but directives stands above
    for position, node in enumerate(file.nodes):
        messages: tuple[str, ...] = ()
        if isinstance(node, Instruction):
            messages = node.problems
            if not messages and node.keyword == "FROM":
                in_stage = True
            elif not messages and not in_stage and node.keyword != "ARG":
                messages = ("no build stage in current context",)
        elif isinstance(node, Directive):
            if node.name == "escape" and node.value not in ("\\", "`"):
                messages = (f"invalid escape token '{node.value}' does not match ` or \\",)
        elif leading and isinstance(node, Comment):
            messages = _repeated_directive(node)
        leading = leading and isinstance(node, Directive)
        if messages:
            column = len(node.text) - len(node.text.lstrip(SPACES)) + 1 if isinstance(node, Instruction) else 1
            found.extend(Problem(file.line(position), column, message) for message in messages)
    if not file.nodes:
        found.append(Problem(1, 1, "the Dockerfile cannot be empty"))
    elif not file.positions:
        found.append(Problem(1, 1, "file with no instructions"))
    elif not in_stage and not found:
        found.append(Problem(1, 1, "dockerfile contains no stages to build"))
    return tuple(found)


def _repeated_directive(node: Comment) -> tuple[str, ...]:
    """A directive that stands directly behind the directives is a comment to the parser only because it is repeated."""
    match = _DIRECTIVE.match(node.text.lstrip(SPACES))
    return (f"only one {match[1].lower()} parser directive can be used",) if match else ()


def instruction_problems(node: Instruction) -> Iterator[str]:
    """What is wrong with one instruction by itself; at most the first thing of each kind."""
    keyword = node.keyword
    if keyword not in INSTRUCTIONS:
        yield f"unknown instruction: {node.keyword_text}" + suggest(node.keyword_text, INSTRUCTIONS)
        return
    parse_error = next(_parse_errors(node), None)
    if parse_error is not None:
        yield parse_error
        return
    yield from _argument_problems(node)
    if keyword not in _FLAGS_UNREAD and not (keyword == "HEALTHCHECK" and node.value.upper() == "NONE"):
        yield from _flag_problems(keyword, node.flags)


def _parse_errors(node: Instruction) -> Iterator[str]:
    """What BuildKit's parser rejects before it looks at the meaning; for ONBUILD, in the trigger, too."""
    keyword = node.keyword
    if keyword == "ONBUILD":
        if node.onbuild is not None:
            yield from _parse_errors(node.onbuild)
    elif keyword in ("ENV", "LABEL"):
        if node.value and not node.pairs:
            yield f"{keyword} must have two arguments"
        elif node.pairs and not node.pairs[0].legacy:
            bad = next((a.text for a in node.arguments if "=" not in a.text), None)
            if bad is not None:
                yield f"Syntax error - can't find = in {_quoted(bad)}. Must be of the form: name=value"
    elif keyword in _EXEC_FORM and any(not isinstance(item, str) for item in read_json(node.command_text.text) or ()):
        yield "when using JSON array syntax, arrays must be comprised of strings only"
    if not node.terminated:
        yield "unterminated heredoc"


def _argument_problems(node: Instruction) -> Iterator[str]:
    keyword = node.keyword
    words = () if keyword in ("RUN", "CMD", "ENTRYPOINT") else node.words  # a shell's text is not split for nothing
    if keyword in _ONE and not node.value:
        yield f"{keyword} requires exactly one argument"
    elif keyword in _SOME and (not node.value or (node.json == () and keyword != "HEALTHCHECK")):
        yield f"{keyword} requires at least one argument"
    elif keyword == "FROM":
        if len(words) == 3 and words[1].lower() == "as":
            if not _STAGE_NAME.fullmatch(words[2].lower()):
                yield f"invalid name for build stage: {_quoted(words[2])}, name can't start with a number or contain symbols"
        elif len(words) != 1:
            yield "FROM requires either one or three arguments"
    elif keyword in ("COPY", "ADD"):
        if len(words) < 2:
            yield f"{keyword} requires at least two arguments, but only one was provided. Destination could not be determined"
        elif is_marker(node.arguments[-1].text if node.json is None else words[-1]):
            yield f"{keyword} cannot accept a heredoc as a destination"
    elif keyword in ("ENV", "LABEL", "ARG"):
        if any(not pair.name for pair in node.pairs):
            yield f"{keyword} names can not be blank"
    elif keyword == "SHELL":
        if node.json is None:
            yield "SHELL requires the arguments to be in JSON form"
    elif keyword == "VOLUME":
        if not all(word.strip(SPACES) for word in words):
            yield "VOLUME specified can not be an empty string"
    elif keyword == "ONBUILD":
        yield from _onbuild_problems(node.onbuild)
    elif keyword == "HEALTHCHECK":
        yield from _healthcheck_problems(node)


def _onbuild_problems(trigger: Instruction | None) -> Iterator[str]:
    """The trigger itself is only read when an image is built on top of this one."""
    keyword = trigger.keyword if trigger else ""
    if keyword == "ONBUILD":
        yield "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"
    elif keyword in ("FROM", "MAINTAINER"):
        yield f"{keyword} isn't allowed as an ONBUILD trigger"


def _healthcheck_problems(node: Instruction) -> Iterator[str]:
    kind = node.value.split(maxsplit=1)[0].upper()
    if kind == "NONE":
        if node.command_text.text:
            yield "HEALTHCHECK NONE takes no arguments"
    elif kind != "CMD":
        yield f"Unknown type {_quoted(kind)} in HEALTHCHECK (try CMD)"
    elif not (node.command_text.text if node.json is None else node.json):
        yield "Missing command after HEALTHCHECK CMD"
    retries = node.flag("retries") or "0"
    if re.fullmatch(r"[+-]?\d+", retries) is None:
        yield f"strconv.ParseInt: parsing {_quoted(retries)}: invalid syntax"
    elif int(retries) < 0:
        yield f"--retries cannot be negative ({int(retries)})"


def _flag_problems(keyword: str, flags: tuple[Flag, ...]) -> Iterator[str]:
    known = FLAGS.get(keyword, frozenset())
    seen: set[str] = set()
    for flag in flags:
        name, value = f"--{flag.name}", flag.value
        if flag.name not in known:
            yield f"unknown flag: {name}" + suggest(flag.name, sorted(known), case_sensitive=True)
            return
        if flag.name in seen and flag.name not in _REPEATABLE:
            yield f"duplicate flag specified: {name}"
            return
        seen.add(flag.name)
        if flag.name in _BOOLEAN:
            if value == "":
                yield f"missing a value on flag: {name}"
            elif value is not None and value.lower() not in ("true", "false"):
                yield f"expecting boolean value for flag {name}, not: {value}"
        elif value is None:
            yield f"missing a value on flag: {name}"
        elif flag.name == "mount":
            yield from _mount_problems(value)
        elif (flag.name == "network" and value not in _NETWORKS) or (flag.name == "security" and value not in _SECURITIES):
            yield f"invalid {flag.name} mode {_quoted(value)}"


def _mount_problems(value: str) -> Iterator[str]:
    """Keys, types and sharing of one ``--mount``; values with variables are left to the build."""
    for field in fields(value):
        name, sign, given = field.partition("=")
        key = name.lower()
        if not sign:
            if key not in ("readonly", "ro", "readwrite", "rw", "required"):
                yield f"invalid field '{field}' must be a key=value pair"
        elif key not in _MOUNT_KEYS:
            yield f"unexpected key '{key}' in '{field}'" + suggest(key, _MOUNT_KEYS, case_sensitive=True)
        elif key == "from" and "$" in given[:-1]:
            yield f"'{key}' doesn't support variable expansion, define alias stage instead"
        elif "$" in given:
            continue
        elif key == "type" and given.lower() not in _MOUNT_TYPES:
            yield f"unsupported mount type {_quoted(given)}" + suggest(given, _MOUNT_TYPES, case_sensitive=True)
        elif key == "sharing" and given.lower() not in _SHARING:
            yield f"unsupported sharing value {_quoted(given)}" + suggest(given, _SHARING, case_sensitive=True)
        elif key in ("uid", "gid") and not given.isdecimal():
            yield f"invalid value {given} for {key}"
        elif key == "mode" and re.fullmatch("[0-7]+", given) is None:
            yield f"invalid value {given} for mode"


def _quoted(text: str) -> str:
    """As Go's ``%q`` writes a text of printable characters."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
