"""Models over small build contexts that are made from a mapping of paths to texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from optimizer.context import BuildContext
from optimizer.model import Model
from optimizer.syntax import parse

MakeModel = Callable[..., Model]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    def make(dockerfile: str, files: Mapping[str, str] = {}) -> Model:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.write_text(content)
        return Model(parse(dockerfile), BuildContext.open(tmp_path))

    return make
