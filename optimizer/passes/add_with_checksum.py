"""Let ADD look at the checksum of what it downloads."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.readable import readable_runs


class AddWithChecksum(Pass):
    """Let ADD look at the checksum of what it downloads.

    What it does
        Writes ``--checksum=sha256:…`` on an ADD from a URL where a RUN behind it compares the file by ``echo … | sha256sum -c``, and
        takes that comparison out of the RUN, which goes where nothing else is in it.

    Why
        A builder that knows the checksum refuses another file before it is in a layer, asks no server while it has the right one in
        its cache, and needs no container for it.

    When it refuses
        Where a step in between may change the file, where the comparison is about more than the one file, or may fail without
        ending the build.

    Safety
        Safe: a file with another checksum ends the build, as before.
    """

    name = "add-with-checksum"
    alters = frozenset({Fact.RUNS, Fact.COPIES})
    examples = (
        Rewrites(
            "FROM debian:bookworm\nADD https://example.org/tool /usr/bin/\n"
            f'RUN echo "{"0a" * 32}  /usr/bin/tool" | sha256sum -c - && chmod 755 /usr/bin/tool\n',
            f"FROM debian:bookworm\nADD --checksum=sha256:{'0a' * 32} https://example.org/tool /usr/bin/\nRUN chmod 755 /usr/bin/tool\n",
        ),
        Keeps(
            f'FROM debian:bookworm\nADD https://example.org/tool /\nRUN echo "{"0a" * 32}  /tool" | sha256sum -c - || echo wrong\n',
            because="the build goes on with another file",
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "sha256sum"):
            if any(model.file.instruction(p).keyword == "ADD" for p in run.stage.positions if p < run.position):
                from optimizer.passes.copied.checksums import while_added

                yield from while_added(model, run)
