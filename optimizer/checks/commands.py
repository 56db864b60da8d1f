"""What is told of how the image is run."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.checks.base import Check, Observation, Passes, Tells
from optimizer.model import Model

_ROOT = frozenset({"root", "0"})


class RunsAsRoot(Check):
    """The program runs as root.

    Whoever takes over the program has root's rights in the container, and with them whatever the container can reach.
    """

    name = "runs-as-root"
    rules = ("DL3002",)
    reason = "insert-user found nothing to go by"
    left_by = "insert-user"
    examples = (
        Tells('FROM debian:bookworm\nCMD ["/srv/app"]\n', "the program runs as root", 2),
        Passes('FROM debian:bookworm\nUSER 1000\nCMD ["/srv/app"]\n', because="it runs as another user"),
        Passes("FROM nginx:stable\n", because="it steps down by itself"),
        Passes("FROM debian:bookworm\nRUN mkdir /data\n", because="it starts nothing: others build on it"),
        Passes('FROM example.org/base\nCMD ["/srv/app"]\n', because="nothing is known of the image's user"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        stage = model.final
        position = model.last(stage, "CMD") if model.last(stage, "CMD") is not None else model.last(stage, "ENTRYPOINT")
        if position is None or (stage.image is not None and stage.image.steps_down):
            return
        user = model.behind(stage).user
        if user is not None and user.partition(":")[0] in _ROOT:
            yield Observation("the program runs as root", position)


class NoHealthcheck(Check):
    """An image that serves a port says nothing of how to see whether it serves.

    Docker and Compose restart, wait and route by it. Kubernetes has probes of its own.
    """

    name = "no-healthcheck"
    rules = ("DL3057",)
    reason = "what a healthy answer is only its author knows"
    examples = (
        Tells("FROM debian:bookworm\nEXPOSE 8080\n", "port 8080 is served and no HEALTHCHECK looks at it", 2),
        Passes("FROM debian:bookworm\nEXPOSE 8080\nHEALTHCHECK CMD curl -f http://localhost:8080/\n", because="it has one"),
        Passes("FROM debian:bookworm\nEXPOSE 8080\nHEALTHCHECK NONE\n", because="its author wants none"),
        Passes("FROM debian:bookworm\n", because="it serves nothing that is known"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        stage = model.final
        position = model.last(stage, "EXPOSE")
        if position is None or model.last(stage, "HEALTHCHECK") is not None:
            return
        ports = " ".join(model.file.instruction(position).words)
        yield Observation(f"port {ports} is served and no HEALTHCHECK looks at it", position)
