"""``dotnet restore``: project and solution files, and the files beside and around them that MSBuild and NuGet read."""

from __future__ import annotations

import posixpath
import re

from optimizer.context.folder import BuildContext
from optimizer.context.xml import named, parse
from optimizer.ecosystems import Call, unwrapped
from optimizer.ecosystems.dotnet import arguments_of
from optimizer.model.installs.needs import NOTHING, Needs, around, existing, overwritten, refused, within

_PROJECT = re.compile(r"\.(cs|fs|vb)proj$", re.I)
_SOLUTION = re.compile(r"\.slnx?$", re.I)
# Files that are read in the folder of a project and in all around it.
_AROUND = (
    "Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props", "Directory.Build.rsp", "Directory.Solution.props",
    "Directory.Solution.targets", "nuget.config", "NuGet.config", "NuGet.Config", "global.json",
)  # fmt: skip
_HERE = re.compile(r"^\$\((MSBuildThisFileDirectory|MSBuildProjectDirectory|ProjectDir)\)[/\\]?")


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``."""
    verb = call.verb.value if call.verb else None
    if verb in ("tool", "workload"):
        packaged = (
            call.packages[:1] == ("install",)
            and len(call.packages) > 1
            and (verb == "workload" or call.options & {"-g", "--global", "--tool-path"})
        )
        return NOTHING if packaged else refused(f"`dotnet {verb}` may read the copied files")
    if verb != "restore":
        return refused(f"`dotnet {verb or ''}`".rstrip() + " reads the source")
    found = arguments_of(unwrapped(call.command))
    if found is None or len(call.packages) > 1 or any(o.startswith("@") for o in call.packages):
        return refused("what it restores is not known")
    if any("://" not in source for source in found.values("-s", "--source")) or call.options & {
        "--packages",
        "--lock-file-path",
        "--artifacts-path",
    }:
        return refused("an option leads it to a folder")
    restoring = _Restoring(context)
    start = within(folder, call.packages[0]) if call.packages else folder
    if context.is_dir(start) or start == ".":
        inside = [f for f in context.under(start) if (posixpath.dirname(f) or ".") == start]
        candidates = [f for f in inside if _SOLUTION.search(f)] or [f for f in inside if _PROJECT.search(f)]
        if len(candidates) != 1:
            return refused("which project or solution it restores is not known")
        start = candidates[0]
    reason = restoring.add(start)
    configuration = [within(folder, given) for given in found.values("--configfile")]
    restoring.files.update(configuration)
    restoring.files.update(existing(context, folder, ("global.json",)))
    reason = reason or next((r for f in sorted(restoring.files) if (r := restoring.check(f)) is not None), None)
    if reason is not None:
        return refused(reason)
    built = next((p for p in sorted(restoring.projects) if context.under(posixpath.join(posixpath.dirname(p), "obj"))), None)
    if built is not None:
        return overwritten(posixpath.join(posixpath.dirname(built), "obj"))
    inner = {f for f in restoring.files if folder == "." or f.startswith(f"{folder}/")}
    return Needs(tuple(sorted(inner)), outer=tuple(sorted({*(restoring.files - inner), *around(context, folder, _AROUND)})))


class _Restoring:
    """Follows solutions and project references."""

    def __init__(self, context: BuildContext) -> None:
        self.context = context
        self.files: set[str] = set()
        self.projects: set[str] = set()

    def add(self, path: str) -> str | None:
        """Add a solution, a project or an imported file with all it leads to; the reason when that is not known."""
        if path in self.files:
            return None
        text = self.context.read_text(path)
        if text is None or path.startswith(".."):
            return f"{path} is not in the build context"
        self.files.add(path)
        folder = posixpath.dirname(path) or "."
        for place in (folder, *_folders_around(folder)):
            for name in (*_AROUND, *(("packages.lock.json",) if place == folder and _PROJECT.search(path) else ())):
                for other in existing(self.context, place, (name,)):
                    reason = self.add(other) if other.endswith((".props", ".targets")) else None
                    self.files.add(other)
                    if reason is not None:
                        return reason
        if _SOLUTION.search(path):
            pattern = r'Path="([^"]+)"' if path.lower().endswith("x") else r'^Project\([^)]*\)\s*=\s*"[^"]*",\s*"([^"]+)"'
            given = [p.replace("\\", "/") for p in re.findall(pattern, text, re.M)]
            for project in given:
                if re.search(r"\.\w+proj$", project):
                    reason = self.add(posixpath.normpath(posixpath.join(folder, project)))
                    if reason is not None:
                        return reason
            return None
        return self._msbuild(path, folder)

    def _msbuild(self, path: str, folder: str) -> str | None:
        if not path.endswith((".props", ".targets")) and not _PROJECT.search(path):
            return f"{path} is a kind of project that is not known" if path.endswith("proj") else None
        root = parse(self.context, path)
        if root is None:
            return f"{path} cannot be read"
        if _PROJECT.search(path):
            self.projects.add(path)
        for element in root.iter():
            given = None
            if named(element, "ProjectReference"):
                given = element.get("Include")
            elif named(element, "Import") and element.get("Sdk") is None:
                given = element.get("Project")
            elif (
                named(element, "RestoreSources")
                or named(element, "RestoreAdditionalProjectSources")
                or named(element, "BaseIntermediateOutputPath")
            ):
                return f"{path} sets {element.tag}"
            if given is None:
                continue
            given = _HERE.sub("", given.strip()).replace("\\", "/")
            if "$(" in given or "*" in given or ";" in given:
                return f"{path} takes in {given}, which is known only when it is built"
            target = posixpath.normpath(posixpath.join(folder, given))
            if not self.context.exists(target) and element.get("Condition") is not None:
                continue
            reason = self.add(target)
            if reason is not None:
                return reason
        return None

    def check(self, path: str) -> str | None:
        """Why a file leads to more: a nuget.config with a folder as source."""
        if posixpath.basename(path).lower() != "nuget.config":
            return None
        root = parse(self.context, path)
        if root is None:
            return f"{path} cannot be read"
        sources = [e for s in root.iter() if named(s, "packageSources") or named(s, "fallbackPackageFolders") for e in s if named(e, "add")]
        local = next((e.get("value", "") for e in sources if "://" not in e.get("value", "")), None)
        settings = [e for s in root.iter() if named(s, "config") for e in s if e.get("key") in ("globalPackagesFolder", "repositoryPath")]
        if local is not None or settings:
            return f"{path} names a folder of packages, {local or settings[0].get('value')}"
        return None


def _folders_around(folder: str) -> tuple[str, ...]:
    found = []
    while folder not in (".", ""):
        folder = posixpath.dirname(folder) or "."
        found.append(folder)
    return tuple(found)
