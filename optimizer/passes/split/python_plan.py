"""What becomes of the instructions of a Python stage that is split."""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.context.requirements import Requirement
from optimizer.passes.split.steps import Step, SystemSteps
from optimizer.syntax import Instruction, Node


@dataclass
class Plan:
    """Where each instruction goes, by position.

    Args:
        build: The instructions of the build stage.
        runtime: What stands in the runtime stage in the place of an instruction.
        pip: The RUNs that install with pip.
        system: The system packages.
        sources: RUNs that change where packages come from; both stages need them.
        commands: The commands that run in the runtime stage.
        requirements, manifests: The packages that pip installs, and the files of the context that name them.
        venv: The virtual environment that the stage makes itself.
        project, editable: The RUNs that install the project itself, and whether one does so in place.
        manager: The package manager besides pip, such as ``poetry``.
        tools: RUNs, or the part of one, that install the manager itself: nothing of it is needed later.
        installs: What becomes of a RUN in the build stage where that is another text.
        made: Whether the manager makes the environment itself.
        exported: The requirements files that another stage writes, as paths of the image.
        fetched: Whether the manager is installed by an installer that is downloaded.
        depends: The packages that the project itself declares to depend on.
        checked: Whether its commands look for all that is declared when they start, as those of ``setup.py install`` do.
        checks: The RUNs that test or lint what was copied so far.
    """

    build: list[int] = field(default_factory=list)
    runtime: dict[int, list[Node]] = field(default_factory=dict)
    pip: list[int] = field(default_factory=list)
    system: SystemSteps = field(default_factory=lambda: SystemSteps(dividable=True))
    sources: list[int] = field(default_factory=list)
    commands: list[tuple[int, Step]] = field(default_factory=list)
    requirements: list[Requirement] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)
    venv: str | None = None
    project: list[int] = field(default_factory=list)
    editable: bool = False
    manager: str | None = None
    tools: dict[int, Instruction] = field(default_factory=dict)
    installs: dict[int, Instruction] = field(default_factory=dict)
    made: bool = False
    exported: set[str] = field(default_factory=set)
    fetched: bool = False
    depends: set[str] = field(default_factory=set)
    checked: bool = False

    @property
    def named(self) -> set[str]:
        """The packages that are installed by their names, not for the project's sake; none where commands look for all of them."""
        return set() if self.checked or self.manager is not None else {r.name for r in self.requirements if r.name} - self.depends

    checks: list[int] = field(default_factory=list)
