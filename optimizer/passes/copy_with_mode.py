"""Give files their mode while they are copied."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.readable import readable_runs


class CopyWithMode(Pass):
    """Give files their mode while they are copied.

    What it does
        Writes ``--chmod`` on the COPY or ADD of single files whose mode a later RUN changes, and takes that ``chmod`` out of the
        RUN, which goes where nothing else is in it. A comment above such a RUN moves to the COPY.

    Why
        A file whose mode is changed in a layer of its own lies in the image twice, and the step costs a container at every build.

    When it refuses
        Where the COPY brings other files too, which would get the mode as well, or folders; where a step in between may read the
        files or replace them; for modes that depend on more than the file (``s``, ``t``, ``g=u``) and in RUN instructions that are
        no plain list of ``&&``.

    Safety
        Safe with the build context at hand, whose modes tell what ``chmod +x`` comes to. Without it, it is unsafe: the source may be
        a folder.
    """

    name = "copy-with-mode"
    alters = frozenset({Fact.RUNS, Fact.COPIES})
    examples = (
        Rewrites(
            'FROM debian:bookworm\nCOPY start.sh /usr/local/bin/\nRUN chmod +x /usr/local/bin/start.sh\nENTRYPOINT ["start.sh"]\n',
            'FROM debian:bookworm\nCOPY --chmod=755 start.sh /usr/local/bin/\nENTRYPOINT ["start.sh"]\n',
            files=(("start.sh", "#!/bin/sh\n"),),
        ),
        Keeps(
            "FROM debian:bookworm\nCOPY start.sh settings.ini /app/\nRUN chmod +x /app/start.sh\n",
            because="the settings would become a program, too",
            files=(("start.sh", "#!/bin/sh\n"), ("settings.ini", "")),
        ),
        Keeps(
            "FROM debian:bookworm\nCOPY . /app\nRUN chmod +x /app/start.sh\n",
            because="a whole folder is copied",
            files=(("start.sh", "#!/bin/sh\n"),),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "chmod"):
            if any(model.file.instruction(p).keyword in ("COPY", "ADD") for p in run.stage.positions if p < run.position):
                from optimizer.passes.copied.modes import while_copied

                yield from while_copied(model, run)
