"""Whether to colour, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import click
from msgspec import Struct


def wants_color(choice: str, stream: IO[Any], environment: Mapping[str, str]) -> bool:
    """Whether what is written to a stream is coloured.

    Args:
        choice: ``always``, ``never`` or ``auto``: the variables NO_COLOR and FORCE_COLOR decide in this order
            (https://no-color.org, https://force-color.org), then whether the stream is a terminal.
        stream: Where the text goes.
        environment: The environment variables.
    """
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return environment["FORCE_COLOR"] != "0"
    return stream.isatty() and environment.get("TERM") != "dumb"


class Paint(Struct, frozen=True):
    """Colours text, or leaves it plain."""

    enabled: bool = False

    def __call__(self, text: str, **style: Any) -> str:
        """``text`` in a style, as ``click.style`` takes it."""
        return click.style(text, **style) if self.enabled and text else text
