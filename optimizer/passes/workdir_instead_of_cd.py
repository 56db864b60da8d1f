"""Use WORKDIR where a RUN changes its folder."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.readable import readable_runs


class WorkdirInsteadOfCd(Pass):
    """Use WORKDIR where a RUN changes its folder.

    What it does
        Writes ``WORKDIR /x`` in front of a RUN in place of ``cd /x &&`` in it, and sets the folder that was in force again
        where anything behind it depends on that: a RUN, a COPY to a relative path, the finished image. A ``mkdir -p`` for the
        same folder goes, since WORKDIR makes it. Where the ``cd`` stands further back, the RUN is divided there.

    Why
        The folder of a step is then written where readers and tools look for it, and each step of a longer RUN is cached by
        itself.

    When it refuses
        Where a later command of the RUN removes or moves files, so that dividing it would ship what it removes; where a shell
        setting or variable would have to reach over the division; for ``cd -``, ``cd ..``, ``~`` and folders that are known only
        when the command runs; where a symbolic link leads to the folder; where mounts or other flags stand in the way; where
        the folder has to be set again and the base image's is not known.

    Safety
        Safe: a build that came through ``cd`` had the folder, and WORKDIR leaves a folder that is there as it is. Where the image
        starts in ``/`` because nothing says otherwise, and would then say so in its configuration, it is unsafe; so is
        ``cd /src; make``, which goes on where nothing shows that the folder is there.
    """

    name = "workdir-instead-of-cd"
    alters = frozenset({Fact.RUNS})
    mends = ("DL3003",)
    examples = (
        Rewrites(
            'FROM node:20\nWORKDIR /app\nCOPY . .\nRUN cd client && npm ci && npm run build\nCMD ["node", "server.js"]\n',
            "FROM node:20\nWORKDIR /app\nCOPY . .\nWORKDIR /app/client\nRUN npm ci && npm run build\nWORKDIR /app\n"
            'CMD ["node", "server.js"]\n',
        ),
        Rewrites(
            "FROM debian:bookworm\nRUN mkdir -p /opt/app && cd /opt/app && touch a\nWORKDIR /srv\n",
            "FROM debian:bookworm\nWORKDIR /opt/app\nRUN touch a\nWORKDIR /srv\n",
        ),
        Rewrites(
            "FROM golang:1.22\nRUN git clone https://example.com/tool.git && cd tool && go install\nWORKDIR /srv\n",
            "FROM golang:1.22\nRUN git clone https://example.com/tool.git\nWORKDIR /go/tool\nRUN go install\nWORKDIR /srv\n",
        ),
        Keeps(
            "FROM debian:bookworm\nRUN wget http://example.com/a.tgz && tar xf a.tgz && cd a && make install && cd .. && rm -r a a.tgz\n",
            because="a layer of its own would ship what is removed",
        ),
        Keeps("FROM debian:bookworm\nRUN cd /src || exit 0; make\n", because="the RUN ends well where the folder is missing"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "cd "):
            if any(command.name == "cd" for command in run.script.commands):
                from optimizer.passes.runs.folders import instead_of_cd

                yield instead_of_cd(model, run)
