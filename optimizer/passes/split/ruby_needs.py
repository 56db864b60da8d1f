"""What a Ruby program needs of the system when it runs, and whether it does so without the gems of development."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from optimizer.context.bundler_project import DEVELOPMENT, BundlerProject
from optimizer.knowledge.debian import programs, runtime_packages
from optimizer.knowledge.images import BaseImage
from optimizer.knowledge.ruby_gems import GemNeeds, gem_needs
from optimizer.model import Model, Stage
from optimizer.model.application import Application
from optimizer.model.launch import LANGUAGES
from optimizer.model.sources.ruby import environment_of
from optimizer.passes.split.ruby_steps import Plan
from optimizer.passes.split.shared import IN_SLIM, Refused, SystemPackages, packages_for, sort_packages

FAMILIES = frozenset({"debian", "ubuntu"})
# What the slim images of Ruby have. Source: docker-library/ruby, slim variants
_IN_SLIM = frozenset(
    {
        "libssl-dev",
        "libffi-dev",
        "zlib1g-dev",
        "libyaml-dev",
        "libgmp-dev",
        "libreadline-dev",
        "libncurses-dev",
        "libc6-dev",
        "libstdc++-dev",
        "linux-libc-dev",
        "libncurses5-dev",
    }
)
_TOOLS = frozenset({"ruby-dev", "ruby-full", "ruby-bundler", "bundler", "ruby-all-dev", "ruby-build", "rubygems", "rake"})
# Programs of the full images that gems start. Source: docker-library/buildpack-deps
_IN_FULL = frozenset({"convert", "file", "git", "update-mime-database"})
_MANAGERS = frozenset({"npm", "npx", "yarn", "pnpm", "bun"})
_JAVASCRIPT = frozenset({"nodejs", "npm", "yarn", "yarnpkg"})


def system_packages(
    model: Model, stage: Stage, plan: Plan, project: BundlerProject, application: Application, runtime: BaseImage
) -> SystemPackages:
    """The system packages that the runtime stage needs.

    Raises:
        Refused: It is not known.
    """
    where = plan.system.positions[0] if plan.system.positions else plan.installs[-1]
    unknown = application.unknown_about("program")
    if unknown:
        raise Refused(f"which programs it starts is not known: {unknown[0]}", where)
    if project.unknown is not None:
        raise Refused(f"which gems are installed is not known: {project.unknown}", where)
    image = stage.image
    assert image is not None
    installed = [p for p in plan.system.written if p not in plan.system.removed or p.endswith("-dev")]
    variables = {name: value for name, value in model.behind(stage).env.items() if value is not None}
    needs = {name: gem_needs(name) for name in sorted(project.loaded(environment_of(variables)))}
    doubtful = next((name for name, found in needs.items() if found.unknown), None)
    if doubtful is not None:
        raise Refused(f"what {doubtful} needs of the system depends on how it is used", where)
    development = [dev for dev in installed if dev.endswith("-dev") and dev in IN_SLIM - _IN_SLIM]
    if runtime is not image:  # the full image has all headers
        development += [library for found in needs.values() for library in found.libraries if library not in _IN_SLIM]
    libraries: list[str] = []
    for dev in dict.fromkeys(development):
        packages = runtime_packages(dev, runtime.release)
        if packages is None:
            raise Refused(
                f"which runtime library belongs to {dev} in this Debian release is not known; a tag such as -bookworm tells", where
            )
        libraries += packages
    zones = {"tzinfo", "activesupport"} & needs.keys() and "tzinfo-data" not in needs
    if zones and runtime is not image and runtime.time_zones is not True:
        libraries.append("tzdata")
    started = _programs(stage, application, needs, installed)
    context = model.context
    assert context is not None
    if any(re.search(r"\bgit ls-files", context.read_text(f) or "") for f in context.files() if f.endswith(".gemspec")):
        started.add("git")  # the specification of a gem in the project is read each time
    if started & _MANAGERS or (plan.foreign and "node" in started):
        raise Refused("the program needs Node with what the build installed of it", where)
    tools = [p for p in installed if p in _TOOLS or (p in _JAVASCRIPT and "node" not in started)]
    rest = [p for p in installed if p not in tools]
    extra = [*libraries, *packages_for(started - {"node"}, runtime, installed, where)]
    found = sort_packages(rest, started, runtime.release, extra, True, where)
    return SystemPackages(found.kept, tuple(dict.fromkeys((*found.dropped, *tools))), found.options)


def _programs(stage: Stage, application: Application, needs: Mapping[str, GemNeeds], installed: list[str]) -> set[str]:
    """The programs that something in the runtime stage starts, those of gems left out."""
    image = stage.image
    assert image is not None
    own = {posixpath.basename(f) for f in (*application.start.scripts, *application.start.entries)} | set(application.start.renamed)
    ruby = (
        {name for name, language in LANGUAGES.items() if language == "ruby"}
        | {"ruby", "gem", "irb", "erb", "rdoc", "ri", "bundler"}
        | needs.keys()
    )
    given = {posixpath.basename(p) for p in application.programs if posixpath.basename(p) not in own | ruby}
    for found in needs.values():
        wanted = found.programs
        given |= {p for p in wanted if p in _IN_FULL and image.variant == "full" and image.family == "ruby"}
        given |= {p for p in wanted if p != "node" and any(p in (programs(package) or ()) for package in installed)}
        if "node" in wanted and _JAVASCRIPT & set(installed):
            given.add("node")
    return given


def unused_groups(model: Model, stage: Stage, plan: Plan, project: BundlerProject, application: Application) -> tuple[str, ...]:
    """The groups of gems that only developing and testing need, when the program runs without them; else empty."""
    context = model.context
    assert context is not None
    variables = {name: value for name, value in model.behind(stage).env.items() if value is not None}
    groups = {group for found in project.groups.values() for group in found} & DEVELOPMENT
    text = "\n".join(model.file.instruction(p).text for p in stage.positions)
    if not groups or project.lock is None or environment_of(variables) != "production" or re.search(r"WITHOUT|without", text):
        return ()
    names = {n.replace("-", "_") for n in project.development}
    required = {module.partition("/")[0].replace("-", "_") for module in application.modules}
    rakefile = context.read_text(posixpath.normpath(posixpath.join(project.folder, "Rakefile"))) or ""
    required |= (
        {m.partition("/")[0].replace("-", "_") for m in re.findall(r"""^\s*require\s+["']([\w/-]+)""", rakefile, re.M)}
        if plan.builds
        else set()
    )
    sources = "\n".join(context.read_text(f) or "" for f in application.files)
    if (
        required & names
        or set(application.programs) & project.development
        or re.search(r"Bundler\.require\b[^\n]*:(development|test)\b", sources)
    ):
        return ()
    return tuple(sorted(groups))
