"""To and from ``dockerfile_parse.DockerfileParser``, for programs that hold its objects."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from optimizer.syntax import decode, encode

if TYPE_CHECKING:
    from dockerfile_parse import DockerfileParser


def is_dockerfile_parser(value: Any) -> bool:
    """Whether a value is a ``DockerfileParser``, found out without importing the package."""
    return any(c.__module__.partition(".")[0] == "dockerfile_parse" and c.__name__ == "DockerfileParser" for c in type(value).__mro__)


def from_dockerfile_parser(parser: DockerfileParser) -> str:
    """The text that a parser holds, byte for byte: in its file object, or in the file it stands for."""
    if parser.fileobj is not None:
        position = parser.fileobj.tell()
        parser.fileobj.seek(0)
        data = parser.fileobj.read()
        parser.fileobj.seek(position)
        return decode(data) if isinstance(data, bytes) else str(data)
    with open(parser.dockerfile_path, "rb") as file:
        return decode(file.read())


def to_dockerfile_parser(text: str, path: str | None = None) -> DockerfileParser:
    """A ``DockerfileParser`` that holds ``text``: in memory, or written to ``path`` when one is given."""
    from dockerfile_parse import DockerfileParser

    if path is None:
        return DockerfileParser(fileobj=BytesIO(encode(text)))
    with open(path, "wb") as file:
        file.write(encode(text))
    return DockerfileParser(path)
