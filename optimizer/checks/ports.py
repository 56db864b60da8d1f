"""What is told of EXPOSE."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.checks.base import Check, Observation, Passes, Tells
from optimizer.model import Model

_RANGE = re.compile(r"(\d+)(?:-(\d+))?(?:/\w+)?")


class ExposedPort(Check):
    """An EXPOSE that names more or less than a port.

    A port of the host or an address belongs to ``docker run -p``; a number beyond 65535 is no port.
    """

    name = "exposed-port"
    rules = ("DL3011", "ExposeInvalidFormat")
    reason = "which port was meant is not known"
    examples = (
        Tells("FROM debian:bookworm\nEXPOSE 8080:80\n", "8080:80 names an address or a port of the host, which EXPOSE does not do", 2),
        Tells("FROM debian:bookworm\nEXPOSE 80000\n", "80000 is no port: they end at 65535", 2),
        Passes("FROM debian:bookworm\nEXPOSE 80/tcp 8000-8010\n", because="both are right"),
    )

    def observations(self, model: Model) -> Iterator[Observation]:
        """See ``Check.observations``."""
        for position in model.file.positions:
            node = model.file.instruction(position)
            for word in node.words if node.keyword == "EXPOSE" else ():
                found = _RANGE.fullmatch(word)
                if "$" not in word and ":" in word:
                    yield Observation(f"{word} names an address or a port of the host, which EXPOSE does not do", position)
                elif found is not None and any(int(number) > 65535 for number in found.groups() if number):
                    yield Observation(f"{word} is no port: they end at 65535", position)
