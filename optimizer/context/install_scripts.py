"""What the scripts that an install of a Node project runs read of the project, for the common ones that are known to read little."""

from __future__ import annotations

import itertools
import posixpath
import re

from optimizer.context.folder import BuildContext
from optimizer.syntax.shell import Command, parse_script

# They write types for an editor, which the build of the framework writes anew; without settings they write those of none.
# Source: nuxt.com/docs/api/commands/prepare, nitro.build, svelte.dev/docs/kit/cli.
_TYPES = {("nuxt", "prepare"), ("nuxi", "prepare"), ("nitro", "prepare"), ("nitropack", "prepare"), ("svelte-kit", "sync")}
# Programs that set up git hooks or check the environment: an image has no use for them, and they read none of the sources.
_NOTHING = frozenset({
    "husky", "is-ci", "simple-git-hooks", "lefthook", "only-allow", "pinst", "echo", "true", "exit", "test", "[", "check-node-version",
    "opencollective", "opencollective-postinstall",
})  # fmt: skip


def script_reads(context: BuildContext, folder: str, text: str) -> tuple[str, ...] | None:
    """The files of the context that an install script reads; None when it may read or write others.

    Args:
        context: The build context.
        folder: The folder of the package.json.
        text: The script.
    """
    script = parse_script(text)
    if not script.understood:
        return None
    found: set[str] = set()
    for command in script.commands:
        files = _command_reads(context, folder, command)
        if files is None:
            return None
        found.update(files)
    return tuple(sorted(found))


def _command_reads(context: BuildContext, folder: str, command: Command) -> tuple[str, ...] | None:
    words = [word.value for word in command.words]
    if command.redirects or None in words:
        return None
    plain = [word for word in words if word is not None]
    while plain[:1] in (["npx"], ["--yes"], ["-y"]):
        plain = plain[1:]
    if not plain or plain[0] in _NOTHING or tuple(plain) in _TYPES:
        return ()
    if plain[0] == "patch-package":
        given = next((b for a, b in itertools.pairwise(plain) if a == "--patch-dir"), "patches")
        return tuple(context.under(posixpath.normpath(posixpath.join(folder, given))))
    if plain == ["prisma", "generate"]:
        schemas = [f for f in context.under(posixpath.normpath(posixpath.join(folder, "prisma"))) if f.endswith(".prisma")]
        writes = any(re.search(r"^\s*output\s*=", context.read_text(f) or "", re.MULTILINE) for f in schemas)
        return None if writes or not schemas else tuple(schemas)
    return None
