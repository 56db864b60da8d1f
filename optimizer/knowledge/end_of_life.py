"""Which releases get no more security updates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.tags import read


class Ended(Struct, frozen=True):
    """A release that has ended: what people call it, and the day of the last updates (YYYY-MM-DD)."""

    name: str
    date: str


def ended(image: BaseImage) -> Ended | None:
    """Which part of an image has ended, None where all of it is supported or nothing is known of it.

    The program that the image is for comes before the distribution under it.
    """
    data = read("end_of_life.toml")
    family = data["families"].get(image.family, {})
    line = _ended_line(family, image.version or "")
    if line is not None:
        return Ended(f"{family['title']} {line}", family["ended"][line])
    release = data["distributions"].get(image.distribution)
    if release is not None and image.release in release["ended"]:
        return Ended(f"{release['title']} {image.release}", release["ended"][image.release])
    return None


def successor(image: BaseImage) -> str | None:
    """The reference of the same image on the oldest releases that are supported; None where no such tag is known.

    Program and distribution move, each only where it has ended; variant and everything else of the tag stay.
    """
    data = read("end_of_life.toml")
    tag = image.reference.tag
    if tag is None or ended(image) is None or image.reference.digest or re.search(r"(?:^|-)\d{8}", tag):
        return None  # a date is the day of a rebuild of the old release
    words = [_moved(word, index, image, data) for index, word in enumerate(tag.split("-"))]
    new = f"{image.text.removesuffix(tag)}{'-'.join(words)}"
    found = lookup(new)
    return new if found is not None and found.variant == image.variant and ended(found) is None else None


def _moved(word: str, index: int, image: BaseImage, data: Mapping[str, Any]) -> str:
    """A word of a tag, or what it becomes."""
    if index == 0 and word == image.version:
        family = data["families"].get(image.family, {})
        if _ended_line(family, word) is not None:
            return str(family.get("oldest", word))
        distribution = data["distributions"].get(image.family, {})
        if image.release in distribution.get("ended", ()):
            name = distribution["oldest"]
            return str(read("distributions.toml").get(image.family, {}).get("releases", {}).get(name, name))
        return word
    for name, distribution in data["distributions"].items():
        if word in distribution["ended"]:
            return str(distribution["oldest"])
        match = re.fullmatch(rf"{name}(.+)", word)
        if match is not None and match[1] in distribution["ended"]:
            return f"{name}{distribution['oldest']}"
    return word


def _ended_line(family: Mapping[str, Any], version: str) -> str | None:
    """The ended line of releases that a version belongs to, None when there is none."""
    return next((line for line in family.get("ended", ()) if f"{version}.".startswith(f"{line}.")), None)
