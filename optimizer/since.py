"""What git says has changed: the files, and the lines of each (``--since REF``)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from optimizer.engine.result import Lines


class NoHistory(Exception):
    """Git cannot say what has changed; why, as one line."""


def changed_since(ref: str, files: Iterable[Path]) -> dict[Path, tuple[Lines, ...] | None]:
    """The files that differ from where the current branch left a commit, in the working tree as it is now.

    Compared is with the merge base of ``ref`` and HEAD, as a pull request is: what happened on ``ref`` since then does not
    count, what is not committed yet does. A renamed file is compared with what it was.

    Args:
        ref: A commit, branch or tag.
        files: The files to look at, each in whatever repository it lies in.

    Returns:
        For each changed file its changed lines, as ``Options.changed`` takes them; None for a new file, tracked or not.

    Raises:
        NoHistory: A file lies in no repository, ``ref`` is no commit there, or the two have nothing in common.
    """
    repositories: dict[str, dict[Path, str]] = {}
    for file in files:
        real = os.path.realpath(file)
        top = _top(real, file)
        repositories.setdefault(top, {})[file] = os.path.relpath(real, top).replace(os.sep, "/")
    found: dict[Path, tuple[Lines, ...] | None] = {}
    for top, names in repositories.items():
        base = _merge_base(top, ref)
        old_names = _old_names(top, base)
        tracked = frozenset(_git(top, "ls-files", "-z").split("\0"))
        for file, name in names.items():
            if name in old_names:
                old = old_names[name]
                lines = None if old is None else _lines(_git(top, "diff", *_PLAIN, "-U0", "-M", base, "--", old, name))
                if lines != ():
                    found[file] = lines
            elif name not in tracked:
                found[file] = None
    return found


_PLAIN = (
    "--no-ext-diff", "--no-textconv", "--no-color", "--text", "--inter-hunk-context=0", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""What the user's configuration of git might change in a diff."""


def _top(real: str, file: Path) -> str:
    folder = os.path.dirname(real)
    while not os.path.exists(os.path.join(folder, ".git")):
        if folder == os.path.dirname(folder):
            raise NoHistory(f"{file} lies in no git repository")
        folder = os.path.dirname(folder)
    return folder


def _merge_base(top: str, ref: str) -> str:
    unknown = f"'{ref}' is no commit in the repository {os.path.relpath(top)}"
    if ref.startswith("-"):  # git would take it for an option
        raise NoHistory(unknown)
    commit = _git(top, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", failing=unknown).strip()
    return _git(
        top, "merge-base", commit, "HEAD", failing=f"'{ref}' and HEAD have no commit in common; is the clone a shallow one?"
    ).strip()


def _old_names(top: str, base: str) -> dict[str, str | None]:
    """What each changed file was called; None for a new one, and for one that is gone."""
    words = iter(_git(top, "diff", "--no-ext-diff", "--name-status", "-z", "-M", base, "--").split("\0"))
    found: dict[str, str | None] = {}
    for status in words:
        if status:
            name = next(words)
            new = next(words) if status[0] in "RC" else name
            found[new] = None if status[0] in "AD" else name
    return found


def _lines(diff: str) -> tuple[Lines, ...]:
    """The new lines of each hunk; where lines only went, the empty span between the two that they stood between."""
    from unidiff.patch import PatchSet

    hunks = [hunk for patch in PatchSet(StringIO(diff)) for hunk in patch]
    starts = [hunk.target_start if hunk.target_length else hunk.target_start + 1 for hunk in hunks]
    return tuple((start, start + hunk.target_length - 1) for start, hunk in zip(starts, hunks, strict=True))


def _git(top: str, *arguments: str, failing: str = "") -> str:
    """What git prints; ``failing`` is what to say where it fails and says nothing itself."""
    environment = {name: value for name, value in os.environ.items() if name != "GIT_DIFF_OPTS"}  # it goes before -U
    command = ["git", "--literal-pathspecs", *arguments]
    try:
        done = subprocess.run(command, cwd=top, env={**environment, "LC_ALL": "C"}, capture_output=True, check=False)
    except OSError as error:
        raise NoHistory(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().partition("\n")[0].removeprefix("fatal: ")
        raise NoHistory(said or failing or f"git {arguments[0]} failed")
    return os.fsdecode(done.stdout)
