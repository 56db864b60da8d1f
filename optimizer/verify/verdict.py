"""What a proof says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """Something that is otherwise in the image after.

    Args:
        place: ``config`` or ``files``.
        name: The key of the configuration, or the path; a folder stands for all that went or came with it.
        kind: ``added``, ``removed`` or ``changed``.
        before, after: What it was and is, as people read it.
        expected: Why that is meant to be, empty when nothing explains it.
        count: How many paths it stands for.
    """

    place: str
    name: str
    kind: str
    before: str = ""
    after: str = ""
    expected: str = ""
    count: int = 1

    def __str__(self) -> str:
        name = f"/{self.name}" if self.place == "files" else self.name
        more = f" ({self.count} paths)" if self.count > 1 else ""
        change = f": {self.before} → {self.after}" if self.kind == "changed" else ""
        return f"{name} {self.kind}{more}{change}"


@dataclass(frozen=True)
class Figures:
    """What was measured of one Dockerfile: bytes, layers, and seconds of a build without a cache and of one after an edit.

    None stands for what was not measured.
    """

    size: int
    layers: int
    cold: float | None = None
    rebuild: float | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether the Dockerfile after does what the one before does.

    Args:
        engine: What it was found out with.
        before, after: Figures, None when there is no image.
        problems: What speaks against it, one sentence each; none when it is proved.
        notes: What else there is to know, such as a check that could not be made.
        smoke: How both were tested and what came of it.
        edited: The file that was edited for the rebuild, None when none was.
        differences: What is otherwise, expected or not.
    """

    engine: str
    before: Figures
    after: Figures | None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    smoke: str = ""
    edited: str | None = None
    differences: tuple[Difference, ...] = ()

    @property
    def proved(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.problems

    @property
    def unexpected(self) -> tuple[Difference, ...]:
        """The differences that nothing explains."""
        return tuple(each for each in self.differences if not each.expected)
