"""Split a stage that builds a site and serves it with the distribution's nginx: the site goes onto plain Debian with nginx."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from optimizer.context.javascript_build import build_outputs
from optimizer.knowledge.images import BaseImage, lookup
from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.model.launch import option
from optimizer.model.paths import context_path, within
from optimizer.model.start import healthcheck_of, start_of
from optimizer.passes.base import Change
from optimizer.passes.split.node_commands import project_install
from optimizer.passes.split.shared import (
    Refused,
    apt_install,
    body_nodes,
    from_line,
    install_options,
    line,
    packages_for,
    sort_packages,
    spaced,
    stage_name,
    with_certificates,
    with_lead,
)
from optimizer.passes.split.site_settings import OF_PACKAGE, SETTINGS, Settings, settings_of
from optimizer.passes.split.steps import FILE_COMMANDS, Step, SystemSteps, changes_shell, remaining, steps_of
from optimizer.passes.text import quote_names
from optimizer.syntax import Blank, Node

_NGINX = re.compile(r"nginx(-(light|full|core|extras|common))?$|libnginx-mod-[\w-]+$")
_NODE = frozenset({"nodejs", "npm", "yarnpkg", "node-gyp", "libnode-dev", "npx", "node", "yarn", "pnpm"})
_BUILDS = frozenset({"ENV", "ARG", "WORKDIR", "COPY", "ADD", "RUN"})
_COPIES = re.compile(r"-[rRafpvTd]+$|--(recursive|archive|force|no-target-directory)$")


def split_site(model: Model, stage: Stage, image: BaseImage) -> Change | None:
    """Split a stage whose only program is nginx, which Debian's package manager brings.

    Args:
        model, stage: The facts.
        image: What the stage starts from.

    Returns:
        The change, None when the stage starts something else, or another distribution would run it.

    Raises:
        Refused: Evidence does not reach.
    """
    start = start_of(model, stage) if model.context is not None else None
    if start is None or {command.name for command in start.commands} - {"sh", "bash", "exec"} != {"nginx"}:
        return None
    if image.distribution != "debian" or image.release is None:
        return None
    runtime = lookup(f"debian:{image.release}-slim")
    first = next((p for p in stage.positions if project_install(model.file.instruction(p)) is not None), None)
    if runtime is None or first is None:
        return None
    if start.unknown or any(option(command.words[1:], "-c", "-p", "-e")[0] for command in start.commands):
        raise Refused(start.unknown[0] if start.unknown else "an option tells nginx where its settings lie", stage.position)
    folder = model.before(first).workdir
    settings = settings_of(model, stage)
    if folder is None or any(root == folder or within(folder, root) for root in settings.roots):
        raise Refused("nginx serves the whole folder of the project", first)
    return _Splitter(model, stage, image, runtime, settings, folder, start.programs).change()


@dataclass
class _Splitter:
    """What becomes of each instruction.

    Args:
        model, stage, image: The facts.
        runtime: The image that nginx runs on.
        settings: What nginx serves.
        folder: The project's folder in the image.
        programs: What the container starts.
        build: The nodes of the build stage.
        replaced: The nodes of the runtime stage that stand for an instruction, by position.
        served: The folders that something is copied to.
        made, removed: Folders for what is served that a step makes, or removes.
        system: The system packages.
    """

    model: Model
    stage: Stage
    image: BaseImage
    runtime: BaseImage
    settings: Settings
    folder: str
    programs: tuple[str, ...]
    build: list[Node] = field(default_factory=list)
    replaced: dict[int, list[Node]] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    system: SystemSteps = field(default_factory=SystemSteps)

    def __post_init__(self) -> None:
        self.file = self.model.file
        self.name = stage_name(self.model)
        self.copies = {copy.position: copy for copy in stage_copies(self.model, self.stage)}

    def change(self) -> Change:
        """The change.

        Raises:
            Refused: It is not known of an instruction where it belongs, or of a folder what is in it.
        """
        model, stage, file = self.model, self.stage, self.file
        for position in stage.positions:
            keyword = file.instruction(position).keyword
            if keyword in ("USER", "ONBUILD", "SHELL"):
                raise Refused(f"{keyword} stands in a stage that builds and serves", position)
            if keyword == "RUN":
                self._run(position)
            elif keyword in ("COPY", "ADD"):
                self._copy(position)
            elif keyword in _BUILDS:
                self._keep(position)
        last = max(p for p, nodes in self.replaced.items() if file.instruction(p).keyword == "RUN")
        inside = [root for root in self.settings.roots if within(root, self.folder)]
        for root in inside:
            self._built(root, last)
            self.replaced[last] = [self._from_build(root, root), *self.replaced[last]]
        for root in self.settings.roots:
            if not any(within(root, place) or within(place, root) for place in self.served):
                raise Refused(f"what is in {root}, which nginx serves, is not known", stage.position)
        packages, options = self._packages()
        first = self.system.positions[0]
        self.replaced[first] = [apt_install(model, stage, packages, options), *self.replaced[first]]
        self._drop_unused()
        written = file.instruction(stage.position).value.split()[0]
        reference = written if self.image.family == "debian" and self.image.variant == "slim" else self.runtime.text
        end = next((s.position for s in model.stages if s.position > stage.position), len(file.nodes))
        nodes = [from_line(model, stage, written, self.name), *self.build, Blank(file.newline)]
        nodes += [from_line(model, stage, reference, stage.name), *body_nodes(file, stage, end, self.replaced)]
        evidence = (
            f"nginx serves {quote_names(list(self.settings.roots))}",
            f"nothing but nginx starts, which needs {quote_names(packages)}",
        )
        touched = (stage.position, *sorted(self.replaced))
        return Change(
            f"build the site in a stage of its own and serve it on {reference}",
            file.replaced(stage.position, end, nodes),
            touched,
            evidence,
        )

    def _keep(self, position: int, nodes: list[Node] | None = None) -> None:
        """Put an instruction, or what is left of it, into the build stage alone."""
        block = with_lead(self.file, position)
        block[-1:] = [self.file.nodes[position]] if nodes is None else nodes
        self.build += spaced(self.file, position, block) if self.build else block
        self.replaced.setdefault(position, [])

    def _copy(self, position: int) -> None:
        copy, node = self.copies.get(position), self.file.instruction(position)
        if node.flag("from") is not None:
            target = self.model.before(position).path(node.words[-1], node.escape)
        elif copy is not None and copy.plain:
            target = copy.destination
        else:
            target = None
        if target is None or target == "/" or within("/etc/nginx", target):
            raise Refused("where its files go is not known, or that is more than one folder of the system", position)
        if within(target, self.folder) or not (within(target, "/etc") or self._is_served(target)):
            self._keep(position)
        elif self._is_served(target):
            self.served.append(target)

    def _is_served(self, path: str) -> bool:
        """Whether a path outside of the project is, holds or lies in a folder that is served."""
        if within(path, self.folder) or within(self.folder, path):
            return False
        return any(within(path, root) or within(root, path) for root in (*self.settings.roots, *OF_PACKAGE))

    def _run(self, position: int) -> None:
        """Divide the steps of a RUN between the stages."""
        node = self.file.instruction(position)
        steps = steps_of(node)
        if steps is None:
            raise Refused("which stage it belongs to is not known: exec form, or more than a list of commands", position)
        if any("/etc/apt" in step.text or "keyrings" in step.text or step.program == "apt-key" for step in steps):
            raise Refused("it changes where system packages come from", position)
        folder = self.model.before(position).workdir or "/"
        building: list[Step] = []
        running: list[list[Step] | Node] = []
        for step in steps:
            if step.call is not None and step.call.ecosystem == "apt":
                self.system.take(self.model, position, step.call)
                if not all(_NGINX.match(package) for package in step.call.packages):
                    building.append(step)
                continue
            if step.program == "cd" and len(step.command.words) == 2:
                folder = posixpath.normpath(posixpath.join(folder, step.command.words[1].value or "."))
            found = [] if step.cleans else self._files(step, folder, position)
            if found is None:
                building.append(step)
            for item in found or ():
                if isinstance(item, Step) and running and isinstance(running[-1], list):
                    running[-1].append(item)
                else:
                    running.append([item] if isinstance(item, Step) else item)
        made = [remaining(self.file, node, steps, item.__contains__) if isinstance(item, list) else item for item in running]
        self.replaced[position] = [one for one in made if one is not None]
        system = any(step.call is not None and step.call.ecosystem == "apt" for step in building)
        stays = [s for s in steps if s in building or s.cleans or (system and s.call is not None and s.call.ecosystem == "apt")]
        if building and len(stays) < len(steps) and changes_shell(steps):
            raise Refused("it changes the state of the shell that builds, so it cannot be divided", position)
        if building:
            rest = remaining(self.file, node, steps, stays.__contains__) if len(stays) < len(steps) else None
            self._keep(position, [rest] if rest is not None else None)

    def _files(self, step: Step, folder: str, position: int) -> list[Step | Node] | None:
        """What a step is in the runtime stage; None for one that builds."""
        words = [word.value for word in step.command.words[1:] if not (word.value or "").startswith("-")]
        words += [r.target.value for r in step.command.redirects if r.target is not None and ">" in r.operator]
        if step.call is not None or step.program not in FILE_COMMANDS or None in words or not step.plain:
            text = step.text
            if any(place in text for place in (*SETTINGS, *self.settings.roots, *OF_PACKAGE) if not within(place, self.folder)):
                if step.program == "echo" and step.text.rstrip().endswith("/etc/nginx/nginx.conf"):
                    return [step]
                raise Refused(f"`{step.program or text}` may change what nginx serves", position)
            return None
        paths = [posixpath.normpath(posixpath.join(folder, word or "")) for word in words]
        own = [any(within(path, place) for place in SETTINGS) for path in paths]
        served = [self._is_served(path) for path in paths]
        if step.program in ("cp", "mv") and len(paths) == 2 and (own[1] or served[1]) and not (own[0] or served[0]):
            return self._moved(step, words[0] or "", folder, paths[1], position, settings=own[1])
        if step.program == "ln" and len(paths) == 2 and own[1] and paths[0].startswith("/dev/"):
            return [step]
        if paths and all(own) and step.program in ("rm", "ln", "mkdir", "touch", "chmod", "chown", "cp", "mv"):
            return [step]
        if not any((*own, *served)):
            return None
        if paths and all(served) and step.program == "mkdir":
            self.made |= set(paths)
            return []
        if paths and all(served) and step.program == "rm":
            self.removed |= set(paths)
            return [step] if all(any(within(path, place) for place in OF_PACKAGE) for path in paths) else []
        if served and all(served[1:]) and step.program in ("chown", "chmod") and self.served:
            return [step]
        raise Refused(f"`{step.text}` may change what nginx serves", position)

    def _moved(self, step: Step, source: str, folder: str, target: str, position: int, *, settings: bool) -> list[Step | Node]:
        """A copy of files of the project to where nginx reads them, as an instruction of the runtime stage."""
        flags = [word.text for word in step.command.words[1:] if word.text.startswith("-")]
        inner = source.endswith(("/.", "/*")) or source in (".", "*", "./*")
        plain = re.sub(r"(^|/)[.*]$", "", source) if inner else source
        path = posixpath.normpath(posixpath.join(folder, plain))
        if (
            not all(_COPIES.match(flag) for flag in flags)
            or "*" in plain
            or path == self.folder
            or not within(path, self.folder)
            or re.search(r"\s", path)
        ):
            raise Refused(f"`{step.text}` copies more than one folder of the project", position)
        inner = inner or any("T" in flag for flag in flags)
        installed = any(_NGINX.match(package) for package in self.system.written) and target not in self.removed
        exists = target in self.made or (installed and target in (*OF_PACKAGE, *self.settings.folders))
        target = posixpath.join(target, posixpath.basename(path)) if exists and not inner else target
        origin = context_path(self.model, self.stage, path, position)
        if settings:
            if origin is None or self.model.context is None or self.model.context.is_dir(origin):
                raise Refused(f"`{step.text}` gives nginx settings that are not known", position)
            return [line(self.model, self.stage, "COPY", f"{origin} {target}")]
        return [self._from_build(path, target)]

    def _from_build(self, path: str, target: str) -> Node:
        self.served.append(target)
        return line(self.model, self.stage, "COPY", f"--from={self.name} {path} {target}")

    def _built(self, root: str, position: int) -> None:
        """Make sure that the build leaves a folder of the project that is served.

        Raises:
            Refused: That is not known.
        """
        context = self.model.context
        assert context is not None
        top = context_path(self.model, self.stage, posixpath.join(self.folder, "package.json"))
        place = posixpath.dirname(top or "") or "."
        inside = posixpath.relpath(root, self.folder)
        if context.is_dir(posixpath.normpath(posixpath.join(place, inside))):
            return
        outputs = build_outputs(context, place, "build")
        if outputs.unknown is not None or not any(within(inside, path) for path in outputs.paths):
            raise Refused(f"what is in {root}, which nginx serves, is not known", position)

    def _packages(self) -> tuple[list[str], tuple[str, ...]]:
        """The packages of the runtime stage and the options to install them with."""
        health = healthcheck_of(self.model, self.stage)
        where = self.stage.position
        if health is not None and (health.unknown or health.entries or _NODE & set(health.programs)):
            raise Refused("the health check needs more than nginx", where)
        programs = {*self.programs, *(health.programs if health is not None else ())}
        if not any(_NGINX.match(package) for package in self.system.packages):
            raise Refused("which package brings nginx is not known", where)
        installed = [package for package in self.system.packages if package not in _NODE]
        found = sort_packages(installed, programs, self.runtime.release, (), True, where)
        kept = [*found.kept, *packages_for(programs, self.runtime, installed, where)]
        kept = list(dict.fromkeys(with_certificates(kept, self.image, self.runtime)))
        names = [self.system.written.get(package, package) for package in kept]
        return names, install_options(names, self.system.options, [n for n in names if _NGINX.match(n)])

    def _drop_unused(self) -> None:
        """Leave variables out of the runtime stage that nothing there uses."""
        stays = [p for p in self.stage.positions if p not in self.replaced]
        texts = [self.file.instruction(p).text for p in stays] + [node.text for nodes in self.replaced.values() for node in nodes]
        for position in list(self.replaced):
            node = self.file.instruction(position)
            names = re.findall(r"([A-Za-z_]\w*)=", node.value) or node.value.split()[:1]
            if node.keyword in ("ENV", "ARG") and any(re.search(rf"\$\{{?{name}\b", text) for name in names for text in texts):
                del self.replaced[position]
