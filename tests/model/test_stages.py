"""Stages, what they start from, and what they need."""

from __future__ import annotations

import pytest

from optimizer.model import Model, stage_number
from optimizer.syntax import parse


def model(text: str, target: str | None = None) -> Model:
    return Model(parse(text), target=target)


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("FROM a\n", [(None, "a", None)]),
        ("FROM a AS b\nFROM b\n", [("b", "a", None), (None, "b", 0)]),
        ("FROM a AS B\nFROM b\n", [("B", "a", None), (None, "b", 0)]),
        ("FROM a AS b\nFROM c AS b\nFROM b\n", [("b", "a", None), ("b", "c", None), (None, "b", 1)]),  # the later one wins
        ("FROM b\nFROM a AS b\n", [(None, "b", None), ("b", "a", None)]),  # a stage is seen only from behind
        ("FROM a AS a\nFROM a\n", [("a", "a", None), (None, "a", 0)]),
        ("ARG V=1\nFROM a:$V\n", [(None, "a:1", None)]),
        ("ARG V\nFROM a:${V:-2}\n", [(None, None, None)]),
        ("ARG V=b\nFROM a AS b\nFROM $V\n", [("b", "a", None), (None, "b", 0)]),
        ("FROM a:$TARGETARCH\n", [(None, None, None)]),
        ("FROM a\nARG V=1\nFROM b:$V\n", [(None, "a", None), (None, "b:", None)]),  # an ARG of a stage is not seen by FROM
        ("FROM --platform=linux/arm64 a\n", [(None, "a", None)]),
        ("FROM a AS b\nFROM 0\n", [("b", "a", None), (None, "0", None)]),  # a number is no base
    ],
)
def test_stages(text: str, stages: list[tuple[str | None, str | None, int | None]]) -> None:
    assert [(stage.name, stage.reference, stage.base) for stage in model(text).stages] == stages


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("FROM a AS b\nFROM c\nCOPY --from=b x y\n", [set(), {0}]),
        ("FROM a AS b\nFROM c\nCOPY --from=0 x y\n", [set(), {0}]),
        ("FROM a AS b\nFROM c\nCOPY --from=B x y\n", [set(), {0}]),
        ("FROM a AS b\nFROM c\nCOPY --from=busybox x y\n", [set(), set()]),
        ("FROM a AS b\nFROM c\nCOPY --from=7 x y\n", [set(), set()]),
        ("FROM a AS b\nFROM c\nRUN --mount=from=b,target=/x y\n", [set(), {0}]),
        ("FROM a AS b\nFROM c\nRUN --mount=type=cache,target=/x --mount=type=bind,from=b,target=/z y\n", [set(), {0}]),
        ("FROM a AS b\nFROM b AS c\nFROM c\n", [set(), {0}, {1}]),
        ("FROM a\nCOPY --from=later x y\nFROM b AS later\n", [{1}, set()]),  # BuildKit lets a stage copy from a later one
        ("FROM a AS b\nCOPY --from=b x y\n", [set()]),
    ],
)
def test_dependencies(text: str, needs: list[set[int]]) -> None:
    found = model(text)
    assert [set(each) for each in found.dependencies] == needs
    for stage in found.stages:
        assert [other.index for other in found.dependants(stage)] == [i for i, each in enumerate(needs) if stage.index in each]


@pytest.mark.parametrize(("target", "index"), [(None, 2), ("one", 0), ("TWO", 1), ("0", 0), ("nowhere", 2)])
def test_final(target: str | None, index: int) -> None:
    assert model("FROM a AS one\nFROM b AS two\nFROM c\n", target).final.index == index


def test_stage_of() -> None:
    found = model("ARG A\nFROM a\nRUN b\n# c\nFROM d\nRUN e\n")
    stages = [found.stage_of(position) for position in range(len(found.file.nodes))]
    assert [stage.index if stage else None for stage in stages] == [None, 0, 0, 0, 1, 1]


def test_positions_are_the_instructions_alone() -> None:
    found = model("FROM a\n# b\n\nRUN c\nFROM d\n")
    assert [(stage.position, stage.positions) for stage in found.stages] == [(0, (3,)), (4, ())]


@pytest.mark.parametrize(
    ("text", "keyword", "position"),
    [
        ("FROM a\nCMD b\nCMD c\n", "CMD", 2),
        ("FROM a AS x\nCMD b\nFROM x\nRUN c\n", "CMD", 1),
        ("FROM a AS x\nCMD b\nFROM d\n", "CMD", None),
        ("FROM a\n", "CMD", None),
    ],
)
def test_last(text: str, keyword: str, position: int | None) -> None:
    found = model(text)
    assert found.last(found.final, keyword) == position


def test_image_comes_down_the_chain() -> None:
    found = model("FROM debian:bookworm-slim AS x\nFROM x AS y\nFROM y\n")
    images = [found.image_of(stage) for stage in found.stages]
    assert images[0] is not None
    assert images[0].family == "debian"
    assert images[1] is images[0] is images[2]
    assert model("FROM registry.example/nobody/knows:1\n").final.image is None


@pytest.mark.parametrize(("name", "number"), [("0", 0), ("12", 12), ("²", None), ("٣", None), ("", None), ("-1", None), ("9" * 5000, None)])
def test_only_plain_digits_are_a_number(name: str, number: int | None) -> None:
    assert stage_number(name) == number
    assert (model("FROM scratch\n").find_stage(name) is not None) == (number == 0)
