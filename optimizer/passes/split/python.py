"""Split a Python stage: packages are installed into a virtual environment in a build stage and copied over."""

from __future__ import annotations

import posixpath
import re

from optimizer.ecosystems import Call
from optimizer.knowledge.build_tools import unneeded_tools
from optimizer.knowledge.debian import build_only
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.knowledge.twins import runtime_twins
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.paths import placements, search_path
from optimizer.model.runtime import Runtime
from optimizer.passes.base import Change
from optimizer.passes.split.python_copies import sort_copies
from optimizer.passes.split.python_debian import FAMILIES, check_packages, for_running, installs_python, with_environments
from optimizer.passes.split.python_distroless import PACKAGES, REFERENCE, VERSION, Bare, bare_runtime
from optimizer.passes.split.python_in_place import in_place
from optimizer.passes.split.python_managers import check_start, manager_of, without_manager
from optimizer.passes.split.python_plan import Plan
from optimizer.passes.split.python_setup import sets_up
from optimizer.passes.split.python_steps import sort_instructions
from optimizer.passes.split.python_system import system_packages
from optimizer.passes.split.shared import (
    Refused,
    SystemPackages,
    apt_install,
    body_nodes,
    from_line,
    install_options,
    installs_of,
    line,
    no_twin,
    reference_text,
    spaced,
    stage_name,
    with_certificates,
    with_lead,
)
from optimizer.passes.text import quote_names
from optimizer.syntax import Blank, Dockerfile, Instruction, Node

VENV = "/opt/venv"
# Where the packages of the base image's own Python lie, and the commands that they bring.
_OWN_PYTHON = re.compile(r"/usr/(local/)?(bin|lib)/(python|pip)|(?:site|dist)-packages|/usr/local/bin/([\w.-]+)")
# Files that may start programs.
_CONFIGURATION = re.compile(r"\.(conf|ini|cfg|service|toml|ya?ml)$|(^|/)(crontab|Procfile)[^/]*$")
# Where the Python of the image finds packages of its own.
_OWN_PACKAGES = re.compile(r"/(usr(/local)?(/lib(/python[\d.]*(/(site|dist)-packages.*)?)?)?)?/?$|/root/\.local")


def split_python(model: Model, stage: Stage) -> Change | None:
    """Split the final stage of a Python project.

    Returns:
        The change, None when the stage is not one of Python's images or there is nothing to gain.

    Raises:
        Refused: There is something to gain, and evidence does not reach.
    """
    image = stage.image
    if image is None or image.family not in ("python", *FAMILIES) or stage.base is not None or image.package_manager not in ("apt", "apk"):
        return None
    calls = [c for p in stage.positions if model.file.instruction(p).keyword == "RUN" for c in installs_of(model.file.instruction(p))]
    compilers = any(build_only(package, c.ecosystem) for c in calls if c.ecosystem == image.package_manager for package in c.packages)
    smaller = (image.variant == "full" and model.runtime is not Runtime.SAME) or model.runtime is Runtime.DISTROLESS
    managed = manager_of(calls) is not None
    debian = image.family in FAMILIES
    if debian and (managed or not installs_python(calls)):
        return None
    compilers = compilers or debian  # pip recommends them
    gains = smaller or compilers or managed
    installs = (
        managed
        or any(c.ecosystem == "pip" for c in calls)
        or any(sets_up(model.file.instruction(p)) for p in stage.positions if model.file.instruction(p).keyword == "RUN")
    )
    if not installs or not (gains or _fetches(model, calls)):
        return None
    if image.package_manager != "apt":
        removed = any("apk del" in model.file.instruction(p).value for p in stage.positions)
        if removed:
            return None
        raise Refused("which Alpine packages hold the libraries that belong to its development packages is not known", stage.position)
    runtime, reference = _runtime_base(model, stage, image)
    if model.context is None:
        raise Refused("without a build context nothing tells what the program needs when it runs", stage.position)
    application = application_of(model, stage)
    if debian and (application is None or application.language != "python"):
        return None
    plan = sort_instructions(model, stage)
    if application is None or application.language != "python":
        raise Refused("no program of the build context is recognised in CMD or ENTRYPOINT", stage.position)
    brought = next((p for p in stage.positions if _brings_packages(model, p)), None)
    if brought is not None and (application.requirements is None or application.requirements.problems):
        raise Refused("which packages the other stage installed is not known", brought)
    if brought is not None and application.requirements is not None:
        plan.requirements += application.requirements.packages
    sort_copies(model, stage, plan, application)
    if plan.manager is not None:
        check_start(model, stage, application)
    try:
        _check_paths(model, stage, plan, application)
    except Refused as refused:
        return in_place(
            model, stage, plan, (runtime, reference), lambda: system_packages(model, plan, application, runtime, stage), refused
        )
    system = system_packages(model, plan, application, runtime, stage)
    if not gains and "git" in system.kept:
        return None
    if debian:
        check_packages(plan.system, plan.system.positions[0])
        system = for_running(plan.system, system)
    bare = bare_runtime(model, stage, plan, application, system) if model.runtime is Runtime.DISTROLESS else None
    if isinstance(bare, str) and not (compilers or managed or image.variant == "full"):
        raise Refused(f"the slim image stays, since {bare}", stage.position)
    return _change(model, stage, plan, system, runtime, REFERENCE if isinstance(bare, Bare) else reference, application, bare)


def _fetches(model: Model, calls: list[Call]) -> bool:
    """Whether a stage installs git only for pip to fetch packages with."""
    if not any("git" in call.packages for call in calls if call.ecosystem == "apt"):
        return False
    files = {posixpath.basename(manifest) for call in calls if call.ecosystem == "pip" for manifest in call.manifests}
    context = model.context
    texts = [context.read_text(f) or "" for f in context.files() if posixpath.basename(f) in files] if context is not None else []
    return any("git+" in text for text in (*texts, *(package for call in calls for package in call.packages)))


def _runtime_base(model: Model, stage: Stage, image: BaseImage) -> tuple[BaseImage, str]:
    if image.variant == "slim" or image.family == "ubuntu" or model.runtime is Runtime.SAME:
        return image, model.file.instruction(stage.position).value.split()[0]
    for twin in runtime_twins(image):
        found = lookup(twin)
        text = reference_text(model, stage, image, twin)
        if found is not None and found.variant == "slim" and text is not None:
            return found, text
    raise Refused(no_twin(stage, "Python"), stage.position)


def _check_paths(model: Model, stage: Stage, plan: Plan, application: Application) -> None:
    """Nothing may reach past PATH to the Python that the packages were installed for until now."""
    if plan.venv is not None:
        return  # it had an environment of its own all along
    assert model.context is not None
    for program in sorted({"su", "sudo", "cron", "crond", "runuser"} & set(application.programs)):
        raise Refused(f"it starts {program}, which gives programs a PATH of its own", stage.position)
    for position in stage.positions:
        node = model.file.instruction(position)
        if _brings_packages(model, position):
            raise Refused("it may bring packages that another stage installed, which a virtual environment hides", position)
        if node.keyword == "ENV" and any(pair.name == "PATH" and "PATH" not in (pair.value or "") for pair in node.pairs):
            raise Refused("it sets PATH anew, without the virtual environment", position)
        if position not in plan.pip and node.keyword in ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK", "ENV", "ARG", "COPY", "ADD", "SHELL"):
            _check_text(model, stage, node.value, "it", position)
    starting = [*application.start.scripts, *filter(is_configuration, model.context.files())]
    for file in dict.fromkeys(starting):
        _check_text(model, stage, model.context.read_text(file) or "", file, stage.position)
    for program in application.programs:
        _check_text(model, stage, program, "the program", stage.position)
    for entry in application.start.entries:
        first = (model.context.read_text(entry) or "").partition("\n")[0]
        if first.startswith("#!") and "env " not in first and "python" in first:
            raise Refused(f"{entry} names its interpreter by path", stage.position)


def _brings_packages(model: Model, position: int) -> bool:
    """Whether a COPY may bring packages that another stage installed to where the Python of the image finds them."""
    brought = model.file.instruction(position).flag("from") is not None
    return brought and any(one.stage is not None and _OWN_PACKAGES.fullmatch(one.target) for one in placements(model, position) or ())


def is_configuration(file: str) -> bool:
    """Whether a file of the context may start programs."""
    return _CONFIGURATION.search(file) is not None


def _check_text(model: Model, stage: Stage, text: str, where: str, position: int) -> None:
    for found in _OWN_PYTHON.finditer(text):
        name = found[4]
        if name is not None and any(
            posixpath.basename(c.destination or "") == name or _copies_name(model, c, name) for c in stage_copies(model, stage)
        ):
            continue
        raise Refused(f"{where} names {found[0]}, which a virtual environment leaves", position)


def _copies_name(model: Model, copy: CopyFacts, name: str) -> bool:
    """Whether an instruction copies a file of that name into a folder of programs."""
    assert model.context is not None
    return any(copy.image_of(model, f) == f"/usr/local/bin/{name}" for f in model.context.files() if posixpath.basename(f) == name)


def _change(
    model: Model,
    stage: Stage,
    plan: Plan,
    system: SystemPackages,
    runtime: BaseImage,
    reference: str,
    application: Application,
    bare: Bare | str | None,
) -> Change:
    file = model.file
    name = stage_name(model)
    folder = plan.venv or VENV
    written = file.instruction(stage.position).value.split()[0]
    uses_pip = "pip" in application.modules or any(re.fullmatch(r"pip[\d.]*", p) for p in application.programs)
    tools = unneeded_tools(plan.named, application.modules, application.programs)
    # Where every edit installs anew, a step that takes pip away costs time each time.
    removed = (*tools, *(() if uses_pip or (plan.project and not tools) else ("pip",)))
    packages = [plan.system.written.get(p, p) for p in with_certificates(system.kept, stage.image, runtime)]
    options = install_options(packages, plan.system.options, alone={"git"} if not speaks_ssh(model, application) else ())
    on_path = f"{folder}/bin" in search_path(model, stage)
    paths = [line(model, stage, "ENV", f"PATH={folder}/bin:$PATH")] if plan.venv is None or (plan.made and not on_path) else []
    copied = [line(model, stage, "COPY", f"--from={name} {folder} {folder}"), *paths]
    if isinstance(bare, Bare):
        modules = f"{folder}/lib/python{VERSION}/site-packages"
        copied = [line(model, stage, "COPY", f"--from={name} {modules} {PACKAGES}"), line(model, stage, "ENV", f"PYTHONPATH={PACKAGES}")]
    if plan.editable:
        source = model.before(plan.project[-1]).workdir
        copied.append(line(model, stage, "COPY", f"--from={name} {source} {source}"))
    upgrade = plan.system.upgrade
    install = [apt_install(model, stage, packages, options, upgrade)] if packages or upgrade else []
    started: dict[int, list[Node]] = {p: [changed] for p in stage.positions if (changed := _started(file.instruction(p), plan)) is not None}
    started |= {p: [changed] for p, changed in bare.started.items()} if isinstance(bare, Bare) else {}
    replaced: dict[int, list[Node]] = {**{p: [] for p in (*plan.system.positions, *plan.tools)}, **plan.runtime, **started}
    place = plan.pip[0]
    early = plan.system.positions and plan.system.positions[0] < place
    first = plan.system.positions[0] if early else place
    replaced[place] = [*copied, *replaced[place]]
    replaced[first] = [*install, *replaced[first]]
    if not install:
        replaced.update({p: [] for p in plan.sources if "/etc/apt" in file.instruction(p).value})
    end = next((s.position for s in model.stages if s.position > stage.position), len(file.nodes))
    nodes = [*_build_stage(model, stage, plan, name, written, removed), Blank(file.newline)]
    nodes += [from_line(model, stage, reference, stage.name), *gap(file, stage)]
    nodes += body_nodes(file, stage, end, replaced)
    entries = quote_names(application.start.entries) or "a package"
    evidence = [f"the container starts {entries}", f"packages live in {folder}, which is copied whole to the same Python"]
    if bare is not None:
        evidence.append(f"not distroless: {bare}" if isinstance(bare, str) else "it needs no shell, no other program and no file to write")
    if plan.venv is None and tools:
        evidence.append(f"only building needs {quote_names(tools)}, which the program does not import")
    if plan.venv is None and "pip" in removed:
        evidence.append("the program does not use pip, which the environment need not carry")
    if plan.checks:
        evidence.append("tests run where everything is installed, and what they leave is not taken along")
    if system.dropped:
        evidence.append(f"only building needs {quote_names(system.dropped)}")
    if system.kept:
        evidence.append(f"the program needs {quote_names(system.kept)} when it runs")
    if packages and "--no-install-recommends" in options and "--no-install-recommends" not in plan.system.options:
        evidence.append("they work without the packages that they recommend")
    touched = (stage.position, *plan.pip, *plan.system.positions)
    return Change(
        f"install packages in a build stage and run on {reference}", file.replaced(stage.position, end, nodes), touched, tuple(evidence)
    )


def speaks_ssh(model: Model, application: Application) -> bool:
    """Whether the program may have git connect by SSH, with a client that git recommends and does not need otherwise."""
    assert model.context is not None
    texts = (model.context.read_text(file) or "" for file in (*application.files, *application.start.scripts))
    return any(re.search(r"\bssh\b|SSH|git@", text) for text in texts)


def _started(node: Instruction, plan: Plan) -> Instruction | None:
    """An instruction that starts the program through a manager, without that."""
    return without_manager(node) if plan.manager is not None and node.keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK") else None


def _build_stage(model: Model, stage: Stage, plan: Plan, name: str, written: str, removed: tuple[str, ...]) -> list[Node]:
    file = model.file
    compiles = any(build_only(p, "apt") for p in plan.system.written)
    fetched = {r.vcs for r in plan.requirements if r.vcs}
    debian = stage.image is not None and stage.image.family in FAMILIES
    needed = compiles or debian or plan.fetched or bool(plan.checks) or bool(fetched & set(plan.system.written))
    steps = sorted(
        {
            *plan.build,
            *(plan.system.positions if needed else ()),
            *(p for p in plan.sources if needed or "/etc/apt" not in file.instruction(p).value),
        }
    )
    active = f"VIRTUAL_ENV={VENV} " if plan.manager is not None else ""
    venv = [
        line(model, stage, "RUN", f"python{'3' if debian else ''} -m venv {VENV}"),
        line(model, stage, "ENV", f"{active}PATH={VENV}/bin:$PATH"),
    ]
    build: list[Node] = [from_line(model, stage, written, name), *gap(file, stage)]
    head = len(build)
    made = plan.venv is not None
    last = max(p for p in steps if p == plan.pip[-1] or (p > plan.pip[-1] and file.instruction(p).keyword == "RUN"))
    for position in steps:
        node = file.instruction(position)
        nodes = with_lead(file, position)
        if node.keyword in ("COPY", "ADD"):
            nodes[-1] = as_root(node)
        if position in plan.installs:
            nodes[-1] = plan.installs[position]
        if debian and plan.venv is None and position in plan.system.positions:
            nodes[-1] = with_environments(node, plan.system)
        if position in plan.tools and position not in plan.pip:
            build.extend(spaced(file, position, nodes) if len(build) > head else nodes)
        elif not made and (position in plan.pip or (node.keyword in ("COPY", "ADD") and not plan.tools)):
            build.extend([plan.tools[position]] if position in plan.tools else [])
            build.extend(spaced(file, position, [*venv]) if len(build) > head else venv)
            build.extend(nodes)
            made = True
        else:
            build.extend(spaced(file, position, nodes) if len(build) > head else nodes)
        if plan.venv is None and position == last and removed:
            build.append(line(model, stage, "RUN", f"pip uninstall -y {' '.join(removed)}"))  # pip alone is 15 MB
    return build


def gap(file: Dockerfile, stage: Stage) -> list[Node]:
    """The blank line below FROM, where the stage has one."""
    below = file.nodes[stage.position + 1 : stage.position + 2]
    return [node for node in below if isinstance(node, Blank)]


def as_root(node: Instruction) -> Instruction:
    """A COPY without ``--chown``: in the build stage root installs, and other users may not exist."""
    flag = next((f for f in node.flags if f.name == "chown"), None)
    return node if flag is None else node.edited((flag.start, flag.end + 1, ""))
