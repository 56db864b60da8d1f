"""What the commands of a stage that build C and C++ make, and where they put it.

The commands of RUN are followed in order, with the recipes of make and the rules of CMake and automake in their place: a small
picture of the file system comes of it, which holds what was compiled or placed, and what it links.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.context.make_command import make_command
from optimizer.context.make_recipes import make_commands
from optimizer.context.makefile import MAKEFILES, UNKNOWN, find_makefile
from optimizer.context.native_commands import SOURCES, Compiled, defined_macros, is_compiler, read_compiler, read_install
from optimizer.context.scripts import unrolled
from optimizer.ecosystems import SYSTEM, asks_version, read_call, unwrapped
from optimizer.model.called_script import called_script
from optimizer.model.launch import SHELLS
from optimizer.model.model import Model, Stage
from optimizer.model.native_made import Made, NativeBuild
from optimizer.model.native_projects import ProjectReader
from optimizer.model.paths import context_path, is_folder
from optimizer.model.state import State
from optimizer.syntax.shell import Script, Word, parse_script

_HARMLESS = frozenset({
    "echo", "printf", "true", ":", "set", "test", "[", "ls", "pwd", "cat", "which", "command", "ldd", "file", "nproc", "mkdir", "chmod",
    "chown", "strip", "touch", "useradd", "groupadd", "adduser", "addgroup", "usermod", "ldconfig", "export", "ranlib", "exit",
    "id", "env", "date", "uname", "rm", "rmdir", "find", "size", "objdump", "nm", "readelf", "sync", "sleep", "unset", "umask", "type",
    "update-ca-certificates", "shift", "git", "hash", "autoreconf", "aclocal", "autoconf", "autoheader", "automake", "libtoolize",
    "ctest", "valgrind", "clang-format", "cppcheck", "sh", "whoami", "hostname", "printenv", "df", "locale-gen", "localedef",
})  # fmt: skip
_FETCHES = frozenset({"curl", "wget", "tar", "unzip", "git", "svn", "hg"})
_NO_RECOMMENDS = frozenset({"--no-install-recommends"})
_DEPTH = 6


def native_build(model: Model, stage: Stage) -> NativeBuild | None:
    """What a stage builds in C or C++; None when no command of that kind is seen."""
    reader = _Reader(model, stage)
    if stage.image is not None and stage.image.has_toolchain:
        reader.packages.add("dpkg-dev")
    for position in stage.positions:
        node = model.file.instruction(position)
        if node.keyword == "RUN":
            reader.run(position)
    if not reader.at:
        return None
    return NativeBuild(
        reader.at[0], reader.at[-1], reader.made, reader.installed, reader.links, tuple(reader.private),
        tuple(dict.fromkeys(reader.folders)), {name: text for name, text in reader.macros.items() if text is not None},
        tuple(reader.unknown),
    )  # fmt: skip


@dataclass
class _Reader(ProjectReader):
    def run(self, position: int) -> None:
        node = self.model.file.instruction(position)
        self.position, self.state = position, self.model.before(position)
        self.variables = {**self.state.args, **self.state.env}
        script = node.script if node.json is None else parse_script(_quoted(node.json))
        if script is None or not script.understood:
            self.note("it is not understood")
            return
        text = unrolled(script.text)
        script = parse_script(text) if text != script.text else script
        self.script(script, self.state.workdir, 0)

    def script(self, script: Script, cwd: str | None, depth: int) -> None:
        """The commands of a shell text, in the folder it starts in."""
        outer: str | None = None
        for command, enclosing in script.walk():
            if "$(" in enclosing:
                continue  # its output matters, not what it does
            if not command.words:
                self.variables.update({name: value.value if value else "" for name, value in command.assignments})
                continue
            words = unwrapped(command).words or command.words
            values = [self.value(word) for word in words]
            if "subshell" not in enclosing and outer is not None:
                cwd, outer = outer, None  # a subshell's cd ends with it
            elif "subshell" in enclosing and outer is None:
                outer = cwd
            if values[0] == "cd":
                target = values[1] if len(values) > 1 else None
                cwd = posixpath.normpath(posixpath.join(cwd, target)) if cwd is not None and target is not None else None
                continue
            call = read_call(command)
            if call is not None and call.ecosystem in SYSTEM:
                self.packages.update(call.packages)
                if self.packages & {"build-essential", "debhelper"} or ("meson" in call.packages and not call.options & _NO_RECOMMENDS):
                    self.packages.add("dpkg-dev")
                continue
            variables = {name: self.value(value) if value else "" for name, value in command.assignments}
            self.command(values, [w.text for w in words], cwd, variables, depth)

    def value(self, word: Word) -> str | None:
        if word.value is not None:
            return word.value if not word.glob else word.text
        if re.search(r"\$[(@*#?!$0-9]|`", word.text):
            inner = re.fullmatch(r"(-j)\s*[\"']?(\$\(nproc\)|`nproc`)[\"']?", word.text)
            return inner[1] if inner else None
        return State(env=self.variables).expand(word.text)

    def command(
        self, words: Sequence[str | None], texts: Sequence[str], cwd: str | None, variables: Mapping[str, str | None], depth: int
    ) -> None:
        name = posixpath.basename(words[0]) if words[0] else None
        self.destdir = variables["DESTDIR"] if "DESTDIR" in variables else self.variables.get("DESTDIR", "")
        if name == "export":
            self.variables.update(dict(w.split("=", 1) for w in words[1:] if w is not None and "=" in w))
        elif is_compiler(name):
            self.compile(words, texts, cwd)
        elif name in ("ar", "gcc-ar", "llvm-ar"):
            self.archive(words, cwd)
        elif name in ("make", "gmake", "ninja"):
            self.make(words, cwd, variables, depth)
        elif name == "cmake":
            self.cmake(words, cwd)
        elif name == "meson":
            self.meson(words, cwd)
        elif name == "configure" or (name == "sh" and len(words) > 1 and (words[1] or "").endswith("configure")):
            self.configure(words, cwd)
        elif name in ("install", "cp", "mv", "ln"):
            self.place(words, cwd)
        elif name == "mkdir":
            made = [self.path(w, cwd) for w in words[1:] if w is not None and not w.startswith("-")]
            self.folders += [path for path in made if path is not None]
        elif name == "rm":
            for path in [self.path(w, cwd) for w in words[1:] if w is not None and not w.startswith("-")]:
                if path is not None:
                    self.made = {p: one for p, one in self.made.items() if not _below(p, path)}
                    self.installed = {p: source for p, source in self.installed.items() if not _below(p, path)}
                    self.links = {p: text for p, text in self.links.items() if not _below(p, path)}
        elif name in _FETCHES:
            self.note(f"`{name}` brings files that are not in the build context")
        elif name is not None and ("/" in (words[0] or "") or name in ("sh", "bash")):
            self.own_script(words, cwd, depth)
        elif name not in _HARMLESS and not asks_version(words):
            self.note(f"what `{name or texts[0]}` makes is not known")

    def own_script(self, words: Sequence[str | None], cwd: str | None, depth: int) -> None:
        """A script of the context that a step runs, or a program that it made, whose effect is not known."""
        called = called_script(self.model, self.stage, words, cwd, self.position) if depth < _DEPTH else None
        if called is None:
            given = words[posixpath.basename(words[0] or "") in SHELLS :]
            target = next((word for word in given if word is not None and not word.startswith("-")), None)
            path = self.path(target, cwd) if target is not None else None
            if path is None or path not in self.made:
                self.note(f"what `{target or words[0]}` makes is not known")
        elif not called.script.understood:
            self.note(f"{called.path} is not understood")
        else:
            self.script(called.script, cwd, depth + 1)

    def compile(self, words: Sequence[str | None], texts: Sequence[str], cwd: str | None) -> None:
        self.built()
        found = read_compiler(words, texts)
        for macro, text in defined_macros(words).items():
            self.define(macro, text)
        inputs = tuple(p for i in found.inputs for p in self.globbed(i, cwd))
        target = self.path(found.output, cwd)
        if not found.links:
            beside = [self.path(posixpath.splitext(posixpath.basename(i))[0] + ".o", cwd) for i in inputs]
            names = [target] if target is not None and found.output != "a.out" else beside
            for name in names:
                if name is not None:
                    self.made[name] = self.linked(name, found, inputs)
            return
        if target is None:
            self.note("where the compiler puts the program is computed")
            return
        if target and self.is_dir(target):
            self.note(f"{target} is a folder")
            return
        self.made[target] = self.linked(target, found, inputs)

    def archive(self, words: Sequence[str | None], cwd: str | None) -> None:
        """A static library, with the sources of its objects."""
        target, *objects = [self.path(word, cwd) for word in words[2:]] or [None]
        if target is None or None in objects:
            self.note("what `ar` puts together is computed")
            return
        inputs = tuple(path for one in objects if one is not None for path in self.globbed(one, cwd))
        self.made[target] = self.linked(target, Compiled(target, shared=True), inputs)

    def linked(self, target: str, found: Compiled, inputs: tuple[str, ...]) -> Made:
        below = [self.made[i] for i in inputs if i in self.made]
        sources = [s for one in below for s in one.sources] + [i for i in inputs if i.endswith(SOURCES)]
        libraries = [*found.libraries, *found.packages, *(x for one in below for x in one.libraries)]
        cxx = found.cxx or any(one.cxx for one in below) or "stdc++" in libraries
        libraries += ["/" + i for i in inputs if re.search(r"\.so(\.\d+)*$", i) and i not in self.made]
        return Made(target, tuple(dict.fromkeys(libraries)), tuple(dict.fromkeys(sources)), cxx, found.static, found.statics, found.shared)

    def globbed(self, word: str, cwd: str | None) -> list[str]:
        path = self.path(word, cwd)
        if path is None:
            return []
        if "*" not in word:
            return [path]
        context = self.model.context
        folder = context_path(self.model, self.stage, posixpath.dirname(path), self.position)
        matches = context.match(posixpath.join(folder, posixpath.basename(path))) if context is not None and folder is not None else ()
        found = [posixpath.join(posixpath.dirname(path), posixpath.basename(m)) for m in matches]
        expression = re.escape(path).replace(r"\*", "[^/]*")
        return found + [p for p in self.made if re.fullmatch(expression, p)]

    def make(self, words: Sequence[str | None], cwd: str | None, variables: Mapping[str, str | None], depth: int) -> None:
        call = make_command(words)
        if call is None:
            self.note("the arguments of make are computed")
            return
        folder = self.path(call.folder, cwd)
        environment = {key: value for key, value in {**self.variables, **variables}.items() if value is not None}
        self.built()
        if folder is not None and folder in self.projects:
            self.generated(folder, call.goals, call.given)
            return
        inside = self.inside(folder, *((call.makefile,) if call.makefile is not None else MAKEFILES))
        context = self.model.context
        makefile = (
            find_makefile(context, inside, call.makefile, call.given, environment) if inside is not None and context is not None else None
        )
        if makefile is None or context is None or depth >= _DEPTH:
            self.note("the Makefile is not in the build context")
            return
        commands = make_commands(context, makefile, call.goals)
        if commands is None:
            self.note(f"how make comes to {' '.join(call.goals) or 'its goal'} is not clear")
            return
        for reason in makefile.unknown:
            self.note(reason)
        for line in commands:
            script = parse_script(unrolled(line).replace(UNKNOWN, "$(unknown)"))
            if script.understood:
                self.script(script, folder, depth + 1)
            elif line:
                self.note(f"`{line[:40]}` is not understood")

    def place(self, words: Sequence[str | None], cwd: str | None) -> None:
        found = read_install(words)
        if found is None:
            self.note(f"what `{words[0]}` places is computed")
            return
        placed, folders = found
        self.folders += [path for path in (self.path(f, cwd) for f in folders) if path is not None]
        for one in placed:
            target = self.path(one.target, cwd)
            if target is None:
                self.note(f"where `{words[0]}` puts {one.source.replace(UNKNOWN, '…')} is computed")
                continue
            into = one.into or self.is_dir(target)
            if one.link:
                self.links[posixpath.join(target, posixpath.basename(one.source)) if into else target] = one.source
                continue
            for source in self.globbed(one.source, cwd):
                path = posixpath.join(target, posixpath.basename(source)) if into else target
                whole = one.source.rstrip("/").endswith("/.") or (self.is_dir(source) and not into)
                if self.place_all(source, target if whole else path):
                    continue
                self.installed[target if whole else path] = source
                runs = source in self.made and not self.made[source].shared
                if one.mode is not None and re.fullmatch(r"\d*[0-46]" if runs else r"\d*[0-3]", one.mode):
                    self.private.append(target if whole else path)
                if posixpath.basename(words[0] or "") == "mv" and source in self.made:
                    self.made[path] = self.made.pop(source)
                    del self.installed[path]

    def place_all(self, source: str, target: str) -> bool:
        """Copy what the build has put into a folder; whether there is such a thing, and nothing of the context beside it."""
        below = {path: self.installed.get(path, path) for path in (*self.made, *self.installed) if _below(path, source) and path != source}
        if not below or context_path(self.model, self.stage, source, self.position) is not None:
            return False

        def moved(path: str) -> str:
            return posixpath.join(target, posixpath.relpath(path, source))

        self.installed |= {moved(path): origin for path, origin in below.items()}
        self.links |= {moved(path): text for path, text in self.links.items() if _below(path, source)}
        self.folders += [moved(path) for path in self.folders if _below(path, source) and path != source]
        if target == "/":  # from where it was staged to where it belongs
            self.installed = {path: origin for path, origin in self.installed.items() if path not in below}
        return True

    def is_dir(self, path: str) -> bool:
        made = any(f == path or f.startswith(f"{path}/") for f in self.folders)
        if made or is_folder(self.model, self.stage, path, self.position):
            return True
        inside = context_path(self.model, self.stage, path, self.position)
        return inside is not None and self.model.context is not None and self.model.context.is_dir(inside)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _quoted(words: tuple[str, ...]) -> str:
    import shlex

    return shlex.join(words)
