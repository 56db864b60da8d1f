"""Which Python an image has."""

from __future__ import annotations

import re

from optimizer.knowledge.images import BaseImage

_DEBIAN_PYTHON = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
"""The version of Debian's own Python, which the distroless images hold (packages.debian.org/python3)."""


def python_version(image: BaseImage) -> str | None:
    """The minor version of an image's Python, such as ``3.11``; None where the image has none or its reference does not say."""
    match image.family:
        case "distroless-python3":
            return _DEBIAN_PYTHON.get(image.release or "")
        case "python":
            found = re.match(r"()(3\.\d+)", image.version or "")
        case "uv":  # the official Python image with uv added (docs.astral.sh/uv/guides/integration/docker)
            found = re.search(r"(^|-)python(3\.\d+)(-|$)", image.reference.tag or "")
        case _:
            return None
    return found[2] if found is not None else None
