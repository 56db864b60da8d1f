"""The stages that a Node stage is split into, as instructions."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cached_property

from optimizer.context.javascript import lock_agrees, lock_files
from optimizer.context.nextjs import STANDALONE
from optimizer.context.workspaces import Workspace
from optimizer.knowledge.images import BaseImage
from optimizer.model import Model, Stage
from optimizer.model.application import application_of
from optimizer.model.copies import CopyFacts, stage_copies
from optimizer.model.site_tools import site_server
from optimizer.model.started import Started
from optimizer.passes.base import Change
from optimizer.passes.split.bare import needs_shell
from optimizer.passes.split.next_standalone import Standalone
from optimizer.passes.split.node_commands import (
    INSTALLED_MANAGERS,
    MANAGERS,
    installing,
    production_install,
    project_install,
    sets_up_manager,
    without_tools,
)
from optimizer.passes.split.node_distroless import Bare
from optimizer.passes.split.node_needs import can_leave_out, install_scripts_use
from optimizer.passes.split.node_steps import Install, Plan, copied_files, installs_apart
from optimizer.passes.split.shared import (
    Refused,
    SystemPackages,
    apt_install,
    body_nodes,
    from_line,
    install_options,
    line,
    spaced,
    stage_name,
    with_certificates,
    with_lead,
)
from optimizer.passes.split.steps import steps_of
from optimizer.passes.text import has_inner_comments, quote_names
from optimizer.syntax import Blank, Instruction, Node


@dataclass
class NodeStages:
    """The two or three stages that come out of one.

    Args:
        model, stage, plan, workspace, runtime: The facts.
        main: The install of the project that runs.
        system: The system packages of the runtime stage.
        reference: The runtime image as it is written.
        outputs: What the builds write, as paths of the image; None when that is not known.
        development: Whether the program runs without development dependencies, which the install brings.
        bare: How the program starts on an image of Node alone, None where it runs on one with a shell.
        remark: More that the split rests on.
        server: The server of its own that the build makes, with the packages it needs.
        inputs: The folders of the context that the builds take their sources from, none when these may be anywhere.
    """

    model: Model
    stage: Stage
    plan: Plan
    main: Install
    workspace: Workspace
    system: SystemPackages
    runtime: BaseImage
    reference: str
    outputs: tuple[str, ...] | None
    development: bool
    bare: Bare | None = None
    remark: str = ""
    server: Standalone | None = None
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.file = self.model.file
        self.written = self.file.instruction(self.stage.position).value.split()[0]
        builds = self.plan.builds or self.plan.checks or len(self.model.stages) == 1
        self.name = stage_name(self.model, "build" if builds else "dependencies")
        self.copies = stage_copies(self.model, self.stage)
        plan, main = self.plan, self.main
        self.several = len(plan.installs) > 1
        application = application_of(self.model, self.stage)
        made = application.server if application is not None else None
        # All that runs lies in what the build makes, packages and all.
        self.carried = made.folder if made is not None and made.packages == "none" and plan.builds else None
        works = bool(plan.checks) or any(self._nearest(b.folder) is main for b in plan.builds)
        own = self.served or self.server is not None or self.carried is not None
        omits = self.development and not own and can_leave_out(self.model, self.workspace.root, main)
        # A project below the program's may use the packages of both, since Node searches the folders around a file.
        below = [i for i in plan.installs if i is not main and i.folder.startswith(f"{main.folder.rstrip('/')}/")]
        self.apart = self.several and not works and main.alone and not below and all(self._isolated(b.root) for b in plan.builds)
        context = self.model.context
        known = self.outputs is not None and (self.several or self._separate)
        # npm would follow a lock that reaches the stage behind the install, so what it resolved cannot be thinned out there.
        late = context is not None and main.call.ecosystem == "npm" and not main.locked and bool(lock_files(context, main.root))
        self.third = self.apart or (omits and known and (main.locked or late) and (works or self.several))
        self.production = omits and (self.third or not (works or self.several))
        agrees = context is not None and (lock_agrees(context, main.root) is True if main.locked else not lock_files(context, main.root))
        left = self.development and not self.production and not own
        self.prunes = left and not self.several and main.call.ecosystem == "npm" and agrees and (works or self._needs_scripts)

    def _nearest(self, folder: str) -> Install | None:
        """The install whose folder lies nearest around a folder of the image."""
        around = [i for i in self.plan.installs if f"{folder}/".startswith(f"{i.folder.rstrip('/')}/")]
        return max(around, key=lambda i: len(i.folder), default=None)

    @cached_property
    def _separate(self) -> bool:
        return installs_apart(self.model, self.stage, self.plan, self.main)

    @property
    def _needs_scripts(self) -> bool:
        """Whether the install itself starts a development dependency, so that they can be removed behind it only."""
        return bool(install_scripts_use(self.workspace.root))

    @cached_property
    def served(self) -> bool:
        """Whether all that runs is a server of files that is installed beside the project, whose dependencies only built it."""
        names = {c.name for c in self._commands if c.name not in ("sh", "bash", "exec", "npx", "tini", "dumb-init")}
        return bool(names) and names <= {"serve", "http-server"} & set(self.plan.globals) and bool(self.plan.builds)

    @property
    def _commands(self) -> tuple[Started, ...]:
        application = application_of(self.model, self.stage)
        return application.start.commands if application is not None else ()

    def change(self) -> Change:
        """The change.

        Raises:
            Refused: The image of Node alone lacks a shell that something in the runtime stage needs.
        """
        model, stage, file, plan = self.model, self.stage, self.file, self.plan
        nodes = self.build_stage()
        source = self.name
        if self.third:
            source = stage_name(model, "dependencies")
            nodes += [Blank(file.newline), from_line(model, stage, self.written, source), *self.dependencies()]
        replaced = self.replaced(source)
        packages = [plan.system.written.get(p, p) for p in with_certificates(self.system.kept, stage.image, self.runtime)]
        options = install_options(packages, plan.system.options)
        if packages or plan.system.upgrade:
            first = min([plan.first, *plan.system.positions[:1], *plan.system.commands])
            if model.before(first).user not in ("root", "0"):
                raise Refused("system packages would be installed by another user than root", first)
            install = apt_install(model, stage, packages, options, plan.system.upgrade)
            replaced[first] = [install, *replaced.get(first, [file.nodes[first]])]
        end = next((s.position for s in model.stages if s.position > stage.position), len(file.nodes))
        if self.bare is not None:
            replaced.update(self.bare.started)
        body = body_nodes(file, stage, end, replaced)
        reason = needs_shell(model, body) if self.bare is not None else None
        if reason is not None:
            raise Refused(reason, stage.position)
        if self.bare is not None:  # its tag says so as well, which those who look for a USER do not see
            user = line(model, stage, "USER", "nonroot")
            body = body_nodes(file, stage, end, {**replaced, **{p: [user, *started] for p, started in self.bare.started.items()}})
        nodes += [Blank(file.newline), from_line(model, stage, self.reference, stage.name), *body]
        installs = (i.position for i in plan.installs)
        touched = (stage.position, *sorted({*installs, *plan.rest, *plan.system.positions}))
        summary = f"install and build in stages of their own and run on {self.reference}"
        return Change(summary, file.replaced(stage.position, end, nodes), touched, self.evidence(packages, options))

    def build_stage(self) -> list[Node]:
        """The stage that installs everything and builds."""
        model, file, plan = self.model, self.file, self.plan
        nodes: list[Node] = [from_line(model, self.stage, self.written, self.name)]
        for position in sorted({*plan.build, *plan.system.for_building}):
            if self.apart and position == self.main.position:
                continue
            block = with_lead(file, position)
            if position == self.main.position and self.production and not self.third:
                block[-1] = production_install(file.instruction(position), self.main.call, self.main.locked)
            if plan.builds and position == plan.builds[-1].position:
                block[-1] = self._without_compiled_cache(file.instruction(position))
            roots = tuple(dict.fromkeys(b.root for b in plan.builds)) if self.apart else self._folders(position)
            narrow = self._narrowed(position, roots) if roots else None
            if narrow is not None:
                block[-1:] = narrow
            nodes.extend(spaced(file, position, block) if len(nodes) > 1 else block)
        if self.prunes:
            nodes.append(line(model, self.stage, "RUN", "npm prune --omit=dev"))
        return nodes

    def _without_compiled_cache(self, node: Instruction) -> Instruction:
        """A build with Next.js that removes what its bundler kept for another build: it lies inside of what runs."""
        folder = next((path for path in self.outputs or () if posixpath.basename(path) == ".next"), None)
        text = node.shell_text
        if folder is None or self.server is not None or text is None or node.flags or node.heredocs or has_inner_comments(node):
            return node
        place = self.model.before(self.plan.builds[-1].position).workdir
        alone = len(steps_of(node) or ()) == 1
        path = posixpath.relpath(folder, place) if alone and place is not None and f"{folder}/".startswith(f"{place}/") else folder
        end = text.source_end(len(text.text.rstrip()))
        return node.edited((end, end, f" && rm -rf {_quoted(path)}/cache/webpack"))

    def _folders(self, position: int) -> tuple[str, ...]:
        """The folders that the builds read of what an instruction behind the install copies, none where they may read more."""
        late = self.main.position < position < min((b.position for b in self.plan.builds), default=0)
        known = self.outputs is not None and all(self._isolated(root) for root in self.inputs)
        return self.inputs if late and known and self.third and not self.plan.rest.get(self.plan.builds[-1].position) else ()

    def _narrowed(self, position: int, roots: tuple[str, ...]) -> list[Node] | None:
        """A COPY of everything as one of the folders that are built, which read nothing outside of them."""
        copy = next((c for c in self.copies if c.position == position), None)
        if copy is None or copy.sources != (".",) or copy.node.flags:
            return None
        target = copy.node.words[-1].rstrip("/")
        return [line(self.model, self.stage, copy.node.keyword, f"{_quoted(r)} {_quoted(f'{target}/{r}/')}") for r in roots]

    def _isolated(self, root: str) -> bool:
        """Whether no file below a folder of the context names a path that leads out of it."""
        context = self.model.context
        if root == "." or context is None:
            return False
        for file in context.under(root):
            text = context.read_text(file) or ""
            depth = posixpath.relpath(file, root).count("/") + 1
            if re.search(rf"(\.\./){{{depth}}}|[\"'`]\.\.[\"'`]", text) or f"{self.main.folder}/" in text:
                return False
        return True

    def dependencies(self) -> list[Node]:
        """What stands in the stage that installs only what running needs, below its FROM."""
        model, stage, file, plan, main = self.model, self.stage, self.file, self.plan, self.main
        position = main.position
        install = file.instruction(position)
        if not self.several:
            early = [p for p in sorted({*plan.build, *plan.system.for_building} - {*plan.told}) if p <= position]
            return [
                production_install(file.instruction(p), main.call, main.locked) if p == position else file.instruction(p) for p in early
            ]
        kept = {*plan.system.for_building, *plan.tools, *plan.global_runs}
        nodes: list[Node] = [
            file.instruction(p)
            for p in sorted({*plan.build, *plan.system.for_building})
            if p < position and (p in kept or file.instruction(p).keyword in ("ENV", "ARG", "SHELL"))
        ]
        nodes.append(line(model, stage, "WORKDIR", main.folder))
        folders: dict[str, list[str]] = {}
        for manifest in main.manifests:
            folders.setdefault(posixpath.relpath(posixpath.dirname(manifest) or ".", main.root), []).append(manifest)
        for folder, files in folders.items():
            words = " ".join(_quoted(f) for f in sorted(files, key=lambda f: ("lock" in f, f)))
            nodes.append(line(model, stage, "COPY", f"{words} {'./' if folder == '.' else f'{_quoted(folder)}/'}"))
        alone = line(model, stage, "RUN", installing(install, main.call))
        call = project_install(alone)
        nodes.append(production_install(alone, call, main.locked) if self.production and call is not None else alone)
        return nodes

    def replaced(self, source: str) -> dict[int, list[Node]]:
        """What stands in the runtime stage in the place of instructions that moved; ``source`` has the node_modules."""
        model, stage, plan, main = self.model, self.stage, self.plan, self.main
        replaced: dict[int, list[Node]] = {**{p: [] for p in plan.system.positions}, **plan.rest}
        for copy in self.copies:
            if copy.position < max(i.position for i in plan.installs) and _copied_again(model, copy, self.copies):
                replaced[copy.position] = []
        if not {name for name in (c.name for c in self._commands) if name in INSTALLED_MANAGERS}:
            replaced.update(
                {p: [] for p in (*plan.tools, *plan.global_runs) if p not in plan.rest and sets_up_manager(self.file.instruction(p))}
            )
        replaced.update({p: nodes for p in plan.global_runs if p not in replaced and (nodes := self._programs(p)) is not None})
        if self.server is not None:
            return self._server(self.server, replaced)
        if self.carried is not None:
            return self._carried(self.carried, replaced)
        if self.outputs is None or (self.workspace.members and not (self.third or (not plan.builds and self._separate))):
            return self._everything(replaced)
        made = [_copy(model, stage, self.name, path, plan.last) for path in self.outputs]
        if plan.builds:
            last = max(b.position for b in plan.builds)
            replaced[last] = [*made, *replaced[last]]
        if self.served:
            replaced.update({c.position: [] for c in self.copies if self._only_outputs})
            return replaced
        for install in plan.installs:
            if install is main or self._loads_from(install):
                whole = self.workspace.members and install is main  # each member may have packages of its own
                place = install.folder.rstrip("/") if whole else f"{install.folder.rstrip('/')}/node_modules"
                origin = source if install is main else self.name
                linked = self._linked(install) if install is main else []
                brought = [_copy(model, stage, origin, path, install.position) for path in (place, *linked)]
                replaced[install.position] = [*brought, *replaced[install.position]]
        return replaced

    def _programs(self, position: int) -> list[Node] | None:
        """A RUN that installs programs for the whole image with those that run alone; None where it is not known which these are."""
        application = application_of(self.model, self.stage)
        if application is None or application.unknown_about("program"):
            return None
        shorter = without_tools(self.file, self.file.instruction(position), application.programs)
        return [shorter] if shorter is not None else []

    def _linked(self, install: Install) -> list[str]:
        """The folders of the image with packages that the install links, of those that have packages themselves."""
        linked = [package for package in self.workspace.linked if package.dependencies or package.optional_dependencies]
        places = (posixpath.relpath(package.folder, install.root) for package in linked)
        return [posixpath.normpath(posixpath.join(install.folder, place)) for place in places]

    def _server(self, server: Standalone, replaced: dict[int, list[Node]]) -> dict[int, list[Node]]:
        """With the server that the build makes in the place of packages, and of sources that it does not read."""
        last = max(b.position for b in self.plan.builds)
        for copy in self.copies:
            inside = copy.destination is not None and f"{copy.destination}/".startswith(f"{server.folder}/")
            if copy.position < last and inside and not server.whole:
                replaced[copy.position] = []
        replaced[last] = [*server.copies(self.model, self.stage, self.name, last), *replaced[last]]
        replaced[server.position] = list(server.command)
        return replaced

    def _carried(self, folder: str, replaced: dict[int, list[Node]]) -> dict[int, list[Node]]:
        """With a server that carries its packages in the place of these, and of sources that it does not read."""
        last = max(b.position for b in self.plan.builds)
        application = application_of(self.model, self.stage)
        reads = application is None or bool(application.read or application.start.scripts or application.unknown_about("read", "module"))
        reads = reads or any(c.name in MANAGERS for c in self._commands)  # they read package.json
        for copy in self.copies:
            inside = copy.destination is not None and f"{copy.destination}/".startswith(f"{self.main.folder.rstrip('/')}/")
            if copy.position < last and inside and not reads:
                replaced[copy.position] = []
        replaced[last] = [_copy(self.model, self.stage, self.name, folder, last), *replaced[last]]
        return replaced

    def _everything(self, replaced: dict[int, list[Node]]) -> dict[int, list[Node]]:
        """With the whole of the project's folder copied, since what the build may have written lies anywhere in it."""
        model, stage, main = self.model, self.stage, self.main
        last = max((*(b.position for b in self.plan.builds), main.position))
        for copy in self.copies:
            inside = copy.destination is not None and f"{copy.destination}/".startswith(f"{main.folder.rstrip('/')}/")
            if copy.position < last and inside:
                replaced[copy.position] = []
        replaced[last] = [_copy(model, stage, self.name, main.folder, last), *replaced[last]]
        return replaced

    def _loads_from(self, install: Install) -> bool:
        """Whether the program loads sources that find their packages beside another project than its own."""
        application = application_of(self.model, self.stage)
        inside = [f for f in (application.files if application is not None else ()) if f"{f}/".startswith(f"{install.root}/")]
        return install.root == "." or bool(inside)

    @property
    def _only_outputs(self) -> bool:
        """Whether the server of files is told to serve what the build made, and nothing else of the project."""
        application = application_of(self.model, self.stage)
        server = next((c for c in self._commands if site_server(c.name or "", c.words[1:]) is not None), None)
        if application is None or application.start.scripts or server is None or server.folder is None or self.model.context is None:
            return False
        words = [w for w in server.words[1:] if w is not None and not w.startswith("-")]
        places = [posixpath.normpath(posixpath.join(server.folder, w)) for w in words]
        made = [any(f"{place}/".startswith(f"{path}/") for path in self.outputs or ()) for place in places]
        others = [w for w, is_made in zip(words, made, strict=True) if not is_made]
        return any(made) and all(re.fullmatch(r"[\w.:/]*:?\d+", w) for w in others)

    def evidence(self, packages: list[str], options: tuple[str, ...]) -> tuple[str, ...]:
        """What the split rests on."""
        found = ["the dependencies were installed for the same Node on the same Debian"]
        if self.server is not None:
            found.append(f"the build makes a server of its own with the packages that it needs, {STANDALONE}")
        if self.carried is not None:
            found.append("the build makes a server of its own with the packages that it needs")
        if self.outputs:
            found.append(f"the build writes {quote_names([posixpath.relpath(p, self.main.folder) for p in self.outputs])}")
        if self.production or self.prunes:
            found.append("the program imports no development dependency")
        if self.system.dropped:
            found.append(f"only building needs {quote_names(self.system.dropped)}")
        if packages:
            found.append(f"the program needs {quote_names(packages)} when it runs")
        if packages and "--no-install-recommends" in options and "--no-install-recommends" not in self.plan.system.options:
            found.append("they work without the packages that they recommend")
        if self.bare is not None or self.remark:
            found.append(self.remark or "it needs no shell, no other program and no file to write")
        return tuple(found)


def _copied_again(model: Model, copy: CopyFacts, copies: tuple[CopyFacts, ...]) -> bool:
    """Whether later instructions bring everything that this one brings to the same places."""
    later = [c for c in copies if c.position > copy.position]
    files = copied_files(model, copy)
    return bool(files) and all(any(c.image_of(model, f) == copy.image_of(model, f) for c in later) for f in files)


def _copy(model: Model, stage: Stage, source: str, path: str, position: int) -> Instruction:
    """A COPY of a path out of another stage to the same path, which is written relative to WORKDIR where it lies below it."""
    workdir, user = model.before(position).workdir, model.before(position).user
    owner = f"--chown={user} " if user not in ("root", "0") else ""
    target = path
    if workdir not in (None, "/") and f"{path}/".startswith(f"{workdir}/"):
        target = "./" if path == workdir else f"./{posixpath.relpath(path, workdir)}"
    return line(model, stage, "COPY", f"--from={source} {owner}{_quoted(path)} {_quoted(target)}")


def _quoted(path: str) -> str:
    return f'"{path}"' if re.search(r"\s", path) else path
