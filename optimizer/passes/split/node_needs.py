"""What a Node program needs when it runs: system packages, programs, and whether development dependencies."""

from __future__ import annotations

import posixpath
import re

from optimizer.context.folder import BuildContext
from optimizer.context.javascript import PackageJson, lock_files, lock_suffices, plug_and_play
from optimizer.context.javascript_source import BUILTIN
from optimizer.context.workspaces import Workspace
from optimizer.ecosystems import Call
from optimizer.knowledge.images import BaseImage
from optimizer.knowledge.node_packages import node_package_needs
from optimizer.model import Model
from optimizer.model.application import Application
from optimizer.model.launch import LANGUAGES
from optimizer.model.site_tools import site_tool
from optimizer.passes.split.node_commands import BINS
from optimizer.passes.split.node_steps import Install
from optimizer.passes.split.shared import Refused, SystemPackages, packages_for, sort_packages
from optimizer.passes.split.steps import SystemSteps
from optimizer.syntax.shell import parse_script

_OWN = frozenset({"node", "npm", "npx", "yarn", "yarnpkg", "corepack", "nodejs", "pnpm", "bun", "bunx"})
_DATABASE_LAYERS = frozenset({"sequelize", "sequelize-typescript", "typeorm", "knex", "objection", "bookshelf", "@mikro-orm/core"})
# Packages that a database layer loads by the kind of database.
_DRIVERS = frozenset({"sqlite3", "better-sqlite3", "pg", "mysql", "mysql2", "mariadb", "tedious", "oracledb", "sql.js"})
# Of those below, the ones that bring all they need with them.
_SELF_CONTAINED = frozenset({"tsx", "nodemon"})
# They run TypeScript or watch files: with them the program is started as in development.
_DEVELOPMENT = frozenset({"ts-node", "ts-node-dev", "ts-node-esm", "nodemon", "tsx", "babel-node"})


def system_packages(
    model: Model, system: SystemSteps, workspace: Workspace, extra: list[str], application: Application, runtime: BaseImage, position: int
) -> SystemPackages:
    """The system packages that the runtime stage needs.

    Args:
        model: Facts of the Dockerfile.
        system: The system packages that the stage installs.
        workspace: The project's package, with its members.
        extra: Packages of npm that are installed for the whole image.
        application: The program.
        runtime: The image it is to run on.
        position: The instruction to name when it cannot be decided.

    Raises:
        Refused: It is not known.
    """
    installed = system.packages
    where = system.positions[0] if system.positions else position
    dependencies = {name: None for package in workspace.packages for name in (*package.dependencies, *package.optional_dependencies)}
    bundled = {name for package in workspace.packages for name in package.dev_dependencies} & set(application.modules)
    needs: list[str] = []
    for name in (*dependencies, *sorted(bundled - set(dependencies))):
        found = node_package_needs(name)
        if found is None:
            raise Refused(f"what {name} needs of the system depends on how it is used", where)
        needs.extend(found)
    if "@prisma/client" in dependencies:
        needs.append("openssl")  # its engine looks for OpenSSL and its version
    unknown = application.unknown_about("program")
    if unknown:
        raise Refused(f"which programs it starts is not known: {unknown[0]}", where)
    programs = _programs(workspace, extra, application, where) | set(system.commands.values())
    runs = [model.file.instruction(p).value for p in model.final.positions if model.file.instruction(p).keyword == "RUN"]
    if any("/usr/share/zoneinfo" in text for text in runs) and runtime.time_zones is not True:
        needs.append("tzdata")
    return sort_packages(installed, programs, runtime.release, [*needs, *packages_for(programs, runtime, installed, where)], True, where)


def _programs(workspace: Workspace, extra: list[str], application: Application, where: int) -> set[str]:
    """The programs that it starts and that neither it nor its packages bring.

    Raises:
        Refused: One should come from a package that no package.json names.
    """
    packages = workspace.packages
    scripts = {posixpath.basename(f) for f in (*application.start.scripts, *application.start.entries)}
    own = {*(script for package in packages for script in package.scripts), *_OWN, *scripts}
    named = {*extra, *(n for p in packages for n in (*p.dependencies, *p.dev_dependencies, *p.optional_dependencies))}
    programs = {p for p in application.programs if p not in own and posixpath.basename(p) not in scripts and BINS.get(p, p) not in named}
    asked = {w.words[1] for w in application.start.commands if w.name in ("npx", "bunx") and len(w.words) > 1}
    for program in sorted(programs):
        if program in asked or program in BINS or LANGUAGES.get(program) == "node":
            raise Refused(f"it starts {program}, which package.json does not name", where)
    return programs


def runs_without_development(context: BuildContext, workspace: Workspace, application: Application) -> bool:
    """Whether evidence shows that the program runs without development dependencies, of which there are some.

    A package that the source names in quotes may be loaded by another one: a view engine, the target of a logger.
    """
    packages = workspace.packages
    kept = {n for p in packages for n in (p.name, *p.dependencies, *p.optional_dependencies, *p.peer_dependencies) if n is not None}
    dropped = {n for p in packages for n in p.dev_dependencies} - kept
    if not dropped or "@prisma/client" in kept:
        return False
    if application.server is not None and application.server.packages == "production":
        return True
    tools = [site_tool(command.name or "", command.words[1:]) for command in application.start.commands]
    if application.unknown_about("module") or any(tool is not None and tool.compiles for tool in tools):
        return False
    modules = set(application.modules) - BUILTIN
    started = {BINS.get(c.name, c.name) for c in application.start.commands if c.name}
    unfit = dropped | (_DEVELOPMENT - (kept & _SELF_CONTAINED))
    if not modules <= kept or (modules | started) & unfit or (dropped & _DRIVERS and modules & _DATABASE_LAYERS):
        return False
    texts = [context.read_text(file) or "" for file in application.files]
    return not any(f"{quote}{name}{quote}" in text for text in texts for name in dropped for quote in "\"'`")


def leaves_out_development(model: Model, position: int, call: Call) -> bool:
    """Whether an install leaves development dependencies out by itself."""
    options = call.options
    production = model.before(position).lookup("NODE_ENV") == "production" and "--include" not in options
    return production or bool(options & {"--omit", "--production", "--prod", "--only", "-P"})


def install_scripts_use(package: PackageJson) -> set[str]:
    """The development dependencies that scripts of the project's own install start."""
    commands = [c for name in package.install_scripts for c in parse_script(package.scripts[name]).commands]
    words = {BINS.get(word.value, word.value) for c in commands for word in c.words if word.value is not None}
    return words & {*package.dev_dependencies}


def can_leave_out(model: Model, root: PackageJson, install: Install) -> bool:
    """Whether an install can be told to leave development dependencies out and installs the same otherwise."""
    context, call = model.context, install.call
    assert context is not None
    if install_scripts_use(root) and "--ignore-scripts" not in call.options:
        return False
    locks = lock_files(context, root.folder)
    match call.ecosystem:
        case "npm":
            return not install.locked or lock_suffices(context, root.folder)
        case "yarn":
            version = re.match(r"yarn@(\d+)", root.package_manager or "")
            modern = context.exists(posixpath.join(root.folder, ".yarnrc.yml")) or (version is not None and int(version[1]) > 1)
            focuses = version is not None and int(version[1]) > 3 and not plug_and_play(context, root)
            return bool(locks) and (focuses if modern else True) and ("--immutable" in call.options) == modern
    return bool(locks)
