"""Split a Ruby stage: gems are installed and the project is built in a build stage, and both run on the slim image of the same Ruby."""

from __future__ import annotations

import posixpath

from optimizer.context.bundler_project import bundler_project
from optimizer.knowledge.debian import build_only
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage, mounts
from optimizer.model.application import Application, application_of
from optimizer.model.copies import stage_copies
from optimizer.model.runtime import Runtime
from optimizer.model.sources.ruby import environment_of, project_of
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import Split, assemble, copied_elsewhere, copy_line, is_below
from optimizer.passes.split.project_folder import project_copy
from optimizer.passes.split.ruby_needs import FAMILIES, system_packages, unused_groups
from optimizer.passes.split.ruby_steps import Plan, sort_instructions
from optimizer.passes.split.shared import (
    Refused,
    SystemPackages,
    apt_install,
    install_options,
    installs_of,
    line,
    no_twin,
    reference_text,
    stage_name,
    with_certificates,
)
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction, Node

_BUILD_VARIABLES = frozenset({"DEBIAN_FRONTEND", "BUNDLE_JOBS", "BUNDLE_RETRY"})
_INTERPRETER = frozenset({"ruby", "ruby-full"})
_MANAGERS = frozenset({"bundler", "ruby-bundler"})
_RECOMMENDS_CERTIFICATES = frozenset({"git", "curl", "wget"})


def split_ruby(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Ruby project.

    Returns:
        The change, None when the stage is not one of Ruby's images or there is nothing to gain.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family not in ("ruby", *FAMILIES) or stage.base is not None:
        return None
    calls = [c for p in stage.positions if model.file.instruction(p).keyword == "RUN" for c in installs_of(model.file.instruction(p))]
    if not any(c.ecosystem in ("bundler", "gem") for c in calls):
        return None
    system = [package for c in calls if c.ecosystem == image.package_manager for package in c.packages]
    debian = image.family in FAMILIES
    if debian and not any(package in _INTERPRETER for package in system):
        return None
    compilers = any(build_only(package, image.package_manager or "") for package in system) or "ruby-full" in system
    if not compilers and (image.variant != "full" or debian or model.runtime is Runtime.SAME):
        return None
    if image.package_manager != "apt":
        raise Refused("which Alpine packages hold the libraries that belong to its development packages is not known", stage.position)
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    application = application_of(model, stage)
    if application is None or application.language != "ruby":
        if debian:
            return None
        raise Refused("no program of the build context is recognised in CMD or ENTRYPOINT", stage.position)
    found = project_of(model, stage, application.start)
    project = bundler_project(model.context, found[1]) if found is not None else None
    if found is None or project is None:
        raise Refused("the Gemfile of the program is not in the build context", stage.position)
    plan = sort_instructions(model, stage, found[0])
    if not plan.installs:
        return None
    runtime, reference = _runtime_base(model, stage, image)
    packages = system_packages(model, stage, plan, project, application, runtime)
    if debian:
        packages = _with_interpreter(packages, system, application)
    groups = unused_groups(model, stage, plan, project, application)
    return _change(model, stage, plan, packages, runtime, reference, application, groups)


def _runtime_base(model: Model, stage: Stage, image: BaseImage) -> tuple[BaseImage, str]:
    if image.variant == "slim" or image.family in FAMILIES or model.runtime is Runtime.SAME:
        return image, model.file.instruction(stage.position).value.split()[0]
    for twin in runtime_twins(image):
        found, text = lookup(twin), reference_text(model, stage, image, twin)
        if found is not None and found.variant == "slim" and text is not None:
            return found, text
    raise Refused(no_twin(stage, "Ruby"), stage.position)


def _with_interpreter(found: SystemPackages, installed: list[str], application: Application) -> SystemPackages:
    """The packages of the runtime stage with the distribution's own Ruby, and Bundler where it starts the program."""
    managers = [p for p in installed if p in _MANAGERS] if {"bundle", "bundler"} & set(application.start.programs) else []
    certificates = ["ca-certificates"] if _RECOMMENDS_CERTIFICATES & set(installed) else []
    kept = dict.fromkeys(["ruby", *managers, *certificates, *(p for p in found.kept if p not in _INTERPRETER | _MANAGERS)])
    return SystemPackages(tuple(kept), tuple(p for p in found.dropped if p not in kept), found.options)


def _change(
    model: Model,
    stage: Stage,
    plan: Plan,
    system: SystemPackages,
    runtime: BaseImage,
    reference: str,
    application: Application,
    groups: tuple[str, ...],
) -> Change:
    name = stage_name(model)
    packages = [plan.system.written.get(p, p) for p in with_certificates(system.kept, stage.image, runtime)]
    without = [line(model, stage, "ENV", f"BUNDLE_WITHOUT={':'.join(groups)}")] if groups else []
    middle: list[Instruction] = []
    if packages or plan.system.upgrade:
        options = install_options(packages, plan.system.options)
        middle.append(apt_install(model, stage, packages, options, plan.system.upgrade))
    middle += [*(plan.repeated[position] for position in sorted(plan.repeated)), *without]
    middle += [copy_line(model, stage, name, path, path) for path in plan.gems]
    if plan.whole:
        elsewhere = copied_elsewhere(model, stage, plan.folder, plan.last)
        middle += [copy_line(model, stage, name, path, path) for path in elsewhere]
        middle.append(project_copy(model, stage, plan.folder, plan.last, name, plan.owner))
    else:
        middle += _manifests(model, stage, plan, name)
    edited: dict[int, list[Node]] = {}
    if without:
        edited[plan.bundled] = [*without, model.file.instruction(plan.bundled)]
    at = plan.installs[-1]
    if not _mounted(model, plan):
        edited[at] = [*edited.get(at, [model.file.instruction(at)]), line(model, stage, "RUN", f"rm -rf {plan.cache}")]
    production = environment_of({n: v for n, v in model.behind(stage).env.items() if v is not None}) == "production"
    if plan.modules and production and not {"node", "nodejs"} & set(system.kept):
        modules = line(model, stage, "RUN", f"rm -rf {posixpath.join(plan.folder, 'node_modules')}")
        edited[plan.last] = [*edited.get(plan.last, [model.file.instruction(plan.last)]), modules]
    split = Split(name, reference, plan.last, tuple(middle), edited=edited, build_variable=_BUILD_VARIABLES.__contains__, workdir=True)
    file = assemble(model, stage, split)
    evidence = [
        f"the container starts {application.start.commands[-1]}",
        f"gems live in {quote_names(plan.gems)}, which the same Ruby runs",
    ]
    if plan.builds:
        evidence.append(f"what the build makes lies in {plan.folder}, which is copied whole")
    if groups:
        evidence.append(f"it runs in production, and nothing of it loads gems of the groups {quote_names(groups)}")
    if system.dropped:
        evidence.append(f"only building needs {quote_names(system.dropped)}")
    if system.kept:
        evidence.append(f"the program needs {quote_names(system.kept)} when it runs")
    touched = (stage.position, *plan.installs, *plan.system.positions)
    return Change(f"install gems in a build stage and run on {reference}", file, tuple(sorted(set(touched))), tuple(evidence))


def _mounted(model: Model, plan: Plan) -> bool:
    """Whether the archives of gems lie in a mount; refused where the gems themselves do."""
    targets = [m.target for p in plan.installs for m in mounts(model.file.instruction(p)) if m.target is not None]
    near = [t for t in targets if any(is_below(t, folder) or is_below(folder, t) for folder in plan.gems)]
    if any(not target.rstrip("/").endswith("/cache") for target in near):
        raise Refused("gems are installed into a mount, which is no part of the image", plan.installs[-1])
    return bool(near)


def _manifests(model: Model, stage: Stage, plan: Plan, name: str) -> list[Instruction]:
    """Copies of the manifests that no later instruction of the stage brings again."""
    context = model.context
    assert context is not None
    copies = stage_copies(model, stage)
    later = [c for c in copies if c.position > plan.last]
    found = []
    for copy in (c for c in copies if c.position < plan.last):
        files = [f for source in copy.sources for f in context.match(source)]
        images = [(f, copy.image_of(model, f)) for f in files]
        for file, image in images:
            again = any(c.image_of(model, file) == image for c in later)
            if (
                image is not None
                and is_below(image, plan.folder)
                and not again
                and posixpath.basename(image) not in ("package.json", "yarn.lock", "package-lock.json")
            ):
                found.append(copy_line(model, stage, name, image, image))
    return found
