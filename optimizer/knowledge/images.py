"""What official base images contain and how they start.

An image is matched by rule: its repository names a family, and every word of its tag must be understood. A word nobody
described (a Windows variant, an ``onbuild`` tag, a private naming scheme) makes the answer `None`, which means unknown.
The facts are in ``images/<family>.toml`` and ``distributions.toml``; each file names its source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field

from optimizer.knowledge.references import Reference, parse_reference
from optimizer.knowledge.tags import Tag, applies, read, read_tag, release_named

__all__ = ["BaseImage", "Reference", "lookup", "parse_reference"]

_HOLES = ("unknown", "none")


class BaseImage(Struct, frozen=True):
    """What is known of one image. `None` is "not known" wherever a field allows it, unless its line says otherwise."""

    text: str
    """The reference as written."""
    reference: Reference
    family: str
    version: str | None
    """The version the tag begins with, such as ``3.11`` or ``17.0.8_7``; `None` for ``latest``, ``lts``, ``slim``…"""
    distribution: str | None
    """``debian``, ``ubuntu``, ``alpine``, ``fedora``, ``rhel``, ``amazon``, ``suse``, ``arch``; `None`: none or unknown."""
    release: str | None
    """``bookworm``, ``jammy``, ``3.18`` (Alpine)… where the tag says it, or where the tag can no longer change."""
    default_release: bool
    """The tag names no release: it stands on whatever was the default when it was built."""
    libc: str | None
    """``glibc``, ``musl``, ``uclibc`` or ``none``."""
    variant: str
    """``full``, ``slim``, ``alpine``, ``distroless``, or a word of the family: ``jdk``, ``jre``, ``fpm``, ``devel``…"""
    shell: bool
    """Whether there is a ``/bin/sh``: shell form and RUN need it."""
    shell_path: str | None
    """The path of a shell, or `None` where the image has none."""
    pipefail_shells: tuple[str, ...]
    """The shells of the image that are sure to know ``set -o pipefail``."""
    package_manager: str | None
    """``apt``, ``apk``, ``dnf``, ``microdnf``, ``yum``, ``zypper``, ``pacman``; `None`: none or unknown."""
    has_toolchain: bool | None
    """Whether it brings a C compiler and the headers of libc."""
    user: str | None
    """The USER of the image, ``root`` where it sets none."""
    users: Mapping[str, int]
    """The accounts it is sure to have: name to user id. Others may exist."""
    steps_down: bool = False
    """It starts as root on purpose and drops privileges by itself, so a USER instruction can break it."""
    entrypoint: tuple[str, ...] | None = None
    """``()`` where the image has no ENTRYPOINT."""
    passes_on: bool = False
    """Its ENTRYPOINT ends in ``exec "$@"`` and changes nothing for a program of one's own; so it is without one."""
    cmd: tuple[str, ...] | None = None
    ports: tuple[int, ...] = ()
    volumes: tuple[str, ...] = ()
    workdir: str | None = "/"
    shell_words: tuple[str, ...] = ("/bin/sh", "-c")
    """The SHELL of the image. Without a ``/bin/sh`` the default fails."""
    stop_signal: str | None = "SIGTERM"
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Variables worth knowing, PATH among them where known; an image may set more."""
    tools: frozenset[str] = frozenset()
    """Commands it is sure to have."""
    lacks: frozenset[str] = frozenset()
    """Commands it is sure not to have."""
    ca_certificates: bool | None = None
    time_zones: bool | None = None

    def has(self, program: str) -> bool | None:
        """Whether the image brings the command `program`; `None` where that is not known."""
        return True if program in self.tools else False if program in self.lacks else None


@cache
def lookup(reference: str) -> BaseImage | None:
    """What is known of the image `reference`, or `None`.

    A name alone cannot be told from the name of a stage: ask only for images. Copies of the official library on other
    registries count, as do its namespaces of one architecture (``arm64v8/python``).
    """
    if reference == "scratch":
        return _scratch()
    parsed = parse_reference(reference)
    if parsed is None or (parsed.digest and not parsed.tag):
        return None
    found = _family(parsed)
    if found is None:
        return None
    family, given = found
    rules = read(f"images/{family}.toml")
    tag = read_tag(parsed.tag or "latest", rules, given)
    return None if tag is None else _image(reference, parsed, family, rules, tag)


def _scratch() -> BaseImage:
    return BaseImage(
        text="scratch",
        reference=Reference("docker.io", "library/scratch"),
        family="scratch",
        version=None,
        distribution=None,
        release=None,
        default_release=False,
        libc="none",
        variant="scratch",
        shell=False,
        shell_path=None,
        pipefail_shells=(),
        package_manager=None,
        has_toolchain=False,
        user="root",
        users=MappingProxyType({}),
        entrypoint=(),
        cmd=(),
        lacks=frozenset(read("distributions.toml")["programs"]["names"]),
        ca_certificates=False,
        time_zones=False,
    )


def _family(reference: Reference) -> tuple[str, Mapping[str, str]] | None:
    """The family of a repository, and the version or release its name gives away."""
    known = read("images/families.toml")
    place = f"{reference.registry}/{reference.repository}"
    base, _, name = place.rpartition("/")
    architectures = {f"docker.io/{namespace}" for namespace in known["architecture_namespaces"]}
    if base in known["official_registries"] or base in architectures:
        family = known["official"].get(name)
        return (family, {}) if family else None
    if place in known["other"]:
        return known["other"][place], {}
    for pattern, family in known["patterns"].items():
        if match := re.search(pattern, place):
            return family, {key: value for key, value in match.groupdict().items() if value}
    return None


def _image(text: str, reference: Reference, family: str, rules: Mapping[str, Any], tag: Tag) -> BaseImage:
    version, release, distribution = tag.version, tag.release, tag.distribution
    base = rules["base"]
    for rule in rules.get("bases", ()):
        if applies(rule, version, None, "", ()):
            base = rule["base"]
    distribution = distribution or (None if base in _HOLES else base)
    stated = release is not None
    if rules.get("version_is_release"):
        version, release = _numbered_release(distribution, version, release)
        stated = release is not None
    elif release is None and not tag.dated and tag.distribution in (None, "debian"):
        release = _settled_release(rules, version, distribution)
    variant = tag.variant or rules["image"].get("variant") or rules.get("default_variant", "full")
    if tag.variant is None and tag.distribution == "alpine" and base != "alpine" and variant in ("full", "jdk"):
        variant = "alpine" if variant == "full" else variant
    facts = _facts(rules, version, distribution, variant, tag.words)
    if facts.get("tools_known") and distribution in ("debian", "ubuntu", "alpine", None):
        lacks = frozenset(read("distributions.toml")["programs"]["names"]) - facts["tools"] - facts["unsure"]
    else:
        lacks = frozenset()
    tools: frozenset[str] = facts["tools"] - facts["unsure"]
    shell = facts.get("shell", True)

    def maybe(name: str, default: Any = None) -> Any:
        value = facts.get(name, default)
        if isinstance(value, list):
            return tuple(value)
        return None if value in _HOLES else value

    return BaseImage(
        text=text,
        reference=reference,
        family=family,
        version=version,
        distribution=distribution,
        release=release,
        default_release=not stated,
        libc="none" if facts.get("libc") == "none" else maybe("libc"),
        variant=variant,
        shell=shell,
        shell_path=maybe("shell_path", "/bin/sh" if shell else None),
        pipefail_shells=tuple(facts.get("pipefail_shells", ())),
        package_manager=maybe("package_manager"),
        has_toolchain=facts.get("has_toolchain"),
        user=maybe("user", "root"),
        users=MappingProxyType(facts["users"]),
        steps_down=facts.get("steps_down", False),
        entrypoint=maybe("entrypoint"),
        passes_on=facts.get("passes_on", False),
        cmd=maybe("cmd"),
        ports=tuple(facts.get("ports", ())),
        volumes=tuple(facts.get("volumes", ())),
        workdir=maybe("workdir", "/"),
        shell_words=tuple(facts.get("shell_words", ("/bin/sh", "-c"))),
        stop_signal=maybe("stop_signal", "SIGTERM"),
        env=MappingProxyType(facts["env"]),
        tools=tools,
        lacks=lacks,
        ca_certificates=facts.get("ca_certificates"),
        time_zones=facts.get("time_zones"),
    )


def _numbered_release(distribution: str | None, version: str | None, release: str | None) -> tuple[str | None, str | None]:
    """The version and release of a distribution's own image: either of them names the other."""
    if distribution == "alpine":
        match = re.match(r"\d+\.\d+", version or "")
        return version, match[0] if match else None
    if distribution is None:
        return version, release
    if release is None:
        return version, release_named(distribution, version) if version else None
    return version or read("distributions.toml")[distribution]["releases"][release], release


def _settled_release(rules: Mapping[str, Any], version: str | None, distribution: str | None) -> str | None:
    """The release of a tag that names none, where it never was another or can no longer change."""
    if version is None or distribution not in ("debian", "ubuntu"):
        return None
    parts = version.split(".")
    exact: str | None = rules.get("releases", {}).get(version)
    lines: Mapping[str, str] = rules.get("constant_releases", {})
    prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    release = exact or next((lines[prefix] for prefix in prefixes if prefix in lines), None)
    return release if release in read("distributions.toml")[distribution]["releases"] else None


def _facts(rules: Mapping[str, Any], version: str | None, distribution: str | None, variant: str, words: frozenset[str]) -> dict[str, Any]:
    """The facts of the distribution, the family and those of its rules that hold: later ones win, tables are merged."""
    data = read("distributions.toml")
    layers = [data[distribution]["image"]] if distribution is not None else []
    layers.append(rules["image"])
    layers += [rule for rule in rules.get("when", ()) if applies(rule, version, distribution, variant, words)]
    facts: dict[str, Any] = {"users": {}, "env": {}}
    tools: set[str] = set()
    unsure: set[str] = set()
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, dict):
                facts[key] = {**facts.get(key, {}), **value}
            elif key not in ("tools", "unsure", "distribution", "variant", "word", "from", "below"):
                facts[key] = value
        if "tools" in layer:
            added, removed = _tools(layer["tools"])
            tools = (tools | added) - removed
            unsure -= added
        unsure |= set(layer.get("unsure", ()))
    return {**facts, "tools": frozenset(tools), "unsure": frozenset(unsure)}


def _tools(names: Iterable[str]) -> tuple[set[str], set[str]]:
    added: set[str] = set()
    removed: set[str] = set()
    for name in names:
        if name.startswith("@"):
            added |= _tools(read("distributions.toml")["tools"][name[1:]])[0]
        elif name.startswith("-"):
            removed.add(name[1:])
        else:
            added.add(name)
    return added, removed
