"""The system packages that a Python program needs when it runs."""

from __future__ import annotations

import posixpath
import re

from msgspec.structs import replace

from optimizer.context.python_source import python_evidence
from optimizer.knowledge.debian import programs as debian_programs
from optimizer.knowledge.images import BaseImage
from optimizer.knowledge.python_packages import packages_of_script, python_package, resolve
from optimizer.knowledge.pythons import python_version
from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.copies import stage_copies
from optimizer.passes.split.python_headers import install_texts, unused_headers
from optimizer.passes.split.python_managers import MANAGERS
from optimizer.passes.split.python_plan import Plan
from optimizer.passes.split.python_steps import PROGRAMS
from optimizer.passes.split.shared import IN_SLIM, Refused, SystemPackages, may_link, packages_for, sort_packages
from optimizer.passes.split.steps import FILE_COMMANDS, SYSTEM_COMMANDS, tells

_PROJECT_COMMANDS = frozenset({"flask", "alembic", "django-admin"})


def system_packages(model: Model, plan: Plan, application: Application, runtime: BaseImage, stage: Stage) -> SystemPackages:
    """The system packages that the runtime stage needs. Refused when that is not known."""
    installed = plan.system.packages
    where = plan.system.positions[0] if plan.system.positions else stage.position
    compiling = sorted({"pyximport", "cppimport"} & set(application.modules))
    if compiling and runtime is not stage.image:
        raise Refused(f"the program compiles code when it runs, by {compiling[0]}", where)
    names = {r.name for r in plan.requirements if r.name}
    extras = {r.name: r.extras for r in plan.requirements if r.name}
    known = {n: python_package(n, (*extras[n], *(m.removeprefix(f"{n}-") for m in names if m.startswith(f"{n}-")))) for n in names}
    local = {s for package in known.values() if package is not None for s in package.scripts}
    programs = set(application.programs) | _run_programs(model, plan, application, local)
    scripts = {posixpath.basename(f) for f in (*application.start.scripts, *application.start.entries)}
    placed = {copy.destination for copy in stage_copies(model, stage)}
    local |= {c.name for c in application.start.commands if c.name is not None and c.words[0] in placed}
    local |= {*application.start.installed, *MANAGERS} if plan.manager is not None else set(application.start.installed)
    programs = {p for p in programs if p not in local and posixpath.basename(p) not in scripts}
    programs = {p for p in programs if not re.match(r"(python|pip)[\d.]*$", p) and not names & set(packages_of_script(p))}
    brought = {p for package in installed for p in debian_programs(package) or ()}
    programs = {p for p in programs if p in brought or not packages_of_script(p)}  # no image has them: a dependency brings them
    complete = not application.unknown_about("program") and all(known.values())
    libraries: list[str] = []
    for name in sorted(names):
        package = known[name]
        if package is None:
            continue
        if package.runtime_packages is None:
            if runtime is not stage.image and not installed:
                raise Refused(f"what {name} needs of the system depends on how it is used", where)
            complete = False
            continue
        wanted = [p for p in package.runtime_packages if p not in IN_SLIM and may_link(package, p, stage.image, plan.system.written)]
        resolved = resolve(wanted, runtime.release)
        if resolved is None:
            raise Refused(f"which libraries {name} needs in this Debian release is not known; a tag such as -bookworm tells", where)
        libraries.extend(resolved)
    if application.unknown_about("program") and runtime is not stage.image and not complete:
        unknown = application.unknown_about("program")
        raise Refused(f"which programs it starts is not known: {unknown[0]}", where)
    extra = [*libraries, *packages_for(programs, runtime, installed, where)]
    unused = unused_headers(installed, plan.requirements, known, python_version(runtime), install_texts(model, plan))
    found = sort_packages([p for p in installed if p not in unused], programs, runtime.release, extra, complete, where)
    return replace(found, dropped=tuple(p for p in installed if p in {*found.dropped, *unused}))


def _run_programs(model: Model, plan: Plan, application: Application, local: set[str]) -> set[str]:
    """The programs that the commands of the runtime stage start.

    Raises:
        Refused: It is not known what a command needs.
    """
    assert model.context is not None
    found: set[str] = set()
    for position, step in plan.commands:
        program, words = step.program or "", [word.value or "" for word in step.command.words]
        if program in FILE_COMMANDS or tells(step, PROGRAMS):
            continue
        if program in SYSTEM_COMMANDS:
            found.add(program)
            continue
        if re.fullmatch(r"python[\d.]*", program) and len(words) > 1:
            target = words[1]
            if words[1:3] in (["-m", "compileall"], ["-m", "py_compile"]):
                continue
            if posixpath.basename(target) == "manage.py" and application.django is not None:
                found |= {"compilemessages": {"msgfmt"}, "makemessages": {"xgettext", "msgmerge"}}.get(
                    words[2] if len(words) > 2 else "", set()
                )
                continue
            file = target.removeprefix("./")
            if posixpath.basename(file) != "setup.py" and file.endswith(".py") and model.context.exists(file):
                evidence = python_evidence(model.context, [file])
                if not [u for u in evidence.unknown if u.about in ("program", "syntax", "context")]:
                    found |= set(evidence.programs)
                    continue
        elif program in local & _PROJECT_COMMANDS:
            continue
        what = " ".join(words[:3]) if program.startswith("python") else program
        raise Refused(f"which stage `{what}` belongs to is not known, since what it starts and reads is not", position)
    return found
