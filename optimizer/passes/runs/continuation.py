"""How a RUN that is broken over lines is written, so that new commands in it look like those beside them."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from optimizer.passes.text import Style, line_end_of, on_one_line
from optimizer.syntax import Dockerfile, Instruction
from optimizer.syntax.shell import Script

_CONTINUED = re.compile(r"[ \t]*[\\`][ \t]*\r?$")
_OPENS = re.compile(r"^[ \t]*run(?:[ \t]+--\S+)*$", re.I)


def run_style(file: Dockerfile, *nodes: Instruction) -> Style:
    """The style for commands joined with ``&&`` to a RUN.

    Args:
        file: The Dockerfile, whose other RUN instructions are asked when ``nodes`` do not tell.
        nodes: The instructions that are joined or added to, in order.

    Returns:
        Indent and place of ``&&`` of the lines on which commands of the nodes begin; else those of the first RUN of the file that
        has such lines; else one step of the indent that the nodes' other continued lines have, or four blanks.
    """
    for node in nodes:
        found = _commands_style(node)
        if found is not None:
            return found
    others = (file.instruction(p) for p in file.positions)
    known = next((s for node in others if node.keyword == "RUN" and (s := _commands_style(node)) is not None), None)
    indents = [indent for node in nodes for indent in _indents(node)]
    if indents:
        step = "\t" if indents[0].startswith("\t") else min(*indents, "    ", key=len)
        return Style(step, known is not None and known.trailing_and)
    return known or Style()


def with_command_behind(file: Dockerfile, node: Instruction, script: Script, command: str) -> Instruction | str:
    """A RUN without heredocs with one more command, which runs where all before it went well and whose failure ends the RUN.

    Args:
        file: The Dockerfile, for the style.
        node: The RUN.
        script: Its shell text.
        command: The command.

    Returns:
        The RUN, or the reason why nothing can be put behind its last command.
    """
    text = node.shell_text
    if text is None:
        return "the RUN is in exec form"
    last = script.statements[-1]
    if last.terminator == "&":
        return "the RUN ends in a background command"
    if script.commented:
        return "the RUN holds a shell comment"
    if "||" in last.operators:
        return "the RUN ends in `||`, behind which a command would hide or undo a failure"
    if any(c.name in ("exit", "exec", "return") for c in script.commands):
        return "the RUN may end before its last command"
    style, newline = run_style(file, node), line_end_of(file, node)
    end = text.source_end(last.end)
    if style.trailing_and and "&&" in last.operators:
        return node.edited((end, end, f" && {node.escape}{newline}{style.indent}{command}"))
    return node.edited((end, end, f" {node.escape}{newline}{style.indent}&& {command}"))


def _lines(node: Instruction) -> list[str]:
    """The lines of a RUN without comments and blank ones; empty for one with a heredoc."""
    if node.heredocs or on_one_line(node):
        return []
    return [line for line in node.text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _indents(node: Instruction) -> list[str]:
    return [line[: len(line) - len(line.lstrip())] for line in _lines(node)[1:] if line.strip()[:1].isalnum()]


def _commands_style(node: Instruction) -> Style | None:
    """Indent and place of ``&&`` that most continued lines on which a command begins have, None when there is none."""
    found: Counter[str] = Counter()
    leading = trailing = 0
    lines = _lines(node)
    for above, line in pairwise(lines):
        end = _CONTINUED.sub("", above).rstrip()
        begin = line.lstrip()
        if begin.startswith("&&"):
            leading += 1
        elif end.endswith("&&"):
            trailing += 1
        elif not (end.endswith(";") or _OPENS.match(end)):
            continue
        indent = line[: len(line) - len(begin)]
        if indent:
            found[indent] += 1
    if not leading and not trailing:
        return None
    return Style(found.most_common(1)[0][0] if found else "    ", trailing > leading)
