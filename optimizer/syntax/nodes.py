"""The nodes of a Dockerfile, each of which owns its bytes.

Everything (keyword, flags, words, heredocs, shell commands) is read off a node's own text, lazily, and points back
into it by offset, so a rewrite is: make a new node out of edited text, put it into a new tuple.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from optimizer.syntax.heredocs import Heredoc, Marker, find_markers, is_marker, read_heredocs
from optimizer.syntax.joined import SPACES, JoinedText, join_lines, line_end
from optimizer.syntax.words import split_words, unquote

if TYPE_CHECKING:
    from json import JSONDecoder

    from optimizer.syntax.shell import Script

_BLANKS = re.compile(r"[\t\v\f\r ]+")  # reWhitespace in BuildKit's parser.go
_SPACE = re.compile(f"[{SPACES}]+")
_KEYWORD = re.compile(r"[^\t\v\f\r ]*")
_HEREDOC_KEYWORDS = frozenset({"RUN", "COPY", "ADD"})
_LISTS = frozenset({"FROM", "EXPOSE", "COPY", "ADD", "VOLUME"})
_STRINGS = frozenset({"MAINTAINER", "STOPSIGNAL", "USER", "WORKDIR"})


class Comment(Struct, frozen=True):
    """A line whose first visible character is ``#``, with its line end."""

    text: str


class Blank(Struct, frozen=True):
    """A line of white space, with its line end."""

    text: str


class Directive(Struct, frozen=True):
    """A parser directive (``# syntax=``, ``# escape=``, ``# check=``), with its line end."""

    text: str
    name: str
    value: str


class Flag(Struct, frozen=True):
    """A builder flag such as ``--from=build``: name, value (None where there is no ``=``) and offsets in the node."""

    name: str
    value: str | None
    start: int
    end: int


class Argument(Struct, frozen=True):
    """One word of an instruction, as written (quotes kept), with its offsets in the node's text."""

    text: str
    start: int
    end: int


class Pair(Struct, frozen=True):
    """One name and value of ENV, LABEL or ARG. ``value`` is as written, None for an ARG without a default."""

    name: str
    value: str | None
    legacy: bool = False


class Instruction(Struct, frozen=True, dict=True):
    """One instruction with everything that belongs to it: continuation lines, comments and blanks between them, heredocs.

    Args:
        text: Its whole source text, line ends included.
        escape: The escape character in force, a backslash or a backtick.
    """

    text: str
    escape: str = "\\"

    @cached_property
    def _joined(self) -> tuple[JoinedText, int]:
        return join_lines(self.text, 0, self.escape)

    @property
    def joined(self) -> JoinedText:
        """The instruction as BuildKit reads it, on one line, without heredoc bodies."""
        return self._joined[0]

    @property
    def head_end(self) -> int:
        """Offset behind the instruction's own lines, where heredoc bodies begin."""
        return self._joined[1]

    @cached_property
    def _split(self) -> tuple[str, tuple[Flag, ...], int, int]:
        """Keyword as written, flags, and where the rest begins and ends in the joined text."""
        joined = self.joined
        text = joined.text
        end = len(text.rstrip(SPACES))
        begin = end - len(text[:end].lstrip(SPACES))
        word = _KEYWORD.match(text, begin, end)
        assert word is not None  # it matches nothing, too
        flags, start = _read_flags(joined, _past(_BLANKS, text, word.end(), end), end, self.escape)
        return word[0], flags, start, end

    @cached_property
    def keyword(self) -> str:
        """The instruction's name in capitals."""
        return self._split[0].upper()

    @property
    def keyword_text(self) -> str:
        """The instruction's name as written."""
        return self._split[0]

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Builder flags in order."""
        return self._split[1]

    def flag(self, name: str) -> str | None:
        """The value of the last flag of that name, None when there is none or it has no value."""
        return next((f.value for f in reversed(self.flags) if f.name == name), None)

    @cached_property
    def rest(self) -> JoinedText:
        """What follows keyword and flags, trimmed, on one line."""
        _, _, start, end = self._split
        return self.joined.slice(start, end)

    @property
    def value(self) -> str:
        """The text of ``rest``."""
        return self.rest.text

    @cached_property
    def command_text(self) -> JoinedText:
        """``rest``; for HEALTHCHECK what follows its type (``CMD`` or ``NONE``)."""
        rest = self.rest
        if self.keyword != "HEALTHCHECK":
            return rest
        kind = next((i for i, c in enumerate(rest.text) if c in SPACES), len(rest.text))
        return rest.slice(len(rest.text) - len(rest.text[kind:].lstrip(SPACES)), len(rest.text))

    @cached_property
    def json(self) -> tuple[str, ...] | None:
        """The words of the exec (JSON) form, None in shell form.

        What stands behind the closing bracket is ignored, as BuildKit does up to 0.14; later versions take such a
        line for shell form.
        """
        found = read_json(self.command_text.text)
        words = tuple(item for item in found or () if isinstance(item, str))
        return words if found is not None and len(words) == len(found) else None

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """The words behind the flags, as written, split as BuildKit splits them.

        FROM, EXPOSE, COPY, ADD and VOLUME are split at blanks whatever the quotes; USER, WORKDIR, STOPSIGNAL and
        MAINTAINER have one argument, HEALTHCHECK its type and its command; all others are split at white space
        outside quotes.
        """
        rest = self.rest
        if not rest.text:
            return ()
        if self.keyword in _STRINGS:
            return (Argument(rest.text, rest.source(0), rest.source_end(len(rest.text))),)
        if self.keyword == "HEALTHCHECK":
            command = self.command_text.text
            words = [rest.text[: len(rest.text) - len(command)].rstrip(SPACES), *([command] if command else [])]
        elif self.keyword in _LISTS:
            words = _BLANKS.split(rest.text)
        else:
            words = split_words(rest.text, self.escape)
        found, position = [], 0
        for word in words:
            at = rest.text.index(word, position)
            position = at + len(word)
            found.append(Argument(word, rest.source(at), rest.source_end(position)))
        return tuple(found)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The arguments with quotes taken off (the items of the JSON form, where it is used); variables stay."""
        if self.json is not None:
            return self.json
        return tuple(self.unquote(argument.text) for argument in self.arguments)

    def unquote(self, word: str) -> str:
        """``word`` without its quotes and escapes; ``$VAR`` stays as it is. Unbalanced quotes: as written."""
        return unquote(word, self.escape)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Names and values of ENV, LABEL and ARG, values as written."""
        words = [a.text for a in self.arguments] if self.keyword in ("ENV", "LABEL", "ARG") else []
        if not words:
            return ()
        if self.keyword == "ARG":
            return tuple(Pair(name, value if sign else None) for name, sign, value in (w.partition("=") for w in words))
        if "=" not in words[0]:
            name, *value = _BLANKS.split(self.value, maxsplit=1)
            return (Pair(name, value[0], legacy=True),) if value else ()
        return tuple(Pair(name, value) for name, _, value in (w.partition("=") for w in words))

    @cached_property
    def onbuild(self) -> Instruction | None:
        """The instruction that ONBUILD registers, as a node of its own; its offsets count from its own text."""
        if self.keyword != "ONBUILD" or not self.value:
            return None
        return Instruction(self.text[self.rest.source(0) :], self.escape)

    @cached_property
    def markers(self) -> tuple[Marker, ...]:
        """The heredoc markers on the instruction's line."""
        if "<<" not in self.joined.text:
            return ()
        inner = self.onbuild if self.keyword == "ONBUILD" else self
        if inner is None or inner.keyword not in _HEREDOC_KEYWORDS or inner.json is not None:
            return ()
        return find_markers(self.joined.text)

    @cached_property
    def _heredocs(self) -> tuple[tuple[Heredoc, ...], int, bool]:
        """Heredocs, the offset behind the last one, and whether each was terminated."""
        return read_heredocs(self.text, self.head_end, self.markers)

    @property
    def heredocs(self) -> tuple[Heredoc, ...]:
        """The heredocs whose bodies follow the instruction, in order."""
        return self._heredocs[0]

    @property
    def end(self) -> int:
        """Offset behind the last heredoc's delimiter, or behind the instruction's lines when it has none."""
        return self._heredocs[1]

    @property
    def terminated(self) -> bool:
        """False when a heredoc's delimiter never comes."""
        return self._heredocs[2]

    @cached_property
    def shell_text(self) -> JoinedText | None:
        """The text that the shell runs, None in exec form: the body of a lone heredoc, else the line and its heredocs."""
        if self.json is not None or not self.value:
            return None
        if not self.heredocs:
            return self.command_text
        if len(self.heredocs) == 1 and is_marker(self.value):
            return self._body(self.heredocs[0])
        tail = self.text[self.head_end :]
        rest = self.rest
        return JoinedText(rest.text + "\n" + tail, (*rest.pieces, (len(rest.text) + 1, self.head_end)))

    def _body(self, heredoc: Heredoc) -> JoinedText:
        if not heredoc.chomp:
            return JoinedText(self.text[heredoc.start : heredoc.end], ((0, heredoc.start),))
        parts, pieces, length, position = [], [], 0, heredoc.start
        while position < heredoc.end:
            end = line_end(self.text, position)
            line = self.text[position:end].lstrip("\t")
            parts.append(line)
            pieces.append((length, end - len(line)))
            length += len(line)
            position = end
        return JoinedText("".join(parts), tuple(pieces) or ((0, heredoc.start),))

    @cached_property
    def script(self) -> Script | None:
        """The shell commands of RUN, CMD, ENTRYPOINT or HEALTHCHECK in shell form, None in exec form."""
        from optimizer.syntax.shell import parse_script

        return None if self.shell_text is None else parse_script(self.shell_text.text)

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What BuildKit would reject in this instruction, in its own words."""
        from optimizer.syntax.problems import instruction_problems

        return tuple(instruction_problems(self))

    def edited(self, *edits: tuple[int, int, str]) -> Instruction:
        """This instruction with parts of its text replaced.

        Args:
            edits: Triples (start, end, new text), offsets into ``text``, not overlapping.
        """
        text = self.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        return Instruction(text, self.escape)


Node = Comment | Blank | Directive | Instruction


def _past(blanks: re.Pattern[str], text: str, start: int, end: int) -> int:
    match = blanks.match(text, start, end)
    return match.end() if match else start


def _read_flags(joined: JoinedText, start: int, end: int, escape: str) -> tuple[tuple[Flag, ...], int]:
    """The flags at ``start`` and where the rest begins. Source: ``extractBuilderFlags`` in BuildKit's split_command.go."""
    text = joined.text
    flags: list[Flag] = []
    while text.startswith("--", start, end):
        stop, value = _read_flag(text, start, end, escape)
        after = _past(_SPACE, text, stop, end)
        if value == "--":  # ends the flags, unless nothing follows
            return tuple(flags), after
        name, sign, rest = value[2:].partition("=")
        flags.append(Flag(name, rest if sign else None, joined.source(start), joined.source_end(stop)))
        start = after
    return tuple(flags), start


def _read_flag(text: str, start: int, end: int, escape: str) -> tuple[int, str]:
    """The end of the word at ``start`` and what it says with quotes and escapes taken off (in single quotes, too)."""
    out: list[str] = []
    quote, position = "", start
    while position < end:
        character = text[position]
        if character == escape:
            position += 1
            out.append(text[position : min(position + 1, end)])
        elif quote:
            if character == quote:
                quote = ""
            else:
                out.append(character)
        elif character in "'\"":
            quote = character
        elif character in SPACES:
            break
        else:
            out.append(character)
        position += 1
    return min(position, end), "".join(out)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


@cache
def _json() -> JSONDecoder:
    from json import JSONDecoder

    return JSONDecoder(parse_constant=_no_constant)


def read_json(text: str) -> list[object] | None:
    """The JSON array that a text begins with, None when it does not begin with one."""
    if not text.startswith("["):
        return None
    try:
        found, _ = _json().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None
