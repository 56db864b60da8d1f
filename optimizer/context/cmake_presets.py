"""CMakePresets.json: the build folder, the variables and the targets that a preset stands for.

Source: cmake-presets(7).
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from optimizer.context.folder import BuildContext

_FILES = ("CMakePresets.json", "CMakeUserPresets.json")
_DEPTH = 8  # of presets that inherit


class Preset(Struct, frozen=True):
    """What a preset stands for.

    Args:
        build: The build folder, relative to the source folder or absolute.
        variables: The variables of the cache that it sets.
        goals: The targets that a build preset names.
    """

    build: str
    variables: Mapping[str, str]
    goals: tuple[str, ...]


def cmake_preset(context: BuildContext, folder: str, name: str, *, builds: bool) -> Preset | None:
    """Read a preset of a CMake project; None where there is none of that name or where it is computed.

    Args:
        context: The build context.
        folder: The source folder of the project.
        name: The name of the preset.
        builds: Whether it is one for building, else for configuring.
    """
    texts = [text for file in _FILES if (text := context.read_text(posixpath.join(folder, file))) is not None]
    try:
        files: list[Any] = [json.loads(text) for text in texts]
    except ValueError:
        return None
    if not files or any(not isinstance(file, dict) or "include" in file for file in files):
        return None

    def presets(kind: str) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for file in files for one in file.get(kind, ()) if isinstance(one, dict) and "name" in one}

    goals: tuple[str, ...] = ()
    if builds:
        found = _merged(presets("buildPresets"), name, 0)
        if found is None or "configurePreset" not in found:
            return None
        targets = found.get("targets", ())
        goals = (targets,) if isinstance(targets, str) else tuple(targets)
        name = found["configurePreset"]
    settings = _merged(presets("configurePresets"), name, 0)
    if settings is None:
        return None
    generator = settings.get("generator", "")

    def expanded(text: str) -> str:
        known = {"sourceDir": ".", "presetName": name, "generator": generator, "dollar": "$", "pathListSep": ":"}
        return re.sub(r"\$\{(\w+)\}", lambda match: known.get(match[1], match[0]), text)

    build = expanded(str(settings.get("binaryDir", "")))
    variables = {key: expanded(_text(value)) for key, value in settings.get("cacheVariables", {}).items() if value is not None}
    if "installDir" in settings:
        variables["CMAKE_INSTALL_PREFIX"] = expanded(str(settings["installDir"]))
    if not build or "$" in build or any("$" in value for value in variables.values()):
        return None
    return Preset(posixpath.normpath(build), variables, goals)


def _merged(presets: Mapping[str, dict[str, Any]], name: str, depth: int) -> dict[str, Any] | None:
    """A preset with what it inherits; where several ancestors set the same, the first one counts."""
    own = presets.get(name)
    if own is None or depth > _DEPTH:
        return None
    inherits = own.get("inherits", ())
    found: dict[str, Any] = {}
    for ancestor in reversed([inherits] if isinstance(inherits, str) else inherits):
        inner = _merged(presets, ancestor, depth + 1)
        if inner is None:
            return None
        found = {**found, **inner, "cacheVariables": {**found.get("cacheVariables", {}), **inner.get("cacheVariables", {})}}
    return {**found, **own, "cacheVariables": {**found.get("cacheVariables", {}), **own.get("cacheVariables", {})}}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("value", "")
    return str(value).upper() if isinstance(value, bool) else str(value)
