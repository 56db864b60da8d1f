"""What a RUN does by the setup.py of the project that it stands in."""

from __future__ import annotations

import re

from optimizer.passes.split.steps import Step, steps_of
from optimizer.syntax import Instruction


def compiles_in_place(step: Step) -> bool:
    """Whether a step leaves the extensions of the project that it stands in among the sources."""
    words = [word.value for word in step.command.words]
    in_place = words[2:3] == ["build_ext"] and bool({"--inplace", "-i"} & set(words[3:]))
    return re.fullmatch(r"python[\d.]*", step.program or "") is not None and words[1:2] == ["setup.py"] and in_place


def installs_by_setup(step: Step) -> bool:
    """Whether a step installs the project that it stands in, and what that depends on, the way that was there before pip's."""
    words = [word.value for word in step.command.words]
    return re.fullmatch(r"python[\d.]*", step.program or "") is not None and words[1:] == ["setup.py", "install"]


def sets_up(node: Instruction) -> bool:
    """Whether a RUN compiles or installs the project by its setup.py."""
    steps = steps_of(node) or () if "setup.py" in node.text else ()
    return any(compiles_in_place(step) or installs_by_setup(step) for step in steps)
