"""The shared libraries that packages of a build stage were compiled against, for the stage that runs them."""

from __future__ import annotations

from optimizer.knowledge.python_packages import python_package, resolve
from optimizer.passes.base import Change, Refusal
from optimizer.passes.repair.python import Repair
from optimizer.passes.split.shared import IN_SLIM, apt_install, installs_of, may_link
from optimizer.passes.text import quote_names


def missing_libraries(repair: Repair) -> Change | Refusal | None:
    """Shared libraries that the packages were compiled against, and that the slim image of the runtime stage has not."""
    image, stage, model = repair.stage.image, repair.stage, repair.model
    if image is None or image.variant != "slim" or image.package_manager != "apt":
        return None
    here = {p for position in stage.positions for c in installs_of(model.file.instruction(position)) for p in c.packages}
    builder = repair.installed.builder
    there = {p for position in builder.positions for c in installs_of(model.file.instruction(position)) for p in c.packages}
    wanted: dict[str, None] = {}
    users: list[str] = []
    for name in sorted(repair.installed.names):
        package = python_package(name)
        if package is None or package.has_wheels is not False or not package.runtime_packages:
            continue
        linked = [p for p in package.runtime_packages if p not in IN_SLIM and may_link(package, p, builder.image, there)]
        libraries = resolve(linked, image.release)
        if libraries is None:
            return Refusal(f"not repaired: which libraries {name} needs in this Debian release is not known", stage.position)
        if not {*libraries, *package.runtime_packages} & here:
            wanted.update(dict.fromkeys(libraries))
            users.append(name)
    if not wanted:
        return None
    place = stage.position + 1
    node = apt_install(model, stage, tuple(wanted), ("--no-install-recommends",))
    file = model.file.replaced(place, place, [node])
    why = f"{quote_names(users)} is compiled against what {quote_names(tuple(wanted))} holds"
    return Change(f"install {quote_names(tuple(wanted))} in the stage that runs", file, (stage.position,), (why,))
