"""Project files of .NET: what they build, for which framework, and what of the project they take along."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.xml import named, parse, text_of

_PROJECT = re.compile(r"\.(cs|fs|vb)proj$", re.I)
_AROUND = ("Directory.Build.props", "Directory.Build.targets")
_DEPTH = 12  # of projects that refer to projects


class DotnetProject(Struct, frozen=True):
    """One project and those that it refers to.

    Args:
        path: The project file, relative to the context.
        sdk: The SDK that it names, such as ``Microsoft.NET.Sdk.Web``.
        properties: The properties that it and the ``Directory.Build`` files around it set without a condition, by small name.
        conditional: The names of those that a condition sets.
        packages: The NuGet packages that it and the projects it refers to ask for.
        frameworks: The framework references of all of them.
        projects: The project files of all of them, itself first.
    """

    path: str
    sdk: str
    properties: dict[str, str]
    conditional: frozenset[str]
    packages: frozenset[str]
    frameworks: frozenset[str]
    projects: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Its folder, "." for the root of the context."""
        return posixpath.dirname(self.path) or "."

    @property
    def assembly(self) -> str | None:
        """The name of its program without an ending, None where that is computed."""
        name = self.properties.get("assemblyname", posixpath.splitext(posixpath.basename(self.path))[0])
        name = name.replace("$(MSBuildProjectName)", posixpath.splitext(posixpath.basename(self.path))[0])
        return None if "$(" in name or "assemblyname" in self.conditional else name

    @property
    def target(self) -> str | None:
        """Its only target framework, such as ``net8.0``; None where there are several, or that is computed."""
        found = self.properties.get("targetframework", "")
        found = found or (self.properties.get("targetframeworks", "") if ";" not in self.properties.get("targetframeworks", ";") else "")
        return found if re.fullmatch(r"net(coreapp)?\d+\.\d+", found) and "targetframework" not in self.conditional else None

    @property
    def version(self) -> str | None:
        """The version of .NET that its target framework asks for, such as ``8.0``."""
        return re.sub(r"^net(coreapp)?", "", self.target) if self.target is not None else None

    def is_set(self, name: str) -> bool | None:
        """Whether a property is true; None where a condition or a variable decides."""
        value = self.properties.get(name.lower(), "").lower()
        return None if name.lower() in self.conditional or "$(" in value else value == "true"


def project_files(context: BuildContext, folder: str) -> tuple[str, ...]:
    """The project files right in a folder of the context."""
    return tuple(f for f in context.files() if _PROJECT.search(f) and (posixpath.dirname(f) or ".") == folder)


def dotnet_project(context: BuildContext, path: str) -> DotnetProject | str:
    """Read a project file; the reason why it cannot be read."""
    reader = _Reader(context)
    reason = reader.add(path, own=True)
    if reason is not None:
        return reason
    return DotnetProject(
        path, reader.sdk, reader.properties, frozenset(reader.conditional), frozenset(reader.packages), frozenset(reader.frameworks),
        tuple(reader.projects),
    )  # fmt: skip


class _Reader:
    def __init__(self, context: BuildContext) -> None:
        self.context = context
        self.sdk = ""
        self.properties: dict[str, str] = {}
        self.conditional: set[str] = set()
        self.packages: set[str] = set()
        self.frameworks: set[str] = set()
        self.projects: list[str] = []

    def add(self, path: str, *, own: bool = False) -> str | None:
        if path in self.projects:
            return None
        root = parse(self.context, path)
        if root is None or not _PROJECT.search(path) or len(self.projects) >= _DEPTH:
            return f"the project file {path} cannot be read"
        self.projects.append(path)
        sdk = root.get("Sdk") or ""
        if own:
            self.sdk = sdk.partition("/")[0]
        if "Web" in sdk or "Razor" in sdk:
            self.frameworks.add("Microsoft.AspNetCore.App")
        for file in (*self.around(path), path):
            other = root if file == path else parse(self.context, file)
            if other is None:
                return f"{file} cannot be read"
            self.take(other, own=own)
        for element in root.iter():
            given = element.get("Include") if named(element, "ProjectReference") else None
            if given is not None:
                reason = self.add(posixpath.normpath(posixpath.join(posixpath.dirname(path), given.replace("\\", "/"))))
                if reason is not None:
                    return reason
        return None

    def around(self, path: str) -> list[str]:
        """The nearest of each of the files that MSBuild takes in from the folders around a project."""
        found = []
        for name in _AROUND:
            folder = posixpath.dirname(path)
            while folder and not self.context.exists(posixpath.join(folder, name)):
                folder = posixpath.dirname(folder)
            if self.context.exists(posixpath.join(folder, name)):
                found.append(posixpath.join(folder, name))
        return found

    def take(self, root: Element, *, own: bool) -> None:
        for group in root:
            for element, condition in _items(group):
                if named(group, "PropertyGroup") and own and isinstance(element.tag, str):
                    name = element.tag.rpartition("}")[2].lower()
                    if condition:
                        self.conditional.add(name)
                    else:
                        self.properties[name] = text_of(element)
                elif named(element, "PackageReference"):
                    self.packages.add(element.get("Include") or element.get("Update") or "")
                elif named(element, "FrameworkReference"):
                    self.frameworks.add(element.get("Include") or "")


def _items(group: Element) -> Iterator[tuple[Element, bool]]:
    """The elements of a group, and whether a condition stands over them."""
    for element in group:
        yield element, group.get("Condition") is not None or element.get("Condition") is not None
