"""Which instructions of a PHP stage install packages and extensions, and which make the image that runs."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from optimizer.ecosystems import Action, Call
from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.passes.split.compiled import is_below
from optimizer.passes.split.project_folder import brought_again, changes_outside, new_owner, rest_of
from optimizer.passes.split.shared import Refused
from optimizer.passes.split.steps import FILE_COMMANDS, Step, SystemSteps, steps_of
from optimizer.syntax import Instruction

EXTENSIONS = ("/usr/local/lib/php/extensions", "/usr/local/etc/php/conf.d")
"""Where the PHP images keep compiled extensions and what loads them. Source: docker-php-ext-install of docker-library/php"""
_ACCOUNTS = frozenset({"useradd", "adduser", "groupadd", "addgroup", "usermod"})
_SERVERS = frozenset({"a2enmod", "a2dismod", "a2ensite", "a2dissite", "a2enconf", "a2disconf", "phpenmod", "phpdismod"})
_COMPILES = frozenset({"docker-php-ext-install", "docker-php-ext-configure", "docker-php-ext-enable", "docker-php-source", "pecl"})
_MANAGERS = frozenset({"npm", "yarn", "pnpm", "bun"})
# Commands of Laravel's and Symfony's that leave their result in the project's folder.
_ARTISAN = re.compile(
    r"(config|route|view|event|icons|filament):(cache|clear)|optimize(:clear)?|package:discover|key:generate|storage:link|migrate|vendor:publish|cache:(clear|warmup)|assets:install|importmap:install|asset-map:compile"
)
_INSTALLER = re.compile(r"getcomposer\.org/installer|composer-setup\.php|getcomposer\.org/\S*composer\.phar")
_MANIFESTS = re.compile(r"(^|/)(composer\.(json|lock)|auth\.json|symfony\.lock|package\.json|yarn\.lock|package-lock\.json)$")
_FROM_COMPOSER = re.compile(r"(^|/)composer(:|@|$)|mlocati/php-extension-installer")


@dataclass
class Plan:
    """What a stage does.

    Args:
        folder: The project's folder in the image.
        installs: The RUNs that install packages with Composer.
        last: Index of the last RUN that installs, compiles or builds.
        compiles: Whether extensions are compiled.
        whole: Whether the project's folder comes out of the build stage as a whole.
        owner: To whom the last step gives it.
        scripts: Whether something of the project runs in the build.
        system: The system packages that are installed up to there.
        repeated: What both stages have to do, by position.
        vendor: The folders of packages.
    """

    folder: str
    installs: list[int] = field(default_factory=list)
    last: int = -1
    compiles: bool = False
    whole: bool = False
    owner: str | None = None
    scripts: bool = False
    system: SystemSteps = field(default_factory=lambda: SystemSteps(dividable=True))
    repeated: dict[int, Instruction] = field(default_factory=dict)
    vendor: list[str] = field(default_factory=list)


def sort_instructions(model: Model, stage: Stage, folder: str) -> Plan:
    """Decide for each instruction of a PHP stage whether it builds or runs.

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
        plan.compiles = plan.compiles or any(step.program in _COMPILES for step in found)
        if any(_installs(step) for step in found):
            plan.installs.append(position)
        if any(_installs(step) or _builds(step) or step.program in _COMPILES for step in found) or _INSTALLER.search(runs[position].value):
            plan.last = position
        plan.scripts = plan.scripts or any(_builds(step) for step in found)
    if plan.last < 0:
        return plan
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword == "ONBUILD":
            raise Refused("it is a base for other images", position)
        if node.keyword == "USER" and position < plan.last and model.before(plan.last).user not in ("root", "0"):
            raise Refused("packages are installed as another user than root", position)
        if node.keyword == "SHELL":
            raise Refused("it changes the shell, and which steps that is for is not followed", position)
    for position, found in steps.items():
        _sort_run(model, plan, position, runs[position], found)
    _take_copies(model, stage, plan)
    if plan.owner is not None and not plan.whole:
        raise Refused("it gives files of the project away, and a copy between stages takes that back", plan.last)
    return plan


def _steps(node: Instruction, position: int) -> tuple[Step, ...]:
    if _INSTALLER.search(node.value):
        rest = re.sub(r"\s+", " ", node.value)
        if re.search(r"apt-get|docker-php|a2en|/etc/", rest):
            raise Refused("it fetches Composer and does more, so it cannot be divided", position)
        return steps_of(node) or ()
    found = steps_of(node) if node.json is None else None
    if found is None:
        raise Refused("which stage it belongs to is not known: exec form, or more than a list of commands", position)
    return found


def _installs(step: Step) -> bool:
    call = step.call
    return call is not None and call.ecosystem == "composer" and call.action is Action.INSTALL and not _is_global(call)


def _is_global(call: Call) -> bool:
    return call.verb is not None and call.verb.value == "global"


def _places_composer(step: Step) -> bool:
    """Whether a step puts Composer in its place, or takes it away."""
    return any(re.fullmatch(r"composer(-setup)?(\.(phar|php))?", posixpath.basename(w.text)) for w in step.command.words[1:])


def _is_manager(call: Call | None) -> bool:
    return call is not None and call.ecosystem in _MANAGERS


def _builds(step: Step) -> bool:
    """Whether a step makes files of the project's folder, and nothing else."""
    call = step.call
    if call is not None and call.ecosystem == "composer":
        return call.action is Action.BUILD
    if call is not None and call.ecosystem in _MANAGERS:
        return not call.options & {"-g", "--global"}
    words = [word.value or "" for word in step.command.words]
    if step.program == "php" and len(words) > 2 and posixpath.basename(words[1]) in ("artisan", "console"):
        return _ARTISAN.fullmatch(words[2]) is not None
    return False


def _sort_run(model: Model, plan: Plan, position: int, node: Instruction, steps: tuple[Step, ...]) -> None:
    if position > plan.last:
        return
    if "/etc/apt" in node.value or "apt-key" in node.value:
        raise Refused("it changes where system packages come from", position)
    if _INSTALLER.search(node.value):
        return
    repeated: list[Step] = []
    plan.owner = new_owner(model, plan.folder, position, steps) if position == plan.last else plan.owner
    for step in steps:
        call = step.call
        if call is not None and call.ecosystem == "apt":
            plan.system.take(model, position, call)
        elif _installs(step) or _builds(step) or step.cleans or step.program in _COMPILES or _is_manager(call):
            continue
        elif call is not None and call.ecosystem == "composer":
            if call.action is Action.INSTALL:
                raise Refused("Composer installs tools into root's home", position)
        elif step.program in _SERVERS or step.program in _ACCOUNTS:
            repeated.append(step)
        elif step.program in FILE_COMMANDS or step.program in ("cd", "set"):
            if plan.owner is not None and step.program == "chown" and position == plan.last:
                continue
            if not _places_composer(step) and changes_outside(model, plan.folder, position, step):
                repeated.append(step)
        else:
            raise Refused(f"which stage `{step.program or step.text[:30]}` belongs to is not known", position)
    rest = rest_of(model, position, node, steps, repeated)
    if rest is not None:
        plan.repeated[position] = rest


def _take_copies(model: Model, stage: Stage, plan: Plan) -> None:
    """What the COPY and ADD instructions up to the last step bring, and which of it the other stage needs again."""
    copies = stage_copies(model, stage)
    later = [c for c in copies if c.position > plan.last]
    facts = {c.position: c for c in copies if c.plain}
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword not in ("COPY", "ADD") or position > plan.last:
            continue
        copy = facts.get(position)
        target = model.before(position).path(node.words[-1], node.escape) if node.words else None
        if target is None:
            raise Refused("where it copies to is not known", position)
        if node.flag("from") is not None and _FROM_COMPOSER.search(node.flag("from") or ""):
            continue
        if is_below(target, plan.folder):
            plan.whole = plan.whole or copy is None or not brought_again(model, copy, later, _MANIFESTS)
        elif is_below(plan.folder, target) and copy is not None and plan.folder != target:
            raise Refused("it copies the project's folder with others around it", position)
        elif not node.words[-1].startswith("/"):
            raise Refused("where it copies to is not plain", position)
        else:
            plan.repeated[position] = node
