"""Quote what a command prints where it is one word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.readable import ReadableRun, readable_runs
from optimizer.syntax.shell import Word


class QuoteSubstitutions(Pass):
    """Quote what a command prints where it is one word.

    What it does
        Writes ``-j"$(nproc)"`` for ``-j$(nproc)``, and likewise for other commands that print a number, a name or a
        release: ``uname -r``, ``getconf _NPROCESSORS_ONLN``, ``dpkg --print-architecture``, ``lsb_release -cs``, ``id -u``.
        Backquotes become ``$( )``.

    Why
        The shell splits what stands without quotes at blanks and looks for files with it. With quotes a reader need not ask
        whether that may happen.

    When it refuses
        It leaves alone commands whose output may be several words, on purpose or not, and words that are quoted in part.

    Safety
        Safe: one word is one word with quotes, too.
    """

    name = "quote-substitutions"
    alters = frozenset({Fact.RUNS})
    mends = ("SC2046",)
    examples = (
        Rewrites("FROM debian:bookworm\nRUN make -j$(nproc)\n", 'FROM debian:bookworm\nRUN make -j"$(nproc)"\n'),
        Rewrites(
            "FROM debian:bookworm\nRUN ls /lib/modules/`uname -r`\n",
            'FROM debian:bookworm\nRUN ls "/lib/modules/$(uname -r)"\n',
        ),
        Keeps("FROM debian:bookworm\nRUN apt-get install -y $(cat packages)\n", because="each word is a package"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "$(", "`"):
            if model.file.escape == "`":
                return
            if "IFS" in run.text.text:
                continue  # what the shell splits at is not what it usually is
            words = [
                word
                for command, enclosing in run.script.walk()
                for word in command.words[1:]
                if word.substitutions and "$(" not in enclosing
            ]
            edits = [edit for word in words if (edit := _quoted(model, run, word)) is not None]
            new = run.node.edited(*edits)
            if edits and new.json is None:  # `[ "$(nproc)" ]` would be exec form
                file = model.file.replaced(run.position, run.position + 1, [new])
                evidence = ("each prints one word",)
                yield Change("quote what a command prints", file, (run.position,), evidence)


@cache
def _one_word() -> re.Pattern[str]:
    commands = (
        r"nproc(?:\s+--all)?|getconf\s+_?NPROCESSORS_ONLN|uname\s+-[smrn]|dpkg\s+--print-architecture|lsb_release\s+-(?:cs|sc|rs|sr|c\s+-s|s\s+-c)"
        r"|id\s+-[ugn]{1,2}|whoami|arch|grep\s+-c\s+\^?\w+\s+/proc/cpuinfo"
    )
    return re.compile(rf"\$\(\s*({commands})\s*\)|`\s*({commands})\s*`")


def _quoted(model: Model, run: ReadableRun, word: Word) -> tuple[int, int, str] | None:
    """The edit that quotes a word, None where it may stand for several or for none, or is quoted in part."""
    rest = _one_word().sub("", word.text)
    if rest == word.text or re.search(r"[\"'`\\*?\[{~]|\$\(", rest):
        return None
    start, end = run.text.source(word.start), run.text.source_end(word.end)
    if run.node.text[start:end] != word.text:
        return None  # it is continued on another line
    test = re.search(r"\s", rest) is not None  # all that stands between the brackets of `[`
    if (test or not rest) and not all(_prints(model, run, found[1] or found[2]) for found in _one_word().finditer(word.text)):
        return None
    if word.text.startswith("-") or "$" in rest or test:  # what stands beside it stays as it is
        new = _one_word().sub(lambda found: f'"$({found[1] or found[2]})"', word.text)
    else:
        new = '"' + _one_word().sub(lambda found: f"$({found[1] or found[2]})", word.text) + '"'
    return start, end, new


def _prints(model: Model, run: ReadableRun, command: str) -> bool:
    """Whether a command is sure to be there and to print something: without quotes, nothing is no word, with quotes an empty one."""
    program, image = command.split()[0], run.stage.image
    if program == "lsb_release":
        return "lsb-release" in model.file.text
    if program in ("dpkg", "getconf"):
        return image is not None and (image.package_manager == "apt" or (program == "getconf" and image.package_manager is not None))
    user = model.before(run.position).user
    return program != "whoami" or (user is not None and not user.partition(":")[0].isdigit())
