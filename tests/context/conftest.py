"""Builds small build contexts from a mapping of paths to texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from optimizer.context.folder import BuildContext

MakeContext = Callable[..., BuildContext]


@pytest.fixture
def make_context(tmp_path: Path) -> MakeContext:
    def make(files: Mapping[str, str | bytes], dockerfile: str | None = None) -> BuildContext:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return BuildContext.open(tmp_path, None if dockerfile is None else tmp_path / dockerfile)

    return make
