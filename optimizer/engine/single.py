"""One rewrite of a result by itself."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from optimizer.engine.result import Options, Result, Rewrite, RewriteKey

_TRIES = 8  # rewrites of the same pass that may come forward one after the other when another is left out


def alone(rewrite: Rewrite, again: Callable[[Options], Result], options: Options) -> Result | None:
    """What comes of a Dockerfile when of all rewrites only one is made.

    Args:
        rewrite: The one.
        again: Rewrites the Dockerfile.
        options: What was asked for when ``rewrite`` was made.

    Returns:
        The result, without findings, or None where the rewrite is possible only behind another.
    """
    drop = options.drop
    for _ in range(_TRIES):
        result = again(replace(options, select=frozenset({rewrite.pass_name}), drop=drop, tell=False))
        others: frozenset[RewriteKey] = frozenset(each.key for each in result.rewrites) - {rewrite.key}
        if not others:
            return result if result.rewrites else None
        drop |= others
    return None
