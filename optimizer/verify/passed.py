"""What is handed through to the builder: build arguments, secrets and the like, and how their values are kept out of sight."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

_SHORT = 4  # characters; a shorter value is part of too many words to be hidden wherever it stands
_HIDDEN = "***"


@dataclass(frozen=True)
class Passed:
    """Options of ``docker build`` that are handed through as they are given.

    Args:
        build_arg: ``NAME=VALUE``, or ``NAME`` for the environment's value.
        secret: ``id=ID[,src=FILE|,env=NAME]``.
        ssh: ``default``, or ``ID=SOCKET``.
        build_context: ``NAME=PLACE``.
        target: The stage that is built, None for the last.
        platform: The one platform that is built for, None for the builder's own.
    """

    build_arg: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    build_context: tuple[str, ...] = ()
    target: str | None = None
    platform: str | None = None
    _environment: dict[str, str] = field(default_factory=lambda: dict(os.environ), repr=False, compare=False)

    def arguments(self) -> list[str]:
        """The command line's part."""
        found = []
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name.startswith("_") or value is None:
                continue
            for item in (value,) if isinstance(value, str) else value:
                found += [f"--{each.name.replace('_', '-')}", item]
        return found

    def hide(self, text: str) -> str:
        """A text with every value of a build argument and a secret in it replaced by asterisks."""
        return self._hidden.sub(_HIDDEN, text) if self._hidden is not None else text

    @cached_property
    def _hidden(self) -> re.Pattern[str] | None:
        values: set[str] = set()
        patterns: list[str] = []
        for argument in self.build_arg:
            name, given, value = argument.partition("=")
            value = value if given else self._environment.get(name, "")
            if len(value) >= _SHORT:
                values.add(value)
            elif value:
                before = "|".join(f"(?<={re.escape(name)}={quote})" for quote in ("", '"', "'"))
                patterns.append(rf"(?:{before}){re.escape(value)}(?!\w)")
        for secret in self.secret:
            values |= self._values_of(secret)
        # The longest first, so that nothing is left over of a value that holds another.
        patterns += [re.escape(value) for value in sorted(values, key=len, reverse=True)]
        return re.compile("|".join(patterns)) if patterns else None

    def _values_of(self, secret: str) -> set[str]:
        options = dict(part.partition("=")[::2] for part in next(csv.reader([secret]), []))
        name = options.get("id", "")
        source = options.get("src") or options.get("source")
        if source is None and (variable := options.get("env") or name) in self._environment:
            text = self._environment[variable]
        else:
            try:
                text = Path(source or name).expanduser().read_text("utf-8", "replace")
            except OSError:
                return set()
        return {line.strip() for line in (text, *text.splitlines()) if len(line.strip()) >= _SHORT}
