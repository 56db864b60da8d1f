"""Reads the data files of this package."""

from __future__ import annotations

import os


def read_text(name: str) -> str:
    """The text of a data file; ``name`` is relative to this package.

    By path, not through importlib.resources, whose import alone takes longer than reading the file.
    """
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()
