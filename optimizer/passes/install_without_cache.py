"""Keep apk from filling a cache that the same RUN empties."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.runs.readable import readable_runs

_FOLDER = "/var/cache/apk"


class InstallWithoutCache(Pass):
    """Keep apk from filling a cache that the same RUN empties.

    What it does
        Writes ``apk add --no-cache`` in place of ``apk update && apk add … && rm -rf /var/cache/apk/*``, and ``--no-cache``
        for ``--update``.

    Why
        One option says what three commands do, and nobody can forget the last of them.

    When it refuses
        Where another command of the RUN may read the index, where an earlier step may have filled the cache that is emptied
        here, where the image's apk is older than the option, and where the commands are not a plain list of ``&&``.

    Safety
        Safe: apk fetches the same index and keeps none.
    """

    name = "install-without-cache"
    alters = frozenset({Fact.RUNS})
    mends = ("DL3019",)
    examples = (
        Rewrites(
            "FROM alpine:3.20\nRUN apk update && apk add curl && rm -rf /var/cache/apk/*\n",
            "FROM alpine:3.20\nRUN apk add --no-cache curl\n",
        ),
        Rewrites(
            "FROM alpine:3.20\nRUN apk add --update curl \\\n    && rm -rf /tmp/* /var/cache/apk/*\n",
            "FROM alpine:3.20\nRUN apk add --no-cache curl \\\n    && rm -rf /tmp/*\n",
        ),
        Keeps("FROM alpine:3.1\nRUN apk add curl && rm -rf /var/cache/apk/*\n", because="its apk does not know the option"),
        Keeps(
            "FROM alpine:3.20\nRUN apk update && apk search curl > /list && apk add curl && rm -rf /var/cache/apk/*\n",
            because="another command reads the index",
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        for run in readable_runs(model, _FOLDER):
            if "apk " not in run.node.text.replace(_FOLDER, ""):
                continue
            from optimizer.passes.caches.emptied import without_emptying

            found = without_emptying(model, run, _FOLDER)
            if isinstance(found, str):
                yield Refusal(f"apk's cache is filled and emptied: {found}", run.position)
            elif found is not None:
                file = model.file.replaced(run.position, run.position + 1, [found])
                evidence = ("the RUN empties the cache that it fills",)
                yield Change("apk add --no-cache in place of emptying its cache", file, (run.position,), evidence)
