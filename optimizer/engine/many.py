"""Many Dockerfiles at once, in other processes or on other machines."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from optimizer.engine.optimize import optimize
from optimizer.engine.result import Options, Result

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

T = TypeVar("T")
R = TypeVar("R")
CHUNK = 16  # Dockerfiles that are handed over at a time: one takes a few milliseconds, about what handing over costs
AHEAD = 64  # chunks that are under way before results are waited for, so that a long row of sources is not held in memory


class Item(Struct, frozen=True):
    """One Dockerfile.

    Args:
        source: Its text or bytes.
        context: The folder that is built, None when there is none.
    """

    source: str | bytes
    context: str | Path | None = None


class Failed(Struct, frozen=True):
    """What came of a Dockerfile that could not be done: the kind of exception and what it says."""

    kind: str
    reason: str


def optimize_many(
    sources: Iterable[str | bytes | Item], *, executor: Executor | None = None, config: Options | None = None
) -> Iterator[Result | Failed]:
    """Rewrite many Dockerfiles.

    Args:
        sources: Texts, bytes, or ``Item``s that also name a build context.
        executor: Where they are done: any ``concurrent.futures.Executor``, such as the one of
            ``dask.distributed.Client.get_executor()``. The default is a process for each core, ended when all is done.
        config: What may be done; see ``optimize``.

    Returns:
        A result for each source, in their order; ``Failed`` for one that raised, which stops no other.

    Examples:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor() as threads:
        ...     [result.text for result in optimize_many(["FROM a as b\\n"], executor=threads)]
        ['FROM a AS b\\n']
    """
    items = (source if isinstance(source, Item) else Item(source) for source in sources)
    work = partial(_optimize_chunk, config=config)
    if executor is not None:
        yield from ordered(executor, work, items)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(cores()) as pool:
        yield from ordered(pool, work, items)


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered(executor: Executor, work: Callable[[list[T]], list[R]], items: Iterable[T]) -> Iterator[R]:
    """What ``work`` makes of items, in their order; it is given ``CHUNK`` of them at a time, and few are held in memory."""
    waiting: deque[Future[list[R]]] = deque()
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        waiting.append(executor.submit(work, chunk))
        if len(waiting) >= AHEAD:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _optimize_chunk(chunk: list[Item], config: Options | None) -> list[Result | Failed]:
    return [_optimize(item, config) for item in chunk]


def _optimize(item: Item, config: Options | None) -> Result | Failed:
    try:
        return optimize(item.source, context=item.context, config=config)
    except Exception as error:  # one that fails must not keep the others from being done
        return Failed(type(error).__name__, str(error))
