"""The folder in which each part of a RUN works, written as WORKDIR."""

from __future__ import annotations

import posixpath
import re

from msgspec import Struct
from msgspec.structs import replace

from optimizer.ecosystems import unwrapped
from optimizer.model import Model, Stage, State
from optimizer.model.folders import working_directory
from optimizer.model.model import mounts
from optimizer.model.state import ROOT_USERS
from optimizer.passes.base import Change, Refusal, Safety
from optimizer.passes.runs.leaks import Leaves, leak
from optimizer.passes.runs.readable import ReadableRun
from optimizer.passes.runs.shells import script_of, starts_absolute
from optimizer.passes.text import TOOL_COMMENT, instruction_like, keyword_like, line_end_of
from optimizer.syntax import Comment, Instruction
from optimizer.syntax.nodes import Node
from optimizer.syntax.shell import Command, Pipeline, Word, parse_script

_FOLDER = re.compile(r"(?:[\w./@+:,-]|\$\w+|\$\{\w+\})+")
_VALUE = re.compile(r"[\w./@+:,-]+")
# Folders that the builder or the kernel puts into every container anew.
_MOUNTED = ("/proc", "/sys", "/dev")
# Symbolic links of distributions: /bin and its kin where /usr is merged, and what moved to /run.
_LINKED = re.compile(r"/(?:bin|sbin|lib\w*|var/(?:run|lock|mail)|usr/tmp)(?:/|$)")
# Folders that every distribution has. Source: Filesystem Hierarchy Standard 3.0, what it requires of /, /usr and /var.
_STANDARD = frozenset({
    "/", "/etc", "/home", "/mnt", "/opt", "/root", "/srv", "/tmp", "/usr", "/usr/bin", "/usr/local", "/usr/local/bin", "/usr/share", "/var",
    "/var/lib", "/var/tmp",
})  # fmt: skip
_REMOVES = frozenset({"rm", "rmdir", "mv", "unlink", "shred", "chown", "chgrp", "chmod", "strip", "find", "truncate", "setfacl"})
_REMOVES_BY = frozenset({
    "remove", "purge", "autoremove", "clean", "del", "erase", "uninstall", "prune", "--delete", "--remove", "distclean", "autoclean", "gc",
})  # fmt: skip
# Commands that do the same in every folder where their operands are absolute paths, or no paths at all.
_ANYWHERE = frozenset({
    "set", "apt-get", "apt", "apk", "yum", "dnf", "microdnf", "useradd", "groupadd", "adduser", "addgroup", "export", "echo", "printf",
    "true", ":",
})  # fmt: skip
_ACCOUNTS = frozenset({"useradd", "adduser"})
_MANAGERS = frozenset({"apt-get", "apt", "apk", "yum", "dnf", "microdnf"})
_TIDIES = frozenset({"rm", "rmdir", "ldconfig", "chmod", "chown"})
_WITH_PATHS = frozenset({"mkdir", "touch", "ls", "test", "[", "cat", "ln"})
_MOST_RUNS = 3


class _Part(Struct, frozen=True):
    """Commands of a RUN that work in one folder.

    Args:
        path: The folder, None when it is not known.
        written: How WORKDIR writes it.
        moved: Whether it is another than the one in force before.
        pipelines: The commands, in order.
    """

    path: str | None
    written: str | None
    moved: bool
    pipelines: tuple[Pipeline, ...] = ()


class _Stays(Exception):
    """Why a RUN keeps its ``cd``."""


def instead_of_cd(model: Model, run: ReadableRun) -> Change | Refusal:
    """The change that puts WORKDIR in place of every ``cd`` of a RUN, or why it is not made."""
    try:
        return _rewritten(model, run)
    except _Stays as reason:
        return Refusal(f"cd stays: {reason}", run.position)


def _rewritten(model: Model, run: ReadableRun) -> Change:
    state, folder = model.before(run.position), working_directory(model, run.stage, run.position)
    if run.script.chain is None:
        return _first_alone(model, run, folder)
    parts = _hoisted(model, run, _gathered(_parts(model, run, state, folder), state), state)
    _check(model, run, parts, state)
    dropped = _needless(model, run, parts)
    if dropped is not None and model.before(dropped).workdir == parts[0].path:
        parts = [replace(parts[0], moved=False), *parts[1:]]
    return _change(model, run, parts, _instructions(model, run, parts), folder, dropped)


def _first_alone(model: Model, run: ReadableRun, folder: str | None) -> Change:
    """``cd /src; make``: the RUN goes on where the folder is missing, so that more has to show that it is there."""
    first, *others = run.script.statements
    only = first.pipelines[0].commands[0]
    alone = len(first.pipelines) == 1 and len(first.pipelines[0].commands) == 1 and not first.pipelines[0].negated
    if not others or not alone or not isinstance(only, Command) or only.name != "cd" or first.terminator != ";":
        raise _Stays("the RUN is no plain list of &&, so that it may go on where cd fails")
    if run.script.commented or run.node.heredocs or sum(command.name == "cd" for command in run.script.commands) > 1:
        raise _Stays("the RUN holds more than commands and one cd")
    here = _Part(model.before(run.position).workdir, folder, False)
    path, written = _folder(model, run, only, here)
    part = _Part(path, written, True)
    _check(model, run, [part], model.before(run.position))
    start, end = run.text.source(first.start), run.text.source(others[0].start)
    nodes: list[Node] = [instruction_like(model.file, run.node, "WORKDIR", written), run.node.edited((start, end, ""))]
    doubt = "" if _exists(model, run, path) else f"{path} is there"
    return _change(model, run, [part], nodes, folder, None, doubt)


def _change(
    model: Model, run: ReadableRun, parts: list[_Part], nodes: list[Node], folder: str | None, dropped: int | None, doubt: str = ""
) -> Change:
    """The change that puts new instructions in the place of a RUN, and behind them the folder in force where it is needed."""
    file, position = model.file, run.position
    folders = [part.path for part in parts if part.moved]
    gone = any(unwrapped(command).program in ("rm", "rmdir", "mv") for command in run.script.commands)
    behind = _needed_behind(model, run.stage, position, gone) if folders or dropped is not None else None
    back = [] if behind is None else [instruction_like(file, run.node, "WORKDIR", _restored(model, folder))]
    if sum(map(_comments, nodes)) < _comments(run.node):
        raise _Stays("a comment stands beside it")
    start = position
    while start > 0 and isinstance(above := file.nodes[start - 1], Comment) and TOOL_COMMENT.search(above.text):
        start -= 1  # what speaks to a tool about the RUN stays right above it
    lead = nodes[:1] if parts[0].moved else []
    if start < position and len(parts) > 1:
        raise _Stays("a comment speaks to a tool about the whole RUN")
    between = file.nodes[position + 1 : (behind or position) + 1]
    new = file.replaced(start, (behind or position) + 1, [*lead, *file.nodes[start:position], *nodes[len(lead) :], *between, *back])
    if dropped is not None:
        new = new.replaced(dropped, dropped + 1, [])
    summary = f"WORKDIR {folders[0]} instead of cd" if folders else "drop a cd to the folder that is in force"
    touched = (position,) if dropped is None else (dropped, position)
    assumptions = [doubt] if doubt else []
    if back and folder == "/" and model.last(run.stage, "WORKDIR") is None:
        assumptions.append("nobody minds that the image, which starts in / because it names no folder, then names /")
    evidence = ("the folder was there, or cd would have failed the build; WORKDIR leaves it as it is",)
    safety = Safety.UNSAFE if assumptions else Safety.SAFE
    return Change(summary, new, touched, () if doubt else evidence, safety, ", and ".join(assumptions))


def _needless(model: Model, run: ReadableRun, parts: list[_Part]) -> int | None:
    """A WORKDIR right above the RUN to a folder that is sure to be there, which that of the first part would follow at once."""
    above = next((p for p in reversed(run.stage.positions) if p < run.position), None)
    if above is None or not parts[0].moved or model.file.instruction(above).keyword != "WORKDIR" or above != run.position - 1:
        return None
    path = model.before(run.position).workdir
    there = path is not None and any(model.before(p).workdir == path for p in run.stage.positions if p <= above)
    commented = isinstance(model.file.nodes[above - 1], Comment)
    return above if there and not commented else None


def _comments(node: Node) -> int:
    return sum(line.lstrip().startswith("#") for line in node.text.splitlines()[1:])


def _parts(model: Model, run: ReadableRun, state: State, folder: str | None) -> list[_Part]:
    """The RUN's list of commands, divided at each ``cd``."""
    if run.node.heredocs or run.script.commented:
        raise _Stays("it stands in a heredoc, or with a comment of the shell")
    if any(word in run.text.text for word in ("OLDPWD", "~-", "pushd")) or "CDPATH" in model.file.text:
        raise _Stays("a command asks for more than the folder")
    parts = [_Part(state.workdir, folder, False)]
    for pipeline in run.script.chain or ():
        only, last = pipeline.commands[0], parts[-1]
        if isinstance(only, Command) and only.name == "cd" and len(pipeline.commands) == 1 and not pipeline.negated:
            path, written = _folder(model, run, only, last)
            if path != last.path:
                before = parts if last.pipelines else parts[:-1]
                parts = [*before, _Part(path, written, bool(before) or path != state.workdir)]
        else:
            parts[-1] = replace(last, pipelines=(*last.pipelines, pipeline))
    if not parts[-1].pipelines and len(parts) > 1:
        parts.pop()  # a cd at the end moves nobody
    inner = [p for part in parts for p in part.pipelines]
    if any(command.name == "cd" for command in run.script.commands if any(p.start <= command.start < p.end for p in inner)):
        raise _Stays("one stands in parentheses, a pipe or another construct")
    if not parts[-1].pipelines:
        raise _Stays("nothing runs behind it")
    return parts


def _folder(model: Model, run: ReadableRun, command: Command, current: _Part) -> tuple[str, str]:
    """The absolute path that a ``cd`` leads to, and how WORKDIR writes it."""
    state = model.before(run.position)
    if len(command.words) > 2 or command.redirects or command.assignments:
        raise _Stays("it is not a plain cd to one folder")
    text = command.words[1].text if len(command.words) == 2 else "~"
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    elif (
        re.match(r"~(?:/|$)", text) and state.user in ROOT_USERS and "HOME" not in {*state.env, *state.args} and run.stage.image is not None
    ):
        text = "/root" + text[1:]
    value = state.expand(text) if _FOLDER.fullmatch(text) and not text.startswith("-") else None
    if value is None or not _VALUE.fullmatch(value) or ("$" in text and ".." in value.split("/")):
        raise _Stays(f"where `{text}` leads is known only when it runs")
    if any(re.search(rf"\b{name}=", run.text.text) for name in re.findall(r"\$\{?(\w+)", text)):
        raise _Stays(f"the RUN sets a variable of `{text}` itself")
    if value.startswith("/"):
        return posixpath.normpath(value), text if "$" in text else posixpath.normpath(text)
    if current.path is None or current.written is None or (".." in text.split("/") and "$" in current.written):
        raise _Stays("the folder in force is not known")
    return posixpath.normpath(posixpath.join(current.path, value)), posixpath.normpath(posixpath.join(current.written, text))


def _hoisted(model: Model, run: ReadableRun, parts: list[_Part], state: State) -> list[_Part]:
    """The parts, the first two joined where the first does the same in the folder of the second."""
    if len(parts) < 2 or parts[0].moved or parts[1].path is None:
        return parts
    first, second, path = parts[0], parts[1], parts[1].path
    if all(_named(pipeline) == "set" for pipeline in first.pipelines):
        return [replace(second, pipelines=(*first.pipelines, *second.pipelines)), *parts[2:]]
    names = [p for p in first.pipelines if _names(run.script.text[p.start : p.end], path, second.written or path)]
    makes = [p for p in names if _makes(p, path, state)]
    others = tuple(p for p in first.pipelines if p not in makes)
    if names != makes or not (makes or _exists(model, run, path)) or not all(_anywhere(p, state) for p in others):
        return parts
    if not _exists(model, run, path) and any(_may_make(pipeline, path) for pipeline in others):
        return parts
    return [replace(second, pipelines=(*others, *second.pipelines)), *parts[2:]]


def _gathered(parts: list[_Part], state: State) -> list[_Part]:
    """The parts, each joined with the one above it where it does the same in that one's folder: ``cd / && rm -rf /build``."""
    found = parts[:1]
    for part in parts[1:]:
        above = found[-1]
        here = all(_anywhere(pipeline, state, _TIDIES) for pipeline in part.pipelines)
        # a folder that is gone is no place for another command than rm
        stays = all(_named(p) in ("rm", "rmdir") for p in part.pipelines) or not any(_named(p) in ("rm", "rmdir") for p in part.pipelines)
        if here and stays and part is parts[-1] and above.pipelines:
            found[-1] = replace(above, pipelines=(*above.pipelines, *part.pipelines))
        else:
            found.append(part)
    return found


def _named(pipeline: Pipeline) -> str | None:
    only = pipeline.commands[0]
    return unwrapped(only).program if isinstance(only, Command) else None


def _names(text: str, path: str, written: str) -> bool:
    return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text) for name in {path, written}) or path + "/" in text


def _makes(pipeline: Pipeline, path: str, state: State) -> bool:
    """Whether a command makes a folder and nothing else, as WORKDIR does: root's, with the usual rights."""
    only = pipeline.commands[0]
    if len(pipeline.commands) > 1 or pipeline.negated or not isinstance(only, Command) or only.name != "mkdir":
        return False
    operands = [word for word in only.words[1:] if word.text not in ("-p", "--parents", "-v", "-pv")]
    if len(operands) != 1 or only.redirects or only.assignments or state.user not in ROOT_USERS:
        return False
    value = state.path(operands[0].text.strip('"'))
    return value == path and not path.startswith("/var/local")  # whose group is handed on to what is made in it


def _may_make(pipeline: Pipeline, path: str) -> bool:
    """Whether a command may make a folder or one above it with another owner or with contents, which it leaves out if it is there."""
    if _named(pipeline) in _ACCOUNTS:
        return path not in _STANDARD
    return _named(pipeline) in _MANAGERS and path.startswith(("/etc/", "/var/", "/run/", "/home/"))


def _exists(model: Model, run: ReadableRun, path: str) -> bool:
    """Whether a folder is sure to be there before a RUN: a standard one, or one that was a WORKDIR."""
    return path in _STANDARD or any(model.before(p).workdir == path for p in run.stage.positions if p <= run.position)


def _anywhere(pipeline: Pipeline, state: State, more: frozenset[str] = frozenset()) -> bool:
    """Whether a command does the same in every folder. ``more``: programs besides the usual that take paths."""
    only = pipeline.commands[0]
    if len(pipeline.commands) > 1 or not isinstance(only, Command) or not only.words:
        return False
    program, words = unwrapped(only).program, only.words
    if any(word.substitutions for word in words) or not all(_absolute(r.target) for r in only.redirects):
        return False
    if re.search(r"\bPWD\b|~\+", " ".join(word.text for word in words)):
        return False
    if program in _WITH_PATHS or program in more:
        operands = [word.text.strip("\"'") for word in words[1:] if not word.text.startswith("-") and word.text != "]"]
        return bool(operands) and all(text.startswith("/") or (state.expand(text) or "").startswith("/") for text in operands)
    return program in _ANYWHERE and not any("./" in w.text or w.text.endswith((".deb", ".rpm", ".apk")) or w.glob for w in words)


def _absolute(target: Word | None) -> bool:
    return target is not None and re.match(r"/|\d+$|-$", target.text) is not None


def _check(model: Model, run: ReadableRun, parts: list[_Part], state: State) -> None:
    """Raise where a folder cannot be set beforehand, or the RUN not be divided."""
    for path in (part.path for part in parts if part.moved):
        assert path is not None
        if path.startswith("//") or any(path == top or path.startswith(f"{top}/") for top in _MOUNTED):
            raise _Stays(f"{path} is there only while the RUN lasts")
        if _LINKED.match(path) or _is_linked(model, path):
            raise _Stays(f"{path} may be reached over a symbolic link")
    for mount in mounts(run.node):
        if mount.target is None and mount.type in ("secret", "ssh"):
            continue  # below /run
        target = mount.target or ""
        inside = any(part.path == target or (part.path or "").startswith(target.rstrip("/") + "/") for part in parts)
        if not target.startswith("/") or "$" in target or inside:
            raise _Stays("a mount depends on the folder, or holds it")
    if len(parts) == 1:
        return
    if run.node.flags:
        raise _Stays("a mount or another flag would have to be written twice")
    if len(parts) > _MOST_RUNS:
        raise _Stays("it would take more than three RUN instructions")
    texts = [run.script.text[part.pipelines[0].start : part.pipelines[-1].end] for part in parts]
    for text in texts[1:]:
        for command in parse_script(text).commands:
            if unwrapped(command).program in _REMOVES or _REMOVES_BY.intersection(v for v in command.argv if v):
                raise _Stays("a later command removes or changes files, which a layer of their own would ship")
    scripts = [Leaves(parse_script(text), state.user) for text in texts]
    for index in range(1, len(scripts)):
        reason = leak(scripts[:index], scripts[index])
        if reason:
            raise _Stays(f"the RUN cannot be divided: {reason}")


def _instructions(model: Model, run: ReadableRun, parts: list[_Part]) -> list[Node]:
    """WORKDIR and RUN for each part."""
    node, text, found = run.node, run.text, list[Node]()
    for index, part in enumerate(parts):
        if part.moved and part.written is not None:
            found.append(instruction_like(model.file, node, "WORKDIR", part.written))
        source = _source(run, part.pipelines)
        head = node.text[: text.source(0)] if index == 0 else f"{keyword_like(node, 'RUN')} "
        last = index == len(parts) - 1
        tail = node.text[text.source_end(len(text.text)) :] if last else line_end_of(model.file, node)
        found.append(Instruction(head + source + tail, node.escape))
    return found


def _source(run: ReadableRun, pipelines: tuple[Pipeline, ...]) -> str:
    """The source of commands, with what stands between those that were neighbours."""
    text, chain, found = run.text, run.script.chain or (), ""
    previous: int | None = None
    for here in map(chain.index, pipelines):
        if previous is not None:  # where a command between them goes, so does the break behind it
            found += run.node.text[text.source_end(chain[previous].end) : text.source(chain[previous + 1].start)]
        found += run.node.text[text.source(chain[here].start) : text.source_end(chain[here].end)]
        previous = here
    return found


def _is_linked(model: Model, path: str) -> bool:
    """Whether the Dockerfile or the build context has a symbolic link of the name of a folder on the way to a path."""
    names, text = [name for name in path.split("/") if name], model.file.text
    context = model.context
    if context is not None and any(context.is_link(file) for file in context.files() if posixpath.basename(file) in names):
        return True
    return "ln " in text and any(re.search(rf"\bln\b[^&|;\n]*[\s/]{re.escape(name)}/?(?=[\s;&|)\\]|$)", text) for name in names)


def _restored(model: Model, folder: str | None) -> str:
    """The folder that WORKDIR has to set again."""
    if folder is None:
        raise _Stays("the folder in force, which would have to be set again, is not known")
    if folder not in _STANDARD and re.search(rf"\brm\b[^&|;\n]*{re.escape(folder)}/?(?![\w./-])", model.file.text):
        raise _Stays("the folder in force, which would have to be set again, is removed somewhere")
    return folder


def _needed_behind(model: Model, stage: Stage, position: int, gone: bool) -> int | None:
    """The position of the instruction behind which the folder in force has to be set again, None where nothing depends on it.

    ``gone``: The RUN may have removed the folder that it worked in; one more RUN would make it anew.
    """
    behind = position
    for later in (p for p in stage.positions if p > position):
        node = model.file.instruction(later)
        if node.keyword == "WORKDIR":
            return None if _absolute_path(model, later, node.value) else behind
        if node.keyword == "RUN":
            script = script_of(node)
            if gone or script is None or not starts_absolute(script) or mounts(node):
                return behind
            behind = later
        elif node.keyword in ("COPY", "ADD") and not _absolute_path(model, later, node.words[-1] if node.words else ""):
            return behind
    ends = stage == model.final or not model.dependants(stage) or any(other.base == stage.index for other in model.stages)
    return behind if ends else None


def _absolute_path(model: Model, position: int, word: str) -> bool:
    return (model.before(position).expand(word, model.file.escape) or "").startswith("/")
