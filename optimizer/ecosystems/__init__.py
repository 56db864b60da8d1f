"""One file a package manager or language: its commands, its caches, what it reads and leaves."""

from __future__ import annotations

from functools import cache, lru_cache

from optimizer.ecosystems.apk import Apk
from optimizer.ecosystems.apt import Apt
from optimizer.ecosystems.base import Action, Cache, Call, Ecosystem, asks_version, unwrapped
from optimizer.ecosystems.bun import Bun
from optimizer.ecosystems.bundler import Bundler, Gem
from optimizer.ecosystems.cargo import Cargo
from optimizer.ecosystems.composer import Composer
from optimizer.ecosystems.conda import Conda, Mamba, Micromamba
from optimizer.ecosystems.dotnet import Dotnet
from optimizer.ecosystems.golang import Go
from optimizer.ecosystems.gradle import Gradle
from optimizer.ecosystems.javac import Javac
from optimizer.ecosystems.maven import Maven
from optimizer.ecosystems.node import Npm, Pnpm, Yarn
from optimizer.ecosystems.pip import Pip
from optimizer.ecosystems.pipenv import Pipenv
from optimizer.ecosystems.poetry import Poetry
from optimizer.ecosystems.rpm import Dnf, Microdnf, Tdnf, Yum, Zypper
from optimizer.ecosystems.uv import Uv
from optimizer.syntax.shell import Command

ECOSYSTEMS: tuple[Ecosystem, ...] = (
    Apt(), Apk(), Dnf(), Yum(), Microdnf(), Tdnf(), Zypper(), Pip(), Npm(), Yarn(), Pnpm(), Conda(), Mamba(), Micromamba(), Go(),
    Poetry(), Uv(), Pipenv(), Bun(), Maven(), Gradle(), Javac(), Cargo(), Bundler(), Gem(), Composer(), Dotnet(),
)  # fmt: skip
SYSTEM = frozenset({"apt", "apk", "dnf", "yum", "microdnf", "tdnf", "zypper"})
"""The ecosystems that install packages of the distribution."""


@cache
def _candidates(program: str) -> tuple[Ecosystem, ...]:
    return tuple(e for e in ECOSYSTEMS if e.programs.match(program))


@lru_cache(maxsize=4096)  # every pass asks about the same commands
def read_call(command: Command) -> Call | None:
    """What a command does as a call of a package manager, None when it is none that is known."""
    program = unwrapped(command).program
    return next((call for e in _candidates(program) if (call := e.read(command)) is not None), None) if program else None


def ecosystem(name: str) -> Ecosystem:
    """The ecosystem of that name; KeyError when there is none."""
    return {e.name: e for e in ECOSYSTEMS}[name]


__all__ = ["ECOSYSTEMS", "SYSTEM", "Action", "Cache", "Call", "Ecosystem", "asks_version", "ecosystem", "read_call", "unwrapped"]
