"""Sort lists of packages that stand one on a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.ecosystems import SYSTEM, Action, Call
from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.purposes import calls_of
from optimizer.passes.runs.readable import ReadableRun, readable_runs
from optimizer.syntax.shell import Command, Word

_VERBS = frozenset({"install", "add", "in"})
_NAME = re.compile(r"[A-Za-z0-9][\w.+:@/=~<>-]*$")
_FEWEST = 3


class SortPackages(Pass):
    """Sort lists of packages that stand one on a line.

    What it does
        Puts the packages of ``apt-get install``, ``apk add``, ``dnf``, ``yum`` and ``zypper install`` in alphabetical order
        where each stands on a line of its own, and drops one that is named twice.

    Why
        A sorted list is easy to search, duplicates show, and changes to it do not conflict.

    When it refuses
        When comments or empty lines divide the list, when a name holds a variable or a pattern, when options stand among the
        packages, and for apt's ``name-`` and ``name+``, which remove and install. A list in any usual alphabetical
        order is left alone.

    Safety
        Safe: the managers take all names before they decide what to install.
    """

    name = "sort-packages"
    alters = frozenset({Fact.RUNS})
    examples = (
        Rewrites(
            "FROM debian:bookworm\nRUN apt-get install -y \\\n    git \\\n    curl \\\n    make\n",
            "FROM debian:bookworm\nRUN apt-get install -y \\\n    curl \\\n    git \\\n    make\n",
        ),
        Keeps("FROM debian:bookworm\nRUN apt-get install -y git curl make\n", because="the list is on one line"),
        Keeps(
            "FROM debian:bookworm\nRUN apt-get install -y \\\n    # to build\n    make \\\n    gcc \\\n    curl\n",
            because="comments divide the list",
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, " install", " add", " in "):
            if run.node.heredocs or run.node.text.count("\n") <= _FEWEST:
                continue
            for command, call in zip(run.script.commands, calls_of(run.text.text), strict=True):
                if call is None or call.ecosystem not in SYSTEM or call.action is not Action.INSTALL or call.verb is None:
                    continue
                if call.verb.text not in _VERBS:
                    continue
                words = _list(run, command, call)
                if len(words) < _FEWEST or _sorted([w.text for w in words]):
                    continue
                reason = _reason(run, words)
                if reason:
                    yield Refusal(f"packages are not sorted: {reason}", run.position)
                    continue
                file = model.file.replaced(run.position, run.position + 1, [run.node.edited(*_edits(run, words))])
                yield Change("sort the list of packages", file, (run.position,), ("the order of names has no meaning here",))


def _list(run: ReadableRun, command: Command, call: Call) -> list[Word]:
    """The words behind the verb's options when each of them begins a line and is a package, else none."""
    assert call.verb is not None
    words = [w for w in command.words if w.start > call.verb.end]
    while words and words[0].text.startswith("-"):
        words = words[1:]
    while words and words[-1].text.startswith("-"):
        words = words[:-1]
    if all(w.value is not None for w in words) and sum(not w.text.startswith("-") for w in words) > len(call.packages):
        return []  # one is the value of an option
    return words if all(_begins_line(run, word) for word in words) else []


def _begins_line(run: ReadableRun, word: Word) -> bool:
    start = run.text.source(word.start)
    line = run.node.text.rfind("\n", 0, start) + 1
    return line > 0 and not run.node.text[line:start].strip()


def _sorted(names: list[str]) -> bool:
    """Whether names are in order already: by bytes, without case, or without punctuation as in most languages' locales."""
    orders = (names, [n.lower() for n in names], [re.sub(r"[^a-z0-9]", "", n.lower()) for n in names])
    return len(set(names)) == len(names) and any(order == sorted(order) for order in orders)


def _reason(run: ReadableRun, words: list[Word]) -> str | None:
    first, last = run.text.source(words[0].start), run.text.source_end(words[-1].end)
    above = run.node.text[:first].rstrip(" \t").rstrip("\r\n")
    lines = run.node.text[first:last].splitlines()
    if any(not line.strip() or line.lstrip().startswith("#") for line in lines) or above.rpartition("\n")[2].lstrip().startswith("#"):
        return "comments or empty lines divide the list"
    if len(lines) != len(words):
        return "it is not one on a line"
    if any(w.glob or w.value is None or not _NAME.match(w.text) for w in words):
        return "a name holds a variable, a pattern or an option"
    if any(w.text.endswith("-") or (w.text.endswith("+") and not w.text.endswith("++")) for w in words):
        return "a sign behind a name says whether it is installed or removed"
    return None


def _edits(run: ReadableRun, words: list[Word]) -> list[tuple[int, int, str]]:
    """Each place filled with the name that belongs there; what is left over at the end is cut."""
    names = sorted({w.text for w in words})
    spans = [(run.text.source(w.start), run.text.source_end(w.end)) for w in words]
    pads = [re.match(r"[ \t]*", run.node.text[end:]) for _, end in spans]
    widths = {end - start + len(pad[0]) for (start, end), pad in zip(spans[:-1], pads[:-1], strict=True) if pad}
    aligned = len(widths) == 1 and len({len(pad[0]) for pad in pads[:-1] if pad}) > 1
    edits: list[tuple[int, int, str]] = []
    for (start, end), name, pad in zip(spans, names, pads, strict=False):
        if aligned and (start, end) != spans[-1] and pad:
            width = next(iter(widths))
            edits.append((start, end + len(pad[0]), name.ljust(width - 1) + " "))
        else:
            edits.append((start, end, name))
    if len(names) < len(words):
        start, end, name = edits.pop()
        edits.append((start, spans[-1][1], name.rstrip()))
    return edits
