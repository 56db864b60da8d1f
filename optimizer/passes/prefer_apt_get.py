"""Call apt-get where the Dockerfile calls apt."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.ecosystems import unwrapped
from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety
from optimizer.passes.runs.readable import cleans_apt_archive, readable_runs
from optimizer.syntax.shell import Word

# What apt's sub-commands are called in apt-get. Source: apt(8) and apt-get(8); `apt upgrade` may install new packages, too.
_SAME = {
    "update": "update", "install": "install", "remove": "remove", "purge": "purge", "autoremove": "autoremove", "clean": "clean",
    "autoclean": "autoclean", "build-dep": "build-dep", "full-upgrade": "dist-upgrade", "dist-upgrade": "dist-upgrade",
    "upgrade": "upgrade --with-new-pkgs",
}  # fmt: skip
_KNOWN = frozenset({
    "-y", "--yes", "--assume-yes", "-q", "-qq", "-qy", "-yq", "-qqy", "-yqq", "--quiet", "--no-install-recommends", "--install-recommends",
    "--no-install-suggests", "--fix-missing", "--fix-broken", "-f", "--reinstall", "--only-upgrade", "--no-upgrade", "--purge",
    "--auto-remove", "--autoremove", "--allow-downgrades", "--allow-unauthenticated", "--allow-change-held-packages",
    "--allow-remove-essential", "--force-yes", "-m", "--ignore-missing", "--allow-insecure-repositories",
})  # fmt: skip


class PreferAptGet(Pass):
    """Call apt-get where the Dockerfile calls apt.

    What it does
        Writes ``apt-get`` for ``apt`` where the sub-command and its options mean the same in both: ``update``, ``install``,
        ``remove``, ``purge``, ``autoremove``, ``clean``, ``full-upgrade`` (``dist-upgrade`` there) and ``upgrade``
        (``upgrade --with-new-pkgs``).

    Why
        apt is made for people at a terminal: it warns in a log that its output may change, and its defaults do from release to
        release.

    When it refuses
        ``apt list``, ``show`` and ``search`` have no counterpart in apt-get. An option that this pass does not know, a pattern
        in a package's name, which the two read differently, and a command whose output something else reads are left alone.

    Safety
        Safe on official images of Debian and Ubuntu and what is built on them. apt-get keeps the packages that it has
        downloaded and apt does not; those images empty the archive by themselves. Elsewhere that is an assumption.
    """

    name = "prefer-apt-get"
    alters = frozenset({Fact.RUNS})
    mends = ("DL3027",)
    examples = (
        Rewrites(
            "FROM debian:bookworm\nRUN apt update && apt install -y curl\n",
            "FROM debian:bookworm\nRUN apt-get update && apt-get install -y curl\n",
        ),
        Keeps("FROM debian:bookworm\nRUN apt list --installed\n", because="apt-get has no such sub-command"),
        Keeps("FROM debian:bookworm\nRUN apt install -y 'php8*'\n", because="apt-get would read the pattern in another way"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "apt "):
            edits = []
            for command, enclosing in run.script.walk():
                words = unwrapped(command).words
                if not words or words[0].value != "apt":
                    continue
                verb = _verb(words)
                if verb is None or "|" in enclosing or "$(" in enclosing or command.redirects:
                    yield Refusal("apt stays: apt-get may not do the same here", run.position)
                    continue
                new = _SAME[verb.text]
                edits.append((run.text.source(words[0].start), run.text.source_end(words[0].end), "apt-get"))
                if new != verb.text:
                    edits.append((run.text.source(verb.start), run.text.source_end(verb.end), new))
            if not edits:
                continue
            file = model.file.replaced(run.position, run.position + 1, [run.node.edited(*edits)])
            if cleans_apt_archive(model, run.stage):
                evidence = ("the image empties apt's archive by itself",)
                yield Change("call apt-get in place of apt", file, (run.position,), evidence)
            else:
                assumption = "the image empties apt's archive of packages by itself, as official images do"
                yield Change("call apt-get in place of apt", file, (run.position,), (), Safety.UNSAFE, assumption)


def _verb(words: tuple[Word, ...]) -> Word | None:
    """The sub-command of a call of apt whose every word means the same to apt-get, else None."""
    verb: Word | None = None
    for word in words[1:]:
        if word.text.startswith("-"):
            if word.text not in _KNOWN:
                return None
        elif verb is None:
            if word.text not in _SAME:
                return None
            verb = word
        elif word.glob or any(c in (word.value or word.text) for c in "*?^~[|") or word.text.startswith(("$", '"$', "`")):
            return None
    return verb
