"""What a RUN reads of the files that COPY and ADD bring: the files by name, or the reason why that cannot be told."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from optimizer.ecosystems import SYSTEM, Action, Call, asks_version, read_call, unwrapped
from optimizer.ecosystems.conda_run import PROGRAMS as CONDA
from optimizer.ecosystems.conda_run import activates, shell_inside
from optimizer.ecosystems.pip import activated
from optimizer.model.copied_files import CannotTell, CopiedFiles, InstallsProject
from optimizer.model.copies import CopyFacts
from optimizer.model.local_folders import compiles_in_place, is_local, local_files, setup_reads
from optimizer.model.model import Model, mounts
from optimizer.model.state import State
from optimizer.syntax.heredocs import is_marker
from optimizer.syntax.shell import Command, Redirect, Script, Word


class Reads(Struct, frozen=True):
    """What one RUN reads.

    Args:
        files: Pairs of a path in the image and the file of the context that COPY puts there.
        installs: Whether it installs packages, which takes long enough to be worth a cached layer.
        assumption: What must hold where the build context is not at hand; empty when everything is known.
    """

    files: tuple[tuple[str, str], ...] = ()
    installs: bool = False
    assumption: str = ""


# The ecosystems that ``model.installs`` reads; ``tests/model/test_installs.py`` holds the two together.
_WITH_READERS = frozenset({
    "poetry", "uv", "pipenv", "bundler", "gem", "composer", "maven", "gradle", "cargo", "dotnet", "bun",
})  # fmt: skip


# Commands whose words are no paths that they read.
_NO_PATHS = frozenset({
    "echo", "printf", "true", ":", "useradd", "groupadd", "adduser", "addgroup", "usermod", "groupmod", "set", "locale-gen", "ldconfig",
    "update-ca-certificates", "add-apt-repository", "apt-key", "corepack", "update-locale", "dpkg-reconfigure", "passwd",
    "debconf-set-selections", "date", "pwd", "whoami", "id", "uname", "hostname", "printenv", "nproc", "sleep", "fc-cache",
})  # fmt: skip
# Commands that read and write nothing but the paths they are given.
_PATHS = frozenset({
    "rm", "mkdir", "rmdir", "ln", "chmod", "chown", "chgrp", "touch", "curl", "wget", "tee", "gpg", "install", "mv", "cp", "test", "[",
    "sed",
    "localedef", "update-alternatives",
})  # fmt: skip
# Options whose value says where packages come from.
_ADDRESSES = frozenset(
    {"-i", "--index-url", "--extra-index-url", "--trusted-host", "--proxy", "--timeout", "--retries", "--registry", "--cert"}
)
# Variables by which a file of the project can reach a package manager.
_STEERING = frozenset({
    "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "PIP_TARGET",
    "PIP_PREFIX", "NODE_PATH", "NODE_OPTIONS", "NPM_CONFIG_USERCONFIG", "NPM_CONFIG_GLOBALCONFIG", "NPM_CONFIG_PREFIX", "BASH_ENV",
    "ENV", "LD_PRELOAD", "LD_LIBRARY_PATH", "GOFLAGS", "GOWORK", "GIT_CONFIG", "GNUPGHOME", "CURL_HOME", "WGETRC", "APT_CONFIG",
})  # fmt: skip


def reads(model: Model, position: int, copies: Sequence[CopyFacts], end: int | None = None) -> Reads:
    """What the RUN at a position reads of the files that these instructions copied.

    Args:
        model: Facts of the Dockerfile.
        position: Index of a RUN.
        copies: The COPY and ADD instructions in force before it, in order.
        end: Only the commands that end at or before this offset of its shell text count; None for all.

    Raises:
        CannotTell: It may read anything.
    """
    node = model.file.instruction(position)
    state = model.before(position)
    script = node.script
    if script is None or not script.understood or (node.heredocs and (not is_marker(node.value) or script.text.startswith("#!"))):
        raise CannotTell("it is in exec form, has a heredoc or is not understood")
    if shell_inside(state.shell)[0].rpartition("/")[2] not in ("sh", "bash", "dash", "ash"):
        raise CannotTell("its shell is not one whose text can be read")
    if any(m.type == "bind" and "from" not in m.options for m in mounts(node)):
        raise CannotTell("it mounts the build context")
    return _Reader(model, state, tuple(copies), script, len(script.text) if end is None else end).read()


class _Reader(CopiedFiles):
    def __init__(self, model: Model, state: State, copies: tuple[CopyFacts, ...], script: Script, end: int) -> None:
        super().__init__(model, state, copies)
        self.script, self.end = script, end
        self.installs = False
        self.assumption = ""

    def read(self) -> Reads:
        self.check_variables()
        for command, enclosing in self.script.walk():
            if command.end > self.end:
                break
            if not set(enclosing) <= {"&&", "|"}:
                raise CannotTell("it is more than a list of commands")
            self.command(command)
        return Reads(tuple(self.files.items()), self.installs, self.assumption)

    def check_variables(self) -> None:
        """No variable lets a copied file reach a package manager."""
        for name in sorted(_STEERING & (self.state.env.keys() | self.state.args.keys())):
            value = self.state.lookup(name)
            if name == "PYTHONPATH" and value is not None and not any(self.shadows(self.path(part)) for part in value.split(":") if part):
                continue
            if value is None or any(self.copied(self.path(part)) for part in re.split(r"[:,= ]", value) if "/" in part or part == "."):
                raise CannotTell(f"{name} may lead it to copied files")
        for part in (self.state.lookup("PATH") or "").split(":"):
            if part.startswith("/") and self.copied(part) and self.brings(part):
                raise CannotTell(f"PATH leads to programs in {part}, which is copied")

    def command(self, command: Command) -> None:
        for redirect in command.redirects:
            self.redirect(redirect)
        if not command.words:
            raise CannotTell("it assigns a variable")
        if any(value is not None and value.value is None for _, value in command.assignments):
            raise CannotTell("a value is known only when it runs")
        call = read_call(command)
        words = unwrapped(command)
        program = words.program
        own = call is not None and call.ecosystem in _WITH_READERS  # a wrapper such as ./mvnw is one of the files it tells
        program_path = words.words[0].value if words.words and not own else None
        if program_path and "/" in program_path and self.copied(self.path(program_path)) and self.brings_file(words.words[0]):
            raise CannotTell(f"it runs {words.words[0].value}, which is copied")
        if call is not None:
            self.call(call)
        elif program == "cd" and len(words.words) == 2 and words.words[1].value is not None:
            self.cwd = self.path(words.words[1].value)
        elif program in _NO_PATHS or asks_version([word.value for word in words.words]):
            if any(w.value is None and w.substitutions for w in words.words):
                raise CannotTell("a value is known only when it runs")
            if program == "update-ca-certificates":
                for one, at in [(copy, at) for copy in self.copies for at in self.targets(copy) if at]:
                    self.certificate(one, at)
        elif program in _PATHS:
            self.operands(program or "", words.words[1:])
        elif program == "find" and not any((w.value or "").startswith(("-exec", "-ok", "-f")) for w in words.words):
            rest = words.words[1:]
            self.operands("find", rest[: next((i for i, w in enumerate(rest) if w.text.startswith(("-", "(", "\\", "!"))), len(rest))])
        elif (activated(command) or activates([w.value for w in command.words])) and not self.brings_file(command.words[1]):
            return
        elif compiles_in_place(command) and (found := self.built()) is not None:
            self.files.update(found)
            self.installs = True
        elif _makes_venv(words.words):
            last = words.words[-1]
            folder = last.value if last.value is not None or not _only_env(last.text, self.state) else self.state.expand(last.text)
            folder = self.path(folder) if folder else None
            if folder is None or (self.copied(folder) and self.brings(folder)):
                raise CannotTell("it makes a virtual environment where files are copied to")
        else:
            raise CannotTell(f"it runs {program or 'a command that is known only when it runs'}, which may read the copied files")

    def redirect(self, redirect: Redirect) -> None:
        target = redirect.target
        if target is None or redirect.operator in (">&", "<&") or (target.value or "").startswith("/dev/"):
            return
        value = self.at_home(target) or target.value
        if value is None or self.copied(self.path(value)):
            raise CannotTell("it reads or writes among the copied files")

    def operands(self, program: str, words: tuple[Word, ...]) -> None:
        for word in words:
            value = self.at_home(word) or word.value
            if value is not None and (value.startswith("-") or re.match(r"\w+://", value) or value == "]"):
                value = value.partition("=")[2] if value.startswith("-") else ""
                if "/" not in value:
                    continue
            if value is None:
                known = re.match(r"[\"']?(/[\w./-]*/)", word.text)
                value = known[1] if known else None
            if value is None or self.copied(self.path(value)):
                raise CannotTell(f"`{program}` works among the copied files")

    def complete(self, call: Call) -> bool:
        """Whether it is known what a call is given; where an index or a token comes from a variable does not matter."""
        if call.complete:
            return True
        words = call.command.words
        for before, word in pairwise(words):
            if word.value is None and not word.text.startswith("-") and before.value not in _ADDRESSES:
                option = before.value in ("-r", "--requirement", "-c", "--constraint")
                if not option or self.state.expand(word.text) is None or word.substitutions or not _only_env(word.text, self.state):
                    return False
        return True

    def call(self, call: Call) -> None:
        if not self.complete(call):
            raise CannotTell("what it installs is known only when it runs")
        if call.ecosystem in SYSTEM:
            self.system(call)
        elif call.action in (Action.CLEAN,):
            return
        elif call.ecosystem == "pip":
            self.pip(call)
        elif call.ecosystem in ("npm", "yarn", "pnpm"):
            self.node(call)
        elif call.ecosystem == "go" and call.verb is not None and call.verb.value == "mod":
            self.go()
        elif call.ecosystem in _WITH_READERS or call.ecosystem in CONDA:
            self.project(call)
        else:
            raise CannotTell(f"`{call.ecosystem}` may read the copied files")

    def project(self, call: Call) -> None:
        """A call of an ecosystem that has a reader of its own."""
        self.outside_the_system()
        if call.ecosystem in CONDA:
            from optimizer.model.installs.conda import conda_files as files_of
        else:
            from optimizer.model.installs import project_files as files_of  # many modules, seldom needed
        found = files_of(self.model, self.copies, self.cwd, call)
        if isinstance(found, str):
            raise CannotTell(found)
        self.files.update(found)
        self.installs = self.installs or call.action is Action.INSTALL

    def system(self, call: Call) -> None:
        self.outside_the_system()
        files = [p for p in call.packages if p != "." and (p.startswith((".", "/", "~")) or p.endswith((".deb", ".rpm", ".apk")))]
        if files and call.action is not Action.REMOVE:  # apk's virtual packages begin with a dot
            raise CannotTell("it installs a package file")
        if call.options & {"-c", "--config-file", "--repositories-file", "--keys-dir", "--config", "--installroot", "-p", "--root"}:
            raise CannotTell("an option leads it to a file")
        self.installs = self.installs or call.action is Action.INSTALL

    def pip(self, call: Call) -> None:
        self.outside_the_system()
        harmless = call.verb is not None and call.verb.value in ("list", "check", "freeze", "config", "show")
        if call.action not in (Action.INSTALL, Action.REMOVE) and not harmless and not asks_version([w.value for w in call.command.words]):
            raise CannotTell("`pip` may read the copied files")
        if call.options & {
            "-t",
            "--target",
            "--prefix",
            "--root",
            "--src",
            "-f",
            "--find-links",
            "--python",
            "--log",
            "--report",
            "--build",
            "--group",
        }:
            raise CannotTell("an option leads it to a folder")
        if call.options & {"-e", "--editable"} or any(is_local(p) for p in call.packages):
            found = local_files(self.model, self.copies, self.cwd, call) or self.built(call)
            if found is None:
                raise InstallsProject("it installs the project itself")
            self.files.update(found)
        for manifest in call.manifests:
            self.requirements(manifest)
        self.installs = self.installs or call.action is Action.INSTALL

    def built(self, call: Call | None = None) -> dict[str, str] | None:
        """What building the project reads that a call installs, or that lies in the working folder; None where that is not known."""
        words = [package for package in call.packages if is_local(package)] if call is not None else ["."]
        if len(words) != 1 or self.model.context is None:
            return None
        return setup_reads(self.model, self.copies, self.path(words[0].partition("[")[0]))

    def requirements(self, manifest: str) -> None:
        expanded = self.state.expand(manifest)
        manifest = expanded if expanded is not None else manifest
        path = self.path(manifest)
        copy, source = self.provider(path, manifest)
        if self.model.context is None:
            self.assumption = f"{manifest} names no other file of the project"
            self.files[path or manifest] = source
            return
        from optimizer.context.requirements import requirement_files

        found = requirement_files(self.model.context, source)
        if found.problems:
            itself = all("installs the project itself" in problem for problem in found.problems)
            raise (InstallsProject if itself else CannotTell)(found.problems[0])
        local = next(
            (
                p
                for p in found.packages
                if p.url and p.vcs is None and "://" not in p.url.removeprefix("file://") and not _is_archive(p.url)
            ),
            None,
        )
        if local is not None:
            raise CannotTell(f"{source} installs the folder {local.url}")
        self.need(copy, source, found.files)

    def need(self, copy: CopyFacts, source: str, files: Sequence[str]) -> None:
        """Note files that are read; they must lie beside the manifest as they do in the context."""
        manifest = next(image for image in (copy.image_of(self.model, source), "/") if image)
        for file in files:
            image = posixpath.normpath(
                posixpath.join(posixpath.dirname(manifest), posixpath.relpath(file, posixpath.dirname(source) or "."))
            )
            if self.provider(image, file)[1] != file:
                raise CannotTell(f"{file} is not copied to its place beside {source}")
            self.files[image] = file

    def node(self, call: Call) -> None:
        self.outside_the_system()
        verb = call.verb.value if call.verb else None
        is_global = bool(call.options & {"-g", "--global"}) or verb == "global"
        told = verb in ("list", "ls") or asks_version([word.value for word in call.command.words])
        if told or (call.ecosystem == "npm" and verb in ("config", "set")):
            return
        if is_global and call.action in (Action.INSTALL, Action.REMOVE):
            if any(is_local(p) for p in call.packages):
                raise CannotTell("it installs the project itself")
            self.installs = self.installs or call.action is Action.INSTALL
            return
        if (
            call.action is not Action.INSTALL
            or call.packages
            or call.options & {"--prefix", "-C", "--cwd", "--dir", "--modules-folder", "--cache"}
        ):
            raise CannotTell(f"`{call.ecosystem} {verb or ''}`".strip() + " may read or change the copied files")
        path = self.path("package.json")
        copy, source = self.provider(path, "package.json")
        self.installs = True
        if self.model.context is None:
            self.assumption = "the install reads package.json and its lock file only, and node_modules is not in the build context"
            self.files[path or source] = source
            return
        self.manifests(call, copy, source)

    def manifests(self, call: Call, copy: CopyFacts, source: str) -> None:
        """The manifests of a Node install, when it reads and writes nothing else that is copied."""
        from optimizer.context.javascript import manifest_files, package_json
        from optimizer.model.installs.node_locks import absent_locks, folder_trouble, lock_trouble

        assert self.model.context is not None
        folder = posixpath.dirname(source) or "."
        package = package_json(self.model.context, folder)
        reason = folder_trouble(self.model.context, call, package) if package is not None else None
        if reason:
            raise CannotTell(reason)
        found = manifest_files(self.model.context, folder)
        problems = [p for p in found.problems if not ("--ignore-scripts" in call.options and re.search(r"runs an? \w+ script", p))]
        if problems:
            raise CannotTell(problems[0])
        if self.brings(posixpath.join(self.cwd or "/", "node_modules")):
            raise CannotTell("the build context brings a node_modules of its own")
        absent = absent_locks(self.model, call, self.copies, copy, source)
        reason = lock_trouble(self.model, call, folder) if not absent else None
        if reason:
            raise CannotTell(reason)
        self.need(
            copy,
            source,
            [
                *(f for f in found.files if f not in absent),
                *self.schemas(folder, {*(package.dependencies if package else ()), *(package.dev_dependencies if package else ())}),
            ],
        )

    def schemas(self, folder: str, packages: set[str]) -> list[str]:
        """The schema that the install script of @prisma/client generates the client from."""
        context = self.model.context
        if "@prisma/client" not in packages or context is None:
            return []
        schemas = [f for f in context.under(posixpath.join(folder, "prisma")) if f.endswith(".prisma")]
        top = posixpath.normpath(posixpath.join(folder, "schema.prisma"))
        schemas += [top] if context.exists(top) else []
        return [f for f in schemas if any(copy.image_of(self.model, f) for copy in self.copies)]

    def go(self) -> None:
        self.outside_the_system()
        copy, source = self.provider(self.path("go.mod"), "go.mod")
        self.installs = True
        names = [source]
        if self.model.context is None:
            self.assumption = "go.mod has no replace of a local folder"
        else:
            text = self.model.context.read_text(source)
            folder = posixpath.dirname(source)
            if text is None or re.search(r"=>\s*(\.|/)", text):
                raise CannotTell("go.mod replaces a module by a local folder")
            if any(self.model.context.exists(posixpath.join(folder, f)) for f in ("go.work", "vendor/modules.txt")):
                raise CannotTell("the project has a workspace or vendored modules")
            names += [f for f in [posixpath.join(folder, "go.sum")] if self.model.context.exists(f)]
        self.need(copy, source, names)


def _only_env(text: str, state: State) -> bool:
    """Whether every variable of a word is set by ENV, which the command line of a build cannot change."""
    return all(name in state.env for name in re.findall(r"\$\{?(\w+)", text))


def _is_archive(url: str) -> bool:
    return url.partition("#")[0].endswith((".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def _makes_venv(words: tuple[Word, ...]) -> bool:
    values = [w.value for w in words]
    if len(values) < 3 or None in values[:-1] or words[-1].substitutions:
        return False
    program = (values[0] or "").rpartition("/")[2]
    if program == "virtualenv":
        return len(values) == 2
    return (
        re.fullmatch(r"python(\d(\.\d+)?)?", program) is not None
        and values[1:3] == ["-m", "venv"]
        and len(values) >= 4
        and not words[-1].text.startswith("-")
    )
