"""What the ``go build`` and ``go install`` commands of a stage make, and where they put it.

Source: "go help build" and "go help install"; the name of a program without ``-o`` is that of its package's folder or module.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from optimizer.context.golang import GoModule, go_module, go_sources
from optimizer.context.make_command import make_command
from optimizer.context.make_recipes import make_commands
from optimizer.context.makefile import MAKEFILES, UNKNOWN, find_makefile
from optimizer.context.scripts import script_text, shebang, unrolled
from optimizer.ecosystems import Action, Call, read_call
from optimizer.ecosystems.base import Arguments, read_arguments
from optimizer.ecosystems.golang import VALUED
from optimizer.model.called_script import called_script
from optimizer.model.model import Model, Stage
from optimizer.model.paths import build_folder, context_path, is_folder
from optimizer.model.state import ROOT_USERS, State
from optimizer.syntax.shell import Command, Script, Word, parse_script

_VERSION = re.compile(r"v\d+$")
_MAYBE = frozenset({"case", "function", "while"})  # what a construct of the shell holds may not run
_DEPTH = 3  # of make and scripts that run others


class GoBuild(Struct, frozen=True):
    """One command that makes programs.

    Args:
        position: Index of its RUN.
        command: The command in the RUN's script, None where the RUN is in exec form, or a Makefile, a script or a loop runs it.
        options: Its options with their values.
        environment: The variables it sees that the Dockerfile or the command sets.
        outputs: The programs it makes, absolute paths in the image; empty when that cannot be told.
        module: The module or folder that is built, None when it is not of the build context.
        folder: Where the module lies in the image.
        tool: It installs a program of another project (``go install …@version``).
        programs: The folders of the context with the programs' packages, None where these are not known.
    """

    position: int
    command: Command | None
    options: tuple[tuple[str, str | None], ...]
    environment: Mapping[str, str | None]
    outputs: tuple[str, ...]
    module: GoModule | None
    folder: str | None
    tool: bool
    programs: tuple[str, ...] | None = None

    def option(self, name: str) -> str | None:
        """The value of the last option of that name, None when it is not given."""
        return next((value or "" for key, value in reversed(self.options) if key.lstrip("-") == name), None)

    @property
    def cgo(self) -> str | None:
        """The value of CGO_ENABLED, None when nothing sets it."""
        return self.environment.get("CGO_ENABLED")


class GoSteps(Struct, frozen=True):
    """What a stage's RUN instructions do. builds: the commands that make Go programs, in order; others: all other commands
    with what make and scripts of the project run in their place, where that is seen."""

    builds: tuple[GoBuild, ...]
    others: tuple[Command, ...]


def go_builds(model: Model, stage: Stage) -> tuple[GoBuild, ...]:
    """The commands of a stage that make Go programs, in order."""
    return go_steps(model, stage).builds


def go_steps(model: Model, stage: Stage) -> GoSteps:
    """What the RUN instructions of a stage do, those understood; kept with the model, since several passes ask."""
    kept: dict[int, GoSteps] = model.__dict__.setdefault("_go_steps", {})
    if stage.index not in kept:
        kept[stage.index] = _steps(model, stage)
    return kept[stage.index]


def _steps(model: Model, stage: Stage) -> GoSteps:
    builds: list[GoBuild] = []
    others: list[Command] = []
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword != "RUN":
            continue
        script = node.script if node.json is None else parse_script(_quoted(node.json))
        if script is None or not script.understood:
            continue
        text = unrolled(script.text)
        edited = text == script.text and node.json is None
        reader = _Reader(model, stage, position, as_written=edited)
        reader.read(script if edited else parse_script(text))
        builds += reader.builds
        others += reader.others
    return GoSteps(tuple(_narrowed(model, build, builds) for build in builds), tuple(others))


def _narrowed(model: Model, build: GoBuild, builds: list[GoBuild]) -> GoBuild:
    """A build whose module holds only the packages that the programs built from it import."""
    module, context = build.module, model.context
    together = [other for other in builds if other.module is not None and module is not None and other.module.folder == module.folder]
    known = [folder for other in together for folder in other.programs or ()]
    if module is None or context is None or any(other.programs is None for other in together):
        return build
    stamped = frozenset(name for other in together for name in _stamped(other.options, other.environment))
    read = go_module if context.exists(posixpath.join(module.folder, "go.mod")) else go_sources
    return replace(build, module=read(context, module.folder, stamped, _found_by_program(model), known))


def _found_by_program(model: Model) -> dict[str, str | None]:
    """The variables that a container of the final stage has, and the flags that its command gives, with a dash in front.

    A flag that a script of the context mentions has a value that is not known.
    """
    image, context = model.final.image, model.context
    found: dict[str, str | None] = {**(image.env if image is not None else {}), **model.behind(model.final).env}
    for path in context.files() if context is not None else ():
        if path.endswith(".sh") or "." not in posixpath.basename(path):
            text = script_text(context, path) if context is not None else None
            found |= dict.fromkeys(f"-{name}" for name in re.findall(r"(?<![\w-])--?([A-Za-z][\w.-]*)", text or "") if shebang(text or ""))
    for keyword in ("ENTRYPOINT", "CMD"):
        position = model.last(model.final, keyword)
        node = model.file.instruction(position) if position is not None else None
        commands = node.script.commands if node is not None and node.json is None and node.script is not None else ()
        for words in [node.json] if node is not None and node.json is not None else [command.argv for command in commands]:
            for word, following in zip(words, (*words[1:], None), strict=True):
                flag = re.match(r"--?([A-Za-z][\w.-]*)(?:=(.*))?$", word or "")
                if flag is not None:
                    found[f"-{flag[1]}"] = flag[2] if flag[2] is not None else following
    return found


def _quoted(words: tuple[str, ...]) -> str:
    import shlex

    return shlex.join(words)


class _Reader:
    """Reads the commands of one RUN in order, following ``cd`` and ``export``. as_written: they stand so in the Dockerfile."""

    def __init__(self, model: Model, stage: Stage, position: int, *, as_written: bool, depth: int = 0) -> None:
        self.model, self.stage, self.position, self.as_written, self.depth = model, stage, position, as_written, depth
        self.builds: list[GoBuild] = []
        self.others: list[Command] = []
        state = model.before(position)
        self.cwd = state.workdir
        self.root = state.user in (None, *ROOT_USERS)
        image = dict(stage.image.env) if stage.image is not None else {}
        self.environment: dict[str, str | None] = {**image, **state.args, **state.env}

    def read(self, script: Script) -> None:
        for command, enclosing in script.walk():
            argv = command.argv
            if command.name == "cd" and len(argv) == 2:
                target = argv[1] if argv[1] is not None else self.expanded(None, command.words[1].text)
                known = target is not None and self.cwd is not None
                self.cwd = posixpath.normpath(posixpath.join(self.cwd or "", target or "")) if known else None
            elif command.name == "export" or not command.words:
                self.environment.update({name: self.assigned(value) for name, value in command.assignments})
                given = [self.expanded(w.value, w.text) for w in command.words[1:] if "=" in w.text]
                self.environment.update(dict(text.split("=", 1) for text in given if text is not None))
            call = read_call(command)
            if call is not None and call.ecosystem == "go" and call.action is Action.BUILD:
                build = self.build(command, call)
                self.builds.append(replace(build, outputs=()) if _MAYBE & set(enclosing) else build)
            elif not self.followed(command):
                self.others.append(command)

    def followed(self, command: Command) -> bool:
        """Whether what a command runs in its turn is seen, and read in its place."""
        if self.depth >= _DEPTH or self.cwd is None or not command.words:
            return False
        words = [self.expanded(word.value, word.text) for word in command.words]
        assigned = {name: self.assigned(value) for name, value in command.assignments}
        if command.name in ("make", "gmake"):
            return self.made(words, assigned)
        called = called_script(self.model, self.stage, words, self.cwd, self.position)
        if called is None or not called.script.understood:
            return False
        self.inner(self.cwd, assigned).read(called.script)
        return True

    def inner(self, folder: str, environment: Mapping[str, str | None]) -> _Reader:
        """A reader of what a command runs in its turn, which tells this one what it finds."""
        reader = _Reader(self.model, self.stage, self.position, as_written=False, depth=self.depth + 1)
        reader.cwd, reader.environment = folder, {**self.environment, **environment}
        reader.builds, reader.others = self.builds, self.others
        return reader

    def made(self, argv: list[str | None], assigned: Mapping[str, str | None]) -> bool:
        """Read the commands that make runs for its goals."""
        words = make_command(argv)
        context = self.model.context
        if words is None or self.cwd is None or context is None:
            return False
        folder = posixpath.normpath(posixpath.join(self.cwd, words.folder))
        names = (words.makefile,) if words.makefile is not None else MAKEFILES
        inside = build_folder(self.model, self.stage, folder, names, self.position)
        environment = {name: value for name, value in {**self.environment, **assigned}.items() if value is not None}
        makefile = find_makefile(context, inside, words.makefile, words.given, environment) if inside is not None else None
        lines = make_commands(context, makefile, words.goals) if makefile is not None else None
        if makefile is None or lines is None:
            return False
        exported = {name: makefile.variables.get(name) for name in makefile.exported}
        for line in lines:
            script = parse_script(unrolled(line).replace(UNKNOWN, "$(unknown)"))
            if not script.understood:
                return False
            self.inner(folder, {**assigned, **exported, **words.given}).read(script)
        return True

    def build(self, command: Command, call: Call) -> GoBuild:
        words = command.words
        start = next(i for i, word in enumerate(words) if (word.value or "").rpartition("/")[2] == "go") + 1
        arguments = read_arguments(words[start:], frozenset({"build", "install"}), VALUED)
        prefixed = [w.value for w in words[: start - 1] if w.value is not None and "=" in w.value]  # env CGO_ENABLED=0 go build
        environment = dict(self.environment)
        environment.update({name: self.assigned(value) for name, value in command.assignments})
        environment.update(dict(text.split("=", 1) for text in prefixed))
        options = tuple((name, self.value(value)) for name, value in arguments.options)
        operands = [self.expanded(word.value, word.text) for word in arguments.operands]
        tool = any(name is not None and "@" in name for name in operands)
        cwd = self.cwd
        changed = next((value for name, value in options if name.lstrip("-") == "C"), None)
        if changed is not None and cwd is not None:
            cwd = posixpath.normpath(posixpath.join(cwd, changed))
        module = self.module(cwd, _stamped(options, environment))
        folder = self.folder(cwd, module)
        outputs: tuple[str, ...] = ()
        if cwd is not None and call.verb is not None and None not in operands:
            names = [name for name in operands if name is not None]
            outputs = self.outputs(call.verb.value or "", arguments, options, names, cwd, module, environment)
        programs = self.programs(operands, cwd, module) if module is not None and cwd is not None and not tool else None
        return GoBuild(
            self.position, command if self.as_written else None, options, environment, outputs, None if tool else module, folder, tool,
            programs,
        )  # fmt: skip

    def value(self, text: str | None) -> str | None:
        return text if text is None or "$" not in text else (self.expanded(None, text) or text)

    def expanded(self, value: str | None, text: str) -> str | None:
        """The value of a word, its text expanded with the variables that the command sees where it is not plain."""
        if value is not None or re.search(r"\$[(@*?#!$0-9]|`", text):
            return value
        return State(env=self.environment).expand(text)

    def assigned(self, word: Word | None) -> str | None:
        return "" if word is None else self.expanded(word.value, word.text)

    def module(self, cwd: str | None, stamped: frozenset[str]) -> GoModule | None:
        """The module around a folder of the image, else the folder's own source. stamped: variables that the linker sets."""
        context = self.model.context
        inside = self.inside(cwd) if cwd is not None else None
        if inside is None or context is None:
            return None
        folder = inside
        found = _found_by_program(self.model)
        while True:
            if context.exists(posixpath.join(folder, "go.mod")):
                return go_module(context, folder, stamped, found)
            if folder in ("", "."):
                break
            folder = posixpath.dirname(folder) or "."
        return go_sources(context, inside, stamped, found) if any(f.endswith(".go") for f in context.under(inside)) else None

    def inside(self, cwd: str) -> str | None:
        """The folder of the context that is copied to a folder of the image, as a whole or file by file."""
        whole = context_path(self.model, self.stage, cwd, self.position, must_exist=False)
        return whole if whole is not None else build_folder(self.model, self.stage, cwd, ("go.mod",), self.position)

    def folder(self, cwd: str | None, module: GoModule | None) -> str | None:
        """Where the module lies in the image."""
        if cwd is None or module is None:
            return None
        inside = self.inside(cwd) or "."
        step = posixpath.relpath(module.folder, inside)
        return posixpath.normpath(posixpath.join(cwd, step))

    def outputs(
        self,
        verb: str,
        arguments: Arguments,
        options: tuple[tuple[str, str | None], ...],
        operands: list[str],
        cwd: str,
        module: GoModule | None,
        environment: Mapping[str, str | None],
    ) -> tuple[str, ...]:
        names = self.names(operands, cwd, module)
        given = next((value for name, value in options if name.lstrip("-") == "o"), None)
        if any(name.lstrip("-") == "o" for name, _ in options):
            if given is None or "$" in given:
                return ()
            target = posixpath.normpath(posixpath.join(cwd, given))
            if given.endswith("/") or given in (".", "..") or is_folder(self.model, self.stage, target, self.position):
                return tuple(posixpath.join(target, name) for name in names)
            context_folder = context_path(self.model, self.stage, target, self.position)
            if context_folder is not None and self.model.context is not None and self.model.context.is_dir(context_folder):
                return tuple(posixpath.join(target, name) for name in names)
            return (target,)
        if verb == "build":
            return (posixpath.join(cwd, names[0]),) if len(names) == 1 else ()
        place = environment.get("GOBIN")
        if place is None:
            path = environment.get("GOPATH", f"{environment.get('HOME') or '/root'}/go" if self.root else None)
            place = posixpath.join(path.split(":")[0], "bin") if path else None
        return tuple(posixpath.join(place, name) for name in names) if place else ()

    def names(self, operands: list[str], cwd: str, module: GoModule | None) -> list[str]:
        """The names of the programs that packages give."""
        if not operands:
            operands = ["."]
        sources = [name for name in operands if name.endswith(".go")]
        if sources:
            return [posixpath.splitext(posixpath.basename(sources[0]))[0]]
        found: list[str] = []
        for name in operands:
            if "@" in name:
                found.append(_base(name.partition("@")[0]))
            elif name.endswith("...") and module is not None:
                found += [self.name_of(folder, cwd, module) for folder in module.main_packages if self.below(folder, name, cwd)]
            elif name.endswith("..."):
                return []
            elif name.startswith("."):
                found.append(self.name_of(None, posixpath.normpath(posixpath.join(cwd, name)), module))
            else:
                found.append(_base(name))
        return found

    def programs(self, operands: list[str | None], cwd: str, module: GoModule) -> tuple[str, ...] | None:
        """The folders of the context with the packages that operands name, None where that is not known."""
        found: list[str] = []
        for name in operands or ["."]:
            if name is not None and name.endswith("..."):
                found += [folder for folder in module.main_packages if self.below(folder, name, cwd)]
                continue
            own = module.path is not None and name is not None and f"{name}/".startswith(f"{module.path}/")
            if name is None or not (own or name.startswith(".") or name.endswith(".go")):
                return None
            place = posixpath.normpath(posixpath.join(cwd, posixpath.dirname(name) if name.endswith(".go") else name))
            inside = posixpath.join(module.folder, name[len(module.path or "") + 1 :]) if own else self.inside(place)
            if inside is None:
                return None
            found.append(posixpath.normpath(inside))
        return tuple(found)

    def below(self, folder: str, pattern: str, cwd: str) -> bool:
        inside = self.inside(cwd) or "."
        base = posixpath.normpath(posixpath.join(inside, pattern.removesuffix("...").rstrip("/") or "."))
        return base == "." or folder == base or folder.startswith(f"{base}/") or not pattern.startswith(".")

    def name_of(self, folder: str | None, place: str, module: GoModule | None) -> str:
        """The name of the program of a package: by its folder in the context, or the image path `place` where that is None."""
        inside = folder if folder is not None else context_path(self.model, self.stage, place, self.position, must_exist=False)
        if module is not None and module.path is not None and inside is not None and posixpath.normpath(inside) == module.folder:
            return _base(module.path)
        return posixpath.basename(place if folder is None else folder)


def _stamped(options: Iterable[tuple[str, str | None]], environment: Mapping[str, str | None]) -> frozenset[str]:
    """The names of the variables that ``-ldflags "-X main.name=value"`` sets."""
    texts = [value or "" for name, value in options if name.lstrip("-") == "ldflags"] + [environment.get("GOFLAGS") or ""]
    return frozenset(name for text in texts for name in re.findall(r"-X[ =]*['\"]?[\w./~-]*\.(\w+)=", text))


def _base(path: str) -> str:
    """The last part of an import path that is no major version."""
    parts = path.rstrip("/").split("/")
    return parts[-2] if len(parts) > 1 and _VERSION.fullmatch(parts[-1]) else parts[-1]
