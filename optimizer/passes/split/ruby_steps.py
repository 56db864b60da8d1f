"""Which instructions of a Ruby stage install gems and build, and which make the image that runs."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Action, Call
from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.model.state import State
from optimizer.passes.split.compiled import is_below
from optimizer.passes.split.project_folder import brought_again, changes_outside, new_owner, rest_of
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import FILE_COMMANDS, Step, SystemSteps, steps_of
from optimizer.syntax import Instruction

GEMS = "/usr/local/bundle"
"""Where the Ruby images keep gems. Source: GEM_HOME of docker-library/ruby"""
_ACCOUNTS = frozenset({"useradd", "adduser", "groupadd", "addgroup", "usermod"})
_MANAGERS = frozenset({"npm", "yarn", "pnpm", "bun"})
# Tasks that leave their result in the project's folder.
_TASKS = re.compile(
    r"(assets|webpacker|shakapacker|vite|tailwindcss|css|javascript|dartsass|i18n|bootsnap|react_on_rails):[\w:]+|db:(create|migrate|setup|seed|prepare|schema:load)|tmp:\w+|log:clear"
)
_OUTSIDE_SOURCES = re.compile(r"/etc/apt|apt-key|nodesource|yarnpkg|postgresql\.org|/usr/share/keyrings")
_FOREIGN = re.compile(r"nodesource|yarnpkg")
_ELSEWHERE = frozenset({"--install-dir", "-i", "--user-install", "--bindir", "-n"})
_MANIFESTS = re.compile(
    r"(Gemfile(\.lock)?|gems\.(rb|locked)|[^/]+\.gemspec|\.ruby-version|\.tool-versions|package\.json|yarn\.lock|package-lock\.json|pnpm-lock\.yaml)$"
)


@dataclass
class Plan:
    """What a stage does.

    Args:
        installs: The RUNs that install gems.
        bundled: The first of them that installs the project's.
        last: Index of the last RUN that installs or builds.
        builds: Whether a step makes files of the project's folder.
        modules: Whether a step installs Node's packages there.
        whole: Whether the project's folder comes out of the build stage as a whole.
        owner: To whom the last step gives it.
        system: The system packages that are installed up to there.
        foreign: Whether packages of other sources than the distribution's may be among them.
        repeated: What both stages have to do, such as to make accounts, by position.
        gems: The folders that hold gems, and the settings that Bundler keeps.
        cache: Where the archives that gems came in are kept, a pattern of the shell.
        folder: The project's folder in the image.
    """

    folder: str
    installs: list[int] = field(default_factory=list)
    bundled: int = -1
    last: int = -1
    builds: bool = False
    modules: bool = False
    whole: bool = False
    owner: str | None = None
    system: SystemSteps = field(default_factory=lambda: SystemSteps(dividable=True))
    foreign: bool = False
    repeated: dict[int, Instruction] = field(default_factory=dict)
    gems: list[str] = field(default_factory=list)
    cache: str = ""


def sort_instructions(model: Model, stage: Stage, folder: str) -> Plan:
    """Decide for each instruction of a Ruby stage whether it builds or runs.

    Args:
        model: Facts of the Dockerfile, with the context at hand.
        stage: The stage.
        folder: The project's folder in the image.

    Raises:
        Refused: That is not known of one.
    """
    plan = Plan(folder)
    runs = {p: model.file.instruction(p) for p in stage.positions if model.file.instruction(p).keyword == "RUN"}
    steps = {p: _steps(node, p) for p, node in runs.items()}
    for position, found in steps.items():
        if any(_installs(step) for step in found):
            plan.installs.append(position)
        if plan.bundled < 0 and any(_installs(s) and s.call is not None and s.call.ecosystem == "bundler" for s in found):
            plan.bundled = position
        if any(_installs(step) or _builds(step) for step in found):
            plan.last = position
        plan.builds = plan.builds or any(_builds(step) for step in found)
        plan.modules = plan.modules or any(s.call is not None and s.call.ecosystem in _MANAGERS and _builds(s) for s in found)
    if not plan.installs:
        return plan
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword == "ONBUILD":
            raise Refused("it is a base for other images", position)
        if node.keyword == "USER" and position < plan.last and model.before(plan.last).user not in ("root", "0"):
            raise Refused("gems are installed as another user than root", position)
    for position, found in steps.items():
        _sort_run(model, plan, position, runs[position], found)
    copies = stage_copies(model, stage)
    later = [c for c in copies if c.position > plan.last]
    plan.whole = plan.builds or not all(brought_again(model, c, later, _MANIFESTS) for c in copies if c.position < plan.last)
    _take_others(model, stage, plan)
    if plan.owner is not None and not plan.whole:
        raise Refused("it gives files of the project away, and a copy between stages takes that back", plan.last)
    plan.gems = _places(model, plan, stage, [(p, s) for p, found in steps.items() for s in found])
    return plan


def _steps(node: Instruction, position: int) -> tuple[Step, ...]:
    if node.json is None and _FOREIGN.search(node.value):
        return steps_of(node) or ()
    found = steps_of(node) if node.json is None else None
    if found is None:
        raise Refused("which stage it belongs to is not known: exec form, or more than a list of commands", position)
    return found


def _installs(step: Step) -> bool:
    call = step.call
    if call is None or call.ecosystem not in ("bundler", "gem"):
        return False
    return call.action is Action.INSTALL and (call.ecosystem == "bundler" or bool(call.packages))


def _words(step: Step) -> list[str]:
    """The words of a command without ``bundle exec`` and variables in front."""
    words = [word.value or word.text for word in step.command.words]
    while words and (words[0] in ("bundle", "exec", "env", "ruby", "bin/bundle", "./bin/bundle") or re.match(r"\w+=", words[0])):
        words = words[1:]
    return words


def _builds(step: Step) -> bool:
    """Whether a step makes files of the project's folder, and nothing else."""
    if step.call is not None and step.call.ecosystem in _MANAGERS:
        return step.call.action in (Action.INSTALL, Action.BUILD, Action.OTHER) and not step.call.options & {"-g", "--global"}
    words = _words(step)
    if not words:
        return False
    name = posixpath.basename(words[0])
    tasks = [w for w in words[1:] if not w.startswith("-") and "=" not in w]
    if name in ("rails", "rake"):
        return bool(tasks) and all(_TASKS.fullmatch(task) for task in tasks)
    return (name == "bootsnap" and tasks[:1] == ["precompile"]) or (name == "jekyll" and tasks[:1] == ["build"]) or name in ("vite",)


def _sort_run(model: Model, plan: Plan, position: int, node: Instruction, steps: tuple[Step, ...]) -> None:
    early = position <= plan.last
    if _OUTSIDE_SOURCES.search(node.value):
        if not early or not _FOREIGN.search(node.value):
            raise Refused("it changes where system packages come from", position)
        plan.foreign = True
    repeated: list[Step] = []
    plan.owner = new_owner(model, plan.folder, position, steps) if position == plan.last else plan.owner
    for step in steps:
        call = step.call
        if call is not None and call.ecosystem == "apt":
            if early:
                plan.system.take(model, position, call)
        elif _installs(step) or _builds(step) or step.cleans:
            continue
        elif call is not None and call.ecosystem == "bundler" and call.verb is not None and call.verb.value == "config":
            if "--global" in call.options and early:
                repeated.append(step)
        elif call is not None and call.ecosystem in _MANAGERS and early:
            continue  # tools for the build alone
        elif step.program in _ACCOUNTS or step.program in FILE_COMMANDS or step.program in ("cd", "set"):
            if plan.owner is not None and step.program == "chown" and position == plan.last:
                continue
            if early and (step.program in _ACCOUNTS or changes_outside(model, plan.folder, position, step)):
                repeated.append(step)
        elif call is not None and call.ecosystem == "gem":
            raise Refused(f"`{' '.join(_words(step)[:3])}` may change Ruby itself", position)
        elif not (early and plan.foreign and _FOREIGN.search(node.value)):
            raise Refused(f"which stage `{step.program or step.text[:30]}` belongs to is not known", position)
    rest = rest_of(model, position, node, steps, repeated)
    if rest is not None:
        plan.repeated[position] = rest


def _take_others(model: Model, stage: Stage, plan: Plan) -> None:
    """The COPY and ADD instructions up to the last step that take from other places than the build context."""
    own = {c.position for c in stage_copies(model, stage) if c.plain}
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword not in ("COPY", "ADD") or position in own or position > plan.last:
            continue
        target = model.before(position).path(node.words[-1], node.escape) if node.words else None
        if target is not None and is_below(target, plan.folder):
            plan.whole = True
        elif target is None or not node.words[-1].startswith("/"):
            raise Refused("where it copies to is not plain", position)
        else:
            plan.repeated[position] = node


def _places(model: Model, plan: Plan, stage: Stage, steps: list[tuple[int, Step]]) -> list[str]:
    """The folders that hold what was installed."""
    image, context = stage.image, model.context
    assert image is not None
    assert context is not None
    state = model.before(plan.last)
    own = image.family == "ruby"
    local = not own  # whether Bundler keeps its settings in the project
    home = state.env.get("GEM_HOME", GEMS if own else None)
    named: list[str | None] = [state.env["BUNDLE_PATH"]] if "BUNDLE_PATH" in state.env else []
    config = False
    deployment = state.env.get("BUNDLE_DEPLOYMENT") not in (None, "false", "0", "")
    gem = any(s.call is not None and s.call.ecosystem == "gem" and s.call.action is Action.INSTALL for _, s in steps)
    for position, step in steps:
        call = step.call
        verb = call.verb.value if call is not None and call.verb is not None else None
        if call is None or call.ecosystem not in ("bundler", "gem") or (call.action is not Action.INSTALL and verb != "config"):
            continue
        if (
            call.prefix
            or (call.ecosystem == "gem" and call.options & _ELSEWHERE)
            or "--gemfile" in call.options
            or "--system" in call.options
        ):
            raise Refused("gems are installed to a place of their own", position)
        if call.ecosystem == "gem":
            continue
        words = [w.value or w.text for w in call.command.words]
        settings = _setting(call, words)
        config = config or bool(settings) or bool(call.options & {"--without", "--path", "--with", "--deployment", "--frozen"})
        if "path" in settings:
            named.append(settings["path"])
        deployment = deployment or settings.get("deployment") in ("true", "1") or "--deployment" in call.options
        if "--path" in call.options or settings.get("system") is not None:
            named.append(
                next(
                    (words[i + 1] for i, w in enumerate(words[:-1]) if w == "--path"),
                    next((w[7:] for w in words if w.startswith("--path=")), None),
                )
            )
    if {
        "BUNDLE_BIN",
        "BUNDLE_GEMFILE",
        "BUNDLE_APP_CONFIG",
        "BUNDLE_SYSTEM_BINDIR",
        "BUNDLE_PATH__SYSTEM",
    } & state.env.keys() or "GEM_PATH" in state.env:
        raise Refused("a variable leads Bundler to a place of its own", plan.installs[-1])
    if (named or deployment or config) and not _in_project(model, plan, steps):
        raise Refused("gems are installed in another folder than that of the program", plan.installs[-1])
    found = _gem_folders(state, plan, named, deployment, home, own, gem)
    if local and config:
        found.append(posixpath.join(plan.folder, ".bundle"))
    if _in_project(model, plan, steps):
        _add_lock(context, plan, found)
    return [p for p in dict.fromkeys(found) if not (plan.whole and is_below(p, plan.folder))]


def _in_project(model: Model, plan: Plan, steps: list[tuple[int, Step]]) -> bool:
    """Whether Bundler runs in the folder of the program each time."""
    folders = {model.before(p).workdir for p, s in steps if s.call is not None and s.call.ecosystem == "bundler"}
    moved = any(s.program == "cd" and model.before(p).path(s.command.words[-1].text) != plan.folder for p, s in steps)
    return not moved and (folders == {plan.folder} or any(s.program == "cd" for _, s in steps))


def _setting(call: Call, words: list[str]) -> dict[str, str]:
    """The setting that ``bundle config`` makes."""
    if call.verb is None or call.verb.value != "config":
        return {}
    rest = [w for w in words[words.index("config") + 1 :] if not w.startswith("-") and w != "set"]
    return {rest[0].strip("\"'"): " ".join(rest[1:]).strip("\"'")} if len(rest) > 1 else {}


def _gem_folders(state: State, plan: Plan, named: list[str | None], deployment: bool, home: str | None, own: bool, gem: bool) -> list[str]:
    if None in named or len(set(named)) > 1:
        raise Refused("where Bundler puts the gems is not known", plan.installs[-1])
    path = next((p for p in named if p is not None), "vendor/bundle" if deployment else None)
    found: list[str] = []
    if path is not None:
        expanded = state.expand(path)
        if expanded is None or expanded.startswith("~"):
            raise Refused("where Bundler puts the gems is not known", plan.installs[-1])
        found.append(posixpath.normpath(posixpath.join(plan.folder, expanded)))
        plan.cache = f"{found[0]}/ruby/*/cache"
    if path is None or gem or own:
        if home is not None:
            found.append(home)
        elif not own:
            found += ["/var/lib/gems", "/usr/local/bin"]
    if not found:
        raise Refused("where Bundler puts the gems is not known", plan.installs[-1])
    plan.cache = plan.cache or (f"{found[0]}/cache" if home is not None else f"{found[0]}/*/cache")
    return found


def _add_lock(context: BuildContext, plan: Plan, found: list[str]) -> None:
    """The lock that the install made, where the build context has none."""
    names = {posixpath.basename(f) for f in context.files() if posixpath.basename(f) in ("Gemfile.lock", "gems.locked")}
    if not names and not plan.whole:
        found.append(posixpath.join(plan.folder, "Gemfile.lock"))
