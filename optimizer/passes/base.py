"""What a pass is: one rewrite, everything it says about itself, and the values it yields."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import Enum
from typing import ClassVar

from msgspec import Struct

from optimizer.model import Model
from optimizer.syntax import Dockerfile


class Safety(Enum):
    """What a change promises."""

    SAFE = "safe"
    """The meaning is kept, or the change is what the pass is for and evidence covers it."""
    UNSAFE = "unsafe"
    """It rests on an assumption, which is printed; applied only when asked for."""


class Fact(Enum):
    """What can be observed of a build without running it. A pass says which of these it may change."""

    STAGES = "names and order of stages"
    BASES = "the images that stages start from"
    COMMAND = "CMD, ENTRYPOINT, HEALTHCHECK and STOPSIGNAL of the final stage"
    ENV = "ENV of the final stage"
    WORKDIR = "WORKDIR of the final stage"
    USER = "USER of the final stage"
    METADATA = "LABEL, EXPOSE, VOLUME and ONBUILD of the final stage"
    SHELL = "SHELL of the final stage"
    COPIES = "what each stage copies, and in what order"
    RUNS = "the shell commands that each stage runs, in order"


class IgnoreFile(Struct, frozen=True):
    """An ignore file as a change leaves it.

    Args:
        path: Relative to the root of the build context, or absolute where it lies outside.
        before: Its text until now, None when there is none.
        text: Its new text.
        patterns: All patterns of the new text, in order.
    """

    path: str
    before: str | None
    text: str
    patterns: tuple[str, ...]


class Change(Struct, frozen=True):
    """One rewrite, ready to be applied.

    Args:
        summary: What it does, as one sentence without a full stop.
        file: The Dockerfile behind the rewrite.
        touched: Indices of the nodes, in the Dockerfile before it, that it changes, moves or removes.
        evidence: What it rests on, one fact an item.
        safety: What it promises.
        assumption: For an unsafe change, what must hold.
        ignore_file: The ignore file behind the rewrite, for a change that is about it and not about the Dockerfile.
        mends: The rules that ask for just this change, where its pass mends others as well; empty for all of the pass's.
    """

    summary: str
    file: Dockerfile
    touched: tuple[int, ...]
    evidence: tuple[str, ...] = ()
    safety: Safety = Safety.SAFE
    assumption: str = ""
    ignore_file: IgnoreFile | None = None
    mends: tuple[str, ...] = ()


class Refusal(Struct, frozen=True):
    """A rewrite that was considered and is not made: why, and at which node."""

    reason: str
    position: int


class Rewrites(Struct, frozen=True):
    """An example in a pass's documentation: a Dockerfile before and after. ``files`` make up its build context.

    ``ignore_file`` is the ignore file's text behind it, for a pass that writes one; ``digests`` what a registry says of images.
    """

    before: str
    after: str
    files: tuple[tuple[str, str], ...] = ()
    ignore_file: str | None = None
    digests: tuple[tuple[str, str], ...] = ()


class Keeps(Struct, frozen=True):
    """An example that must be left as it is, and why. ``files`` make up its build context."""

    source: str
    because: str
    files: tuple[tuple[str, str], ...] = ()


class Pass(ABC):
    """One rewrite.

    The class's docstring is its page: a first line in the imperative, then sections headed ``What it does``,
    ``Why``, ``When it refuses`` and ``Safety``.
    """

    name: ClassVar[str]
    """The one name it has: in the command line, the file (with underscores), its fixtures and its page."""
    alters: ClassVar[frozenset[Fact]]
    """The facts it may change; the engine checks after every change that the others are as before."""
    on_request: ClassVar[bool] = False
    """Whether it runs only when it is asked for by name."""
    examples: ClassVar[tuple[Rewrites | Keeps, ...]]
    """Samples for the documentation, each of them a test."""
    mends: ClassVar[tuple[str, ...]] = ()
    """Rules of hadolint (``DL…``) and checks of BuildKit (by name) that ask for what it does."""

    @abstractmethod
    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """Every rewrite that is possible now, and every one considered and refused; pure.

        The engine applies the first change that is allowed, then asks again with new facts.
        """
