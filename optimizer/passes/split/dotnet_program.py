"""What a published .NET program needs to run: which of the runtime's images, which packages, and on which port it is then heard."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from optimizer.context.csharp_source import CsharpEvidence, csharp_evidence
from optimizer.context.folder import BuildContext
from optimizer.ecosystems import SYSTEM, Action, read_call
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.model.dotnet_builds import Publish, publishes
from optimizer.model.launch import option
from optimizer.model.sources.dotnet import published, sources_of
from optimizer.model.start import healthcheck_of, start_of
from optimizer.model.started import Started
from optimizer.passes.split.compiled import account_steps, check_owner, exposed_ports, is_root
from optimizer.passes.split.shared import Refused, packages_for, reference_text, sort_packages
from optimizer.passes.text import quote_names

# Packages that run without ASP.NET's part of the framework; one that is not here may need it by its own dependencies.
_PLAIN = re.compile(
    r"(Microsoft\.Extensions\..+|Microsoft\.EntityFrameworkCore.*|Microsoft\.Data\..+|System\..+|Newtonsoft\.Json.*|Dapper.*|Npgsql.*|MySqlConnector|MySql\.Data"
    r"|Serilog(?!\.AspNetCore).*|NLog(?!\.Web).*|Polly.*|StackExchange\.Redis|RabbitMQ\.Client|Confluent\.Kafka|MongoDB\..+|AutoMapper|MediatR|FluentValidation"
    r"|CsvHelper|CommandLineParser|Quartz(?!\.AspNetCore).*|Spectre\.Console.*|AWSSDK\..+|Google\.Protobuf|Grpc\.Net\.Client|Grpc\.Tools|Bogus|Humanizer.*|YamlDotNet"
    r"|Cronos|NodaTime|Telegram\.Bot|Discord\.Net.*|DSharpPlus.*|Microsoft\.VisualStudio\.Azure\.Containers\.Tools\.Targets|StyleCop\.Analyzers|SonarAnalyzer\..+"
    r"|coverlet\..+|JetBrains\.Annotations|SkiaSharp.*|SixLabors\..+|LiteDB|Microsoft\.Data\.Sqlite.*|MQTTnet)$"
)
_SDK_CODE = re.compile(r"\b(MSBuildLocator|Microsoft\.Build\b|DotNetCliTool|CSharpCompilation\s*\.\s*Create)\b")
_SDK_PACKAGES = re.compile(r"(Microsoft\.Build(\.Locator)?|Microsoft\.AspNetCore\.Mvc\.Razor\.RuntimeCompilation|Microsoft\.DotNet\..+)$")
# Libraries of the system that the SDK's image has from git and the runtime's has not.
_LIBRARIES = {"Microsoft.AspNetCore.Authentication.Negotiate": "libgssapi-krb5-2"}
_LISTENS = re.compile(
    r"\b(UseUrls|ListenAnyIP|ListenLocalhost|ConfigureKestrel|UseKestrel|Urls\s*\.\s*Add|\.Listen)\s*\(|\.\s*Run(Async)?\s*\(\s*\x01"
)
_SERVES = re.compile(r"\b(WebApplication|WebHost|Kestrel|IApplicationBuilder)\b")
_ADDRESSES = ("ASPNETCORE_URLS", "ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS", "DOTNET_URLS", "URLS")
_FETCHING = frozenset(
    {"git", "curl", "wget", "unzip", "ca-certificates", "gnupg", "nodejs", "npm", "apt-transport-https", "clang", "zlib1g-dev"}
)


@dataclass
class DotnetProgram:
    """The program of .NET that a stage starts, and what that needs.

    Args:
        model: Facts of the Dockerfile, with the context at hand.
        stage: The stage that runs it, on the SDK's image until now.
        command: The instruction that starts it.
        context: The build context.
        evidence: What was found.
    """

    model: Model
    stage: Stage
    command: int
    context: BuildContext
    evidence: list[str] = field(default_factory=list)
    programs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        image = self.stage.image
        assert image is not None
        self.image = image
        self.started, self.publish = self._start()
        self.source: CsharpEvidence = self._read()

    def _start(self) -> tuple[Started, Publish]:
        """The command that starts the program, and what makes that."""
        model, stage = self.model, self.stage
        start, health = start_of(model, stage), healthcheck_of(model, stage)
        unknown = (*(start.unknown if start is not None else ()), *(health.unknown if health is not None else ()))
        if start is None or unknown:
            raise Refused(f"what starts is not known: {unknown[0] if unknown else 'no command'}", self.command)
        self.programs = {n for c in (health.commands if health is not None else ()) if (n := c.name)}
        made = [(command, published(model, stage, command)) for command in start.commands]
        reason = next((found for _, found in made if isinstance(found, str)), None)
        if reason is not None:
            raise Refused(reason, self.command)
        for command, found in reversed(made):
            if isinstance(found, Publish):
                self._check_scripts(start.scripts, found)
                own = {*map(posixpath.basename, start.scripts), *start.renamed}
                self.programs |= {n for c in start.commands if c is not command and (n := c.name) and n not in own}
                return command, found
        reasons = [r for r in publishes(model, stage) if isinstance(r, str)]
        raise Refused(reasons[0] if reasons else "no program of `dotnet publish` is seen to start", self.command)

    def _check_scripts(self, scripts: tuple[str, ...], publish: Publish) -> None:
        """Refuse a start script that stays with the sources in the stage that builds."""
        copies = [copy for copy in stage_copies(self.model, self.stage) if copy.position > publish.position]
        for script in scripts:
            if not any(copy.image_of(self.model, script) for copy in copies):
                raise Refused(f"{script} starts the program, and lies among the sources", self.command)

    def _read(self) -> CsharpEvidence:
        """The source; refused where the program needs the SDK, or what it needs is not known."""
        project = self.publish.project
        found = next((p for p in sorted(project.packages) if _SDK_PACKAGES.match(p)), None)
        if found is not None:
            raise Refused(f"{project.path} needs {found}, which compiles when the program runs", self.publish.position)
        if "wasm" in project.sdk.lower() or "WebAssembly" in project.sdk:
            raise Refused(f"{project.sdk} makes a site for browsers", self.publish.position)
        sources = sources_of(self.context, self.publish)
        environment = {name: value for name, value in self.model.behind(self.stage).env.items() if value is not None}
        source = csharp_evidence(self.context, sources, project.folder, None, environment, sqlite=False)
        code = _SDK_CODE.search(source.code)
        if code is not None:
            raise Refused(f"the program uses {code[0]}, which needs the SDK", self.publish.position)
        unknown = [u for u in source.unknown if u.about in ("program", "module", "context")]
        if unknown:
            raise Refused(f"what it needs of the system is not known: {unknown[0]}", self.publish.position)
        if "dotnet" in source.programs:
            raise Refused("the program starts dotnet, which may take the SDK", self.publish.position)
        self.programs |= set(source.programs)
        return source

    def base(self) -> tuple[BaseImage, str]:
        """The runtime's image, and how it is written."""
        project, image = self.publish.project, self.image
        if project.version is None:
            raise Refused(f"for which framework {project.path} is built is not plain", self.publish.position)
        if image.version is None or re.match(r"\d+\.\d+", image.version) is None:
            raise Refused(f"{self.stage.reference} names no version of .NET", self.stage.position)
        if not re.match(rf"{re.escape(project.version)}($|\.)", image.version):
            raise Refused(f"{project.path} is built for .NET {project.version}, and the image is of another version", self.publish.position)
        if self.publish.self_contained is None:
            raise Refused("whether the program takes the runtime along is not plain", self.publish.position)
        if image.distribution == "alpine" and project.is_set("InvariantGlobalization") is not True:
            raise Refused(
                "the runtime's image for Alpine has no ICU, which the SDK's has, and the project does not say that it needs none",
                self.stage.position,
            )
        if image.distribution == "alpine" and "TimeZoneInfo" in self.source.code:
            raise Refused("the program uses time zones, which the runtime's image for Alpine does not have", self.stage.position)
        kind = self._kind()
        for twin in runtime_twins(image):
            reference = twin if kind != "runtime-deps" else twin.replace("/runtime:", "/runtime-deps:")
            if f"/{kind}:" not in reference:
                continue
            found, text = lookup(reference), reference_text(self.model, self.stage, image, reference)
            written = self.model.file.instruction(self.stage.position).value.split()[0]
            if text is None and self.model.global_state.expand(written.replace("/sdk", f"/{kind}")) == reference:
                text = written.replace("/sdk", f"/{kind}")
            if found is not None and text is not None:
                return found, text
        raise Refused(f"no image with the runtime alone of the same .NET is known for {self.stage.reference}", self.stage.position)

    def _kind(self) -> str:
        """Which of the runtime's images the program needs."""
        project, publish = self.publish.project, self.publish
        if publish.self_contained:
            musl = "musl" in (publish.runtime or "")
            if musl != (self.image.libc == "musl"):
                raise Refused(f"the program is published for {publish.runtime}, which is another C library", publish.position)
            return "runtime-deps"
        if "Microsoft.AspNetCore.App" in project.frameworks:
            return "aspnet"
        others = sorted(p for p in project.packages if p and not _PLAIN.match(p))
        if others:
            self.evidence.append(f"whether {quote_names(others)} needs ASP.NET is not known, so its runtime stays")
        return "aspnet" if others else "runtime"

    def check_address(self, runtime: BaseImage) -> None:
        """Refuse a server that would listen on another port: the SDK's image sets no address, and ASP.NET's does."""
        sets = {name: value for name, value in runtime.env.items() if name in _ADDRESSES}
        serves = "Microsoft.AspNetCore.App" in self.publish.project.frameworks or _SERVES.search(self.source.code)
        if not sets or not serves:
            return
        env = self.model.behind(self.stage).env
        given = [name for name in ("ASPNETCORE_URLS", "ASPNETCORE_HTTP_PORTS") if name in env]
        position = self.command
        words = tuple(
            w
            for p in (self.model.last(self.stage, "ENTRYPOINT"), self.model.last(self.stage, "CMD"))
            if p is not None
            for w in self.model.file.instruction(p).words
        )
        settings = [
            self.context.read_text(posixpath.normpath(posixpath.join(self.publish.project.folder, f"appsettings{end}.json"))) or ""
            for end in ("", ".Production")
        ]
        names = any(re.search(r'"(Kestrel|urls)"\s*:', text, re.I) for text in settings)
        if given or option(words, "--urls")[0] or _LISTENS.search(self.source.code) or names or "server.urls" in self.source.literals:
            return
        name, value = next(iter(sets.items()))
        port = int(re.findall(r"\d+", value)[-1])
        exposed = exposed_ports(self.model, self.stage)
        if exposed != {port}:
            what = f"EXPOSE names {', '.join(map(str, sorted(exposed)))}" if exposed else "nothing names a port"
            raise Refused(f"{runtime.text} sets {name}={value} and the SDK's image does not, and {what}; ENV {name} would tell", position)
        self.evidence.append(f"it listens on port {port}, which EXPOSE names, by {name} of {runtime.text}")

    def packages(self, runtime: BaseImage, last: int) -> tuple[str, ...]:
        """The system packages of the runtime stage."""
        installed: list[str] = []
        for position in (p for p in self.stage.positions if p <= last):
            node = self.model.file.instruction(position)
            calls = [read_call(k) for k in (node.script.commands if node.keyword == "RUN" and node.script is not None else ())]
            for call in (c for c in calls if c is not None and c.ecosystem in SYSTEM and c.action is Action.INSTALL):
                if call.ecosystem != "apt" and set(call.packages) - _FETCHING:
                    raise Refused(f"whether the program needs {sorted(set(call.packages) - _FETCHING)[0]} is not known", position)
                installed += [p for p in call.packages if p not in _FETCHING]
        needed = self.programs - {"dotnet", posixpath.basename(self.publish.program)} - {"sh", "bash", "exec"}
        extra = [_LIBRARIES[p] for p in sorted(self.publish.project.packages) if p in _LIBRARIES]
        if runtime.package_manager == "apt":
            kept = sort_packages(installed, needed, runtime.release, extra, True, self.publish.position).kept
            return (*kept, *packages_for(needed, runtime, kept, self.command))
        missing = sorted(p for p in needed if runtime.has(p) is not True)
        if missing or installed or extra:
            raise Refused(f"it needs {(missing or installed or extra)[0]}, and nothing tells how {runtime.text} gets that", self.command)
        return ()

    def check_user(self, runtime: BaseImage, last: int) -> None:
        """Refuse a user or an owner that the runtime image does not have."""
        made = " ".join(node.value for node in account_steps(self.model, self.stage))
        name = (self.model.behind(self.stage).user or "root").partition(":")[0]
        if not is_root(name) and not name.isdigit() and name not in runtime.users and not re.search(rf"\b{re.escape(name)}\b", made):
            raise Refused(f"the user {name} is not one that the runtime image has", self.command)
        for position in self.stage.positions:
            node = self.model.file.instruction(position)
            if node.keyword in ("COPY", "ADD") and position > last and not made:
                check_owner(node, runtime, position)
