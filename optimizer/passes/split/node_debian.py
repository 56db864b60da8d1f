"""The distribution's own Node: what of its packages building needs and running does."""

from __future__ import annotations

from optimizer.model import Model, Stage
from optimizer.passes.split.shared import SystemPackages, installs_of
from optimizer.passes.split.steps import SystemSteps

FAMILIES = frozenset({"debian", "ubuntu"})
_MANAGERS = frozenset({"npm", "yarnpkg", "corepack", "node-gyp", "libnode-dev"})


def installs_node(model: Model, stage: Stage) -> bool:
    """Whether a stage installs the distribution's Node with apt, from the distribution's own sources."""
    nodes = [node for p in stage.positions if (node := model.file.instruction(p)).keyword == "RUN"]
    calls = [call for node in nodes for call in installs_of(node) if call.ecosystem == "apt"]
    other = any(source in node.text for node in nodes for source in ("nodesource", "sources.list", "apt-key", "signed-by"))
    return not other and any(package in {"nodejs", "npm"} for call in calls for package in call.packages)


def for_running(system: SystemSteps, found: SystemPackages, managed: bool) -> SystemPackages:
    """The packages of the runtime stage with Node and its certificates, and with the managers only where one starts the program."""
    kept = dict.fromkeys(["nodejs", "ca-certificates", *(p for p in found.kept if managed or p not in _MANAGERS)])
    dropped = dict.fromkeys([*found.dropped, *(p for p in system.packages if p not in kept)])
    return SystemPackages(tuple(kept), tuple(dropped), found.options)
