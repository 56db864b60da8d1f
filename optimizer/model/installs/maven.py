"""Maven: the POMs of the project and of its modules, .mvn and the wrapper, for the goals that only fetch."""

from __future__ import annotations

import posixpath
from xml.etree.ElementTree import Element

from optimizer.context.folder import BuildContext
from optimizer.context.xml import children, named, parse, text_of
from optimizer.ecosystems import Call, unwrapped
from optimizer.ecosystems.maven import FETCHING, arguments_of
from optimizer.model.installs.needs import Needs, existing, refused, within


def needs(context: BuildContext, folder: str, call: Call) -> Needs:
    """See ``optimizer.model.installs``."""
    found = arguments_of(unwrapped(call.command))
    goals = [goal for goal in call.packages if not FETCHING.match(goal)]
    if found is None or goals or not call.packages:
        return refused(f"`mvn {goals[0] if goals else ''}`".replace(" `", "`") + " compiles or runs the project")
    if call.options & {"-gs", "--global-settings", "-t", "--toolchains", "-gt", "--global-toolchains"}:
        return refused("an option leads Maven to other files")
    pom = next(iter(found.values("-f", "--file")), "pom.xml")
    pom = within(folder, posixpath.join(pom, "pom.xml") if context.is_dir(within(folder, pom)) else pom)
    files: set[str] = set()
    reason = _collect(context, pom, files)
    if reason is not None:
        return refused(reason)
    top = posixpath.dirname(pom) or "."
    wrapper = ("mvnw",) if (unwrapped(call.command).program or "") != "mvn" else ()
    files.update(existing(context, folder, wrapper))
    files.update(f for f in existing(context, top, (".mvn",)))
    for settings in found.values("-s", "--settings"):
        path = within(folder, settings)
        if settings.startswith("/") or not context.exists(path):
            return refused(f"{settings} is not among the files that are copied from the build context")
        files.add(path)
    return Needs(tuple(sorted(files)))


def _collect(context: BuildContext, path: str, files: set[str]) -> str | None:
    """Add a POM, its parent and its modules to the files; the reason when it reads more."""
    if path in files:
        return None
    root = parse(context, path)
    if root is None:
        return f"{path} is not in the build context or cannot be read"
    files.add(path)
    folder = posixpath.dirname(path)
    if any(named(e, "systemPath") for e in root.iter()):
        return f"{path} depends on libraries that lie in the project (systemPath)"
    for url in (text_of(e) for e in root.iter() if named(e, "url")):
        if url.startswith(("file:", "${")):
            return f"{path} has a repository in a folder, {url}"
    if any(named(e, "file") for a in root.iter() if named(a, "activation") for e in a):
        return f"{path} has a profile that depends on a file"
    for parent in children(root, "parent"):
        given = next((text_of(e) for e in children(parent, "relativePath")), "../pom.xml")
        at = _pom(context, posixpath.normpath(posixpath.join(folder, given))) if given else None
        if at is not None and not at.startswith("..") and _is_parent(parent, parse(context, at)):
            reason = _collect(context, at, files)
            if reason is not None:
                return reason
    for module in (text_of(e) for e in root.iter() if named(e, "module")):
        if "$" in module:
            return f"{path} has a module whose name is computed, {module}"
        at = _pom(context, posixpath.normpath(posixpath.join(folder, module)))
        reason = f"{path} has a module, {module}, that is not in the build context" if at is None else _collect(context, at, files)
        if reason is not None:
            return reason
    return None


def _pom(context: BuildContext, path: str) -> str | None:
    """The POM that a path means: itself, or pom.xml in that folder."""
    if context.is_dir(path) or path == ".":
        path = posixpath.normpath(posixpath.join(path, "pom.xml"))
    return path if context.exists(path) else None


def _is_parent(wanted: Element, found: Element | None) -> bool:
    """Maven takes the POM at relativePath when it has the artifact's name."""
    if found is None:
        return False
    name = next((text_of(e) for e in children(wanted, "artifactId")), "")
    return name == next((text_of(e) for e in children(found, "artifactId")), None)
