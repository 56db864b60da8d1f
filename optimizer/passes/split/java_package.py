"""The runtime of Java in place of the compiler, in a runtime stage that installs a JDK of the distribution."""

from __future__ import annotations

import re

from optimizer.context.source_text import JVM_SOURCES, source_evidence
from optimizer.ecosystems import Action
from optimizer.knowledge.debian import plain_name
from optimizer.model import Model, Stage
from optimizer.passes.base import Change
from optimizer.passes.split.java import jdk_code
from optimizer.passes.split.java_debian import DRAWS, JDK
from optimizer.passes.split.java_start import JDK_TOOLS, java_start
from optimizer.passes.split.shared import Refused, installs_of
from optimizer.syntax import Instruction


def jre_package(model: Model, stage: Stage) -> Change | None:
    """Install the runtime alone in a stage that copies what another one compiled.

    Returns:
        The change, None where the stage installs no JDK by its plain name, or uses one to build.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    command = model.last(stage, "ENTRYPOINT") or model.last(stage, "CMD")
    if model.context is None or command is None or not model.dependencies[stage.index]:
        return None
    edited: dict[int, tuple[Instruction, str]] = {}
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword != "RUN":
            continue
        if node.script is None or any(command.name in JDK_TOOLS for command in node.script.commands):
            return None
        found = _with_runtime(node)
        if found is not None:
            edited[position] = found
    if not edited:
        return None
    java_start(model, stage, command)
    source = source_evidence(model.context, JVM_SOURCES)
    needs = jdk_code(source)
    drawn = DRAWS.search(source.code)
    used = needs or (drawn[0] if drawn is not None else None)
    if used is not None or not source.files:
        why = f"the program uses {used}" if used is not None else "the program's source is not in the build context"
        raise Refused(f"the JDK stays: {why}", next(iter(edited)))
    file = model.file
    for position, (node, _) in edited.items():
        file = file.replaced(position, position + 1, [node])
    package = next(name for _, name in edited.values())
    evidence = ("the stage copies what another one compiled, and compiles nothing", "the program uses nothing that only the JDK has")
    return Change(f"install {package} in place of the JDK", file, tuple(edited), evidence)


def _with_runtime(node: Instruction) -> tuple[Instruction, str] | None:
    """A RUN that installs the runtime where it installs a JDK, and the runtime's package; None for any other."""
    text = node.shell_text
    words = [
        word
        for call in installs_of(node)
        if call.ecosystem == "apt" and call.action is Action.INSTALL
        for word in call.command.words
        if word.value is not None and word.text == word.value and JDK.match(plain_name(word.value))
    ]
    if len(words) != 1 or text is None or words[0].value is None:
        return None
    (word,) = words
    package = re.sub(r"-jdk(-headless)?(?=$|[=:/])", "-jre-headless", words[0].value)
    return node.edited((text.source(word.start), text.source_end(word.end), package)), package
