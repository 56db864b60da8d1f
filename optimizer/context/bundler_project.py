"""A project of Bundler's: the gems that its Gemfile asks for, by group, and those that its lock holds."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from msgspec import Struct

from optimizer.context.folder import BuildContext

_GEM = re.compile(r"^\s*gem[\s(]+(['\"])([\w.-]+)\1(.*)$")
_GROUP = re.compile(r"^\s*group[\s(]+(.*?)\)?\s*do\b")
_BLOCK = re.compile(r"(^|\s|=)(do|if|unless|case|begin|def|while)\b(?!.*\bend\b)|\bdo\s*(\|[^|]*\|)?\s*$")
_INNER = re.compile(r"\b(group|groups)\s*(?::|=>)\s*(\[[^\]]*\]|:\w+|['\"]\w+['\"])")
_NAMES = re.compile(r":(\w+)|['\"](\w+)['\"]")
DEVELOPMENT = frozenset({"development", "test"})


class BundlerProject(Struct, frozen=True):
    """What Bundler installs.

    Args:
        folder: The folder of the Gemfile, "." for the root of the context.
        manifest: The Gemfile's path.
        lock: The path of its lock, None where it has none.
        groups: The gems that the Gemfile names, with their groups ("default" for none).
        gems: All gems of the lock, or those that the Gemfile names where there is no lock.
        unknown: Why the Gemfile may ask for more, None when it does not.
    """

    folder: str
    manifest: str
    lock: str | None
    groups: dict[str, frozenset[str]]
    gems: frozenset[str]
    unknown: str | None = None

    def loaded(self, environment: str) -> frozenset[str]:
        """The gems that may be loaded: those of the lock without what the groups of other environments alone ask for."""
        others = DEVELOPMENT - {environment}
        return self.gems - {name for name, groups in self.groups.items() if groups and groups <= others}

    @property
    def development(self) -> frozenset[str]:
        """The gems that only the groups of development and tests name."""
        return frozenset(name for name, groups in self.groups.items() if groups and groups <= DEVELOPMENT)


def bundler_project(context: BuildContext, folder: str) -> BundlerProject | None:
    """The project whose Gemfile lies in a folder of the context; None where there is none."""
    for name, lock_name in (("gems.rb", "gems.locked"), ("Gemfile", "Gemfile.lock")):
        path = posixpath.normpath(posixpath.join(folder, name))
        text = context.read_text(path)
        if text is None:
            continue
        lock = posixpath.normpath(posixpath.join(folder, lock_name))
        lock_text = context.read_text(lock)
        groups = _groups(text)
        gems = frozenset(_locked(lock_text)) if lock_text is not None else frozenset(groups)
        computed = re.search(r"^\s*(eval_gemfile|instance_eval|gemspec)\b", text, re.M)
        unknown = f"{path} takes in more gems ({computed[1]})" if computed is not None and lock_text is None else None
        return BundlerProject(folder, path, lock if lock_text is not None else None, groups, gems, unknown)
    return None


def _locked(text: str) -> Iterator[str]:
    """The gems of a lock."""
    for section in re.findall(r"^  specs:\n((?:    .*\n?)*)", text, re.M):
        yield from re.findall(r"^    ([\w.-]+) \(", section, re.M)


def _groups(text: str) -> dict[str, frozenset[str]]:
    """The gems of a Gemfile and their groups."""
    found: dict[str, set[str]] = {}
    blocks: list[frozenset[str]] = []
    for given in text.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", given)
        gem, group = _GEM.match(line), _GROUP.match(line)
        if gem is not None:
            inner = _INNER.search(gem[3])
            own = {a or b for a, b in _NAMES.findall(inner[2])} if inner is not None else set()
            around = {name for block in blocks for name in block}
            found.setdefault(gem[2], set()).update(own | around or {"default"})
        elif group is not None:
            blocks.append(frozenset(a or b for a, b in _NAMES.findall(group[1])))
        elif re.match(r"\s*end\b", line):
            blocks = blocks[:-1]
        elif _BLOCK.search(line):
            blocks.append(frozenset())
    return {name: frozenset(groups) for name, groups in found.items()}
