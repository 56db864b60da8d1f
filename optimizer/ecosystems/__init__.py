"""One file a package manager or language: its commands, its caches, what it reads and leaves."""

from __future__ import annotations

from optimizer.ecosystems.apk import Apk
from optimizer.ecosystems.apt import Apt
from optimizer.ecosystems.base import Action, Cache, Call, Ecosystem, unwrapped
from optimizer.ecosystems.conda import Conda, Mamba, Micromamba
from optimizer.ecosystems.golang import Go
from optimizer.ecosystems.node import Npm, Pnpm, Yarn
from optimizer.ecosystems.pip import Pip
from optimizer.ecosystems.rpm import Dnf, Microdnf, Tdnf, Yum, Zypper
from optimizer.syntax.shell import Command

ECOSYSTEMS: tuple[Ecosystem, ...] = (
    Apt(), Apk(), Dnf(), Yum(), Microdnf(), Tdnf(), Zypper(), Pip(), Npm(), Yarn(), Pnpm(), Conda(), Mamba(), Micromamba(), Go(),
)  # fmt: skip
SYSTEM = frozenset({"apt", "apk", "dnf", "yum", "microdnf", "tdnf", "zypper"})
"""The ecosystems that install packages of the distribution."""


def read_call(command: Command) -> Call | None:
    """What a command does as a call of a package manager, None when it is none that is known."""
    return next((call for ecosystem in ECOSYSTEMS if (call := ecosystem.read(command)) is not None), None)


def ecosystem(name: str) -> Ecosystem:
    """The ecosystem of that name; KeyError when there is none."""
    return {e.name: e for e in ECOSYSTEMS}[name]


__all__ = ["ECOSYSTEMS", "SYSTEM", "Action", "Cache", "Call", "Ecosystem", "ecosystem", "read_call", "unwrapped"]
