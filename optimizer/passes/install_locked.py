"""Install what the lock file says: ``npm ci`` in the place of ``npm install``."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from optimizer.ecosystems import Action, Call, read_call
from optimizer.model import Model, Stage
from optimizer.model.copied_files import CannotTell
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.reads import reads
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.syntax import Instruction

_INSTALL = frozenset({"install", "i", "isntall"})
# Options that ``npm ci`` does not take, or that make ``npm install`` do something else than install what is locked.
_OTHER = frozenset({
    "--no-package-lock", "--package-lock", "--package-lock-only", "--no-save", "--prefer-dedupe", "--before", "-g", "--global", "--dry-run",
    "--prefix", "-C", "--workspace", "-w", "--workspaces", "--install-links",
})  # fmt: skip
_OLD = frozenset({"0", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14"})
"""Versions of Node whose npm does not read the lock files of npm 7 and later as these do."""
_RELEASES = frozenset({"bullseye", "bookworm", "trixie", "jammy", "noble"})
"""Releases whose own npm is 7 or later."""


class InstallLocked(Pass):
    """Install exactly what the lock file says.

    What it does
        ``npm install`` becomes ``npm ci`` where package-lock.json lies beside package.json and agrees with it.

    Why
        ``npm install`` may change the lock file in the image when somebody forgets to commit it; ``npm ci`` stops the build
        instead, and is faster.

    When it refuses
        When the lock does not agree with package.json, or cannot be read: ``npm ci`` would stop. When packages have been
        installed into the folder before, which ``npm ci`` removes.

    Safety
        Safe: both install the versions of the lock.
    """

    name = "install-locked"
    alters = frozenset({Fact.RUNS})
    examples = (
        Rewrites(
            'FROM node:20\nWORKDIR /app\nCOPY package*.json ./\nRUN npm install\nCOPY . .\nCMD ["node", "server.js"]\n',
            'FROM node:20\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\nCMD ["node", "server.js"]\n',
            files=(
                ("package.json", '{"name": "app", "version": "1.0.0"}\n'),
                ("package-lock.json", '{"lockfileVersion": 3, "packages": {"": {"name": "app", "version": "1.0.0"}}}\n'),
                ("server.js", "console.log('hello');\n"),
            ),
        ),
        Keeps(
            'FROM node:20\nWORKDIR /app\nCOPY package.json ./\nRUN npm install\nCOPY . .\nCMD ["node", "server.js"]\n',
            because="there is no lock file",
            files=(("package.json", '{"name": "app"}\n'), ("server.js", "console.log('hello');\n")),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        if model.context is None:
            return
        for stage in model.stages:
            if not any("npm" in model.file.nodes[p].text for p in stage.positions) or not _has_modern_npm(model, stage):
                continue
            yield from _in_stage(model, stage)


def _in_stage(model: Model, stage: Stage) -> Iterator[Change | Refusal]:
    filled: set[str] = set()
    copies = stage_copies(model, stage)
    for position in stage.positions:
        node = model.file.instruction(position)
        before = [c for c in copies if c.position < position]
        for call in _calls(node) if "npm" in node.text else ():
            files = _files(model, position, call, before)
            root = _root(files)
            if root is None or call.packages:
                return  # what lies in which folder is not known any more
            if _is_plain(call) and root not in filled:
                yield from _to_ci(model, position, node, call, root, files)
            filled.add(root)


def _calls(node: Instruction) -> list[Call]:
    """The calls of npm in a RUN that install into a folder."""
    script = node.script if node.keyword == "RUN" else None
    if script is None or not script.understood:
        return []
    calls = [call for command in script.commands if (call := read_call(command)) is not None and call.ecosystem == "npm"]
    return [call for call in calls if call.action is Action.INSTALL and not call.options & {"-g", "--global"}]


def _is_plain(call: Call) -> bool:
    return call.verb is not None and call.verb.value in _INSTALL and not call.packages and call.complete and not call.options & _OTHER


def _has_modern_npm(model: Model, stage: Stage) -> bool:
    """Whether the npm of a stage is sure to be 7 or later."""
    image = (stage, *model.bases(stage))[-1].image
    if image is None or image.family != "node":
        return image is not None and image.release in _RELEASES
    return (image.version or "").partition(".")[0] not in _OLD


def _files(model: Model, position: int, call: Call, copies: Sequence[CopyFacts]) -> tuple[str, ...]:
    """The files of the context that an install reads; empty when that is not known."""
    try:
        return tuple(file for _, file in reads(model, position, copies, call.command.end).files)
    except CannotTell:
        return ()


def _root(files: tuple[str, ...]) -> str | None:
    """The folder of the package.json among files that an install reads, its workspace's root where there are several."""
    roots = [posixpath.dirname(f) or "." for f in files if posixpath.basename(f) == "package.json"]
    return min(roots, key=lambda one: 0 if one == "." else one.count("/") + 1, default=None)


def _to_ci(model: Model, position: int, node: Instruction, call: Call, root: str, files: tuple[str, ...]) -> Iterator[Change | Refusal]:
    from optimizer.context.javascript import lock_files, lock_suffices  # seldom needed

    assert model.context is not None
    assert call.verb is not None
    locks = [f for f in lock_files(model.context, root) if f.endswith(".json")]
    text = node.shell_text
    if not set(locks) & set(files) or text is None:
        return
    if not lock_suffices(model.context, root):
        yield Refusal(f"{locks[0]} may not agree with package.json, and then `npm ci` would stop", position)
        return
    new = node.edited((text.source(call.verb.start), text.source_end(call.verb.end), "ci"))
    file = model.file.replaced(position, position + 1, [new])
    yield Change("install with `npm ci`", file, (position,), (f"{locks[0]} agrees with package.json, so both install what it names",))
