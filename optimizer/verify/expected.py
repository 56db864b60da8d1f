"""What a rewrite is meant to change, by the name of its pass. What is not listed here for a pass that ran is not expected."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from optimizer.model import Model
from optimizer.verify.tree import Tree
from optimizer.verify.verdict import Difference

_SYSTEM = re.compile(r"(?:bin|boot|etc|lib\w*|sbin|usr|var|media|mnt|opt|srv|home|root)(?:/.*)?")
_PACKAGES = re.compile(r"(?:.*/)?(?:node_modules|site-packages|dist-packages|venv|\.venv|vendor)(?:/.*)?|opt/(?:venv|.*venv.*)(?:/.*)?")
_SHARED = frozenset({"usr", "usr/local", "var", "opt", "srv", "home", "root", "etc", "usr/bin", "usr/local/bin", "usr/local/lib"})
_RECORDS = re.compile(r"var/lib/(?:apt|dpkg|rpm|pacman|ucf)/.*|(?:etc|lib)/(?:apt|apk|alternatives|rc\d\.d)/.*")
_ACCOUNTS = re.compile(r"etc/(?:passwd|group|shadow|gshadow|subuid|subgid)|(?:home|var/mail|var/spool/mail)(?:/.*)?")


@dataclass(frozen=True)
class Rewritten:
    """What is known of the rewrite when a difference is judged.

    Args:
        passes: The names of the passes that made it.
        before, after: Both file systems.
        hidden: The paths of the build context that no longer reach the builder.
        declared: The variables that the Dockerfile before sets itself in the stage that is built, not its base image.
        workdir: Where the program runs, without a slash in front: what lies below is the application's, not the system's.
    """

    passes: Collection[str]
    before: Tree
    after: Tree
    hidden: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    workdir: str = ""

    def is_system(self, path: str) -> bool:
        """Whether a path is the distribution's and not the application's."""
        own = self.workdir and self.workdir not in _SHARED and f"{path}/".startswith(f"{self.workdir}/")
        return not own and _SYSTEM.fullmatch(path) is not None


def explained(differences: Collection[Difference], rewritten: Rewritten) -> tuple[Difference, ...]:
    """The differences, each with the reason why it is meant to be, if there is one."""
    return tuple(replace(each, expected=_reason(each, rewritten)) for each in differences)


def _reason(difference: Difference, rewritten: Rewritten) -> str:
    for name in rewritten.passes:
        judge = _JUDGES.get(name)
        reason = judge(difference, rewritten) if judge is not None else ""
        if reason:
            return f"{name}: {reason}"
    return ""


def _split(each: Difference, rewritten: Rewritten) -> str:
    if each.place == "config":
        key, _, name = each.name.partition(" ")
        if key == "Env":
            if each.kind == "removed" or name == "PATH":
                return "the runtime stage needs no more variables"
            return "the base image is another" if name not in rewritten.declared else ""
        from_base = key in ("User", "Labels", "Shell", "StopSignal", "Volumes") and each.kind != "changed"
        return "it runs on another base image" if from_base else ""
    if each.kind == "removed":
        return "only building needs it"
    if _owner_only(each, rewritten):
        return ""
    if _PACKAGES.fullmatch(each.name):
        return "packages are installed elsewhere"
    if rewritten.is_system(each.name):
        return "the base image and its packages are others"
    entry = rewritten.after.entries.get(each.name)
    if entry is not None and each.name in rewritten.after.elves:
        return "it is compiled in another stage"
    if entry is not None and each.kind == "added":
        if entry.kind == "folder" and each.count == 1:
            return "an empty folder"
        if entry.kind == "file" and entry.content in {old.content for old in rewritten.before.entries.values()}:
            return "it lies elsewhere now"
    return ""


def _user(each: Difference, rewritten: Rewritten) -> str:
    if each.place == "config":
        return "the program runs as that user" if each.name == "User" else ""
    if _ACCOUNTS.fullmatch(each.name):
        return "the account"
    if each.kind == "changed" and _owner_only(each, rewritten):
        return "the user owns what the program writes"
    entry = rewritten.after.entries.get(each.name)
    made = each.kind == "added" and each.count == 1 and entry is not None and entry.kind == "folder"
    return "a folder that the program writes" if made else ""


def _owner_only(each: Difference, rewritten: Rewritten) -> bool:
    old, new = rewritten.before.entries.get(each.name), rewritten.after.entries.get(each.name)
    return old is not None and new is not None and (old.kind, old.content) == (new.kind, new.content) and old.owner != new.owner


def _caches(each: Difference, rewritten: Rewritten) -> str:
    if each.place == "config":
        setting = re.fullmatch(r"Env (?:PIP|NPM|YARN|UV|POETRY|npm)_\w+", each.name)
        return "a setting of the package manager" if setting else ""
    if each.kind == "removed" and rewritten.is_system(each.name):
        return "caches, and packages that were only recommended"
    return "the package manager's own records" if each.kind == "changed" and _RECORDS.fullmatch(each.name) else ""


def _repair(each: Difference, _rewritten: Rewritten) -> str:
    if each.place == "config":
        return "the packages' programs are on it" if each.name == "Env PATH" else ""
    return "the stage lacked it" if each.kind == "added" or _PACKAGES.fullmatch(each.name) else ""


def _exec_form(each: Difference, _rewritten: Rewritten) -> str:
    started = each.place == "config" and each.name.partition(" ")[0] in ("Cmd", "Entrypoint") and each.kind == "changed"
    return "the program is started without a shell" if started else ""


def _dependencies(each: Difference, _rewritten: Rewritten) -> str:
    return "the list of what is installed first" if each.place != "config" and each.name == "tmp/requirements.txt" else ""


def _maintainer(each: Difference, _rewritten: Rewritten) -> str:
    label = each.place == "config" and each.name.startswith("Labels ") and each.kind == "added"
    return "the maintainer's label" if label else ""


def _ignore_file(each: Difference, rewritten: Rewritten) -> str:
    """A path of the image is a hidden one's when it ends as that does; what the hidden file lay over comes to light."""
    if each.place == "config" or not rewritten.hidden:
        return ""
    parts = each.name.split("/")
    ends = {"/".join(parts[n:]) for n in range(len(parts))}
    if ends & rewritten.hidden or any(path.startswith(f"{end}/") for end in ends for path in rewritten.hidden):
        return "the ignore file keeps it out"
    return "the ignore file itself" if posixpath.basename(each.name).endswith(".dockerignore") else ""


_JUDGES: dict[str, Callable[[Difference, Rewritten], str]] = {
    "split-stages": _split,
    "insert-user": _user,
    "install-dependencies-first": _dependencies,
    "clean-package-caches": _caches,
    "repair-stages": _repair,
    "complete-dockerignore": _ignore_file,
    "exec-form-commands": _exec_form,
    "label-instead-of-maintainer": _maintainer,
}


def passes_between(before: Model, after: Model) -> frozenset[str]:
    """The passes whose kind of change two Dockerfiles show, for a rewrite of which nothing else is known."""
    found = set()
    if len(after.stages) > len(before.stages) or after.final.reference != before.final.reference:
        found.add("split-stages")
    elif len(after.stages) > 1 and after.file.text != before.file.text:
        found.add("repair-stages")
    if before.behind(before.final).user != after.behind(after.final).user:
        found.add("insert-user")
    if any(before.last(before.final, k) is not None and _has_shell(before, k) and not _has_shell(after, k) for k in ("CMD", "ENTRYPOINT")):
        found.add("exec-form-commands")
    if "MAINTAINER" in _keywords(before) and "MAINTAINER" not in _keywords(after):
        found.add("label-instead-of-maintainer")
    caching = re.compile(r"--no-install-recommends|--no-cache|/var/lib/apt/lists|cache clean|--mount=type=cache|clean all")
    if len(caching.findall(after.file.text)) > len(caching.findall(before.file.text)):
        found.add("clean-package-caches")
    return frozenset(found)


def _has_shell(model: Model, keyword: str) -> bool:
    position = model.last(model.final, keyword)
    return position is not None and model.file.instruction(position).json is None


def _keywords(model: Model) -> set[str]:
    return {model.file.instruction(position).keyword for position in model.file.positions}


def declared_variables(model: Model) -> frozenset[str]:
    """The variables that ENV sets in the stage that is built and in those that it starts from."""
    names: set[str] = set()
    stage = model.final
    while True:
        nodes = [model.file.instruction(position) for position in stage.positions]
        names |= {pair.name for node in nodes if node.keyword == "ENV" for pair in node.pairs}
        if stage.base is None:
            return frozenset(names)
        stage = model.stages[stage.base]
