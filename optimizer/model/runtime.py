"""Which image the final stage shall run on."""

from enum import Enum


class Runtime(Enum):
    """What a split may choose for the stage that runs. What it cannot reach with evidence falls back to the one above."""

    SAME = "same"
    """The base that the Dockerfile names."""
    SLIM = "slim"
    """The smallest image of the same distribution that keeps what the language's own image has: shell, package manager, paths."""
    DISTROLESS = "distroless"
    """An image of the runtime alone, without shell and package manager, where nothing needs them."""
