"""XML manifests: POMs, project files, nuget.config."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from optimizer.context.folder import BuildContext


def parse(context: BuildContext, path: str) -> Element | None:
    """The root element of a file, None when it is absent, no XML, or declares entities."""
    from xml.etree.ElementTree import ParseError, fromstring

    text = context.read_text(path)
    if text is None or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    try:
        return fromstring(text.encode("utf-8") if text.lstrip().startswith("<?xml") else text)
    except (ParseError, ValueError, RecursionError):
        return None


def named(element: Element, name: str) -> bool:
    """Whether an element has a name, in whatever namespace."""
    return isinstance(element.tag, str) and element.tag.rpartition("}")[2] == name


def children(element: Element, name: str) -> Iterator[Element]:
    """The direct children of that name."""
    return (child for child in element if named(child, name))


def text_of(element: Element) -> str:
    """The text of an element without white space around it."""
    return (element.text or "").strip()
