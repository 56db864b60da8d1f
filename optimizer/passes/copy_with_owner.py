"""Give files their owner while they are copied."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.readable import readable_runs


class CopyWithOwner(Pass):
    """Give files their owner while they are copied.

    What it does
        Where a RUN gives a folder away with all that COPY brought into it (``chown -R app /app``), writes ``--chown`` on those COPY
        instructions instead. Where one RUN writes into the folder as well, such as an install, it gives away what it made, and the
        COPY instructions behind it do the same. What is left for the RUN are folders that WORKDIR and ``mkdir`` made; where the
        account is made behind the COPY instructions, the RUN that makes it moves above them. Single files are given away likewise.

    Why
        ``chown`` copies every file into a new layer, so the image holds them twice, and it does so again after every edit of the
        source. For a folder with ``node_modules`` that can be most of the image.

    When it refuses
        Where more than one RUN writes into the folder, since the second would find itself in a folder of somebody else; where the
        folder may hold files of the base image; where the account is made behind steps that make others, whose numbers would change;
        where it is not known what a COPY brings.

    Safety
        Safe: every file has the owner that it had.
    """

    name = "copy-with-owner"
    alters = frozenset({Fact.RUNS, Fact.COPIES})
    examples = (
        Rewrites(
            'FROM node:20-slim\nWORKDIR /app\nCOPY . .\nRUN chown -R node:node /app\nUSER node\nCMD ["node", "server.js"]\n',
            'FROM node:20-slim\nWORKDIR /app\nCOPY --chown=node:node . .\nRUN chown node:node /app\nUSER node\nCMD ["node", "server.js"]\n',
            files=(("server.js", ""),),
        ),
        Rewrites(
            "FROM debian:bookworm\nCOPY bin /app\nRUN useradd app && chown -R app:app /app\nUSER app\n",
            "FROM debian:bookworm\nRUN useradd app\nCOPY --chown=app:app bin /app\nUSER app\n",
            files=(("bin/tool", ""),),
        ),
        Keeps(
            "FROM node:20-slim\nWORKDIR /app\nCOPY . .\nRUN npm ci\nRUN npm run build\nRUN chown -R node:node /app\nUSER node\n",
            because="the build would run in a folder of somebody else",
            files=(("package.json", "{}"), ("package-lock.json", "{}")),
        ),
        Keeps(
            "FROM nginx:stable\nCOPY site /usr/share/nginx/html\nRUN chown -R nginx:nginx /usr/share/nginx/html\n",
            because="the image has files there",
            files=(("site/index.html", ""),),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, "chown"):
            if any(model.file.instruction(p).keyword in ("COPY", "ADD") for p in run.stage.positions if p < run.position):
                from optimizer.passes.copied.owners import while_copied

                yield from while_copied(model, run)
