"""Java out of Debian's packages: which package runs what the installed JDK compiles."""

from __future__ import annotations

import re

from msgspec import Struct

from optimizer.context.source_text import SourceEvidence
from optimizer.ecosystems import Action
from optimizer.knowledge.debian import plain_name
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.passes.split.shared import Refused, installs_of, reference_text

FAMILIES = frozenset({"debian", "ubuntu", "gcc", "buildpack-deps"})
JARS = "/usr/share/java"
"""Where Debian's packages of Java libraries put their jars (Debian's Java policy, 2.3)."""
MANUALS = "/usr/share/man/man1"
"""The folder in which the package of the runtime links its manual pages; without it, as in slim images, installing fails
(Debian bug 863199)."""
JDK = re.compile(r"(default-jdk|openjdk-\d+-jdk)(-headless)?$")
"""The names of its JDK packages."""
_BUILDING = re.compile(r"(default-jdk|openjdk-\d+-jdk|maven|ant|ivy|gradle|junit|groovy|kotlin|scala)\d*(-[\w-]+)?$")
_LIBRARY = re.compile(r"lib[\w.+-]+-java$")
DRAWS = re.compile(r"\b(java\.awt|javax\.(swing|imageio|sound|print)|javafx)\b")
"""What source uses that needs fonts and libraries of a display."""


class DebianJava(Struct, frozen=True):
    """What runs Java instead of an installed JDK.

    image, reference: the runtime stage's base, and how it is written; package: the JRE to install there.
    """

    image: BaseImage
    reference: str
    package: str


def debian_java(model: Model, stage: Stage, image: BaseImage, source: SourceEvidence) -> DebianJava | None:
    """The runtime for a stage that installs a JDK of the distribution; None when it installs none, or several.

    Raises:
        Refused: The program draws, for which the runtime without a display is not enough, or the release is not known.
    """
    if image.family not in FAMILIES or image.package_manager != "apt":
        return None
    installed: list[tuple[int, str]] = []
    for position in stage.positions:
        node = model.file.instruction(position)
        calls = installs_of(node) if node.keyword == "RUN" else ()
        installed += [(position, plain_name(p)) for call in calls if call.action is Action.INSTALL for p in call.packages]
    found = {name for _, name in installed if JDK.match(name)}
    if len(found) != 1:
        return None
    position = next(position for position, name in installed if name in found)
    drawn = DRAWS.search(source.code)
    if drawn is not None:
        raise Refused(f"the program uses {drawn[0]}, and which fonts and libraries that takes is not followed", position)
    package = re.sub(r"-jdk(-headless)?$", "-jre-headless", found.pop())
    if image.family == "ubuntu" or image.variant == "slim":
        return DebianJava(image, model.file.instruction(stage.position).value.split()[0], package)
    for twin in runtime_twins(image):
        runtime, text = lookup(twin), reference_text(model, stage, image, twin)
        if runtime is not None and text is not None and runtime.package_manager == "apt":
            return DebianJava(runtime, text, package)
    raise Refused(f"which Debian release {stage.reference} stands on is not known; a tag such as -bookworm tells", stage.position)


def builds_java(package: str, *, jars: bool) -> bool:
    """Whether a package of Debian is for compiling Java alone. jars: the program takes jars of Debian's packages."""
    return _BUILDING.match(package) is not None or (not jars and _LIBRARY.match(package) is not None)
