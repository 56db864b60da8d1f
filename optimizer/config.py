"""Settings out of ``dopt.toml`` or ``[tool.dopt]`` in ``pyproject.toml``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from optimizer import hadolint
from optimizer.files import InputError
from optimizer.model.runtime import Runtime
from optimizer.passes import PASSES

if TYPE_CHECKING:
    from e2b_dockerfile_utils import PatternMatcher

FILES = ("dopt.toml", "pyproject.toml")
_KINDS = {"select": list, "ignore": list, "also": list, "unsafe": bool, "target": str, "context": str, "runtime": str, "exclude": list}
_SAID = {list: "a list of strings", bool: "true or false", str: "a string"}
_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


class Config(Struct, frozen=True, dict=True):
    """What a configuration file says; None where it says nothing.

    Args:
        path: The file, None when there is none.
        select: Names of the passes and checks to run.
        ignore: Names of the passes and checks to leave out.
        also: Names of the passes to run that run only on request.
        unsafe: Whether changes that rest on an assumption are made.
        target: The stage that is built.
        context: The folder that is built, relative to the file's folder.
        runtime: What the final stage shall run on.
        exclude: Files left out when folders are searched: patterns as in ``.dockerignore``, relative to the file's folder.
        rules_off: Rules that the project's configuration of hadolint ignores.
    """

    path: Path | None = None
    select: frozenset[str] | None = None
    ignore: frozenset[str] | None = None
    unsafe: bool | None = None
    target: str | None = None
    context: str | None = None
    runtime: Runtime | None = None
    exclude: tuple[str, ...] = ()
    rules_off: frozenset[str] = frozenset()
    also: frozenset[str] | None = None

    @property
    def context_folder(self) -> Path | None:
        """The folder that is built, None when the file does not say."""
        return None if self.context is None or self.path is None else self.path.parent / self.context

    def excludes(self, file: Path) -> bool:
        """Whether a file is left out when folders are searched."""
        if self.path is None or not self.exclude:
            return False
        relative = os.path.relpath(file, self.path.parent).replace(os.sep, "/")
        return not relative.startswith("../") and bool(self._matcher.matches(relative))

    @cached_property
    def _matcher(self) -> PatternMatcher:
        from e2b_dockerfile_utils import PatternMatcher

        return PatternMatcher(list(self.exclude))


class Configs(Struct):
    """The configuration of each folder, read once. ``only`` is one given on the command line, which holds everywhere."""

    only: Config | None = None
    _known: dict[tuple[Path, Path], Config] = field(default_factory=dict)
    _rules_off: dict[tuple[Path, Path], frozenset[str]] = field(default_factory=dict)

    def of(self, folder: Path, limit: Path) -> Config:
        """The nearest configuration at or above a folder, with what hadolint's nearest one switches off.

        Args:
            folder: An absolute folder.
            limit: The outermost folder to look in.

        Raises:
            InputError: The file is no TOML, or holds an unknown key, a wrong type or the name of no pass; or hadolint's
                configuration is not what hadolint takes.
        """
        rules_off = self._off(folder, limit)
        config = self.only if self.only is not None else self._nearest(folder, limit)
        return replace(config, rules_off=rules_off) if rules_off else config

    def _nearest(self, folder: Path, limit: Path) -> Config:
        if (folder, limit) not in self._known:
            config = next((c for name in FILES if (c := load(folder / name)) is not None), None)
            if config is None:
                config = self._nearest(folder.parent, limit) if _below(folder, limit) else Config()
            self._known[folder, limit] = config
        return self._known[folder, limit]

    def _off(self, folder: Path, limit: Path) -> frozenset[str]:
        if (folder, limit) not in self._rules_off:
            rules = hadolint.rules_off(folder)
            if rules is None:
                rules = self._off(folder.parent, limit) if _below(folder, limit) else frozenset()
            self._rules_off[folder, limit] = rules
        return self._rules_off[folder, limit]


def _below(folder: Path, limit: Path) -> bool:
    return folder != limit and folder.is_relative_to(limit)


def load(path: Path) -> Config | None:
    """The configuration in a file; None when there is no such file, or for a ``pyproject.toml`` without ``[tool.dopt]``.

    Raises:
        InputError: See ``Configs.of``.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(str(path), (error.strerror or str(error)).lower()) from error
    in_pyproject = path.name == "pyproject.toml"
    if in_pyproject and b"dopt" not in data:
        return None  # most have nothing to say, and reading TOML takes time
    table: Any = _table(path, data)
    if in_pyproject:
        tool = table.get("tool")
        table = tool.get("dopt") if isinstance(tool, dict) else None
        if table is None:
            return None
    if not isinstance(table, dict):
        raise InputError(str(path), "'tool.dopt' must be a table")
    return _config(path, table)


def _table(path: Path, data: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(str(path), "not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        reason = _PLACE.sub("", message)
        raise InputError(str(path), f"no TOML: {reason}", *(int(number) for number in place.groups()) if place else ()) from error


def _config(path: Path, table: Mapping[str, Any]) -> Config:
    for key, value in table.items():
        kind = _KINDS.get(key)
        if kind is None:
            raise InputError(str(path), f"unknown key '{key}'{near(key, _KINDS)}")
        if not isinstance(value, kind) or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
            raise InputError(str(path), f"'{key}' must be {_SAID[kind]}")
    names: dict[str, frozenset[str] | None] = {}
    for key in ("select", "ignore", "also"):
        names[key] = frozenset(table[key]) if key in table else None
        for name in table.get(key, ()):
            if (wrong := unknown_pass(name)) is not None:
                raise InputError(str(path), f"'{key}': {wrong}")
    runtime = table.get("runtime")
    choices = [each.value for each in Runtime]
    if runtime is not None and runtime not in choices:
        raise InputError(str(path), f"'runtime' must be one of {', '.join(choices)}{near(runtime, choices)}")
    config = Config(
        path.absolute(), names["select"], names["ignore"], table.get("unsafe"), table.get("target"), table.get("context"),
        None if runtime is None else Runtime(runtime), tuple(table.get("exclude", ())), also=names["also"],
    )  # fmt: skip
    try:
        config.excludes(path)
    except ValueError as error:
        raise InputError(str(path), f"'exclude': {error}") from error
    return config


def unknown_pass(name: str) -> str | None:
    """What to say about the name of a pass or check that there is not, None for one that there is."""
    names = [each.name for each in PASSES]
    if name in names:
        return None
    from optimizer.checks import CHECKS

    names += [each.name for each in CHECKS]
    return None if name in names else f"unknown pass '{name}'{near(name, names)}"


def near(word: str, options: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"`` for the option that a word is most like, empty when it is like none."""
    from difflib import get_close_matches

    found = get_close_matches(word.lower(), options, 1, 0.6)
    return f" (did you mean '{found[0]}'?)" if found else ""
