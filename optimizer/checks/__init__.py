"""What is told of a Dockerfile and not mended: one file a subject."""

from optimizer.checks.base import Check, Observation, Passes, Tells
from optimizer.checks.base_images import EndOfLifeBase, FixedPlatform, UnpinnedBase
from optimizer.checks.commands import NoHealthcheck, RunsAsRoot
from optimizer.checks.copies import IgnoredSource
from optimizer.checks.ports import ExposedPort
from optimizer.checks.runs import (
    InsecureDownload,
    PointlessCommand,
    ReplacedShell,
    UnpinnedPackages,
    UnverifiedDownload,
    UpgradedDistribution,
)
from optimizer.checks.secrets import SecretFile, SecretInVariable
from optimizer.checks.stages import DuplicateStageName, ReservedStageName, WholeFilesystem
from optimizer.checks.variables import SelfReferringEnv, UndefinedInFrom, UndefinedVariable

CHECKS: tuple[Check, ...] = (
    UnpinnedBase(), EndOfLifeBase(), FixedPlatform(), DuplicateStageName(), ReservedStageName(), UndefinedInFrom(),
    UndefinedVariable(), SelfReferringEnv(), SecretInVariable(), SecretFile(), IgnoredSource(), WholeFilesystem(),
    UnpinnedPackages(), UpgradedDistribution(), InsecureDownload(), UnverifiedDownload(), PointlessCommand(), ReplacedShell(),
    ExposedPort(), NoHealthcheck(), RunsAsRoot(),
)  # fmt: skip

__all__ = ["CHECKS", "Check", "Observation", "Passes", "Tells"]
