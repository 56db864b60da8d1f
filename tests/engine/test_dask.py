"""The recipe of docs/at-scale.md, on a cluster of dask.distributed with two processes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optimizer import optimize

distributed = pytest.importorskip("distributed")
PAGE = Path(__file__).parents[2] / "docs" / "at-scale.md"


def test_the_recipe_finds_what_would_change(tmp_path, capsys):
    match = re.search(r"<!-- recipe -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(match[1], names)
    texts = [f"FROM debian:bookworm\nRUN mkdir /a{number}\nRUN mkdir /b{number}\n" for number in range(40)]
    for number, text in enumerate(texts):
        file = tmp_path / f"{number:02}" / "Dockerfile"
        file.parent.mkdir()
        file.write_text(text if number % 2 else "FROM debian:bookworm\n")
    with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        found = list(names["survey"](sorted(tmp_path.iterdir()), client))
    assert found == [(tmp_path / f"{n:02}" / "Dockerfile", optimize(texts[n]).diff()) for n in range(1, 40, 2)]
    assert capsys.readouterr().out == ""
