"""Java's Gradle."""

from __future__ import annotations

import re

from optimizer.ecosystems.base import Action, Arguments, Call, Ecosystem, Words, read_arguments, unwrapped
from optimizer.ecosystems.launched import behind, behind_script
from optimizer.syntax.shell import Command

# Tasks that resolve or list and read no source.
FETCHING = frozenset({"dependencies", "buildEnvironment"})
_HARMLESS = frozenset({"help", "tasks", "projects", "properties", "wrapper", "clean"})
# Source: https://docs.gradle.org/current/userguide/command_line_interface.html
_VALUED = frozenset({
    "-p", "--project-dir", "-b", "--build-file", "-c", "--settings-file", "-g", "--gradle-user-home", "-I", "--init-script", "-x",
    "--exclude-task", "--include-build", "--console", "--max-workers", "--warning-mode", "--project-cache-dir", "--configuration", "-M",
    "-F", "--priority",
})  # fmt: skip


class Gradle(Ecosystem):
    """``gradle`` and its wrapper ``gradlew``. Later builds read what it downloads, so that is not a cache to empty."""

    name = "gradle"
    programs = re.compile(r"(gradlew?|(ba|da|a)?sh)$")

    def read(self, command: Command) -> Call | None:
        """See ``Ecosystem.read``. The verb is the last task, ``packages`` all of them."""
        words = unwrapped(command)
        found = arguments_of(words)
        if found is None:
            return None
        tasks = tuple(w.value or w.text for w in found.operands)
        names = [task.rpartition(":")[2] for task in tasks]
        action = Action.OTHER
        if any(name not in FETCHING | _HARMLESS for name in names):
            action = Action.BUILD
        elif any(name in FETCHING for name in names):
            action = Action.INSTALL
        verb = found.operands[-1] if found.operands else None
        return Call(self.name, action, command, verb, tasks, (), found.names, found.complete, words.prefix)


def arguments_of(words: Words) -> Arguments | None:
    """The arguments of a call of Gradle, None when it is none."""
    rest = behind(words, "gradlew?")
    if rest is None:
        rest = behind_script(words, "gradlew")
    return None if rest is None else read_arguments(rest, frozenset(), _VALUED)
