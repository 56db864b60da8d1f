"""Bundler: the Gemfile with the files it names, and its lock."""

from __future__ import annotations

import re

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Action, Call
from optimizer.model.installs.needs import NOTHING, Needs, brought, existing, overwritten, refused, within

_GEM = re.compile(r"^\s*gem[\s(]+(['\"])([\w.-]+)\1((?:\s*,\s*(['\"])[^'\"#]*\4)*)", re.M)
_READ = re.compile(r"(?:File\.(?:read|open|readlines|foreach|exist\?)|IO\.read|file:)[\s(]*(['\"])([\w./-]+)\1(?!\s*\+)")
# What makes the Gemfile depend on more than itself and the files whose names are found above.
_OPEN = re.compile(
    r"\b(gemspec|eval_gemfile|instance_eval|require_relative|load|Dir\b|__dir__|__FILE__|Pathname|plugin|glob|system|exec|binding)\b"
    r"|\bpath[\s(]*['\"]|\bpath:|:path\s*=>|`|%x|\b(File|IO)\.|\bfile:"
)


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``."""
    verb = call.verb.value if call.verb else None
    if verb == "config":
        return overwritten(".bundle") if brought(context, folder, ".bundle") else NOTHING
    if call.action is not Action.INSTALL or verb not in (None, "install"):
        return refused(f"`bundle {verb or ''}`".rstrip() + " may read or change the copied files")
    if "--gemfile" in call.options:
        return refused("an option leads Bundler to another Gemfile")
    manifest = next((n for n in ("gems.rb", "Gemfile") if context.exists(within(folder, n))), None)
    text = context.read_text(within(folder, manifest)) if manifest is not None else None
    if manifest is None or text is None:
        return refused("the Gemfile is not in the build context")
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    named = [match[2] for match in _READ.finditer(text)]
    rest = _OPEN.search(_READ.sub("", text))
    if rest is not None:
        return refused(f"{manifest} may read other files of the project ({rest[0].strip()})")
    if any(n.startswith("/") or within(folder, n).startswith("..") for n in named):
        return refused(f"{manifest} reads a file outside of the project")
    carried = ("vendor/cache",) if "--local" in call.options else ()  # gems that it takes in place of downloads
    own = brought(context, folder, ".bundle", "vendor/bundle", *({"vendor/cache"} - set(carried)))
    if own is not None:
        return overwritten(own)
    lock = within(folder, "gems.locked" if manifest == "gems.rb" else "Gemfile.lock")
    lock_text = context.read_text(lock)
    if lock_text is not None and not call.options & {"--deployment", "--frozen"} and not _agrees(text, lock_text):
        return refused(f"{lock} may not agree with {manifest}, and then Bundler rewrites it")
    return Needs(existing(context, folder, (manifest, lock if folder == "." else lock[len(folder) + 1 :], *carried, *named)))


def gem_needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """``gem install`` takes a gem of that name from the working directory first."""
    if call.options & {"-g", "--file"} or any(p.startswith((".", "/")) or p.endswith(".gem") for p in call.packages):
        return refused("it installs files of the project")
    if call.action not in (Action.INSTALL, Action.UPDATE, Action.REMOVE):
        return refused("`gem` may read the copied files")
    if any(f.endswith(".gem") for f in context.under(folder)):
        return refused("gems of the build context may take the place of those it downloads")
    return NOTHING


def _agrees(text: str, lock: str) -> bool:
    """Whether a lock names the gems that a Gemfile does, with the same versions, and this platform."""
    section = re.search(r"^DEPENDENCIES\n((?: .*\n?)*)", lock, re.M)
    platforms = re.search(r"^PLATFORMS\n((?: .*\n?)*)", lock, re.M)
    if section is None or platforms is None or not re.search(r"^\s+(ruby|.*linux.*)$", platforms[1], re.M):
        return False
    locked: dict[str, frozenset[str]] = {}
    for match in re.finditer(r"^  ([\w.-]+)(?: \(([^)]*)\))?(!?)$", section[1], re.M):
        locked[match[1]] = frozenset(_requirement(r) for r in (match[2] or "").split(",") if r.strip())
    wanted: dict[str, frozenset[str]] = {}
    for match in _GEM.finditer(text):
        wanted[match[2]] = frozenset(_requirement(r) for r in re.findall(r"['\"]([^'\"]*)['\"]", match[3]))
    count = len(re.findall(r"^\s*gem\b", text, re.M))
    return count == len(_GEM.findall(text)) and wanted == locked


def _requirement(text: str) -> str:
    text = re.sub(r"\s+", "", text)
    return text.removeprefix("=") if not text.startswith("==") else text
