"""What a check is: something that is told and not mended, and everything it says about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct

from optimizer.model import Model


class Observation(Struct, frozen=True):
    """Something a check has seen: what, as one sentence without a full stop, and at which node."""

    message: str
    position: int


class Tells(Struct, frozen=True):
    """An example in a check's documentation: a Dockerfile, what is told of it, and on which line (from 1).

    ``files`` make up its build context.
    """

    source: str
    message: str
    line: int
    files: tuple[tuple[str, str], ...] = ()


class Passes(Struct, frozen=True):
    """An example of which nothing is told, and why. ``files`` make up its build context."""

    source: str
    because: str
    files: tuple[tuple[str, str], ...] = ()


class Check(ABC):
    """Something that is told of a Dockerfile and not mended.

    The class's docstring is its description: a first line that says what it tells, then why it matters.
    """

    name: ClassVar[str]
    """The one name it has, in the command line and in comments that ignore it."""
    rules: ClassVar[tuple[str, ...]] = ()
    """Rules of hadolint (``DL…``) and checks of BuildKit (by name) that say the same."""
    reason: ClassVar[str]
    """Why it is not mended, as one sentence without a full stop."""
    left_by: ClassVar[str] = ""
    """The pass that mends it where it can; what that pass says of a refusal is then the reason."""
    examples: ClassVar[tuple[Tells | Passes, ...]]
    """Samples, each of them a test."""

    @abstractmethod
    def observations(self, model: Model) -> Iterator[Observation]:
        """Everything it has to tell, in order of the file; pure."""
