"""Poetry: pyproject.toml, poetry.lock and poetry.toml, unless it installs the project itself."""

from __future__ import annotations

from typing import Any

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Action, Call
from optimizer.model.installs.needs import NOTHING, Needs, brought, existing, overwritten, read_toml, refused, table, within


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``."""
    verb = call.verb.value if call.verb else None
    if (verb == "config" and "--local" not in call.options) or verb == "self":
        return NOTHING
    if call.action is not Action.INSTALL or verb not in ("install", "sync"):
        return refused(f"`poetry {verb or ''}`".rstrip() + " may read or change the copied files")
    if call.options & {"-C", "--directory", "-P", "--project"}:
        return refused("an option leads Poetry to another folder")
    data = read_toml(context, within(folder, "pyproject.toml"))
    if data is None:
        return refused("pyproject.toml is not in the build context or cannot be read")
    package_mode = table(data, "tool", "poetry").get("package-mode", True)
    if "--no-root" not in call.options and package_mode is not False:
        return refused("Poetry installs the project itself; with --no-root it would not")
    local = _local(data)
    if local is not None:
        return refused(f"pyproject.toml depends on the folder {local}")
    if brought(context, folder, ".venv"):
        return overwritten(".venv")
    license_file = table(data, "project", "license").get("file")
    extra = (license_file,) if isinstance(license_file, str) else ()
    return Needs(existing(context, folder, ("pyproject.toml", "poetry.lock", "poetry.toml", *extra)))


def _local(data: dict[str, Any]) -> str | None:
    """The path of a dependency that lies in the project."""
    poetry = table(data, "tool", "poetry")
    groups = [table(group, "dependencies") for group in table(poetry, "group").values()]
    for dependencies in (table(poetry, "dependencies"), table(poetry, "dev-dependencies"), *groups):
        for given in dependencies.values():
            for one in given if isinstance(given, list) else [given]:
                path = table(one).get("path") or table(one).get("file")
                if path is not None:
                    return str(path)
    return local_requirement(data)


def local_requirement(data: dict[str, Any]) -> str | None:
    """The requirement of a ``[project]`` table or a dependency group that names a path by a ``file:`` URL."""
    project = table(data, "project")
    lists = [project.get("dependencies"), *table(project, "optional-dependencies").values(), *table(data, "dependency-groups").values()]
    found = (item for given in lists if isinstance(given, list) for item in given if isinstance(item, str))
    return next((item for item in found if "file:" in item or "@ ." in item), None)
