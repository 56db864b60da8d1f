"""What every way of splitting a stage shares: the plan of two stages, and the system packages of the second."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from msgspec import Struct

from optimizer.ecosystems import Action, Call, read_call
from optimizer.knowledge.debian import build_only, package_of, plain_name, programs, runtime_packages
from optimizer.knowledge.images import BaseImage
from optimizer.knowledge.python_packages import PythonPackage
from optimizer.model import Model, Stage, stage_number
from optimizer.passes.text import comments_above, indent_of, joint_of, keyword_like, line_end_of
from optimizer.syntax import Blank, Comment, Dockerfile, Instruction, Node

# Libraries that the slim Debian images of Python and Node have from their own packages.
IN_SLIM = frozenset({
    "libssl-dev", "libffi-dev", "zlib1g-dev", "libsqlite3-dev", "libbz2-dev", "liblzma-dev", "libreadline-dev", "libncurses-dev",
    "libncurses5-dev", "libncursesw5-dev", "uuid-dev", "libc6-dev", "linux-libc-dev", "libstdc++-dev",
})  # fmt: skip
# Headers of Debian's own Python, which the interpreter of the Python images does not use.
_PYTHON_HEADERS = re.compile(r"python[\d.]*(-all)?-dev$")
# What builds fetch and unpack their sources with, and administrators look around with: gone when nothing is seen to start it.
_GENERAL_TOOLS = frozenset({
    "git", "git-lfs", "mercurial", "subversion", "curl", "wget", "unzip", "zip", "bzip2", "xz-utils", "gnupg", "gnupg2", "gpg",
    "dirmngr", "lsb-release", "apt-transport-https", "apt-utils", "software-properties-common", "rsync", "patch", "file", "procps",
    "net-tools", "iputils-ping", "telnet", "dnsutils", "iproute2", "strace", "gdb", "lsof", "sudo", "jq", "python3", "python", "python2",
    "python3-pip", "python3-venv", "perl", "openssh-client", "ssh", "aptitude", "traceroute", "netcat", "netcat-openbsd",
    "netcat-traditional", "tcpdump", "screen", "tmux", "ack", "silversearcher-ag", "ripgrep", "gettext",
})  # fmt: skip
# Packages that work without those they recommend. Others (ImageMagick, graphviz, git, SASL and LDAP) call on some of them.
_SELF_SUFFICIENT = re.compile(
    r"(lib(?!magick|ldap|sasl|reoffice|gtk|vlc|gs\d).+|fonts-.+|ca-certificates|tzdata|curl|wget|poppler-utils|ffmpeg|tesseract-ocr(-.+)?|openssl|unzip|zip"
    r"|postgresql-client(-\d+)?|default-mysql-client|mariadb-client|gettext(-base)?|netcat-.+|jq|procps|dumb-init|tini|gosu|sqlite3|redis-tools|file|rsync"
    r"|locales|cron|iputils-ping|media-types|unixodbc|python3|nodejs|ruby|(ruby-)?bundler|php[\d.]*-[a-z0-9]+)$"
)
# Tools of a person at a terminal: no program starts them.
INTERACTIVE = frozenset(
    {"vim", "vim-tiny", "nano", "emacs", "less", "htop", "mc", "tmux", "screen", "bash-completion", "tree", "man-db", "joe"}
)


class Refused(Exception):
    """A split that evidence does not carry. The message says why."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.position = position


class SystemPackages(Struct, frozen=True):
    """What becomes of the distribution's packages that a stage installs.

    Args:
        kept: Names to install in the runtime stage.
        dropped: Names that only building needed.
        options: Options of the calls that install, in the order written.
    """

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    options: tuple[str, ...]


def sort_packages(
    installed: Iterable[str], needed_programs: set[str], release: str | None, extra: Iterable[str], may_drop_tools: bool, position: int
) -> SystemPackages:
    """Decide for each package that a stage installs whether the runtime stage needs it.

    Args:
        installed: Debian packages by name, in order.
        needed_programs: Programs that something in the runtime stage starts.
        release: Code name of the Debian release, None when unknown.
        extra: Packages that evidence names besides.
        may_drop_tools: Whether it is known which programs are started, so that general tools among the others can go.
        position: The instruction to name when it cannot be decided.

    Raises:
        Refused: A development package's runtime library is not known.
    """
    kept: list[str] = []
    dropped: list[str] = []
    for package in installed:
        brought = set(programs(package) or ())
        if build_only(package, "apt"):
            dropped.append(package)
            if package.endswith("-dev") and package not in IN_SLIM and not _PYTHON_HEADERS.match(package):
                libraries = runtime_packages(package, release)
                if libraries is None:
                    where = f"in Debian {release}" if release else "in a Debian release that the tag does not name"
                    raise Refused(f"which runtime library belongs to {package} {where} is not known", position)
                kept.extend(libraries)
        elif brought & needed_programs:
            kept.append(package)
        elif package in INTERACTIVE or (may_drop_tools and package in _GENERAL_TOOLS):
            dropped.append(package)
        else:
            kept.append(package)
    kept.extend(extra)
    return SystemPackages(tuple(dict.fromkeys(kept)), tuple(dict.fromkeys(dropped)), ())


def packages_for(needed: set[str], runtime: BaseImage, installed: Iterable[str], position: int) -> tuple[str, ...]:
    """Packages to add for programs that the runtime base is not sure to have and no installed package brings.

    Raises:
        Refused: No package is known for one of them.
    """
    brought = {p for package in installed for p in programs(package) or ()}
    found = []
    for program in sorted(needed - brought - _EVERYWHERE):
        has_certificates = program == "update-ca-certificates" and runtime.ca_certificates
        if "/" in program or runtime.has(program) or has_certificates:
            continue
        package = package_of(program)
        if package is None:
            raise Refused(f"it starts {program}, and nothing tells which package brings that to {runtime.text}", position)
        found.append(package)
    return tuple(dict.fromkeys(found))


# Programs of packages that are essential in Debian: coreutils, findutils, grep, sed, tar, gzip, util-linux, dash, bash, hostname, login.
_EVERYWHERE = frozenset(
    [
        "[", "arch", "awk", "base64", "basename", "bash", "cat", "chgrp", "chmod", "chown", "chroot", "cksum", "comm", "cp", "csplit",
        "cut", "date", "dd", "df", "dir", "dirname", "du", "echo", "egrep", "env", "expand", "expr", "factor", "false", "fgrep", "find",
        "flock", "fold", "getopt", "getent", "grep", "groups", "gunzip", "gzip", "head", "hostid", "hostname", "id", "install", "join",
        "ldconfig", "link", "ln", "logname", "ls", "md5sum", "mkdir", "mkfifo", "mknod", "mktemp", "more", "mount", "mv", "nice", "nl",
        "nohup", "nproc", "od", "paste", "pathchk", "perl", "pinky", "pr", "printenv", "printf", "pwd", "readlink", "realpath", "rm",
        "rmdir", "sed", "seq", "sh", "sha1sum", "sha256sum", "sha512sum", "shuf", "sleep", "sort", "split", "stat", "stdbuf", "stty",
        "su", "sum", "sync", "tac", "tail", "tar", "tee", "test", "timeout", "touch", "tr", "true", "truncate", "tty", "uname", "uniq",
        "unlink", "useradd", "groupadd", "usermod", "users", "wc", "which", "who", "whoami", "xargs", "yes", "zcat", "exec", "cd",
        "export", "set", "exit", "trap", "shift", "wait", "kill", "dpkg", "apt-get", "chpasswd", "passwd",
        "runuser", "setpriv", "nologin", "mawk", "diff", "cmp", "start-stop-daemon", "setsid", "dmesg", "ionice", "taskset", ":",
        "source", ".", "umask", "ulimit", "type", "command", "unset", "read", "return", "local", "eval", "[[", "logger", "dash", "tput",
        "clear", "infocmp", "reset", "locale", "ldd",
    ]
)  # fmt: skip


def may_link(package: PythonPackage, library: str, image: BaseImage | None, installed: Collection[str]) -> bool:
    """Whether compiling a Python package may have linked a library (a ``-dev`` package): one that it can do without, where its
    headers are. installed: the Debian packages of the stage that compiles.
    """
    optional = library.endswith("-dev") and package.has_wheels is False and library not in package.build_packages
    headers = image is None or image.variant == "full" or any(p.startswith("lib") and p.endswith("-dev") for p in installed)
    return headers or not optional


def stage_name(model: Model, wanted: str = "build") -> str:
    """A name for a new stage that no stage has yet."""
    taken = {s.name.lower() for s in model.stages if s.name}
    return next(n for n in (wanted, "builder", f"{wanted}-stage", *(f"{wanted}-{i}" for i in range(2, 100))) if n not in taken)


def reference_text(model: Model, stage: Stage, image: BaseImage, twin: str) -> str | None:
    """The runtime base as it should be written: with the variable that FROM uses, where the twin follows from its value."""
    node = model.file.instruction(stage.position)
    written = node.value.split()[0]
    if "$" not in written:
        return twin
    if twin == f"{stage.reference}-slim":
        return f"{written}-slim"
    return None


def from_line(model: Model, stage: Stage, reference: str, name: str | None) -> Instruction:
    """A FROM in the style of the stage's own, with its platform."""
    node = model.file.instruction(stage.position)
    platform = f"--platform={stage.platform} " if stage.platform else ""
    alias = f" {'as' if node.keyword_text.islower() or re.search(' as ', node.value) else 'AS'} {name}" if name else ""
    return Instruction(f"{keyword_like(node, 'FROM')} {platform}{reference}{alias}{line_end_of(model.file, node)}", node.escape)


def _indent(model: Model, stage: Stage) -> str:
    """The blanks in front of the instructions of a stage, where they all have the same."""
    indents = {indent_of(model.file.instruction(p)) for p in stage.positions}
    return indents.pop() if len(indents) == 1 else ""


def line(model: Model, stage: Stage, keyword: str, rest: str) -> Instruction:
    """A new instruction on one line in the style of the stage's own."""
    node = model.file.instruction(stage.position)
    return Instruction(f"{_indent(model, stage)}{keyword_like(node, keyword)} {rest}{line_end_of(model.file, node)}", node.escape)


def apt_install(model: Model, stage: Stage, packages: Iterable[str], options: Iterable[str], upgrade: str = "") -> Instruction:
    """A RUN that installs Debian packages and leaves no lists behind. upgrade: the verb that renews those of the image first."""
    node = model.file.instruction(stage.position)
    newline, escape, indent = line_end_of(model.file, node), node.escape, _indent(model, stage)
    flags = "".join(
        f" {option}"
        for option in dict.fromkeys(options)
        if option in ("--no-install-recommends", "--no-install-suggests", "-q", "-qq", "--fix-missing")
    )
    names = " ".join(packages)
    steps = ["apt-get update", f"apt-get {upgrade} -y" if upgrade else "", f"apt-get install -y{flags} {names}" if names else ""]
    body = joint_of(model.file, node).join([*filter(None, steps), "rm -rf /var/lib/apt/lists/*"])
    return Instruction(f"{indent}{keyword_like(node, 'RUN')} {body}{newline}", escape)


def install_options(packages: Iterable[str], options: Iterable[str], alone: Collection[str] = ()) -> tuple[str, ...]:
    """The options to install packages of the runtime stage with: without recommended ones, where all of them work without.

    alone: packages that do so by the evidence of the program.
    """
    names = [plain_name(package) for package in packages]
    lean = all(_SELF_SUFFICIENT.match(name) or name in alone for name in names)
    return tuple(dict.fromkeys([*(["--no-install-recommends"] if lean else []), *options]))


def with_certificates(packages: Iterable[str], before: BaseImage | None, runtime: BaseImage) -> tuple[str, ...]:
    """Packages, and ca-certificates where one of them speaks TLS and the image before had them, but the runtime base has not."""
    found = tuple(packages)
    speaks = {"curl", "wget", "git"} & {plain_name(package) for package in found}
    if (
        speaks
        and "ca-certificates" not in found
        and runtime.ca_certificates is not True
        and (before is None or before.ca_certificates is not False)
    ):
        return (*found, "ca-certificates")
    return found


def renumbered(model: Model, stage: Stage) -> bool:
    """Whether an instruction names, by its number, this stage or one behind it: a new stage in front would shift them."""
    names = [name for p in model.file.positions for name in model.sources(model.file.instruction(p))]
    return any((number := stage_number(name)) is not None and number >= stage.index for name in names)


def no_twin(stage: Stage, language: str) -> str:
    """Why there is no smaller base for a stage."""
    if stage.image is not None and stage.image.reference.digest:
        return f"the image is pinned by its digest, and that of the smaller image with the same {language} is not known"
    return f"no smaller image with the same {language} is known for {stage.reference}"


def with_lead(file: Dockerfile, position: int) -> list[Node]:
    """An instruction with the comments directly above it."""
    return list(file.nodes[comments_above(file, position) : position + 1])


def spaced(file: Dockerfile, position: int, nodes: list[Node]) -> list[Node]:
    """Nodes that stand for an instruction, behind a blank line where the instruction and its comments have one above."""
    above = file.nodes[comments_above(file, position) - 1]
    return [Blank(file.newline), *nodes] if nodes and isinstance(above, Blank) else nodes


def body_nodes(file: Dockerfile, stage: Stage, end: int, replaced: dict[int, list[Node]]) -> list[Node]:
    """The nodes behind a stage's FROM with some instructions replaced; their comments go, and doubled blank lines.

    Args:
        file: The Dockerfile.
        stage: The stage.
        end: Index behind the stage's last node.
        replaced: For the index of an instruction, the nodes in its place.
    """
    out: list[Node] = []
    dropped_comments: set[int] = set()
    for position, nodes in replaced.items():
        index = position - 1
        while not nodes and index > stage.position and isinstance(file.nodes[index], Comment):
            dropped_comments.add(index)
            index -= 1
    for index in range(stage.position + 1, end):
        node = file.nodes[index]
        if index in dropped_comments:
            continue
        if index in replaced:
            out.extend(replaced[index])
        elif isinstance(node, Blank) and (not out or isinstance(out[-1], Blank)):
            if not out and not replaced:
                out.append(node)
        else:
            out.append(node)
    return out


def installs_of(node: Instruction) -> list[Call]:
    """The package manager calls of a RUN that install."""
    script = node.script
    if script is None or not script.understood:
        return []
    return [call for c in script.commands if (call := read_call(c)) is not None and call.action is Action.INSTALL]
