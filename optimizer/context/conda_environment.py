"""What an environment file of conda declares.

Source: https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.context.requirements import Requirement, requirement_files
from optimizer.ecosystems.pip import project_name

NAMES = ("environment.yml", "environment.yaml")
_KEYS = frozenset({"name", "prefix", "channels", "dependencies", "variables", "category", "platforms"})


class CondaEnvironment(Struct, frozen=True):
    """An environment file.

    Args:
        name, prefix: The name or path that it gives the environment, None without one.
        packages: Conda packages by name, without channel, version and build, in order.
        requirements: What pip installs behind them.
        files: The files of the context that installing reads, the environment file first.
        variables: Variables that entering the environment sets.
        problem: Why this may not be all; None when it is.
    """

    name: str | None = None
    prefix: str | None = None
    packages: tuple[str, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    files: tuple[str, ...] = ()
    variables: Mapping[str, str] = {}
    problem: str | None = None


def conda_environment(context: BuildContext, path: str) -> CondaEnvironment:
    """Read an environment file. path: relative to the context."""
    import yaml  # heavy: few contexts have such a file

    text = context.read_text(path)
    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if text is not None else None
    except (yaml.YAMLError, RecursionError, ValueError):
        data = None
    if not isinstance(data, dict):
        return CondaEnvironment(problem=f"{path} is not in the build context or cannot be read")
    strange = sorted(str(key) for key in data if key not in _KEYS)
    if strange:
        return CondaEnvironment(problem=f"{path} has a key that is not known, {strange[0]}")
    packages: list[str] = []
    requirements: list[Requirement] = []
    files = [path]
    for item in data.get("dependencies") or ():
        if isinstance(item, str):
            if (problem := local_package(item)) is not None:
                return CondaEnvironment(problem=f"{path}: {problem}")
            packages.append(package_name(item))
        elif isinstance(item, dict) and set(item) == {"pip"} and isinstance(item["pip"], list):
            found = _pip(context, path, [str(line) for line in item["pip"]])
            if isinstance(found, str):
                return CondaEnvironment(problem=f"{path}: {found}")
            requirements += found[0]
            files += [file for file in found[1] if file not in files]
        else:
            return CondaEnvironment(problem=f"{path} has a dependency of a kind that is not known")
    channels = data.get("channels") or ()
    if any(re.match(r"file:|[./~]", str(channel)) for channel in channels):
        return CondaEnvironment(problem=f"{path} names a channel that is a folder")
    variables = data.get("variables") or {}
    name, prefix = data.get("name"), data.get("prefix")
    return CondaEnvironment(
        str(name) if name is not None else None,
        str(prefix) if prefix is not None else None,
        tuple(packages),
        tuple(requirements),
        tuple(files),
        {str(key): str(value) for key, value in variables.items()} if isinstance(variables, dict) else {},
    )


def package_name(spec: str) -> str:
    """The name in a specification such as ``conda-forge::gdal>=3.8=py311_0``."""
    return re.split(r"[\s=<>!~\[]", spec.rpartition("::")[2].strip(), maxsplit=1)[0].lower()


def local_package(spec: str) -> str | None:
    """Why a specification names a file, None when it names a package of a channel."""
    found = re.match(r"[./~]|file:|.*\.(conda|tar\.bz2)$", spec)
    return f"{spec} is a package file" if found is not None else None


def _pip(context: BuildContext, path: str, lines: list[str]) -> tuple[list[Requirement], list[str]] | str:
    """What the lines for pip install, and the files that they include; why that cannot be told."""
    folder = posixpath.dirname(path) or "."
    requirements: list[Requirement] = []
    files: list[str] = []
    for line in (line.strip() for line in lines):
        if (included := re.fullmatch(r"(?:-r|--requirement|-c|--constraint)[ =]?(\S+)", line)) is not None:
            found = requirement_files(context, posixpath.normpath(posixpath.join(folder, included[1])), cwd=folder)
            if found.problems:
                return found.problems[0]
            if any(r.url is not None and r.vcs is None and "://" not in r.url for r in found.packages):
                return "pip installs a folder of the project"
            requirements += found.packages if line.startswith(("-r", "--req")) else ()
            files += found.files
        elif re.match(r"(-e|--editable)\b", line) and not re.search(r"(git|hg|svn|bzr)\+", line):
            return "pip installs a folder of the project"
        elif (option := re.match(r"--?[\w-]+", line)) is not None:
            if option[0] not in ("-i", "--index-url", "--extra-index-url", "--trusted-host", "--pre", "--no-binary", "--only-binary"):
                return f"what pip does with {option[0]} is not known"
        elif re.match(r"[./~]|file:", line) or re.search(r"@\s*file:", line):
            return "pip installs a folder of the project"
        elif (url := re.match(r"(?:[\w.\[\],-]+\s*@\s*)?((?:git|hg|svn|bzr)\+\S+|https?://\S+)", line)) is not None:
            requirements.append(Requirement(None, url=url[1]))
        else:
            given = re.match(r"[\w.-]+\s*(?:\[([^\]]*)\])?([^;]*)", line)
            extras = tuple(sorted(part.strip().lower() for part in given[1].split(","))) if given is not None and given[1] else ()
            requirements.append(Requirement(project_name(line), given[2].strip() if given is not None else "", extras=extras))
    return requirements, files
