"""What is told of variables that do not say what they seem to say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.checks.base import Check, Observation, Passes, Tells
from optimizer.knowledge.references import parse_reference
from optimizer.model import Model, Stage
from optimizer.model.state import PLATFORM_ARGS, PREDEFINED_ARGS, State
from optimizer.syntax import Instruction

# The instructions in which the builder puts in values of variables. Source: "Environment replacement" in the Dockerfile reference.
_EXPANDS = frozenset({"ADD", "COPY", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"})


class UndefinedVariable(Check):
    """A variable that nothing sets at this place.

    The builder puts in nothing and goes on. The usual cause: a build argument from before the first FROM, which a stage
    sees only behind an ARG of its own.
    """

    name = "undefined-variable"
    rules = ("UndefinedVar",)
    reason = "an ARG here would change what is built"
    examples = (
        Tells(
            "ARG VERSION=1\nFROM debian:bookworm\nCOPY app-$VERSION /app\n",
            "VERSION is empty here: this stage has no ARG VERSION",
            3,
        ),
        Tells(
            "ARG VERSION=1\nFROM debian:bookworm\nRUN echo $VERSION >/version\n",
            "VERSION is empty here: this stage has no ARG VERSION",
            3,
        ),
        Tells("FROM scratch\nCOPY app $TARGET/\n", "TARGET is empty here: nothing sets it", 2),
        Passes("ARG VERSION=1\nFROM debian:bookworm\nARG VERSION\nCOPY app-$VERSION /app\n", because="the stage asks for it"),
        Passes("FROM debian:bookworm\nCOPY app $TARGET/\n", because="the base image may set it"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        outside = frozenset(model.global_state.args) - PLATFORM_ARGS - PREDEFINED_ARGS
        for stage in model.stages:
            if not outside and not model.before(stage.position).closed and stage.reference != "scratch":
                continue
            for position in stage.positions:
                yield from self._of(model, stage, position, outside)

    def _of(self, model: Model, stage: Stage, position: int, outside: frozenset[str]) -> Iterator[Observation]:
        node = model.file.instruction(position)
        if node.keyword != "RUN" and node.keyword not in _EXPANDS:
            return
        state = model.before(position)
        image_sets = frozenset(stage.image.env) if stage.image is not None else frozenset()
        for name in _named(node):
            if name in state.env or name in state.args or name in image_sets:
                continue
            if name in outside and not _set_by_shell(node, name):
                yield Observation(f"{name} is empty here: this stage has no ARG {name}", position)
            elif state.closed and node.keyword != "RUN" and name not in PREDEFINED_ARGS:
                yield Observation(f"{name} is empty here: nothing sets it", position)


class UndefinedInFrom(Check):
    """A FROM with a variable that has no value.

    Without ``--build-arg`` on the command line the build fails, or starts from another image than meant.
    """

    name = "undefined-in-from"
    rules = ("InvalidDefaultArgInFrom", "UndefinedArgInFrom")
    reason = "which image was meant is its author's to say"
    examples = (
        Tells("FROM debian:$RELEASE\n", "RELEASE has no value: no ARG before the first FROM sets it", 1),
        Tells("ARG RELEASE\nFROM debian:$RELEASE\n", "RELEASE has no default, so the build fails without --build-arg RELEASE=…", 2),
        Passes("ARG SUFFIX\nFROM debian:bookworm$SUFFIX\n", because="without a value it is an image, too"),
        Passes("ARG RELEASE=bookworm\nFROM debian:$RELEASE\n", because="it has a default"),
        Passes("FROM debian:${RELEASE:-bookworm}\n", because="the place itself has a default"),
        Passes("FROM --platform=$BUILDPLATFORM debian:bookworm\n", because="the builder sets it"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        known = model.global_state.args
        for stage in model.stages:
            for name in _named(model.file.instruction(stage.position)):
                if name in PLATFORM_ARGS or name in PREDEFINED_ARGS:
                    continue
                if name not in known:
                    yield Observation(f"{name} has no value: no ARG before the first FROM sets it", stage.position)
                elif known[name] is None and _has_no_default(model, name) and _needs_value(model, stage):
                    yield Observation(f"{name} has no default, so the build fails without --build-arg {name}=…", stage.position)


def _has_no_default(model: Model, name: str) -> bool:
    first = model.stages[0].position
    pairs = [pair for p in model.file.positions if p < first for pair in model.file.instruction(p).pairs]
    return all(pair.value is None for pair in pairs if pair.name == name)


def _needs_value(model: Model, stage: Stage) -> bool:
    """Whether a FROM names no image when variables without a value are empty."""
    node = model.file.instruction(stage.position)
    args = {name: value or "" for name, value in model.global_state.args.items()}
    reference = State(args=args, closed=True).expand(node.words[0], node.escape)
    return reference is None or parse_reference(reference) is None


class SelfReferringEnv(Check):
    """An ENV that uses a variable which the same ENV sets.

    Every value is seen from before the instruction, so it gets the old value, or none.
    """

    name = "self-referring-env"
    rules = ("DL3044",)
    reason = "it works as it stands, only perhaps not as meant"
    examples = (
        Tells("FROM debian:bookworm\nENV A=1 B=$A\n", "$A is not the value that this ENV gives it", 2),
        Passes("FROM debian:bookworm\nENV A=1\nENV B=$A\n", because="A is set before"),
        Passes("FROM debian:bookworm\nENV PATH=/opt/bin:$PATH\n", because="a variable may grow"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for position in model.file.positions:
            node = model.file.instruction(position)
            if node.keyword != "ENV" or len(node.pairs) < 2 or "$" not in node.text:
                continue
            before = model.before(position) if model.stage_of(position) is not None else None
            for pair in node.pairs:
                used = _references(pair.value or "", node.escape)
                for other in node.pairs:
                    if other.name in used and other is not pair and (before is None or before.env.get(other.name) is None):
                        yield Observation(f"${other.name} is not the value that this ENV gives it", position)


def _named(node: Instruction) -> list[str]:
    """The variables without a default of their own that an instruction uses, each once."""
    if "$" not in node.text:
        return []
    text = node.value if node.keyword != "FROM" else node.joined.text
    if node.keyword == "RUN":
        if node.shell_text is None:
            return []
        text = re.sub(r"'[^']*'", "", node.shell_text.text)  # the shell takes what stands in single quotes as it is
    return list(dict.fromkeys(_references(text, node.escape)))


def _references(text: str, escape: str) -> list[str]:
    """The names behind ``$`` that are not escaped and have no default of their own; numbers are the shell's."""
    found = re.finditer(rf"{re.escape(escape)}.|\$(?:([A-Za-z_]\w*)|\{{([A-Za-z_]\w*)\}})", text, re.DOTALL)
    return [match[1] or match[2] for match in found if match.lastindex]


def _set_by_shell(node: Instruction, name: str) -> bool:
    """Whether the shell of a RUN may set the variable itself: by an assignment, ``read``, ``for`` or a file that it sources."""
    ways = rf"\b{name}=|\bread\b[^\n;|&]*\b{name}\b|\bfor\s+{name}\b|(?:^|\s)\.\s|\bsource\b"
    return node.keyword == "RUN" and re.search(ways, node.text) is not None
