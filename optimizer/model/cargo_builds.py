"""The programs that calls of Cargo in a stage make, and where they lie.

Source: the Cargo book, "Build cache" (the target folder), "cargo install" (where it installs to), "Cargo targets" (names).
"""

from __future__ import annotations

import posixpath
import tomllib
from typing import Any

from msgspec import Struct

from optimizer.context.folder import BuildContext
from optimizer.ecosystems import Call, read_call, unwrapped
from optimizer.ecosystems.cargo import arguments_of
from optimizer.model.model import Model, Stage
from optimizer.model.paths import build_folder, context_path
from optimizer.syntax import Instruction
from optimizer.syntax.shell import Command

_PROFILES = {"dev": "debug", "test": "debug", "bench": "release"}
_OTHERS = frozenset({"-C", "--config", "--lib", "--example", "--examples"})
"""Options with which Cargo works in another folder, or makes no program."""


class CargoBuild(Struct, frozen=True):
    """One call of Cargo that makes programs.

    position: the RUN; call: what was read of it; outputs: the programs, absolute paths, None where they are not known.
    """

    position: int
    call: Call
    outputs: tuple[str, ...] | None


class CargoBuilds(Struct, frozen=True):
    """What Cargo makes in a stage.

    calls: in order; copies: programs that RUN instructions put in other places, behind the call that makes them.
    """

    calls: tuple[CargoBuild, ...]
    copies: tuple[str, ...]

    @property
    def programs(self) -> tuple[str, ...]:
        """The paths at which programs lie."""
        return tuple(dict.fromkeys((*(path for build in self.calls for path in build.outputs or ()), *self.copies)))


def cargo_builds(model: Model, stage: Stage) -> CargoBuilds:
    """What the RUN instructions of a stage make with Cargo."""
    calls = []
    for position in stage.positions:
        calls += [CargoBuild(position, call, _made(model, stage, position, call)) for call in _calls(model.file.instruction(position))]
    return CargoBuilds(tuple(calls), _copies(model, stage, [path for build in calls for path in build.outputs or ()]))


def _calls(node: Instruction) -> list[Call]:
    """The calls of Cargo that make programs of the project."""
    script = node.script if node.keyword == "RUN" else None
    calls = [read_call(c) for c in script.commands] if script is not None and script.understood else []
    return [c for c in calls if c is not None and c.ecosystem == "cargo" and _makes_program(c)]


def _makes_program(call: Call) -> bool:
    verb = call.verb.value if call.verb else None
    return verb in ("build", "b") or (verb == "install" and "--path" in call.options)


def _entered(folder: str | None, command: Command) -> str | None:
    """The folder behind a command that may be ``cd``."""
    if command.name != "cd" or folder is None:
        return folder
    target = command.argv[1] if len(command.argv) > 1 else None
    return posixpath.normpath(posixpath.join(folder, target)) if target is not None else None


def _made(model: Model, stage: Stage, position: int, call: Call) -> tuple[str, ...] | None:
    """The programs that a call makes, as absolute paths."""
    found = arguments_of(unwrapped(call.command))
    node = model.file.instruction(position)
    state = model.before(position)
    folder = state.workdir
    commands = node.script.commands if node.script is not None else ()
    for command in commands[: commands.index(call.command)]:
        folder = _entered(folder, command)
    if found is None or folder is None or not call.complete or call.options & _OTHERS or model.context is None:
        return None
    place = next(iter(found.values("--path", "--manifest-path")), ".").removesuffix("Cargo.toml") or "."
    project = posixpath.normpath(posixpath.join(folder, place))
    whole_folder = context_path(model, stage, project, position)
    inside = whole_folder if whole_folder is not None else build_folder(model, stage, project, ("Cargo.toml",), position)
    whole = bool(call.options & {"--workspace", "--all"})
    names = _binaries(model.context, inside, found.values("-p", "--package"), whole=whole) if inside is not None else []
    names = [n for n in names if not found.values("--bin") or n in found.values("--bin")]
    if call.verb is not None and call.verb.value == "install":
        home = stage.image.env.get("CARGO_HOME") if stage.image is not None else None
        root = next(
            iter(found.values("--root")), state.env.get("CARGO_INSTALL_ROOT") or state.env.get("CARGO_HOME") or home or "/root/.cargo"
        )
        return tuple(posixpath.normpath(posixpath.join(folder, root, "bin", name)) for name in names)
    profile = next(iter(found.values("--profile")), "release" if call.options & {"--release", "-r"} else "debug")
    target = next(iter(found.values("--target-dir")), state.env.get("CARGO_TARGET_DIR") or "target")
    triple = next(iter(found.values("--target")), state.env.get("CARGO_BUILD_TARGET") or "")
    base = posixpath.normpath(posixpath.join(folder, target, triple, _PROFILES.get(profile, profile)))
    return tuple(posixpath.join(base, name) for name in names)


def _copies(model: Model, stage: Stage, made: list[str]) -> tuple[str, ...]:
    """Where ``cp``, ``mv`` and ``install`` put programs that Cargo made."""
    found: list[str] = []
    for position in stage.positions:
        node = model.file.instruction(position)
        folder = model.before(position).workdir
        for command in node.script.commands if node.keyword == "RUN" and node.script is not None else ():
            folder = _entered(folder, command)
            if command.name not in ("cp", "mv", "install") or folder is None:
                continue
            words = [w.value for w in command.words[1:]]
            if command.name == "install" and "-m" in words[:-1]:
                del words[words.index("-m") + 1]
            plain = [w for w in words if w is None or not w.startswith("-")]
            if len(plain) < 2 or None in plain:
                continue
            paths = [posixpath.normpath(posixpath.join(folder, w or "")) for w in plain]
            *sources, target = paths
            into = len(sources) > 1 or (plain[-1] or "").endswith(("/", ".")) or posixpath.basename(target) in ("bin", "sbin")
            taken = [source for source in sources if source in made or source in found]
            found += [posixpath.join(target, posixpath.basename(source)) if into else target for source in taken]
    return tuple(dict.fromkeys(found))


def _binaries(context: BuildContext, folder: str, packages: tuple[str, ...], *, whole: bool) -> list[str]:
    """The names of the programs that a build in a folder makes. packages: those named; whole: all of the workspace.

    Source: "Package selection" in the manual page cargo-build(1).
    """
    data = _manifest(context, folder)
    workspace = data.get("workspace", {})
    chosen = workspace.get("members", ()) if whole or packages else workspace.get("default-members", workspace.get("members", ()))
    excluded = {posixpath.normpath(posixpath.join(folder, str(path))) for path in workspace.get("exclude", ())}
    members = [path for member in chosen for path in context.match(posixpath.join(folder, str(member))) if path not in excluded]
    if "package" in data and not (whole or packages):
        members = []  # without options, the package in the folder alone
    found = []
    for place in dict.fromkeys([folder, *members]):
        manifest = _manifest(context, place)
        if not packages or str(manifest.get("package", {}).get("name")) in packages:
            found += _of_package(context, place, manifest)
    return list(dict.fromkeys(found))


def _manifest(context: BuildContext, folder: str) -> dict[str, Any]:
    try:
        return tomllib.loads(context.read_text(posixpath.normpath(posixpath.join(folder, "Cargo.toml"))) or "")
    except tomllib.TOMLDecodeError:
        return {}


def _of_package(context: BuildContext, folder: str, manifest: dict[str, Any]) -> list[str]:
    """The names of the programs of one package, those left out that ask for a feature. Source: "Cargo Targets" in the Cargo book."""
    package = manifest.get("package", {})
    if "name" not in package:
        return []
    name = str(package["name"])
    binaries = [each for each in manifest.get("bin", ()) if isinstance(each, dict)]
    barred = {str(each.get("name", name)) for each in binaries if each.get("required-features")}
    found = [str(each.get("name", name)) for each in binaries]
    taken = {posixpath.normpath(str(each.get("path", ""))) for each in binaries}
    automatic = package.get("autobins") is not False
    if automatic and context.exists(posixpath.join(folder, "src/main.rs")) and "src/main.rs" not in taken:
        found.append(name)
    for file in context.under(posixpath.join(folder, "src/bin")) if automatic else ():
        relative = posixpath.relpath(file, posixpath.join(folder, "src/bin"))
        stem = relative.removesuffix("/main.rs" if relative.count("/") == 1 else ".rs")
        if stem != relative and "/" not in stem and f"src/bin/{relative}" not in taken:
            found.append(stem)
    return [each for each in dict.fromkeys(found) if each not in barred]
