"""Stop a RUN where the first command of a pipe fails."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites


class SetPipefail(Pass):
    """Stop a RUN where the first command of a pipe fails.

    What it does
        Writes ``SHELL ["/bin/bash", "-o", "pipefail", "-c"]`` (``/bin/ash`` on Alpine) above the first RUN of a stage that has a
        pipe.

    Why
        A pipe succeeds when its last command does. ``curl … | tar x`` goes on with what came before the connection broke, and
        ``curl … | sh`` with nothing at all.

    When it refuses
        Where a pipe is cut off on purpose (``yes |``, ``| head``, ``| grep -q``), since the command that writes to it then fails.
        Where a later RUN means something else to bash than to ``/bin/sh``: backslashes in ``echo``, braces, ``&>``. Where a
        command in shell form or ONBUILD behind it would start with bash. Where the image is not sure to have a shell that knows
        the option.

    Safety
        Safe in a stage that only hands on files, where each command that writes to a pipe (curl, cat, echo, …) fails only
        when something is wrong, and each that reads from it reads to the end. Elsewhere unsafe: SHELL stays in the image's
        configuration, for those who build on it, and commands such as grep fail without anything being wrong.
    """

    name = "set-pipefail"
    alters = frozenset({Fact.SHELL})
    mends = ("DL4006",)
    examples = (
        Rewrites(
            "FROM debian:bookworm AS build\nRUN curl -fsSL https://example.com/a.tgz | tar xz -C /a\n"
            "FROM debian:bookworm\nCOPY --from=build /a /a\n",
            'FROM debian:bookworm AS build\nSHELL ["/bin/bash", "-o", "pipefail", "-c"]\n'
            "RUN curl -fsSL https://example.com/a.tgz | tar xz -C /a\n"
            "FROM debian:bookworm\nCOPY --from=build /a /a\n",
        ),
        Rewrites(
            "FROM alpine:3.20\nRUN cat /etc/passwd | grep root\n",
            'FROM alpine:3.20\nSHELL ["/bin/ash", "-o", "pipefail", "-c"]\nRUN cat /etc/passwd | grep root\n',
        ),
        Keeps("FROM debian:bookworm\nRUN yes | unminimize\n", because="yes is cut off, and would fail the build"),
        Keeps("FROM debian:bookworm\nRUN printenv | sort > a && echo 'a\\tb' > b\n", because="bash writes another b"),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for stage in model.stages:
            for position in stage.positions:
                node = model.file.instruction(position)
                if node.keyword == "RUN" and "|" in node.text and node.shell_text is not None:
                    from optimizer.passes.runs.pipes import has_pipe, with_pipefail

                    if has_pipe(node.script) and "pipefail" not in model.before(position).shell:
                        yield with_pipefail(model, stage, position)
                        break
