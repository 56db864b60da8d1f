"""Split a PHP stage: Composer and the compiler of extensions stay in a build stage, and what they made runs on the same image."""

from __future__ import annotations

import json
import posixpath
import re

from optimizer.context.php_source import PhpEvidence
from optimizer.knowledge.debian import build_only, runtime_packages
from optimizer.knowledge.images import BaseImage
from optimizer.model import Model, Stage
from optimizer.model.sources.php import php_source
from optimizer.model.start import healthcheck_of, start_of
from optimizer.model.started import Start
from optimizer.passes.base import Change
from optimizer.passes.split.compiled import Split, assemble, copy_line
from optimizer.passes.split.php_steps import EXTENSIONS, Plan, sort_instructions
from optimizer.passes.split.project_folder import project_copy
from optimizer.passes.split.shared import (
    IN_SLIM,
    Refused,
    SystemPackages,
    apt_install,
    install_options,
    installs_of,
    packages_for,
    sort_packages,
    stage_name,
    with_certificates,
)
from optimizer.passes.text import quote_names
from optimizer.syntax import Instruction

_FAMILIES = frozenset({"debian", "ubuntu"})
_INTERPRETER = re.compile(r"(php[\d.]*(-cli|-fpm)?|libapache2-mod-php[\d.]*)$")
# What brings packages and is started by no program unless its source says so.
_TOOLS = frozenset({"composer", "git", "unzip", "zip", "p7zip-full", "nodejs", "npm", "yarnpkg"})
# What Debian's packages of tools bring along that a program may use as well.
_BRING_ALONG = {"composer": ("php-mbstring", "php-intl", "ca-certificates"), "git": ("ca-certificates",)}
# Libraries that the images of PHP have. Source: docker-library/php
_IN_PHP = frozenset(
    {
        "libssl-dev",
        "libreadline-dev",
        "zlib1g-dev",
        "libsqlite3-dev",
        "libxml2-dev",
        "libcurl4-openssl-dev",
        "libonig-dev",
        "libargon2-dev",
        "libsodium-dev",
        "libc6-dev",
        "libncurses-dev",
        "libc-dev",
    }
)
_OWN = frozenset(
    {
        "php",
        "apache2-foreground",
        "php-fpm",
        "apache2",
        "apachectl",
        "apache2ctl",
        "docker-php-entrypoint",
        "sh",
        "bash",
        "exec",
        "composer",
        "php-fpm8.2",
    }
)


def split_php(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a PHP project.

    Returns:
        The change, None when the stage is not one of PHP's images or there is nothing to gain.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family not in ("php", *_FAMILIES) or stage.base is not None:
        return None
    calls = [c for p in stage.positions if model.file.instruction(p).keyword == "RUN" for c in installs_of(model.file.instruction(p))]
    system = [package for c in calls if c.ecosystem == image.package_manager for package in c.packages]
    debian = image.family in _FAMILIES
    if debian and not any(_INTERPRETER.match(package) for package in system):
        return None
    composer = any(c.ecosystem == "composer" for c in calls)
    gains = any(build_only(p, image.package_manager or "") or p in _TOOLS for p in system) or "autoconf" in system
    if not gains or not (composer or (not debian and any(p.endswith("-dev") for p in system))):
        return None
    if image.package_manager != "apt":
        raise Refused("which Alpine packages hold the libraries that belong to its development packages is not known", stage.position)
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    start = start_of(model, stage)
    if start is None and debian:
        raise Refused("neither CMD nor ENTRYPOINT says which program runs", stage.position)
    variables = {name: value for name, value in model.behind(stage).env.items() if value is not None}
    found = php_source(model, stage, tuple(c.folder for c in start.commands) if start is not None else (), variables)
    if found is None:
        raise Refused("the PHP project is not in the build context", stage.position)
    place, inside, _, source = found
    plan = sort_instructions(model, stage, place)
    if plan.last < 0:
        return None
    if debian and plan.compiles:
        raise Refused("where the distribution's PHP keeps compiled extensions is not followed", plan.last)
    _add_packages(model, plan, place, inside)
    packages = _system_packages(model, stage, image, plan, source, start)
    if not packages.dropped:
        return None
    return _change(model, stage, plan, packages)


def _add_packages(model: Model, plan: Plan, place: str, inside: str) -> None:
    """The folders that Composer fills."""
    context = model.context
    assert context is not None
    if not plan.installs:
        return
    try:
        data = json.loads(context.read_text(posixpath.normpath(posixpath.join(inside, "composer.json"))) or "")
    except (ValueError, RecursionError):
        raise Refused("composer.json is not in the build context or cannot be read", plan.installs[-1]) from None
    settings = data.get("config", {}) if isinstance(data, dict) else {}
    names = [str(settings.get("vendor-dir", "vendor"))] if isinstance(settings, dict) else ["vendor"]
    if any(model.before(p).workdir != place for p in plan.installs):
        raise Refused("packages are installed in another folder than that of the program", plan.installs[-1])
    variables = model.before(plan.installs[-1]).env
    if "COMPOSER_VENDOR_DIR" in variables or "COMPOSER" in variables or any(n.startswith("/") for n in names):
        raise Refused("packages are installed to a place of their own", plan.installs[-1])
    installers = isinstance(data.get("extra"), dict) and "installer-paths" in data["extra"]
    scripts = set(data.get("scripts") or {}) if isinstance(data.get("scripts"), dict) else set()
    plugins = any(
        w in json.dumps(data.get("require", {}))
        for w in ("composer/installers", "symfony/flex", "symfony/runtime", "drupal/core-composer-scaffold")
    )
    elsewhere = isinstance(settings, dict) and "bin-dir" in settings
    if installers or plugins or elsewhere or plan.scripts or any(name.startswith(("post-", "pre-")) for name in scripts):
        plan.whole = True  # what they write is not followed
    plan.vendor += [posixpath.join(place, name) for name in names]
    lock = posixpath.normpath(posixpath.join(inside, "composer.lock"))
    if not context.exists(lock) and not plan.whole:
        plan.vendor.append(posixpath.join(place, "composer.lock"))


def _system_packages(model: Model, stage: Stage, image: BaseImage, plan: Plan, source: PhpEvidence, start: Start | None) -> SystemPackages:
    where = plan.system.positions[0] if plan.system.positions else plan.last
    health = healthcheck_of(model, stage)
    unknown = [
        *(u for u in source.unknown if u.about in ("program", "context")),
        *(start.unknown if start else ()),
        *(health.unknown if health else ()),
    ]
    if unknown:
        raise Refused(f"which programs it starts is not known: {unknown[0]}", where)
    own = {posixpath.basename(f) for f in (*start.scripts, *start.entries)} | set(start.renamed) if start is not None else set()
    started = {*(start.programs if start else ()), *(health.programs if health else ()), *source.programs}
    if "composer" in started:
        raise Refused("Composer runs when the container starts", where)
    programs = {posixpath.basename(p) for p in started} - own - _OWN
    installed = [p for p in plan.system.written if p not in plan.system.removed or p.endswith("-dev")]
    tools = [p for p in installed if p in _TOOLS and not _brings(p, programs)]
    rest = [p for p in installed if p not in tools]
    libraries: list[str] = []
    for dev in (p for p in installed if p.endswith("-dev") and p in IN_SLIM and p not in _IN_PHP):
        libraries += runtime_packages(dev, image.release) or ()
    extra = [*libraries, *packages_for(programs, image, installed, where)]
    if image.family in _FAMILIES and set(tools) & _BRING_ALONG.keys():
        extra += [p for tool in tools for p in _BRING_ALONG.get(tool, ())]
    found = sort_packages(rest, programs, image.release, extra, True, where)
    kept = tuple(p for p in found.kept if p not in tools)
    return SystemPackages(kept, tuple(dict.fromkeys((*found.dropped, *tools))), found.options)


def _brings(package: str, programs: set[str]) -> bool:
    """Whether one of the programs is that of a package."""
    names = {"nodejs": {"node", "nodejs"}, "p7zip-full": {"7z", "7za"}, "npm": {"npm", "npx"}}
    return bool(names.get(package, {package}) & programs)


def _change(model: Model, stage: Stage, plan: Plan, system: SystemPackages) -> Change:
    name = stage_name(model)
    image = stage.image
    assert image is not None
    reference = model.file.instruction(stage.position).value.split()[0]
    packages = [plan.system.written.get(p, p) for p in with_certificates(system.kept, image, image)]
    middle: list[Instruction] = []
    if packages or plan.system.upgrade:
        middle.append(apt_install(model, stage, packages, install_options(packages, plan.system.options), plan.system.upgrade))
    folders = list(EXTENSIONS) if plan.compiles and image.family == "php" else []
    middle += [plan.repeated[position] for position in sorted(plan.repeated)]
    middle += [copy_line(model, stage, name, path, path) for path in folders]
    if plan.whole:
        middle.append(project_copy(model, stage, plan.folder, plan.last, name, plan.owner))
    else:
        middle += [copy_line(model, stage, name, path, path) for path in plan.vendor]
    split = Split(name, reference, plan.last, tuple(middle), build_variable=_builds_with, workdir=True)
    file = assemble(model, stage, split)
    made = [*(["the compiled extensions"] if folders else []), *(plan.vendor[:1] if not plan.whole else [plan.folder])]
    evidence = [
        f"what runs is {quote_names(made)}, made for the same PHP on the same Debian",
        f"only building needs {quote_names(system.dropped)}",
    ]
    if system.kept:
        evidence.append(f"running needs {quote_names(system.kept)}")
    touched = tuple(sorted({stage.position, *plan.installs, *plan.system.positions}))
    return Change("install packages in a build stage and run without its tools", file, touched, tuple(evidence))


def _builds_with(variable: str) -> bool:
    return variable.startswith("COMPOSER_") or variable == "DEBIAN_FRONTEND"
