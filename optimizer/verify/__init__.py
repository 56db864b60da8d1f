"""Builds a Dockerfile before and after with a real engine, compares what comes out, and drops the rewrites that break."""

from optimizer.verify.bisect import Dropped, Proof, prove
from optimizer.verify.engines import Engine, find_engine
from optimizer.verify.errors import CannotTell, Interrupted, NoEngine
from optimizer.verify.passed import Passed
from optimizer.verify.progress import Progress
from optimizer.verify.prover import Prover, Settings, Source
from optimizer.verify.verdict import Difference, Figures, Verdict
from optimizer.verify.workspace import Workspace, interruptible

__all__ = [
    "CannotTell", "Difference", "Dropped", "Engine", "Figures", "Interrupted", "NoEngine", "Passed", "Progress", "Proof", "Prover",
    "Settings", "Source", "Verdict", "Workspace", "find_engine", "interruptible", "prove",
]  # fmt: skip
