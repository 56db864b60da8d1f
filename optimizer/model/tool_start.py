"""What tools of Python load by a file that lies where they start: Scrapy by scrapy.cfg, MkDocs by mkdocs.yml."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from optimizer.context.folder import BuildContext
from optimizer.model.entries import Files, Found
from optimizer.model.launch import Argv, option

_COMMANDS = frozenset({"crawl", "list", "check"})
# Plugins of MkDocs that start no program and keep no file.
_PLUGINS = frozenset({
    "autorefs", "awesome-pages", "exclude", "glightbox", "group", "include-markdown", "literate-nav", "meta", "minify", "offline",
    "redirects", "search", "section-index", "tags",
})  # fmt: skip


def loaded_by(name: str, words: Argv, files: Files, folder: str | None) -> Found:
    """What a tool loads by the configuration in its folder.

    Args:
        name: One of `PYTHON_TOOLS`.
        words: Those behind it.
        files: Looks files up.
        folder: The folder of the image that it starts in.
    """
    context = files.model.context
    assert context is not None
    path = "scrapy.cfg" if name == "scrapy" else option(words, "-f", "--config-file")[1] or "mkdocs.yml"
    inside = files.find(path, folder)
    text = context.read_text(inside) if inside is not None else None
    if name == "scrapy":
        found = _scrapy(context, words, text, lambda one: files.module(one, folder, False))
    else:
        hooks = _mkdocs(words, text)
        place = posixpath.join(folder or "", posixpath.dirname(path))
        found = hooks if isinstance(hooks, str) else tuple(files.entry(hook, place) for hook in hooks)
    return Found(unknown=(found,)) if isinstance(found, str) else Found(found)


def _scrapy(context: BuildContext, words: Argv, text: str | None, module: Callable[[str], str | None]) -> tuple[str, ...] | str:
    """The files of a project of Scrapy, that of the settings first; or the reason why they are not known."""
    verb = next((word for word in words if word is not None and not word.startswith("-")), None)
    named = re.search(r"^default\s*[=:]\s*([\w.]+)\s*$", text or "", re.MULTILINE)
    settings = module(named[1]) if named is not None else None
    if verb not in _COMMANDS or settings is None:
        return "scrapy runs a project whose settings are not found"
    if any(word is not None and re.match(r"(-s|--set)\b", word) for word in words):
        return "scrapy is given settings by its command"
    package = posixpath.dirname(settings)
    return (settings, *(file for file in context.under(package) if file.endswith(".py") and file != settings)) if package else (settings,)


def _mkdocs(words: Argv, text: str | None) -> tuple[str, ...] | str:
    """The Python files that ``mkdocs serve`` runs, relative to its configuration; or the reason why they are not known.

    Source: mkdocs.org/user-guide/configuration.
    """
    verb = next((word for word in words if word is not None and not word.startswith("-")), None)
    if verb != "serve" or text is None or re.search(r"^INHERIT\s*:", text, re.MULTILINE):
        return "mkdocs has a command or a configuration that is not known"
    other = next((name for name in _items(text, "plugins") if name.rpartition("/")[2] not in _PLUGINS), None)
    return _items(text, "hooks") if other is None else f"mkdocs loads the plugin {other}, of which nothing is known"


def _items(text: str, key: str) -> tuple[str, ...]:
    """The names in a list at the top of a YAML text, which may have tags of Python's that no safe reader takes."""
    block = re.search(rf"^{key}\s*:([^\n]*)((?:\n(?:[ \t-][^\n]*)?)*)", text, re.MULTILINE)
    if block is None:
        return ()
    inline = re.findall(r"[\w./-]+", block[1].partition("#")[0])
    depths = [len(indent) for indent in re.findall(r"^([ \t]*)-", block[2], re.MULTILINE)]
    lines = re.findall(rf"^[ \t]{{{min(depths)}}}-\s*[\"']?([\w./-]+)", block[2], re.MULTILINE) if depths else []
    return (*inline, *lines)
