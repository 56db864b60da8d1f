"""Image references: the text behind FROM, by its parts."""

from __future__ import annotations

import re

from msgspec import Struct


class Reference(Struct, frozen=True):
    """The parts of an image reference.

    `repository` has its namespace (``library/python``); `registry` is ``docker.io`` where the text names none.
    `tag` and `digest` are `None` where absent: a missing tag is not replaced by ``latest``.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None


def parse_reference(text: str) -> Reference | None:
    """The parts of the image reference `text`, as Docker splits it; `None` for no reference or one with variables."""
    name, at, digest = text.partition("@")
    if not name or "$" in text or any(c.isspace() for c in text) or (at and ":" not in digest):
        return None
    head, slash, tail = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        registry, path = head, tail
    else:
        registry, path = "docker.io", name
    if registry in ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"):
        registry = "docker.io"
    path, colon, tag = path.partition(":")
    if not path or path != path.lower() or (colon and not re.fullmatch(r"\w[\w.-]{0,127}", tag, re.ASCII)):
        return None
    if registry == "docker.io" and "/" not in path:
        path = f"library/{path}"
    return Reference(registry, path, tag or None, digest or None)
