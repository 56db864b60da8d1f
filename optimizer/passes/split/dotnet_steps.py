"""What the steps in front of ``dotnet publish`` do besides: which of them the stage that runs has to do again."""

from __future__ import annotations

import re

from optimizer.ecosystems import SYSTEM, Call
from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.model.dotnet_builds import Publish
from optimizer.passes.split.compiled import is_below
from optimizer.passes.split.project_folder import changes_outside
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import FILE_COMMANDS, Step, remaining, steps_of
from optimizer.syntax import Instruction

_ACCOUNTS = frozenset({"useradd", "adduser", "groupadd", "addgroup", "usermod"})
_VERBS = frozenset({"restore", "build", "publish", "test", "tool", "workload", "clean", "nuget", "pack", "add", "msbuild", "new"})
_MANAGERS = frozenset({"npm", "yarn", "pnpm", "bun"})
_NODE = re.compile(r"nodesource|yarnpkg")


def repeated_steps(model: Model, stage: Stage, publish: Publish) -> tuple[Instruction, ...]:
    """The instructions up to a publish that change more than the project, as the stage that runs needs them, in order.

    Raises:
        Refused: What one of them does is not known.
    """
    root = model.before(publish.position).workdir or "/"
    own = {c.position: c for c in stage_copies(model, stage) if c.plain}
    found: list[Instruction] = []
    for position in (p for p in stage.positions if p <= publish.position):
        node = model.file.instruction(position)
        if node.keyword in ("COPY", "ADD"):
            target = model.before(position).path(node.words[-1], node.escape) if node.words else None
            inside = target is not None and (is_below(target, root) or is_below(target, publish.place) or is_below(root, target))
            if not inside and position not in own:
                raise Refused("what is copied from elsewhere may belong to either stage", position)
        elif node.keyword == "SHELL" and (node.json or ("",))[0] not in ("/bin/sh", "/bin/bash", "sh", "bash"):
            raise Refused("it changes the shell to one that the runtime's image may not have", position)
        elif node.keyword == "RUN":
            found += _of_run(model, position, node, root, publish)
    return tuple(found)


def _of_run(model: Model, position: int, node: Instruction, root: str, publish: Publish) -> list[Instruction]:
    if node.json is not None and node.json[:1] == ("dotnet",):
        return []
    steps = steps_of(node) if node.json is None else None
    if steps is None:
        if _NODE.search(node.value):
            return []  # what builds pages for browsers
        raise Refused("which stage it belongs to is not known: exec form, or more than a list of commands", position)
    kept = [step for step in steps if _runs_again(model, position, step, root, publish)]
    if kept and any(step.program == "cd" for step in steps):
        raise Refused("it changes the state of the shell that builds, so it cannot be divided", position)
    rest = remaining(model.file, node, steps, lambda step: step in kept)
    return [rest] if rest is not None else []


def _runs_again(model: Model, position: int, step: Step, root: str, publish: Publish) -> bool:
    call = step.call
    if step.cleans or step.program in ("cd", "set", "node", "npx") or (call is not None and call.ecosystem in (*SYSTEM, *_MANAGERS)):
        return False
    if call is not None and call.ecosystem == "dotnet":
        return _dotnet(call, position)
    if step.program in _ACCOUNTS:
        return True
    if step.program not in FILE_COMMANDS:
        raise Refused(f"which stage `{step.program or step.text[:30]}` belongs to is not known", position)
    absolute = [w.text for w in step.command.words[1:] if w.text.startswith("/")]
    below_output = bool(absolute) and all(is_below(path, publish.output) for path in absolute)
    return not below_output and changes_outside(model, root, position, step)


def _dotnet(call: Call, position: int) -> bool:
    verb = call.verb.value if call.verb is not None else None
    if verb not in _VERBS:
        raise Refused(f"`dotnet {verb or ''}`".rstrip() + " leaves files that the program may need", position)
    return False
