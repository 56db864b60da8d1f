"""Hand secrets to the RUN that needs them instead of writing them into the image's history."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.ecosystems import Action, read_call
from optimizer.knowledge.secrets import names_secret
from optimizer.model import Model, Stage, mounts
from optimizer.passes.base import Change, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.runs.readable import ReadableRun, readable_runs
from optimizer.syntax import Comment

# Files of package managers that put in values of variables by themselves, and who reads them.
# Sources: npm's "npmrc", Yarn's "Settings (.yarnrc.yml)".
_READ_BY = {".npmrc": ("npm", "pnpm", "yarn"), ".yarnrc.yml": ("yarn",)}


class MountSecrets(Pass):
    """Hand secrets to the RUN that needs them instead of writing them into the image's history.

    What it does
        Takes out an ARG whose name says that it holds a secret, and gives the variable to each RUN that uses it, by
        ``--mount=type=secret,id=NAME,env=NAME``. It runs only on request: ``--also mount-secrets --unsafe``.

    Why
        Build arguments stand in the image's history: whoever has the image reads them with ``docker history``.

    When it refuses
        Where the variable has a default, is used by another instruction than RUN, is handed on to another stage, or where
        no RUN is seen to use it: in its commands, or through an ``.npmrc`` or ``.yarnrc.yml`` in the build context.

    Safety
        Unsafe: whoever builds must say ``--secret id=NAME`` where they said ``--build-arg NAME``, and the builder must know
        version 1.10 of the Dockerfile's language.
    """

    name = "mount-secrets"
    alters = frozenset()
    mends = ("DL3064", "SecretsUsedInArgOrEnv")
    on_request = True
    examples = (
        Rewrites(
            'FROM node:22\nARG API_KEY\nRUN fetch-data --key "$API_KEY"\n',
            'FROM node:22\nRUN --mount=type=secret,id=API_KEY,env=API_KEY fetch-data --key "$API_KEY"\n',
        ),
        Keeps("FROM node:22\nARG NPM_TOKEN\nENV NPM_TOKEN=$NPM_TOKEN\n", because="the image shall hold it"),
        Keeps("FROM node:22\nARG NPM_TOKEN\nRUN npm ci\n", because="no RUN is seen to use it"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            for position in stage.positions:
                node = model.file.instruction(position)
                if node.keyword == "ARG" and len(node.pairs) == 1 and names_secret(node.pairs[0].name):
                    yield _mounted(model, stage, position, node.pairs[0].name)


def _mounted(model: Model, stage: Stage, position: int, name: str) -> Change | Refusal:
    reason = _reason(model, stage, position, name)
    runs = [run for run in readable_runs(model, "") if run.stage is stage and run.position > position]
    users = [run for run in runs if _uses(model, run, name)]
    read = {run.position for run in runs}
    hidden = [p for p in stage.positions if p > position and p not in read and re.search(rf"\b{name}\b", model.file.instruction(p).text)]
    if reason is None and hidden:
        reason = f"the commands on line {model.file.line(hidden[0])} are not understood"
    if reason is None and not users:
        reason = "no RUN is seen to use it"
    if reason is not None:
        return Refusal(f"{name} stays an ARG: {reason}", position)
    file = model.file
    for run in users:
        start = run.node.flags[0].start if run.node.flags else run.node.rest.source(0)
        new = run.node.edited((start, start, f"--mount=type=secret,id={name},env={name} "))
        file = file.replaced(run.position, run.position + 1, [new])
    file = file.replaced(position, position + 1, ())
    touched = (position, *(run.position for run in users))
    assumption = f"whoever builds gives {name} as a secret, with --secret id={name}, to a builder that knows Dockerfile 1.10"
    return Change(f"hand {name} over as a secret", file, touched, (), Safety.UNSAFE, assumption)


def _reason(model: Model, stage: Stage, position: int, name: str) -> str | None:
    """Why an ARG cannot become a secret, None when nothing speaks against it."""
    node = model.file.instruction(position)
    if node.pairs[0].value is not None or name in model.global_state.args:
        return "it has a default, or a value from before the first FROM"
    if any(other.base == stage.index for other in model.stages):
        return "a stage that starts from this one sees it, too"
    if isinstance(model.file.nodes[position - 1], Comment):
        return "a comment explains it"
    for other in stage.positions:
        used = model.file.instruction(other)
        if other == position or not re.search(rf"\b{name}\b", used.text):
            continue
        if used.keyword != "RUN" or used.json is not None or any(each.options.get("id") == name for each in mounts(used)):
            return f"{used.keyword} on line {model.file.line(other)} uses it, too"
    return None


def _uses(model: Model, run: ReadableRun, name: str) -> bool:
    """Whether a RUN uses a variable, in its commands or through a file that its package manager reads."""
    if re.search(rf"\b{name}\b", run.text.text):
        return True
    calls = [call for command in run.script.commands if (call := read_call(command)) is not None and call.action is Action.INSTALL]
    context = model.context
    if context is None or not calls:
        return False
    files = {file for file, readers in _READ_BY.items() for call in calls if call.ecosystem in readers and context.exists(file)}
    return any(f"${{{name}}}" in (context.read_text(file) or "") for file in files)
