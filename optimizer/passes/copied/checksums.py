"""A comparison by sha256sum behind an ADD as a ``--checksum`` of it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from optimizer.model import Model, State
from optimizer.model.copies import is_remote
from optimizer.model.paths import within
from optimizer.passes.base import Change, Refusal
from optimizer.passes.copied.moved import with_copies
from optimizer.passes.copied.without import with_flag
from optimizer.passes.runs.keeps import command_keeps, run_keeps
from optimizer.passes.runs.readable import ReadableRun
from optimizer.syntax.shell import Command, Pipeline

_LINE = re.compile(r"\"?(?P<sum>[0-9a-fA-F]{64}|\$\{?\w+\}?)[ ]+[*]?(?P<file>[^\s\"']+)\"?")
_SAYS_NOTHING = frozenset({"-c", "--check", "-", "--status", "--quiet", "--strict", "-s", "-cs", "/dev/stdin"})


def while_added(model: Model, run: ReadableRun) -> Iterator[Change | Refusal]:
    """The first comparison of a RUN that an ADD above can make, or why it cannot."""
    if run.node.flags:
        return
    state = model.before(run.position)
    for at, pipeline in enumerate(run.script.chain or ()):
        if any(command.name in ("cd", "set") for command in run.script.commands if command.start < pipeline.start):
            return
        compared = _compared(state, pipeline)
        if compared is None:
            continue
        checksum, path = compared
        position = _added(model, run, path)
        if position is None:
            continue
        reason = _between(model, run, position, path, pipeline.start)
        same = not checksum.startswith("$") or model.before(position).expand(checksum) == state.expand(checksum) is not None
        file = with_copies(model.file, run, at, {position: with_flag(model.file.instruction(position), "checksum", f"sha256:{checksum}")})
        if reason is not None or not same or isinstance(file, str):
            why = reason or (file if isinstance(file, str) else "the ADD knows another value of the variable")
            yield Refusal(f"the checksum of {path} is not left to ADD: {why}", run.position)
            continue
        evidence = (f"the RUN compares the checksum of {path} with the same value",)
        yield Change("let ADD look at the checksum of what it downloads", file, (position, run.position), evidence)
        return


def _compared(state: State, pipeline: Pipeline) -> tuple[str, str] | None:
    """The checksum and the absolute path of the one file that ``echo "SUM  FILE" | sha256sum -c`` looks at."""
    if len(pipeline.commands) != 2 or pipeline.negated:
        return None
    says, looks = pipeline.commands
    if not isinstance(says, Command) or not isinstance(looks, Command) or says.redirects or looks.redirects or looks.assignments:
        return None
    if says.name != "echo" or len(says.words) != 2 or looks.name != "sha256sum":
        return None
    options = [word.text for word in looks.words[1:]]
    line = _LINE.fullmatch(says.words[1].text.replace("'", '"'))
    if line is None or not set(options) <= _SAYS_NOTHING or not {"-c", "--check", "-cs"} & set(options):
        return None
    path = state.path(line["file"])
    if path is None or (says.words[1].text.startswith("'") and "$" in says.words[1].text):
        return None
    return line["sum"] if line["sum"].startswith("$") else line["sum"].lower(), path


def _added(model: Model, run: ReadableRun, path: str) -> int | None:
    """The last ADD above that downloads one file to a path without looking at a checksum."""
    for position in reversed([p for p in run.stage.positions if p < run.position]):
        node = model.file.instruction(position)
        if node.keyword != "ADD" or len(node.words) != 2 or node.flag("checksum") is not None or not is_remote(node.words[0]):
            continue
        state = model.before(position)
        source, target = state.expand(node.words[0], node.escape), state.path(node.words[1], node.escape)
        if source is None or target is None or not source.startswith(("http://", "https://")) or re.search(r"\.git(#|$)|[?#]", source):
            continue
        into = node.words[1].endswith(("/", "/.")) or node.words[1] == "."
        if path == (posixpath.join(target, posixpath.basename(source)) if into else target):
            return position
    return None


def _between(model: Model, run: ReadableRun, position: int, path: str, end: int) -> str | None:
    """The reason why what a RUN looks at may be another file than the ADD put there. end: where the comparison begins."""
    state = model.before(run.position)
    for other in (p for p in run.stage.positions if position < p < run.position):
        node = model.file.instruction(other)
        target = model.before(other).path(node.words[-1], node.escape) if node.keyword in ("COPY", "ADD") and node.words else "/"
        copied = node.keyword in ("COPY", "ADD") and (target is None or within(path, target))
        if copied or node.keyword == "VOLUME" or (node.keyword == "RUN" and not run_keeps(model, other, path, None, deep=True)):
            return f"line {model.file.line(other)} may change it"
    if all(command_keeps(state, command, path, None, deep=True) for command in run.script.commands if command.start < end):
        return None
    return "the RUN may change it first"
