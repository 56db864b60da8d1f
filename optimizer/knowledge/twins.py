"""Which smaller image can run what was made in another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from optimizer.knowledge.images import BaseImage
from optimizer.knowledge.tags import Tag, applies, read, read_tag, version_number

_PLACEHOLDER = re.compile(r"\{([a-z/-]+)(?::([^}]*))?\}")
_DISTROLESS = {"bookworm": "12", "trixie": "13"}  # the releases distroless images are built from
_LONG_TERM_JAVA = ("8", "11", "17", "21", "25")


def runtime_twins(image: BaseImage) -> tuple[str, ...]:
    """References of smaller images that can run what was made in `image`, smallest first.

    They are of the same distribution and release, and for languages that are needed at run time of the same version.
    Those for compiled languages hold a C library at most; ``static`` of distroless not even that, so it suits only
    programs that are linked statically. Nothing is said for an image pinned by digest.
    """
    return _expand(image, "twins")


def java_runtimes(image: BaseImage) -> tuple[str, ...]:
    """References of images with a JRE that run the class files compiled in `image` (Maven, Gradle, JDK).

    They may be of another distribution, unlike those of `runtime_twins`: enough for jars, not for native libraries.
    """
    return _expand(image, "twins") + _expand(image, "java")


def distroless(kind: str, release: str | None) -> str | None:
    """The distroless image ``static``, ``base`` or ``cc`` of a Debian release, None where there is none."""
    number = _DISTROLESS.get(release or "")
    return f"gcr.io/distroless/{kind}-debian{number}" if number is not None else None


def _expand(image: BaseImage, table: str) -> tuple[str, ...]:
    """The references that the templates of `table` give for `image`; those with a part that is unknown are left out."""
    if image.family == "scratch" or image.reference.digest:
        return ()
    rules = read(f"images/{image.family}.toml")
    tag = read_tag(image.reference.tag or "latest", rules, {})
    if tag is None or (tag.dated and image.family != "debian"):
        return ()
    found: list[str] = []
    values = _values(image, rules, tag)
    for rule in rules.get(table, ()):
        parts = len(tag.version.split(".")) if tag.version else 0
        if (
            applies(rule, image.version, image.distribution, image.variant, tag.words)
            and image.release not in rule.get("not_releases", ())
            and ("needs" not in rule or parts > 0)
            and rule.get("version_parts", parts) == parts
        ):
            found += [text for template in rule["to"] if (text := _fill(template, values, image))]
    return tuple(dict.fromkeys(found))


def _values(image: BaseImage, rules: Mapping[str, Any], tag: Tag) -> dict[str, str | None]:
    captured: dict[str, str | None] = {}
    for name, pattern in rules.get("captures", {}).items():
        match = re.search(pattern, tag.text)
        captured[name] = match[1] if match else None
    java = captured.get("java") or (str(version_number(image.version)[0]) if image.version else None)
    named = "" if image.default_release or image.release is None else image.release
    name = image.text
    return {
        **captured,
        "tag": {"latest": "stable"}.get(tag.text, tag.text) if image.family == "debian" else tag.text,
        "label-": "".join(f"{word}-" for word in tag.label),
        "-release": f"-{named}" if named else "",
        "release-": f"{named}-" if named else "",
        "-rest": "".join(f"-{word}" for word in tag.rest),
        "release": image.release,
        "distroless": _DISTROLESS.get(image.release or ""),
        "lts": java if java in _LONG_TERM_JAVA else None,
        "place": name[: name.rfind("/") + 1],
        "repository": name[: -len(image.reference.tag) - 1] if image.reference.tag else name,
    }


def _fill(template: str, values: Mapping[str, str | None], image: BaseImage) -> str | None:
    for match in _PLACEHOLDER.finditer(template):
        value = values.get(match[1])
        value = match[2] if value is None else value
        if value is None:
            return None
        template = template.replace(match[0], value)
    return template if "/" in template else _beside(image) + template


def _beside(image: BaseImage) -> str:
    """Where the official images are taken from: ``public.ecr.aws/docker/library/``, ``arm64v8/`` or nothing."""
    official = read("images/families.toml")["official"]
    place, slash, last = image.text.partition("@")[0].rpartition("/")
    return f"{place}/" if slash and last.partition(":")[0] in official else ""
