"""The smoke test: whether a container of an image does its job, by the best means at hand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optimizer.verify.commands import Done, call
from optimizer.verify.engines import Engine, Image
from optimizer.verify.errors import TimeLimit

STAYS_UP = 5.0  # seconds after which a container that still runs is taken for a server
_PATIENCE = 30.0  # seconds that a server has until a test inside it succeeds
_NOISE = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{12,64}\b|\d+")
_PATH = re.compile(r"(?:/[\w.+@~-]+)+/(?=[\w.+@~-])")


@dataclass(frozen=True)
class Smoke:
    """How a smoke test is made.

    Args:
        command: Run on this machine, with the image's name in ``IMAGE`` and as first argument; None when not given.
        inside: Run inside the container; None when not given.
        limit: Seconds that it may take.
    """

    command: str | None = None
    inside: str | None = None
    limit: float = 300.0


@dataclass(frozen=True)
class Outcome:
    """What came of a smoke test.

    Args:
        how: What was done, such as ``HEALTHCHECK``.
        passed: Whether it succeeded; a container without any test that ended with an error has not.
        said: What happened, in a few words.
        code: The exit code of a container that ended by itself, None for one that stays up or where a test decides.
        output: What that container wrote.
        unusable: Whether the test itself could not be run: a shell's or an engine's exit codes for a program that is not there.
    """

    how: str
    passed: bool
    said: str
    code: int | None = None
    output: str = ""
    unusable: bool = False


def smoke_test(engine: Engine, image: Image, run: str, smoke: Smoke) -> Outcome:
    """Test one image: with the user's command, else its HEALTHCHECK, else by starting it.

    Args:
        engine: Where the image is.
        image: The image.
        run: The run's name, for the label of containers.
        smoke: How.
    """
    try:
        if smoke.command is not None:
            return _on_host(image, smoke.command, smoke.limit)
        return _in_container(engine, image, run, smoke)
    except TimeLimit as limit:
        return Outcome("smoke test", False, str(limit))


def no_worse(before: Outcome, after: Outcome, stable: bool) -> str | None:
    """None when a container after is no worse than before, else what is wrong.

    Args:
        before, after: What came of each.
        stable: Whether the container before writes the same every time, so that its output can be compared.
    """
    if after.passed and not before.passed:
        return None
    if before.passed != after.passed:
        return f"the smoke test ({after.how}) fails: {after.said}"
    if before.code != after.code:
        return f"the container behaves otherwise: before, it {before.said}; after, it {after.said}"
    if before.code is None or not stable:
        return None
    old, new = comparable(before.output), comparable(after.output)
    if not before.passed:  # a trace of calls may differ; what is wrong in the end must be the same
        old, new = old[-1:], new[-1:]
    if old != new:
        return f"the container says something else: before {_shown(before)!r}, after {_shown(after)!r}"
    return None


def comparable(output: str) -> list[str]:
    """The lines of an output without numbers, addresses and the folders of paths, which differ from run to run or are moved."""
    return [_NOISE.sub("#", _PATH.sub("", line)).rstrip() for line in output.splitlines() if line.strip()]


def _shown(outcome: Outcome) -> str:
    return next((line.strip()[:200] for line in reversed(outcome.output.splitlines()) if line.strip()), "")


def _reason(done: Done) -> str:
    """Why an engine does not start a container, without the container's name, which is another each time."""
    lines = [line.strip() for line in done.output.splitlines() if line.strip()]
    said = next((line for line in lines if "rror" in line), lines[-1] if lines else "no reason given")
    return _NOISE.sub("#", said)[:300]


def _on_host(image: Image, command: str, limit: float) -> Outcome:
    words = shlex.split(command)
    program = shutil.which(words[0]) if len(words) == 1 else None
    # A program alone is given the image; anything else is the shell's, where $1 and $IMAGE are the image.
    full = [os.path.abspath(program), image.reference] if program else ["sh", "-c", command, "sh", image.reference]
    done = call(full, limit, environment={"IMAGE": image.reference}, folder=Path.cwd())
    return _tested("--smoke", done)


def _in_container(engine: Engine, image: Image, run: str, smoke: Smoke) -> Outcome:
    how, test = "start", None
    if smoke.inside is not None:
        how, test = "--smoke-in", shlex.split(smoke.inside)
    elif (health := _health_command(image.config)) is not None:
        how, test = "HEALTHCHECK", health
    made = engine.create(image, run)
    if made.code != 0:
        if re.search(r"no command specified|must specify|no CMD or ENTRYPOINT", made.output, re.I):
            if test is not None and how == "--smoke-in":
                return _alone(engine, image, run, test, smoke.limit)
            return Outcome(how, True, "has nothing to start", 0)
        return Outcome(how, False, f"cannot be made: {made.last_line}", 125)
    container = made.output.strip().splitlines()[-1]
    try:
        started = engine.start(container)
        if started.code != 0:
            return Outcome(how, False, f"does not start ({_reason(started)})", 127)
        if test is None:
            return _watched(engine, container, how)
        return _tried(engine, image, container, run, how, test, smoke)
    finally:
        engine.remove_container(container)


def _watched(engine: Engine, container: str, how: str) -> Outcome:
    deadline = time.monotonic() + STAYS_UP
    while time.monotonic() < deadline:
        running, code = engine.state(container)
        if not running:
            output = engine.logs(container)
            outcome = Outcome(how, code == 0, f"exits with {code}", code, output)
            return outcome if code == 0 or not (last := _shown(outcome)) else replace(outcome, said=f"exits with {code}, {last}")
        time.sleep(0.2)
    return Outcome(how, True, f"stays up for {STAYS_UP:g} s")


def _tried(engine: Engine, image: Image, container: str, run: str, how: str, test: list[str], smoke: Smoke) -> Outcome:
    """Run a test inside a container until it succeeds: a server takes time to start."""
    deadline = time.monotonic() + min(_PATIENCE, smoke.limit)
    while True:
        running, code = engine.state(container)
        if not running:
            if how == "--smoke-in":  # a program that ends by itself: the test is run in its place
                return _alone(engine, image, run, test, smoke.limit)
            return Outcome(how, False, f"exits with {code} before its {how} succeeds", code, engine.logs(container))
        done = engine.execute(container, test, smoke.limit)
        if done.code == 0 or time.monotonic() > deadline:
            return _tested(how, done)
        time.sleep(0.5)


def _alone(engine: Engine, image: Image, run: str, test: list[str], limit: float) -> Outcome:
    made = engine.create(image, run, test[0], test[1:])
    if made.code != 0:
        return Outcome("--smoke-in", False, f"cannot be made: {made.last_line}")
    container = made.output.strip().splitlines()[-1]
    try:
        started = engine.start(container)
        if started.code != 0:
            return Outcome("--smoke-in", False, f"does not start ({_reason(started)})", unusable=True)
        deadline = time.monotonic() + limit
        while (state := engine.state(container))[0]:
            if time.monotonic() > deadline:
                raise TimeLimit(limit)
            time.sleep(0.2)
        return _tested("--smoke-in", Done(state[1], engine.logs(container), 0.0))
    finally:
        engine.remove_container(container)


def _tested(how: str, done: Done) -> Outcome:
    if done.code == 0:
        return Outcome(how, True, "passes")
    said = f"exit code {done.code}" + (f", {done.last_line[:300]}" if done.last_line else "")
    return Outcome(how, False, said, unusable=done.code in (126, 127))


def _health_command(config: dict[str, Any]) -> list[str] | None:
    """The command of HEALTHCHECK, None when there is none or it is switched off."""
    words = (config.get("Healthcheck") or {}).get("Test") or []
    if not words or words[0] == "NONE":
        return None
    if words[0] == "CMD-SHELL":
        return [*(config.get("Shell") or ["/bin/sh", "-c"]), *words[1:2]]
    return list(words[1:])
