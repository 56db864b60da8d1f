"""The tags of image references, read word by word with the rules of a family."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct

from optimizer.knowledge.data import read_text

_NEWEST = 10**9
_DATE = re.compile(r"\d{8}(\.\d+)*")  # of a rebuild


class Tag(Struct, frozen=True):
    """A tag whose every word is understood."""

    text: str
    version: str | None
    label: tuple[str, ...]
    """The words that choose the version: ``3.13-rc``, ``lts``, ``1.15-otp-26``."""
    rest: tuple[str, ...]
    """The words behind the variant: releases, dates."""
    words: frozenset[str]
    variant: str | None
    distribution: str | None
    release: str | None
    dated: bool


@cache
def read(name: str) -> Mapping[str, Any]:
    """A TOML file of this package; `name` is relative to it."""
    import tomllib

    data: dict[str, Any] = tomllib.loads(read_text(name))
    return data


def debian_release(number: str) -> str | None:
    """The code name of the Debian release ``12`` or ``12.5``."""
    return release_named("debian", number)


def release_named(distribution: str, number: str) -> str | None:
    """The code name of a release of ``debian`` or ``ubuntu``."""
    releases: Mapping[str, str] = read("distributions.toml")[distribution]["releases"]
    short = number.split(".")[0] if distribution == "debian" else number
    return next((name for name, value in releases.items() if value == short), None)


def _distribution_of(word: str) -> tuple[str, str | None] | None:
    """The distribution and release that a word of a tag names: ``bookworm``, ``alpine3.18``, ``ubuntu22.04``."""
    data = read("distributions.toml")
    for distribution in ("debian", "ubuntu"):
        if word in data[distribution]["releases"]:
            return distribution, word
        if word.startswith(distribution) and (release := release_named(distribution, word[len(distribution) :])):
            return distribution, release
    if match := re.fullmatch(r"alpine(\d+\.\d+)?", word):
        return "alpine", match[1]
    return None


def read_tag(text: str, rules: Mapping[str, Any], given: Mapping[str, str]) -> Tag | None:
    """The tag by its words, or `None` if one of them has no described meaning."""
    words = {**rules.get("words", {}), **{name: {"label": True} for name in rules.get("rolling", ())}}
    patterns = [re.compile(pattern) for pattern in rules.get("patterns", {}).values()]
    version_pattern = re.compile(rules.get("version", r"^\d[\w.]*$"))
    version: str | None = given.get("version")
    release: str | None = release_named("debian", given["debian"]) if "debian" in given else None
    distribution: str | None = None
    variant: str | None = None
    label: list[str] = []
    rest: list[str] = []
    previous, dated = "", False
    for index, word in enumerate(_words(text, words)):
        meaning = words.get(word)
        if word == "latest" and index == 0:
            pass
        elif (index == 0 or previous == "version") and version_pattern.search(word):
            version = word if version is None else f"{version}-{word}"
            label.append(word)
            previous = "version"
            continue
        elif meaning is not None:
            variant = meaning.get("variant", variant)
            distribution = meaning.get("distribution", distribution)
            if meaning.get("label"):
                label.append(word)
            elif "variant" not in meaning:
                rest.append(word)
        elif found := _distribution_of(word):
            distribution, release = found[0], found[1] or release
            rest.append(word)
        elif previous == "alpine" and re.fullmatch(r"3\.\d+", word):
            release = word
            rest.append(word)
        elif _DATE.fullmatch(word):
            dated = True
            rest.append(word)
        elif any(pattern.search(word) for pattern in patterns):
            label.append(word)
        else:
            return None
        previous = word
    present = frozenset(_words(text, words))
    return Tag(text, version, tuple(label), tuple(rest), present, variant, distribution, release, dated)


def _words(text: str, known: Mapping[str, Any]) -> list[str]:
    return [text] if text in known else text.split("-")


def version_number(version: str | None) -> tuple[int, ...]:
    """A version for comparing. What a tag leaves open is the newest: ``3`` is after ``3.13``, ``latest`` after all."""
    match = re.search(r"\d+(\.\d+)*", version or "")
    return (*(int(part) for part in match[0].split(".")), _NEWEST) if match else (_NEWEST,)


def bound(version: str) -> tuple[int, ...]:
    """The lower end of what a version covers."""
    return version_number(version)[:-1]


def applies(rule: Mapping[str, Any], version: str | None, distribution: str | None, variant: str, words: Iterable[str]) -> bool:
    """Whether the conditions of `rule` hold: all that it states, each optional."""
    return (
        rule.get("distribution", distribution) == distribution
        and rule.get("variant", variant) == variant
        and ("word" not in rule or rule["word"] in words)
        and ("without" not in rule or rule["without"] not in words)
        and ("from" not in rule or version_number(version) >= bound(rule["from"]))
        and ("below" not in rule or version_number(version) < bound(rule["below"]))
    )
