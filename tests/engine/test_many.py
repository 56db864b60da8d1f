"""Many Dockerfiles through an executor: the same results in the same order, and one that fails stops no other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from optimizer import Options, Result, optimize, optimize_many
from optimizer.engine.many import AHEAD, CHUNK, Failed, Item

TEXTS = [f"FROM debian:bookworm\nRUN mkdir /a{n}\nRUN mkdir /b{n}\n" for n in range(40)]


@pytest.fixture(params=[ThreadPoolExecutor, ProcessPoolExecutor, None])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if request.param is None:
        yield None
        return
    with request.param(2) as made:
        yield made


def test_results_are_those_of_optimize(executor: Executor | None) -> None:
    found = list(optimize_many(TEXTS, executor=executor))
    assert found == [optimize(text) for text in TEXTS]


def test_options_reach_other_processes(executor: Executor | None) -> None:
    options = Options(ignore=frozenset({"merge-runs"}))
    assert [each.text for each in optimize_many(TEXTS, executor=executor, config=options) if isinstance(each, Result)] == TEXTS


def test_options_and_contexts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    source = b"FROM debian:bookworm\nADD a.txt /\nRUN mkdir /a\nRUN mkdir /b\n"
    with ThreadPoolExecutor() as threads:
        (found,) = optimize_many([Item(source, tmp_path)], executor=threads, config=Options(ignore=frozenset({"merge-runs"})))
    assert isinstance(found, Result)
    assert [rewrite.pass_name for rewrite in found.rewrites] == ["copy-instead-of-add"]
    assert "looked into" in found.rewrites[0].evidence[0]


def test_one_that_fails_stops_no_other(tmp_path: Path) -> None:
    sources = [Item(TEXTS[0], tmp_path / "missing"), TEXTS[1], "FROM a\nUNKNOWN\n"]
    with ThreadPoolExecutor() as threads:
        bad, good, wrong = optimize_many(sources, executor=threads)
    assert isinstance(bad, Failed)
    assert bad.kind == "ContextError"
    assert good == optimize(TEXTS[1])
    assert isinstance(wrong, Result)
    assert wrong.problems


def test_sources_are_taken_as_they_are_needed() -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "FROM a as b\n"

    with ThreadPoolExecutor(1) as threads:
        results = optimize_many(endless(), executor=threads)
        first = next(results)
        results.close()
    assert isinstance(first, Result)
    assert first.text == "FROM a AS b\n"
    assert taken <= CHUNK * (AHEAD + 1)
