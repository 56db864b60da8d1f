"""Applies changes one at a time to a fixpoint, checks invariants, gives the result."""

from optimizer.engine.result import Finding, Options, Refused, Result, Rewrite
from optimizer.engine.run import run

__all__ = ["Finding", "Options", "Refused", "Result", "Rewrite", "run"]
