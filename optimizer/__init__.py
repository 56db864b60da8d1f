"""dopt: rewrites a Dockerfile into what an expert would have written for the same project.

    >>> import optimizer
    >>> result = optimizer.optimize("FROM alpine\\nRUN mkdir /a\\nRUN mkdir /b\\n")
    >>> print(result.text, end="")
    FROM alpine
    RUN mkdir /a \\
        && mkdir /b
"""

from __future__ import annotations

from optimizer.engine import Finding, Options, Refused, Result, Rewrite
from optimizer.engine.many import Failed, Item, optimize_many
from optimizer.engine.optimize import optimize
from optimizer.model.runtime import Runtime
from optimizer.passes import PASSES, Safety
from optimizer.syntax import Dockerfile, Problem, decode, encode, parse

__version__ = "0.1.0"
__all__ = [
    "PASSES",
    "Dockerfile",
    "Failed",
    "Finding",
    "Item",
    "Options",
    "Problem",
    "Refused",
    "Result",
    "Rewrite",
    "Runtime",
    "Safety",
    "decode",
    "encode",
    "optimize",
    "optimize_many",
    "parse",
]
