"""Which releases get no more security updates."""

from __future__ import annotations

from msgspec import Struct

from optimizer.knowledge.images import BaseImage
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
    family = data["families"].get(image.family)
    if family is not None and image.version is not None:
        parts = image.version.split(".")
        for count in range(len(parts), 0, -1):
            version = ".".join(parts[:count])
            if version in family["ended"]:
                return Ended(f"{family['title']} {version}", family["ended"][version])
    release = data["distributions"].get(image.distribution)
    if release is not None and image.release in release["ended"]:
        return Ended(f"{release['title']} {image.release}", release["ended"][image.release])
    return None
