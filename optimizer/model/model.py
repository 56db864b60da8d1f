"""Read-only facts about a Dockerfile: its stages, their graph, and the state before every instruction."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from optimizer.knowledge.images import BaseImage, lookup
from optimizer.model.runtime import Runtime
from optimizer.model.state import DEFAULT_PATH, PLATFORM_ARGS, State
from optimizer.syntax import Dockerfile, Instruction
from optimizer.syntax.words import fields

if TYPE_CHECKING:
    from optimizer.context.folder import BuildContext


_UNSET = frozenset({"PYTHONPATH", "LD_LIBRARY_PATH"})
"""Variables that are added to by habit, and that no image of Python's or of a distribution sets."""


class Stage(Struct, frozen=True):
    """One stage.

    Args:
        index: Its number, from 0.
        name: The name behind AS, None without one.
        position: Index in ``Dockerfile.nodes`` of its FROM.
        positions: Indices of its other instructions, in order.
        reference: The image it starts from with variables replaced, None when a build argument decides.
        base: Index of the stage it starts from, None when it starts from an image.
        image: What is known of the image at the root of its chain of stages, None when nothing is.
        platform: The value of ``--platform``.
    """

    index: int
    name: str | None
    position: int
    positions: tuple[int, ...]
    reference: str | None
    base: int | None
    image: BaseImage | None
    platform: str | None = None


class Mount(Struct, frozen=True):
    """One ``--mount`` of a RUN: its type and its other keys as written."""

    type: str
    options: dict[str, str]

    @property
    def target(self) -> str | None:
        """Where it is mounted."""
        return next((self.options[k] for k in ("target", "dst", "destination") if k in self.options), None)


def mounts(node: Instruction) -> tuple[Mount, ...]:
    """The mounts of a RUN, in order. Type bind is the default (Dockerfile reference, RUN --mount)."""
    found = []
    for flag in node.flags:
        if flag.name == "mount" and flag.value:
            options = {key.lower(): value for key, _, value in (field.partition("=") for field in fields(flag.value))}
            found.append(Mount(options.pop("type", "bind").lower(), options))
    return tuple(found)


def stage_number(name: str) -> int | None:
    """The number that a name of a stage is, None for any other name."""
    return int(name) if name.isascii() and name.isdigit() and len(name) < 10 else None  # longer ones no file has stages for


class Model(Struct, frozen=True, dict=True):
    """Facts about one Dockerfile in one build context (None when there is no context). Computed when first asked.

    ``target`` is the stage that is built, by name or number; None means the last. ``runtime`` is what it shall run on.
    ``digests`` is what a registry says of images, by reference.
    """

    file: Dockerfile
    context: BuildContext | None = None
    target: str | None = None
    runtime: Runtime = Runtime.SLIM
    digests: Mapping[str, str] | None = None

    @cached_property
    def global_state(self) -> State:
        """The ARGs before the first FROM, the only scope that FROM lines see."""
        state = State(args=dict.fromkeys(PLATFORM_ARGS), closed=True)
        for position in self.file.positions:
            node = self.file.instruction(position)
            if node.keyword == "FROM":
                break
            state = state.after(node)
        return state

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Every stage, in order."""
        found: list[Stage] = []
        by_name: dict[str, int] = {}  # a later stage takes the name over
        every = self.file.positions
        starts = [at for at, p in enumerate(every) if self.file.instruction(p).keyword == "FROM"]
        for index, at in enumerate(starts):
            start = every[at]
            node = self.file.instruction(start)
            words = node.value.split()
            name = words[2] if len(words) == 3 else None
            reference = self.global_state.expand(words[0], node.escape) if words else None
            base = by_name.get(reference.lower()) if reference is not None else None
            image = found[base].image if base is not None else (lookup(reference) if reference else None)
            positions = every[at + 1 : starts[index + 1] if index + 1 < len(starts) else None]
            found.append(Stage(index, name, start, positions, reference, base, image, node.flag("platform")))
            if name:
                by_name[name.lower()] = index
        return tuple(found)

    @cached_property
    def final(self) -> Stage:
        """The stage that is built: the target, or the last one."""
        if self.target is not None:
            found = self.find_stage(self.target)
            if found is not None:
                return found
        return self.stages[-1]

    def bases(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that a stage starts from, the nearest first."""
        found: list[Stage] = []
        while stage.base is not None:
            stage = self.stages[stage.base]
            found.append(stage)
        return tuple(found)

    @cached_property
    def _by_name(self) -> dict[str, int]:
        """The index of the last stage of each name, in small letters."""
        return {stage.name.lower(): stage.index for stage in self.stages if stage.name}

    def find_stage(self, name: str) -> Stage | None:
        """The stage that ``--from=name`` or ``--target name`` means: a name, or a number."""
        index = self._by_name.get(name.lower())
        if index is not None:
            return self.stages[index]
        number = stage_number(name)
        return self.stages[number] if number is not None and number < len(self.stages) else None

    def stage_of(self, position: int) -> Stage | None:
        """The stage that the node at an index belongs to, None before the first FROM."""
        behind = bisect_right(self.stages, position, key=lambda stage: stage.position)
        return self.stages[behind - 1] if behind else None

    def image_of(self, stage: Stage) -> BaseImage | None:
        """What is known of the image under a stage."""
        return stage.image

    def sources(self, node: Instruction) -> tuple[str, ...]:
        """The names that an instruction takes files from: ``COPY --from`` and ``RUN --mount=from=``."""
        names = [node.flag("from")] if node.keyword == "COPY" else [m.options.get("from") for m in mounts(node)]
        return tuple(name for name in names if name)

    @cached_property
    def dependencies(self) -> tuple[frozenset[int], ...]:
        """For each stage, the stages that it needs directly: its base and those it copies or mounts from."""
        found = []
        for stage in self.stages:
            needs = {stage.base} if stage.base is not None else set()
            for position in stage.positions:
                for name in self.sources(self.file.instruction(position)):
                    other = self.find_stage(name)
                    if other is not None and other.index != stage.index:  # a later stage may be copied from, too
                        needs.add(other.index)
            found.append(frozenset(needs))
        return tuple(found)

    def dependants(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that need this one directly."""
        return self._dependants[stage.index]

    @cached_property
    def _dependants(self) -> tuple[tuple[Stage, ...], ...]:
        found: list[list[Stage]] = [[] for _ in self.stages]
        for other in self.stages:
            for index in self.dependencies[other.index]:
                found[index].append(other)
        return tuple(map(tuple, found))

    @cached_property
    def _states(self) -> dict[int, State]:
        """The state before each instruction and, under the position -1 - index, behind each stage."""
        states: dict[int, State] = {}
        for stage in self.stages:
            states[stage.position] = self.global_state
            if stage.base is not None:
                state = states[-1 - stage.base]  # with its ARGs: a stage hands them to those that start from it
            else:
                image = stage.image
                scratch = stage.reference == "scratch"
                user = (image.user if image is not None else None) or ("root" if scratch else None)
                workdir = "/" if scratch else (image.workdir if image is not None else None)
                shell = tuple(image.shell_words) if image is not None and image.shell_words else State().shell
                env: dict[str, str | None] = {"PATH": DEFAULT_PATH} if scratch else {}
                inherited = image.env if image is not None else {}
                unset = _UNSET if image is not None and image.family in ("python", "debian", "ubuntu") else frozenset[str]()
                state = State(env=env, user=user, workdir=workdir, shell=shell, closed=scratch, inherited=inherited, unset=unset)
            for position in stage.positions:
                states[position] = state
                node = self.file.instruction(position)
                state = state.after(node)
                if node.keyword == "ARG":
                    state = self._with_globals(state, node)
            states[-1 - stage.index] = state
        return states

    def _with_globals(self, state: State, node: Instruction) -> State:
        """An ARG without a default takes the value of the global ARG of that name."""
        new = {p.name: self.global_state.args[p.name] for p in node.pairs if p.value is None and p.name in self.global_state.args}
        return replace(state, args={**state.args, **new}) if new else state

    def before(self, position: int) -> State:
        """The state before the instruction at an index of ``nodes``."""
        return self._states[position]

    def behind(self, stage: Stage) -> State:
        """The state at the end of a stage: what its image is configured with."""
        return self._states[-1 - stage.index]

    def instructions_of(self, stage: Stage) -> Iterator[tuple[int, Instruction]]:
        """The instructions of a stage and of those it starts from, with their positions, the last stage first."""
        current: Stage | None = stage
        while current is not None:
            yield from ((position, self.file.instruction(position)) for position in current.positions)
            current = self.stages[current.base] if current.base is not None else None

    def last(self, stage: Stage, keyword: str) -> int | None:
        """The position of the last instruction of that keyword in a stage or the stages it starts from."""
        current: Stage | None = stage
        while current is not None:
            found = self._lasts[current.index].get(keyword)
            if found is not None:
                return found
            current = self.stages[current.base] if current.base is not None else None
        return None

    @cached_property
    def _lasts(self) -> tuple[dict[str, int], ...]:
        """For each stage, the position of the last instruction of each keyword."""
        return tuple({self.file.instruction(p).keyword: p for p in stage.positions} for stage in self.stages)
