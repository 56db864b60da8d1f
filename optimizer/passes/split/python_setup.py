"""What a RUN does with the project that it stands in: builds or installs it by its setup.py, or checks it."""

from __future__ import annotations

import re

from optimizer.model.local_folders import compiles_in_place
from optimizer.passes.split.steps import Step, steps_of
from optimizer.syntax import Instruction


def installs_by_setup(step: Step) -> bool:
    """Whether a step installs the project that it stands in, and what that depends on, the way that was there before pip's."""
    words = [word.value for word in step.command.words]
    return re.fullmatch(r"python[\d.]*", step.program or "") is not None and words[1:] == ["setup.py", "install"]


_CHECKERS = frozenset({"pytest", "py.test", "unittest", "flake8", "mypy", "pylint", "bandit", "nose2", "nosetests", "doctest"})
_CHECKING = re.compile(r"(ruff check|black --check|isort (-c|--check)|(\S*manage\.py|django-admin) (test|check)|coverage (run|report))\b")


def checks(step: Step) -> bool:
    """Whether a step tests or lints the sources, and leaves nothing that the program needs."""
    words = [word.value or "" for word in step.command.words]
    if re.fullmatch(r"python[\d.]*", step.program or ""):
        words = words[2:] if words[1:2] == ["-m"] else words[1:]
    elif step.program in ("poetry", "pipenv") and words[1:2] == ["run"]:
        words = words[2:]
    name = words[0].rpartition("/")[2] if words else ""
    checking = _CHECKING.match(" ".join((name, *words[1:]))) is not None and "--fix" not in words
    return step.plain and (name in _CHECKERS or checking)


def sets_up(node: Instruction) -> bool:
    """Whether a RUN compiles or installs the project by its setup.py."""
    steps = steps_of(node) or () if "setup.py" in node.text else ()
    return any(compiles_in_place(step.command) or installs_by_setup(step) for step in steps)
