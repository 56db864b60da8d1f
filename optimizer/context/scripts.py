"""Scripts of the build context that a container starts with."""

from __future__ import annotations

from optimizer.context.folder import BuildContext


def script_text(context: BuildContext, path: str) -> str | None:
    """The text of a script, None when it is absent, ignored, too large or a binary program."""
    return context.read_text(path) if not context.is_dir(path) else None


def shebang(text: str) -> tuple[str, ...] | None:
    """The words of a `#!` line, or None when there is none.

    The kernel takes everything after the interpreter as one argument, so there are at most two words:
    `#!/usr/bin/env -S a b` gives ("/usr/bin/env", "-S a b"). A carriage return stays, as it does for the kernel, which
    then finds no such interpreter.
    """
    if not text.startswith("#!"):
        return None
    line = text[2:].split("\n", 1)[0].strip(" \t")
    words = line.replace("\t", " ").split(" ", 1)
    return tuple(word.strip(" ") for word in words if word.strip(" ")) or None
