"""A RUN without some of its commands, and a COPY with another flag."""

from __future__ import annotations

from collections.abc import Collection

from optimizer.passes.runs.readable import ReadableRun
from optimizer.syntax import Instruction


def without(run: ReadableRun, cut: Collection[int]) -> Instruction | None:
    """The RUN without some pipelines of its list of ``&&``, of which others are left; None where a comment stands beside one."""
    chain, text = run.script.chain or (), run.text
    first = next(i for i in range(len(chain)) if i not in cut)
    spans = [(text.source(chain[0].start), text.source(chain[first].start))] if first else []
    spans += [(text.source_end(chain[i - 1].end), text.source_end(chain[i].end)) for i in sorted(cut) if i > first]
    if any("#" in run.node.text[start:end] for start, end in spans):
        return None
    return run.node.edited(*((start, end, "") for start, end in spans))


def with_flag(node: Instruction, name: str, value: str) -> Instruction:
    """A COPY or ADD with a flag of that value, in place of the one that it has or behind all others."""
    own = next((flag for flag in node.flags if flag.name == name), None)
    if own is not None:
        return node.edited((own.start, own.end, f"--{name}={value}"))
    at = node.rest.source(0)
    return node.edited((at, at, f"--{name}={value} "))
