"""The distribution's own Python: what its packages bring, and what of them building needs and running does."""

from __future__ import annotations

import re
from collections.abc import Iterable

from optimizer.ecosystems import Call
from optimizer.passes.split.shared import Refused, SystemPackages
from optimizer.passes.split.steps import SystemSteps, steps_of
from optimizer.syntax import Instruction

FAMILIES = frozenset({"debian", "ubuntu"})
_INTERPRETER = frozenset({"python3", "python3-minimal", "python3-full", "python-is-python3"})
_TOOLS = frozenset(
    {"python3-pip", "python3-venv", "python3-dev", "python3-setuptools", "python3-wheel", "python3-virtualenv", "virtualenv"}
)
_MAKES_ENVIRONMENTS = frozenset({"python3-venv", "python3-full"})


def installs_python(calls: Iterable[Call]) -> bool:
    """Whether calls of apt install the distribution's Python."""
    return any(p in _INTERPRETER | _TOOLS for call in calls if call.ecosystem == "apt" for p in call.packages)


def check_packages(system: SystemSteps, position: int) -> None:
    """An environment does not see the distribution's own packages for Python.

    Raises:
        Refused: One of them is installed.
    """
    for package in system.packages:
        if re.match(r"(python3?-|ipython)", package) and package not in _INTERPRETER | _TOOLS:
            raise Refused(f"a virtual environment does not see {package}", position)


def for_running(system: SystemSteps, found: SystemPackages) -> SystemPackages:
    """The packages of the runtime stage with the interpreter, and the certificates that pip brought along, but without pip."""
    own = _INTERPRETER | _TOOLS
    certificates = ["ca-certificates"] if "python3-pip" in system.written else []
    kept = dict.fromkeys(["python3", *certificates, *(p for p in found.kept if p not in own)])
    dropped = dict.fromkeys([*found.dropped, *(p for p in system.packages if p in own and p not in kept)])
    return SystemPackages(tuple(kept), tuple(dropped), found.options)


def with_environments(node: Instruction, system: SystemSteps) -> Instruction:
    """An instruction that installs Python with apt, with the package that makes virtual environments where none is installed."""
    if _MAKES_ENVIRONMENTS & set(system.written):
        return node
    text = node.shell_text
    for step in steps_of(node) or ():
        words = [word for word in step.command.words if (word.value or "").partition("=")[0] in _INTERPRETER | _TOOLS]
        if step.call is not None and step.call.ecosystem == "apt" and words and text is not None:
            end = text.source_end(words[-1].end)
            return node.edited((end, end, " python3-venv"))
    return node
