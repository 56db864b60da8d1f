"""A RUN that fills apk's cache and empties it, as one that never fills it."""

from __future__ import annotations

import re

from optimizer.ecosystems import Action, Call, ecosystem
from optimizer.model import Model, mounts
from optimizer.passes.caches.options import lacks_option, option_unknown, with_option, without_updates
from optimizer.passes.runs.purposes import calls_of
from optimizer.passes.runs.readable import ReadableRun
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command, Pipeline, Word, parse_script

_FILLS = re.compile(r"\bapk\b(?![^&|;\n]*--no-cache)[^&|;\n]*\b(?:add|update|upgrade|fix)\b|(?<!-)-U\b|--update-cache")


def without_emptying(model: Model, run: ReadableRun, folder: str) -> Instruction | str | None:
    """The RUN with ``--no-cache`` and without what empties the folder; a reason where that is not the same, None without any."""
    chain = run.script.chain
    cuts = [(i, word) for i, pipeline in enumerate(chain or ()) if (word := _empties(pipeline, folder)) is not None]
    calls = [call for call in calls_of(run.text.text) if call is not None and call.ecosystem == "apk"]
    if chain is None or len(cuts) != 1 or run.node.heredocs:
        return "its commands are no plain list of &&" if calls and folder in run.text.text else None
    at, word = cuts[0]
    filling = [call for call in calls if call.action in (Action.INSTALL, Action.UPDATE)]
    if not any(map(lacks_option, filling)):
        return None
    if reason := _reason(model, run, calls, chain[at].start):
        return reason
    cache = ecosystem("apk").caches[0]
    if unknown := option_unknown(model, run.stage, run.position, cache, "apk"):
        return unknown
    node = _cut(run, chain, at, word)
    if node is None or node.script is None:
        return "a comment stands beside what empties it"
    left = tuple(c for c in calls_of(node.script.text) if c is not None and c.ecosystem == "apk" and c.action in cache.filled_by)
    if any(call.action is Action.UPDATE for call in left):
        return without_updates(node, node.script, cache, left) or "more may read the index"
    return with_option(node, cache, left)


def _reason(model: Model, run: ReadableRun, calls: list[Call], end: int) -> str | None:
    """Why the RUN needs the cache, or empties more than its own."""
    if any(call.action in (Action.OTHER, Action.CLEAN) for call in calls):
        return "another command reads the index"
    if any(call.command.start > end for call in calls):
        return "apk is called behind what empties it"
    if any(mount.type == "cache" for mount in mounts(run.node)):
        return "it may be a mount"
    if any(_FILLS.search(model.file.instruction(p).text) for p in run.stage.positions if p < run.position):
        return "an earlier step may have filled it"
    if run.stage.base is not None and "apk" in "".join(model.file.instruction(p).text for p in model.stages[run.stage.base].positions):
        return "the stage below may have filled it"
    return None


def _empties(pipeline: Pipeline, folder: str) -> Word | None:
    """The word of an ``rm`` that empties the folder."""
    only = pipeline.commands[0]
    if len(pipeline.commands) > 1 or not isinstance(only, Command) or only.name != "rm" or only.redirects or pipeline.negated:
        return None
    return next((word for word in only.words[1:] if word.text in (f"{folder}/*", folder + "/")), None)


def _cut(run: ReadableRun, chain: tuple[Pipeline, ...], at: int, word: Word) -> Instruction | None:
    """The RUN without a word of an ``rm``, or without the ``rm`` where it has no other."""
    command = chain[at].commands[0]
    assert isinstance(command, Command)
    text = run.text
    if sum(not w.text.startswith("-") for w in command.words[1:]) > 1:
        before = command.words[command.words.index(word) - 1]
        start, end = text.source_end(before.end), text.source_end(word.end)
    elif at:
        start, end = text.source_end(chain[at - 1].end), text.source_end(chain[at].end)
    else:
        return None
    if "#" in run.node.text[start:end]:
        return None
    found = run.node.edited((start, end, ""))
    return found if found.shell_text is not None and parse_script(found.shell_text.text).understood else None
