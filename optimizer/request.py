"""What one run of the command line is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct, field

from optimizer.config import Config, Configs
from optimizer.engine import Options
from optimizer.files import InputError, search_limit
from optimizer.model.runtime import Runtime
from optimizer.passes.base import IgnoreFile

if TYPE_CHECKING:
    from optimizer.engine.result import Lines
    from optimizer.proving import Proving

STANDARD_INPUT = Path("-")
TEXT = "text"
"""The format for the terminal; the others are ``report.formats.FORMATS``."""


class BadCall(click.ClickException):
    """The command line or the configuration makes no sense; said in one line."""

    exit_code = 2


class Request(Struct, frozen=True):
    """What the command line asks for; None where it leaves it to the configuration.

    ``write`` is whether files are rewritten, ``diff`` whether diffs are printed, ``proving`` proves each result by building,
    ``tell`` whether findings are told, ``output`` is the format, ``stdin_filename`` where the text of
    standard input is taken to lie, ``jobs`` how many processes may work at a time, None for as many as pay, ``changed`` the
    files that count and in each of them the lines, None for all of both.
    """

    write: bool
    diff: bool
    select: frozenset[str] | None
    ignore: frozenset[str] | None
    also: frozenset[str] | None
    unsafe: bool | None
    target: str | None
    runtime: str | None
    context: Path | None
    quiet: bool
    verbose: bool
    color: str
    configs: Configs
    starts: tuple[Path, ...]
    ignore_files: dict[Path, IgnoreFile] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Path] = field(default_factory=dict)
    proving: Proving | None = None
    tell: bool = True
    output: str = TEXT
    stdin_filename: Path | None = None
    jobs: int | None = None
    changed: dict[Path, tuple[Lines, ...] | None] | None = None

    def options(self, dockerfile: Path) -> Options:
        """What the engine may do: the command line wins, and a pass that it selects is not ignored. InputError as ``config_of``."""
        config = self.config_of(dockerfile)
        ignore = self.ignore if self.ignore is not None else (config.ignore or frozenset()) - (self.select or frozenset())
        return Options(
            select=self.select if self.select is not None else config.select,
            ignore=ignore,
            also=(self.also if self.also is not None else config.also) or frozenset(),
            unsafe=bool(self.unsafe if self.unsafe is not None else config.unsafe),
            target=self.target if self.target is not None else config.target,
            runtime=Runtime(self.runtime) if self.runtime is not None else config.runtime or Runtime.SLIM,
            tell=self.tell,
            rules_off=config.rules_off,
            changed=None if self.changed is None else self.changed[dockerfile],
        )

    def config_of(self, dockerfile: Path) -> Config:
        """The configuration that holds for a Dockerfile. InputError when it cannot be read."""
        return self.configs.of(Path(os.path.abspath(dockerfile)).parent, self.limit_of(dockerfile))

    def limit_of(self, dockerfile: Path) -> Path:
        """The outermost folder that may belong to a Dockerfile's project, found out once for each folder."""
        folder = os.path.dirname(os.path.abspath(dockerfile))
        if folder not in self.limits:
            self.limits[folder] = search_limit(dockerfile, self.starts)
        return self.limits[folder]

    def excludes(self, dockerfile: Path) -> bool:
        """Whether the configuration leaves a file out; one that cannot be read is reported later."""
        try:
            return self.config_of(dockerfile).excludes(dockerfile)
        except InputError:
            return False
