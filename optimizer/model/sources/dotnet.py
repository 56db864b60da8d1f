""".NET: the projects behind a published program, and their C# source."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from optimizer.context.csharp_source import csharp_evidence
from optimizer.context.folder import BuildContext
from optimizer.context.places import Unknown
from optimizer.model.dotnet_builds import Publish, publishes
from optimizer.model.model import Model, Stage
from optimizer.model.paths import origin_of
from optimizer.model.sources.evidence import SourceUse
from optimizer.model.started import Start, Started

_SOURCES = (".cs", ".fs", ".vb")
_NOT_SOURCE = re.compile(r"(^|/)(obj|bin)/")
_SQLITE = re.compile(r"sqlite", re.I)
# Packages that keep files or start programs on their own account.
_STORES = re.compile(
    r"(LiteDB|Lucene\.Net|RocksDb\w*|DuckDB\.NET\w*|Microsoft\.FASTER\w*|log4net|NLog\b.*|Microsoft\.Playwright|Selenium\.\w+|PuppeteerSharp"
    r"|IronPdf|DinkToPdf|Hangfire\.(LiteDB|SQLite|Storage\.SQLite)|EasyCaching\.Disk|LibGit2Sharp|Raven\w*\.Embedded|FluentFTP|FFMpegCore|Xabe\.FFmpeg)$"
)
_ROOT = re.compile(
    r"(System\.Device\.Gpio|Iot\.Device\.\w+|Mono\.Posix\S*|Mono\.Unix|SharpPcap|Docker\.DotNet|Tmds\.DBus\S*|System\.IO\.Ports)$"
)


def published(model: Model, stage: Stage, command: Started) -> Publish | str | None:
    """The publish that made the program which a command starts; the reason why that is not known, None where it is none of .NET's."""
    words = command.words
    name = command.name or ""
    if name == "dotnet":
        given = next((w for w in words[1:] if w is None or not w.startswith("-")), None)
        if given is None or not given.endswith(".dll"):
            return f"`dotnet {given or '…'}` takes the SDK"
        path = posixpath.normpath(posixpath.join(command.folder or "/", given))
    elif "/" in (words[0] or ""):
        path = posixpath.normpath(posixpath.join(command.folder or "/", words[0] or ""))
    else:
        return None
    origin, place = origin_of(model, stage, path)
    reasons = []
    for found in publishes(model, origin):
        if isinstance(found, str):
            reasons.append(found)
        elif place in (found.library, found.program):
            return found
    if name != "dotnet":
        return None
    return reasons[0] if reasons else f"no `dotnet publish` is seen to make {path}"


def sources_of(context: BuildContext, published: Publish) -> tuple[str, ...]:
    """The source files of a project and of those that it refers to."""
    folders = {posixpath.dirname(path) or "." for path in published.project.projects}
    others = {posixpath.dirname(p) for p in context.files() if p.endswith("proj") and p not in published.project.projects} - folders - {""}
    files = {f for folder in folders for f in context.under(folder) if f.endswith(_SOURCES) and not _NOT_SOURCE.search(f)}
    return tuple(sorted(f for f in files if not any(f.startswith(f"{other}/") for other in others)))


def evidence(model: Model, stage: Stage, start: Start, environment: Mapping[str, str]) -> SourceUse:
    """See ``optimizer.model.sources``."""
    context = model.context
    assert context is not None
    for command in reversed(start.commands):
        found = published(model, stage, command)
        if isinstance(found, str):
            return SourceUse(unknown=(Unknown("program", "", found),))
        if found is None:
            continue
        packages = found.project.packages
        base = posixpath.dirname(posixpath.normpath(posixpath.join(command.folder or "/", _program(command))))
        files = sources_of(context, found)
        sqlite = any(map(_SQLITE.search, packages))
        use = csharp_evidence(context, files, found.project.folder, base, environment, sqlite=sqlite)
        kept = [
            Unknown("write", found.project.path, f"needs {p}, which keeps files or starts programs")
            for p in sorted(packages)
            if _STORES.match(p)
        ]
        root = [f"{found.project.path} needs {p}" for p in sorted(packages) if _ROOT.match(p)]
        unknown = (*use.unknown, *kept)
        return SourceUse(files, tuple(sorted(packages)), use.programs, (), use.written, use.read, (*use.root, *root), unknown)
    return SourceUse(unknown=(Unknown("program", "", "no program of .NET is seen to start"),))


def _program(command: Started) -> str:
    return next((w for w in command.words if w is not None and w.endswith(".dll")), command.words[0] or "")
