"""Options that keep a package manager from filling its cache, and versions too old to know them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from optimizer.ecosystems import Action, Cache, Call, read_call
from optimizer.model import Model, Stage
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command, Script

_SILENT = frozenset({"-q", "--quiet", "-v", "--verbose", "--no-cache"})
_UPDATING = frozenset({"--update", "-U", "--update-cache"})
# Debian before 9 and Ubuntu before 15.04 have pip 1.5 and older; `--no-cache-dir` came with pip 6.0 (pip's NEWS, 2014-12-22).
_OLD_RELEASES = frozenset({"squeeze", "wheezy", "jessie", "lucid", "precise", "quantal", "raring", "saucy", "trusty", "utopic"})
_OLD_TAG = re.compile(
    rf"\b({'|'.join(sorted(_OLD_RELEASES))})\b|(?:^|/)(?:\w+-)?(?:ubuntu|ubuntu-upstart):1[0-4]\.\d\d|(?:^|/)debian:[678](?:\.\d+)?(?:-|$)"
)
_BRINGS_PIP = re.compile(r"python|pypy|conda|jupyter")
_NEWER_PIP = re.compile(
    r"get-pip|ensurepip|conda|pyenv|easy_install[\w.-]*\s+(?:-\S+\s+)*pip\b|pip[\d.]*\s+install\s[^&|;]*(?:-U|--upgrade)\b[^&|;]*\bpip\b"
    r"|pip[\d.]*\s+install\s[^&|;]*\bpip(?:\s+(?:-U|--upgrade)\b|[=>]=)"
)
# apk knows `--no-cache` since Alpine 3.3 (its release notes).
_OLD_ALPINE = re.compile(r"alpine[\w/-]*:v?(?:2\.\d+|3\.[0-2])(?:\.\d+)?$")


def option_unknown(model: Model, stage: Stage, position: int, cache: Cache, name: str) -> str | None:
    """Why the manager in a stage is too old for its cache's option, None where nothing says so.

    Args:
        model, stage: Where the call stands.
        position: Index of the RUN with the call.
        cache: The cache and its option.
        name: The ecosystem's name.
    """
    root = stage
    while root.base is not None:
        root = model.stages[root.base]
    reference = (root.reference or "").lower()
    if name == "apk":
        return f"{root.reference} has an apk that does not know {cache.option}" if _OLD_ALPINE.search(reference) else None
    if name != "pip":
        return None
    known = root.image
    family = known.family if known is not None else reference
    old = (known is not None and known.release in _OLD_RELEASES) or _OLD_TAG.search(reference) is not None
    if not old or _BRINGS_PIP.search(family):
        return None
    above = (model.file.instruction(p).value for s in model.stages for p in s.positions if s.index <= stage.index and p < position)
    if any(_NEWER_PIP.search(text) for text in above):
        return None
    return f"the pip of {root.reference} is older than 6.0 and does not know {cache.option}"


def lacks_option(call: Call) -> bool:
    """Whether a call has no option that keeps its manager from filling its cache."""
    return not any(option.startswith("--no-cache") for option in call.options)


def with_option(node: Instruction, cache: Cache, calls: Sequence[Call]) -> Instruction | None:
    """The option put behind the verb of every call that lacks it; None when none does."""
    edits = _option_edits(node, cache, calls)
    return node.edited(*edits) if edits else None


def _option_edits(node: Instruction, cache: Cache, calls: Sequence[Call]) -> list[tuple[int, int, str]]:
    text = node.shell_text
    wanting = [c for c in calls if c.verb is not None and lacks_option(c)]
    edits: list[tuple[int, int, str]] = []
    if text is None:
        return edits
    for call in wanting:
        assert call.verb is not None
        plain = [w for w in call.command.words if call.ecosystem == "apk" and w.value in _UPDATING]
        if plain:  # --no-cache fetches the index by itself
            edits.append((text.source(plain[0].start), text.source_end(plain[0].end), cache.option))
        else:
            at = text.source_end(call.verb.end)
            edits.append((at, at, f" {cache.option}"))
    return edits


def without_updates(node: Instruction, script: Script, cache: Cache, calls: Sequence[Call]) -> Instruction | None:
    """The RUN without ``apk update``, whose index ``apk add --no-cache`` fetches by itself; None where more may read the index."""
    text = node.shell_text
    updates = [call.command for call in calls if call.action is Action.UPDATE]
    every = [call for command in script.commands if (call := read_call(command)) is not None and call.ecosystem == "apk"]
    if text is None or any(c.action is Action.OTHER or (c.action is Action.UPDATE and c.options - _SILENT) for c in every):
        return None
    if not any(c.action is Action.INSTALL and c.command.start > updates[-1].start for c in every):
        return None
    if any((c.words[0].value or "./").startswith("./") or c.name in ("sh", "bash", ".", "source") for c in script.commands if c.words):
        return None
    cuts: list[tuple[int, int, str]] = []
    for update in updates:
        end = _next_start(script, update)
        if end is None:
            return None
        begin, stop = text.source(update.start), text.source(end)
        if "#" in node.text[begin:stop]:
            return None
        cuts.append((begin, stop, ""))
    return node.edited(*cuts, *_option_edits(node, cache, [c for c in calls if c.action is not Action.UPDATE]))


def _next_start(script: Script, update: Command) -> int | None:
    """Where what follows a command begins, when nothing changes if the command is left out; None elsewhere."""
    for statement, following in zip(script.statements, (*script.statements[1:], None), strict=True):
        for i, pipeline in enumerate(statement.pipelines):
            if pipeline.commands != (update,) or pipeline.negated:
                continue
            if i + 1 < len(statement.pipelines):
                around = (statement.operators[i], statement.operators[i - 1] if i else "&&")
                return statement.pipelines[i + 1].start if around == ("&&", "&&") else None
            if i == 0 and following is not None and statement.terminator in (";", "\n"):
                return following.start
    return None
