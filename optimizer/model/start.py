"""What a container starts: ENTRYPOINT and CMD followed through shells, scripts of the context and package.json."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from optimizer.context.javascript import PackageJson, package_json
from optimizer.context.scripts import placed_script, script_text, shebang
from optimizer.ecosystems.conda_run import activates
from optimizer.model.entries import Files, Found, compiled_language
from optimizer.model.expansion import ALL_ARGUMENTS, expanded, redirected, value_of
from optimizer.model.launch import (
    LANGUAGES,
    MANAGERS,
    NODE,
    PYTHON,
    PYTHON_SERVERS,
    PYTHON_TOOLS,
    SHELLS,
    Argv,
    Target,
    node_target,
    option,
    python_target,
    server_target,
    unwrap,
)
from optimizer.model.model import Model, Stage
from optimizer.model.paths import origin_of
from optimizer.model.runners import is_runner, started_together
from optimizer.model.started import Start, Started
from optimizer.syntax.shell import Command, Script, parse_script

_DEPTH = 12  # of scripts that start scripts
_BUILTINS = frozenset({
    ":", "[", "[[", "alias", "bg", "break", "cd", "continue", "declare", "echo", "exit", "export", "false", "fg", "getopts", "hash",
    "jobs", "kill", "let", "local", "popd", "printf", "pushd", "pwd", "read", "readonly", "return", "set", "shift",
    "shopt", "sleep", "test", "times", "trap", "true", "type", "typeset", "ulimit", "umask", "unalias", "unset", "wait",
})  # fmt: skip
_MEMBER = ("--filter", "-F", "--workspace", "-w")  # options that run a script of a workspace's member
_NO_SCRIPTS = frozenset({None, "install", "add", "exec", "dlx", "node", "workspace", "workspaces"})


def start_of(model: Model, stage: Stage) -> Start | None:
    """What a container of a stage starts; None when the Dockerfile says nothing of it (neither CMD nor ENTRYPOINT)."""
    entry, command = model.last(stage, "ENTRYPOINT"), model.last(stage, "CMD")
    if entry is None and command is None:
        return None
    if entry is not None and command is not None and model.stage_of(command) != model.stage_of(entry) and command < entry:
        command = None  # ENTRYPOINT takes away a CMD from below
    return _Reader(model, stage).read(entry, command)


def healthcheck_of(model: Model, stage: Stage) -> Start | None:
    """What the HEALTHCHECK of a stage runs; None when it has none, or NONE."""
    position = model.last(stage, "HEALTHCHECK")
    if position is None or model.file.instruction(position).value.strip().upper() == "NONE":
        return None
    return _Reader(model, stage).read_healthcheck(position)


@dataclass
class _Reader:
    model: Model
    stage: Stage
    commands: list[Started] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    installed: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    running: list[tuple[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        state = self.model.behind(self.stage)
        self.workdir = state.workdir
        known = self.stage.image.env if self.stage.image is not None else {}
        self.environment: dict[str, str | None] = {**known, **state.env}
        self.files = Files(self.model, self.stage, self.environment)

    def read(self, entry: int | None, command: int | None) -> Start:
        image = self.stage.image
        words, cmd_script = self._words(command)
        first, script = self._words(entry)
        if entry is not None:
            if script is not None:
                self.script(script, "ENTRYPOINT", self.workdir, ())
            elif image is not None and first == image.entrypoint and image.passes_on:
                self._run_cmd(words, cmd_script)
            else:
                self.run((*first, *words), "ENTRYPOINT" if first else "CMD", self.workdir)
        elif image is None or (image.entrypoint is None and not image.passes_on):
            self.unknown.append("the ENTRYPOINT of the base image is not known")
            self._run_cmd(words, cmd_script)
        elif image.entrypoint and not image.passes_on:
            inner = ("/bin/sh", "-c", cmd_script.text) if cmd_script is not None else words
            self.run((*image.entrypoint, *inner), "CMD", self.workdir)
        else:
            if image.family == "node" and words and words[0] is not None and re.search(r"^-|\.[cm]?js$", words[0]):
                words = ("node", *words)
            self._run_cmd(words, cmd_script)
        return self._result()

    def read_healthcheck(self, position: int) -> Start:
        words, script = self._words(position)
        if script is not None:
            self.script(script, "HEALTHCHECK", self.workdir, ())
        elif words:
            self.run(words, "HEALTHCHECK", self.workdir)
        return self._result()

    def _result(self) -> Start:
        languages = tuple(dict.fromkeys(self.languages))
        language = languages[-1] if languages else None
        return Start(
            tuple(self.commands), language, tuple(dict.fromkeys(self.entries)), tuple(dict.fromkeys(self.scripts)),
            tuple(dict.fromkeys(self.unknown)), tuple(dict.fromkeys(self.installed)), tuple(dict.fromkeys(self.renamed)),
        )  # fmt: skip

    def _words(self, position: int | None) -> tuple[Argv, Script | None]:
        """The words of an exec form, or the script of a shell form and the words it is given to a program as."""
        if position is None:
            return (), None
        node = self.model.file.instruction(position)
        if node.json is not None or node.script is None:
            return node.json or (), None
        shell = self.model.before(position).shell
        return (*shell, node.script.text), node.script

    def _run_cmd(self, words: Argv, script: Script | None) -> None:
        if script is not None:
            self.script(script, "CMD", self.workdir, ())
        elif words:
            self.run(words, "CMD", self.workdir)

    def script(self, script: Script, source: str, folder: str | None, arguments: Argv) -> None:
        """Every command of a shell text. arguments: what ``$@`` stands for."""
        if (source, script.text) in self.running or len(self.running) > _DEPTH:
            return
        if not script.understood:
            self.unknown.append(f"{source} is not understood as a shell script")
            return
        self.running.append((source, script.text))
        functions = set(re.findall(r"^\s*(?:function\s+)?([\w-]+)\s*\(\)", script.text, re.MULTILINE))
        variables = dict(self.environment)
        variants = [arguments]
        for command, enclosing in script.walk():
            if not command.words:
                for variable, value in command.assignments:
                    variables[variable] = value_of(value.text, variables) if value and not value.substitutions else None
                self._note_writes(command, source, folder, variables)
                continue
            name = command.name
            if name == "export":
                for word in command.words[1:]:
                    key, sign, given_value = word.text.partition("=")
                    if sign:
                        variables[key] = None if word.substitutions else value_of(given_value, variables)
            elif name == "cd" and not {"subshell", "$("} & set(enclosing):
                target = value_of(command.words[1].text, variables) if len(command.words) > 1 else None
                folder = posixpath.normpath(posixpath.join(folder or "", target)) if target is not None else None
                folder = folder if folder is not None and folder.startswith("/") else None
            elif name == "set" and len(command.words) > 1 and command.words[1].text == "--":
                variants += [expanded(command, variables, old)[2:] for old in variants[:1]]
            if name in (".", "source"):
                self._source(command, source, folder, variables)
            elif name in _BUILTINS or name in functions or activates(command.argv) is not None:
                self._note_writes(command, source, folder, variables)
            elif name == "eval":
                self.unknown.append(f"{source} evaluates a computed text")
            else:
                for given in dict.fromkeys(variants) if any(w.text in ALL_ARGUMENTS for w in command.words) else variants[:1]:
                    words = expanded(command, variables, given)
                    if words and words != ("exec",):
                        self.run(words, source, folder, redirected(command, folder, variables))
        self.running.pop()

    def _note_writes(self, command: Command, source: str, folder: str | None, variables: dict[str, str | None]) -> None:
        writes = redirected(command, folder, variables)
        if writes:
            self.commands.append(Started(command.argv, source, folder, writes))

    def _source(self, command: Command, source: str, folder: str | None, variables: dict[str, str | None]) -> None:
        path = value_of(command.words[1].text, variables) if len(command.words) > 1 else None
        if path is not None and re.search(r"/bin/activate$|^/etc/(profile|bash)|/etc/profile\.d/conda\.sh$", path):
            return
        if activates(command.argv) is not None:
            return
        if "/etc/conda/activate.d/" in str(self.running[-1][1]):
            return  # packages of conda set variables there
        inside = self.files.find(path, folder) if path is not None else None
        text = script_text(self.model.context, inside) if inside is not None and self.model.context is not None else None
        if text is None or inside is None:
            self.unknown.append(f"{source} takes in a script that is not in the build context: {path or command.words[-1].text}")
        else:
            self.scripts.append(inside)
            self.script(parse_script(text.replace("\r\n", "\n")), inside, folder, ())

    def run(self, words: Argv, source: str, folder: str | None, writes: tuple[str | None, ...] = ()) -> None:
        """One command, and what it leads to."""
        if not words or len(self.commands) > 200:
            return
        started = Started(words, source, folder, writes)
        if started.words[:1] not in (("exec",), ("command",)):
            self.commands.append(started)
        name = started.name
        if name is None:
            self.unknown.append(f"{source} starts a program that is known only at run time")
            return
        inner = unwrap(words)
        if inner is not None:
            if inner:
                self.run(inner, source, folder)
        elif is_runner(name):
            package = self._package(folder)
            texts = started_together(words, package.scripts if package is not None else ())
            if texts is None:
                self.unknown.append(f"which scripts {name} starts is not known")
            for one in texts or ():
                self.script(parse_script(one), source, folder, ())
        elif name == "su":
            given, text = option(words[1:], "-c", "--command")
            if given and text is not None:
                self.script(parse_script(text), source, folder, ())
        elif name in SHELLS:
            self._shell(words, source, folder)
        elif name in MANAGERS and self._manager(name, words[1:], source, folder):
            return
        else:
            self._program(name, words, source, folder)

    def _shell(self, words: Argv, source: str, folder: str | None) -> None:
        index = 1
        while index < len(words) and (words[index] or "").startswith("-"):
            if re.fullmatch(r"-[a-z]*c", words[index] or ""):
                text = words[index + 1] if index + 1 < len(words) else None
                if text is None:
                    self.unknown.append(f"{source} gives a shell a computed text")
                else:
                    self.script(parse_script(text), source, folder, words[index + 3 :])
                return
            index += 2 if words[index] in ("-o", "+o") else 1
        if index < len(words):
            path = words[index]
            if path is None or not self._script_file(path, source, folder, words[index + 1 :]):
                self.unknown.append(f"{source} runs a script that is not in the build context: {path or '…'}")

    def _script_file(self, path: str, source: str, folder: str | None, arguments: Argv) -> bool:
        """Follow a shell script; whether it is one of the context."""
        inside = self.files.script(path, folder)
        text = script_text(self.model.context, inside) if inside is not None and self.model.context is not None else None
        if inside is None or text is None:
            return False
        self.scripts.append(inside)
        place = posixpath.normpath(posixpath.join(folder or "", path))
        text = placed_script(text, posixpath.dirname(place)) if place.startswith("/") else text
        self.script(parse_script(text.replace("\r\n", "\n")), inside, folder, arguments)
        return True

    def _manager(self, name: str, words: Argv, source: str, folder: str | None) -> bool:
        """A script of package.json; whether the command is the run of one."""
        if option(words, *_MEMBER)[0] or words[:1] == ("workspace",):
            return self._members(name, words, source, folder)
        given, elsewhere = option(words, "--prefix", "--cwd", "--dir", "-C")
        if given:
            folder = posixpath.join(folder or "", elsewhere) if elsewhere is not None else None
            words = tuple(w for w in words if w != elsewhere)
        plain = [w for w in words if w is None or not w.startswith("-")]
        verb = plain[0] if plain else None
        if verb in ("run", "run-script") and len(plain) > 1:
            script = plain[1]
        elif verb == "start" or (name in ("yarn", "pnpm", "yarnpkg") and verb not in _NO_SCRIPTS):
            script = verb
        else:
            return False
        package = self._package(folder)
        self.languages.append("node")
        if package is None or script is None:
            self.unknown.append(f"{source} runs a script of a package.json that is not found: {name} {' '.join(w or '…' for w in words)}")
            return True
        if script not in package.scripts and script == "start" and name == "npm":
            self.run(("node", "server.js"), "npm start", folder)
        elif script not in package.scripts and name != "npm":
            self.run(tuple(words[words.index(script) :]), source, folder)  # a program of node_modules/.bin
        elif script not in package.scripts:
            self.unknown.append(f"{package.manifest} has no script {script}")
        for hook in (f"pre{script}", script, f"post{script}"):
            if hook in package.scripts:
                self.script(parse_script(package.scripts[hook]), f"{package.manifest} ({hook})", folder, ())
        return True

    def _package(self, folder: str | None) -> PackageJson | None:
        """The package.json of a folder of the image."""
        manifest, context = self.files.find("package.json", folder), self.model.context
        return package_json(context, posixpath.dirname(manifest) or ".") if manifest is not None and context is not None else None

    def _members(self, name: str, words: Argv, source: str, folder: str | None) -> bool:
        """A script of a workspace's member, which runs in the member's folder."""
        from optimizer.context.workspaces import scripts_run

        self.languages.append("node")
        manifest, context = self.files.find("package.json", folder), self.model.context
        known = [word for word in words if word is not None]
        top = posixpath.dirname(manifest or "") or "."
        complete = context is not None and manifest is not None and len(known) == len(words)
        found = scripts_run(context, top, (name, *known)) if complete and context is not None else None
        if found is None or len(found) != 1:
            self.unknown.append(f"{source} runs a script of a workspace that is not found: {name} {' '.join(w or '…' for w in words)}")
            return True
        package, script = found[0]
        place = posixpath.normpath(posixpath.join(folder or "/", posixpath.relpath(package.folder, top)))
        for hook in (f"pre{script}", script, f"post{script}"):
            if hook in package.scripts:
                self.script(parse_script(package.scripts[hook]), f"{package.folder}/package.json ({hook})", place, ())
        return True

    def _program(self, name: str, words: Argv, source: str, folder: str | None) -> None:
        path = words[0] or ""
        if "/" in path and name in LANGUAGES and name not in PYTHON_SERVERS | NODE and self._compiled(path, folder):
            self._own_program(words, source, folder)  # one that the build makes and that shares a name
            return
        if name in LANGUAGES or PYTHON.fullmatch(name):
            self.languages.append(LANGUAGES.get(name, "python"))
        if PYTHON.fullmatch(name):
            target = python_target(words[1:])
            if target.modules and target.modules[0] in PYTHON_SERVERS | PYTHON_TOOLS:
                self.run((target.modules[0], *target.rest), source, folder)
            else:
                self._take(self.files.python(target, folder, module_runs=True), source)
        elif name == "supervisord":
            self._supervisor(words, source, folder)
        elif name in PYTHON_TOOLS:
            from optimizer.model.tool_start import loaded_by  # seldom needed

            self._take(loaded_by(name, words[1:], self.files, folder), source)
        elif name in PYTHON_SERVERS:
            words = self._settings(words, folder) if name == "uwsgi" else words
            self._take(self.files.python(server_target(name, words[1:], self.environment), folder, module_runs=False), source)
            configuration = self.files.find("gunicorn.conf.py", folder) if name == "gunicorn" else None
            self.entries += [configuration] if configuration is not None else []
        elif name == "pm2-runtime" and (text := self._text(node_target(name, words[1:]).configuration, folder)) is not None:
            from optimizer.model.configured import pm2_scripts

            scripts = pm2_scripts(text)
            unknown = f"pm2's configuration {scripts}" if isinstance(scripts, str) else None
            self._take(self.files.node(Target(files=scripts if isinstance(scripts, tuple) else (), unknown=unknown), folder), source)
        elif name == "nodemon" and (text := self._restarted(node_target(name, words[1:]).configuration, folder)) is not None:
            self.script(parse_script(text), source, folder, ())
        elif name in NODE:
            self._take(self.files.node(node_target(name, words[1:]), folder), source)
        elif name == "java":
            jar = option(words[1:], "-jar")[1]
            self.entries += [self.files.entry(jar, folder)] if jar is not None else []
        elif name in LANGUAGES:
            found = [self.files.find(w, folder) for w in words[1:] if w is not None and re.search(r"^[^-].*\.\w+$", w)]
            self.entries += [f for f in found if f is not None][:1]
        else:
            self._own_program(words, source, folder)

    def _restarted(self, settings: str | None, folder: str | None) -> str | None:
        """The shell text that nodemon starts by its settings, where it is given no program."""
        from optimizer.model.configured import nodemon_command

        manifest = self._text("package.json", folder) if settings is not None else None
        return nodemon_command(self._text(settings, folder), manifest) if settings is not None and manifest is not None else None

    def _text(self, path: str | None, folder: str | None) -> str | None:
        """The text of a file of the context at a path of the image."""
        inside = self.files.find(path, folder) if path is not None else None
        return self.model.context.read_text(inside) if inside is not None and self.model.context is not None else None

    def _settings(self, words: Argv, folder: str | None) -> Argv:
        """A call of uWSGI with the settings of its file written out; as it is where they cannot be told."""
        from optimizer.model.configured import uwsgi_words

        named = next((w for w in words[1:] if w is not None and w.endswith(".ini")), None)
        text = self._text(named.removeprefix("--ini=") if named is not None else None, folder)
        found = uwsgi_words(text) if text is not None else "is not in the build context"
        if named is None or isinstance(found, str):
            return words if named is None else (words[0], "uwsgi.ini")
        started = Started((words[0], *found), named, folder)
        self.commands.append(started)
        return started.words

    def _supervisor(self, words: Argv, source: str, folder: str | None) -> None:
        """What supervisord starts by its configuration."""
        from optimizer.model.configured import supervisor

        path = option(words[1:], "-c", "--configuration")[1]
        text = self._text(path, folder)
        if path is None or text is None:
            self.unknown.append(f"{source} starts supervisord by a configuration that is not in the build context")
            return
        found = supervisor(text)
        self.unknown += [f"{path}: {found.unknown}"] if found.unknown is not None else []
        writes = tuple(posixpath.normpath(posixpath.join(folder, w)) if folder is not None else None for w in found.writes)
        options = ("--user", found.user) if found.user is not None else ()
        self.commands.append(Started((*words, *options), path, folder, writes))
        for program in found.programs:
            self.run(program.words, path, program.folder or folder)

    def _take(self, found: Found, source: str) -> None:
        self.entries += found.entries
        self.unknown += [f"{source}: {reason}" for reason in found.unknown]

    def _own_program(self, words: Argv, source: str, folder: str | None) -> None:
        """A program that no table names: a script of the context, a command that the project installs, or what a build makes."""
        program = words[0] or ""
        for place in self.files.program(program, folder):
            inside = self.files.script(place, folder)
            text = script_text(self.model.context, inside) if inside is not None and self.model.context is not None else None
            if inside is None or text is None:
                continue
            interpreter = (shebang(text.replace("\r\n", "\n")) or ("/bin/sh",))[-1].rpartition("/")[2].split(" ")[-1]
            if interpreter in SHELLS:
                self._script_file(place, source, folder, words[1:])
                name = program.rpartition("/")[2]
                self.renamed += [name] if name != inside.rpartition("/")[2] else []
            elif PYTHON.fullmatch(interpreter) or interpreter in (*NODE, "ruby", "php"):
                self.entries += [inside] if interpreter in ("ruby", "php") else []  # their words name no file by an ending
                self.run((interpreter, place, *words[1:]), source, folder)
            else:
                self.entries.append(inside)
            return
        if program.endswith((".sh", ".bash")):
            self.unknown.append(f"{source} runs a script that is not in the build context: {program}")
        elif (module := self.files.console_script(program, self.workdir)) is not None:
            self.languages.append("python")
            self.entries.append(module)
            self.installed.append(program)
        elif (found := self._compiled(program, folder)) is not None:
            self.entries.append(found[0])
            self.languages.append(found[1])
        elif "/" in program:
            self.entries.append(posixpath.normpath(posixpath.join(folder or "/", program)))

    def _compiled(self, program: str, folder: str | None) -> tuple[str, str] | None:
        """The image path and the language of a program that a stage compiles."""
        from optimizer.model.compiled_program import compiled_program  # heavy: it reads builds

        places = self.files.program(program, folder)
        for place in places:
            found = compiled_program(self.model, self.stage, place)
            if found is not None:
                return found.path, found.language
        language = compiled_language(self.model, origin_of(self.model, self.stage, places[0])[0]) if "/" in program else []
        return (places[0], language[0]) if language else None
