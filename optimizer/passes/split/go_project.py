"""What a Go project's source says about the image it runs in, and the rights it needs there."""

from __future__ import annotations

import posixpath
import re
from functools import cached_property

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.golang import GoModule
from optimizer.ecosystems import SYSTEM, asks_version, read_call
from optimizer.knowledge.go_modules import GoNeeds, go_needs
from optimizer.knowledge.images import BaseImage
from optimizer.model import Model, Stage
from optimizer.model.effects import ROOT_MODULES, root_calls
from optimizer.model.go_builds import GoBuild, go_steps
from optimizer.passes.split.compiled import exposed_ports
from optimizer.passes.split.started import Starting

# Commands of a build whose effect on files is followed, or is none beside the program.
_KNOWN = frozenset({
    "go", "cd", "export", "set", "mkdir", "chmod", "chown", "echo", "true", "test", "[", "ls", "pwd", "env", "cat", "rm", "useradd",
    "groupadd", "adduser", "addgroup", "git", "strip", "upx", "gofmt", "golint", "golangci-lint", "staticcheck", "update-ca-certificates",
    "printf", "file", "ldd", "which", "find", "touch", "setcap", "date", "uname", "whoami", "id", "ldconfig",
})  # fmt: skip


class GoProject(Struct, frozen=True, dict=True):
    """A stage that builds Go programs and runs one.

    Args:
        model, stage, context: What is looked at.
        image: What is known of its base.
        builds: The commands that build programs of the context.
        outputs: Those programs, absolute paths.
        start: How the container starts.
        modules: The modules that are built.
        last: Index of the last RUN.
    """

    model: Model
    stage: Stage
    context: BuildContext
    image: BaseImage
    builds: tuple[GoBuild, ...]
    outputs: tuple[str, ...]
    start: Starting
    modules: tuple[GoModule, ...]
    last: int

    @property
    def position(self) -> int:
        """Index of the RUN that builds last: what a refusal points at."""
        return self.builds[-1].position

    @property
    def workdir(self) -> str | None:
        """The folder that the program is started in."""
        return self.model.behind(self.stage).workdir

    @property
    def source(self) -> str:
        """Where the module lies in the image."""
        return next((b.folder for b in reversed(self.builds) if b.folder), self.workdir or "/")

    @cached_property
    def needs(self) -> GoNeeds:
        """What required modules and imported packages are known to need."""
        return go_needs({r.path for m in self.modules for r in m.requires} | {i for m in self.modules for i in m.imports})

    @cached_property
    def programs(self) -> frozenset[str]:
        """Names of the programs that the source, scripts and HEALTHCHECK start, those of the build left out."""
        own = {posixpath.basename(output) for output in self.outputs}
        found = {posixpath.basename(p) for m in self.modules for p in m.programs} | set(self.start.programs) | set(self.needs.programs)
        return frozenset(found - own)

    @cached_property
    def unusual(self) -> tuple[str, ...]:
        """Commands of the RUN instructions that are not known, with make and scripts of the project among them."""
        found = set()
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            script = node.script if node.keyword == "RUN" else None
            for command in script.commands if script is not None else ():
                call = read_call(command)
                system = call is not None and call.ecosystem in SYSTEM
                if command.words and command.name not in _KNOWN and not system and not asks_version(command.argv):
                    found.add(command.name or command.words[0].text)
        return tuple(sorted(found))

    @cached_property
    def strange(self) -> str | None:
        """A command of the build whose effect on files is not followed, those that make and scripts run in its place."""
        for command in go_steps(self.model, self.stage).others:
            call = read_call(command)
            if command.name == "go" and command.argv[1:2] in (("generate",), ("run",)):
                return f"go {command.argv[1]}"
            if command.words and command.name not in _KNOWN and (call is None or call.ecosystem not in SYSTEM):
                return command.name or command.words[0].text
        return None

    @property
    def reads_relative(self) -> bool:
        """Whether it uses files by paths that start in its working directory."""
        used = [p for m in self.modules for p in (*m.read, *m.written)]
        return any(place.kind == "cwd" for place in used) or any(m.unknown_about("read", "write") for m in self.modules)

    def writes(self) -> str | None:
        """Why the program may need a folder of its own to write to, None when it writes at most to /tmp."""
        for module in self.modules:
            places = [p for p in module.written if not (p.kind == "absolute" and re.match(r"/(tmp|dev)(/|$)", p.path))]
            if places:
                return f"it writes to {places[0]}"
            unknown = module.unknown_about("write")
            if unknown:
                return str(unknown[0])
        if self.needs.writes:
            return f"{self.needs.writes[0]} keeps files"
        if any(self.model.file.instruction(p).keyword == "VOLUME" for p in self.stage.positions):
            return "it declares a volume"
        return None

    def needs_root(self) -> str | None:
        """Why the program may need root, None when nothing that it does needs that."""
        exposed = exposed_ports(self.model, self.stage)
        low = sorted(port for port in {port for m in self.modules for port in m.ports} | exposed if port < 1024)
        if low:
            return f"it listens on port {low[0]}"
        if any(m.unknown_about("port") for m in self.modules) and not exposed:
            return "which port it listens on is not known"
        named = sorted({i for m in self.modules for i in m.imports} & ROOT_MODULES)
        if named:
            return f"it uses {named[0]}"
        for module in self.modules:
            for path in module.files:
                reason = next(iter(root_calls(path, self.context.read_text(path) or "")), None)
                if reason is not None:
                    return reason
        return None
