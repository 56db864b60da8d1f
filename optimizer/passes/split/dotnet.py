"""Split a .NET stage: the SDK publishes the program, and it runs on the runtime of the same version."""

from __future__ import annotations

import posixpath
import re

from msgspec.structs import replace

from optimizer.context.folder import BuildContext
from optimizer.context.source_text import SourceEvidence, named_paths
from optimizer.ecosystems import SYSTEM, read_call
from optimizer.model import Model, Stage
from optimizer.model.paths import context_path
from optimizer.model.runtime import Runtime
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import Split, assemble, copied_elsewhere, copy_line, is_below, outermost
from optimizer.passes.split.dotnet_program import DotnetProgram
from optimizer.passes.split.dotnet_run import published_instead
from optimizer.passes.split.dotnet_steps import repeated_steps
from optimizer.passes.split.project_data import in_folders, present_data
from optimizer.passes.split.shared import Refused, apt_install, stage_name
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction

_BUILD_VARIABLE = re.compile(
    r"(NUGET_\w+|MSBUILD\w*|DOTNET_(CLI_\w+|NOLOGO|SKIP_FIRST_TIME_EXPERIENCE|ROLL_FORWARD_ON_NO_CANDIDATE_FX|USE_POLLING_FILE_WATCHER)"
    r"|BUILD_CONFIGURATION|DEBIAN_FRONTEND|PATH)$"
)
_NOT_DATA = re.compile(
    r"\.(cs|fs|vb|csproj|fsproj|vbproj|sln|slnx|razor|cshtml|resx|props|targets|user|md|ruleset|editorconfig)$"
    r"|(^|/)(global\.json|nuget\.config|packages\.lock\.json|launchSettings\.json|\.gitignore|\.gitattributes|\.config/dotnet-tools\.json)$|(^|/)(obj|bin|\.vs|\.config)/",
    re.I,
)
# What the Web and Worker SDKs publish without being asked. Source: Microsoft.NET.Sdk.Web.ProjectSystem.props and its like for Worker
_PUBLISHED = re.compile(r"(^|/)wwwroot/|\.(json|config)$")
_LATER = frozenset({"useradd", "groupadd", "adduser", "addgroup", "usermod", "mkdir", "chown", "chmod"})


def split_dotnet(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a .NET project.

    Returns:
        The change, None when the stage is not the SDK's image, or publishes nothing that a container starts.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family != "dotnet-sdk" or stage.base is not None or model.runtime is Runtime.SAME:
        return None
    command = model.last(stage, "ENTRYPOINT") or model.last(stage, "CMD")
    if command is None or not any("dotnet" in model.file.instruction(p).text for p in stage.positions):
        return None
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    instead = published_instead(model, stage, command)
    if instead is None:
        return _Splitter(model, stage, command, model.context).change()
    other, touched = instead
    command = other.last(other.final, "ENTRYPOINT") or other.last(other.final, "CMD") or command
    try:
        change = _Splitter(other, other.final, command, model.context).change()
    except Refused as refused:
        raise Refused(str(refused), touched[-1]) from refused
    return replace(change, touched=(stage.position, *touched))


class _Splitter:
    def __init__(self, model: Model, stage: Stage, command: int, context: BuildContext) -> None:
        self.model, self.stage, self.command = model, stage, command
        self.program = DotnetProgram(model, stage, command, context)
        self.publish, self.source, self.evidence = self.program.publish, self.program.source, self.program.evidence
        self.workdir = model.before(command).workdir or "/"
        self.folder = self.program.started.folder or self.workdir
        self.last = self.last_of_build()

    def change(self) -> Change:
        model, stage, publish = self.model, self.stage, self.publish
        runtime, reference = self.program.base()
        self.program.check_address(runtime)
        by_script = self.program.started.source not in ("CMD", "ENTRYPOINT")
        moved = self.workdir == publish.place and publish.output != self.workdir and not by_script
        packages = self.program.packages(runtime, self.last)
        self.program.check_user(runtime, self.last)
        name = stage_name(model)
        middle = [apt_install(model, stage, packages, ("--no-install-recommends",))] if packages else []
        middle += repeated_steps(model, stage, publish)
        elsewhere = copied_elsewhere(model, stage, model.before(publish.position).workdir or "/", self.last)
        middle += [copy_line(model, stage, name, path, path) for path in outermost((*elsewhere, *self.data(moved)))]
        middle.append(copy_line(model, stage, name, publish.output, self.workdir if moved else publish.output))
        replaced = self.restarted() if moved else {}
        split = Split(
            name, reference, self.last, tuple(middle), replaced=replaced, build_variable=lambda n: _BUILD_VARIABLE.match(n) is not None,
            workdir=self.workdir != "/", platform=not (stage.platform or "").startswith("$BUILD"),
        )  # fmt: skip
        file = assemble(model, stage, split)
        found = f"the container starts {publish.project.assembly}, which `dotnet publish` writes to {publish.output}"
        evidence = (found, f"{reference} runs what is published for {publish.project.target}", *self.evidence)
        touched = (stage.position, publish.position, *replaced)
        return Change(f"publish in a stage of its own and run on {reference}", file, touched, evidence)

    def restarted(self) -> dict[int, Instruction]:
        """The instruction that starts the program, with the name that it has in the working directory."""
        written = next(w for w in self.program.started.words if w is not None and posixpath.basename(w) in self.names())
        name = posixpath.basename(written)
        target = name if written.endswith(".dll") else f"./{name}"
        for position in (self.command, self.model.last(self.stage, "CMD")):
            node = self.model.file.instruction(position) if position is not None else None
            if position is not None and node is not None and node.text.count(written) == 1:
                at = node.text.index(written)
                return {position: node.edited((at, at + len(written), target))}
        raise Refused("how the program is named where it starts is not plain", self.command)

    def names(self) -> tuple[str, str]:
        return posixpath.basename(self.publish.library), posixpath.basename(self.publish.program)

    def last_of_build(self) -> int:
        """The last RUN that does more than to make users and folders."""
        found = self.publish.position
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            if node.keyword == "RUN" and position > found:
                script = node.script
                calls = [read_call(c) for c in script.commands if c.name != "rm"] if script is not None and script.understood else []
                installs = bool(calls) and all(call is not None and call.ecosystem in SYSTEM for call in calls)
                later = script is not None and script.understood and all(c.name in _LATER for c in script.commands)
                if not later and not installs:
                    raise Refused("a step behind `dotnet publish` may belong to either stage", position)
        return found

    def data(self, moved: bool) -> tuple[str, ...]:
        """The files of the project that the program reads where they are: those that it names, or all where names are computed."""
        publish = self.publish
        everything = present_data(self.model, self.stage, self.last, _NOT_DATA)
        data = [d for d in everything if not is_below(d, publish.output)]
        served = publish.project.sdk in ("Microsoft.NET.Sdk.Web", "Microsoft.NET.Sdk.Worker")
        if moved and served:
            data = [d for d in data if not (is_below(d, publish.place) and _PUBLISHED.search(posixpath.relpath(d, publish.place)))]
        evidence = SourceEvidence((), self.source.literals, (), (), self.source.code, ())
        places = [p.path for p in (*self.source.read, *self.source.written) if p.kind != "absolute"]
        named = [posixpath.normpath(posixpath.join(self.folder, path)) for path in named_paths(evidence, places)]
        taken = [n for n in named if any(is_below(d, n) for d in data)]
        settings = [
            d for d in data if posixpath.dirname(d) == self.folder and re.fullmatch(r"appsettings(\.\w+)?\.json", posixpath.basename(d))
        ]
        taken += [*settings, *(d for d in data if served and is_below(d, posixpath.join(self.folder, "wwwroot")))]
        computed = any(u.about == "read" for u in self.source.unknown)
        if computed and [d for d in data if not any(is_below(d, t) for t in taken)]:
            taken += in_folders(self.model, self.stage, data, everything, self.last)
            self.evidence.append("files whose names are computed are read, so all data of the project comes along")
        elif taken:
            self.evidence.append(f"it reads {quote_names(tuple(dict.fromkeys(taken)))}")
        return outermost(t for t in taken if context_path(self.model, self.stage, t, self.last + 1) is not None)
