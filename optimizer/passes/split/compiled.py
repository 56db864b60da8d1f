"""What splitting off a compiled program takes, whatever its language: what lies beside it, and the two stages to write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field

from optimizer.knowledge.images import BaseImage, lookup
from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.model.paths import image_path
from optimizer.model.users import decided_user
from optimizer.passes.split.shared import Refused, body_nodes, from_line, line, with_lead
from optimizer.passes.split.started import Starting, starting
from optimizer.passes.text import keyword_like, line_end_of
from optimizer.syntax import Blank, Comment, Dockerfile, Instruction, Node, Pair

__all__ = [
    "METADATA", "SYSTEM_FOLDERS", "Split", "Starting", "account_steps", "assemble", "check_owner", "copied_elsewhere", "copy_line",
    "data_files", "exposed_ports", "has_user", "in_system", "is_below", "is_root", "outermost", "starting",
]  # fmt: skip

METADATA = frozenset({"LABEL", "MAINTAINER", "EXPOSE", "VOLUME", "CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL"})
# Folders that belong to the system: what is read there is in every image, comes from a package, or is mounted.
SYSTEM_FOLDERS = ("/proc", "/sys", "/dev", "/tmp", "/var/tmp", "/run", "/var/run", "/etc", "/usr", "/lib", "/lib64", "/bin", "/sbin")
_NOT_DATA = re.compile(
    r"\.(go|c|cc|cpp|cxx|c\+\+|h|hh|hpp|hxx|inl|s|S|o|a|md|rst|adoc|proto|am|ac|m4|cmake|cmake\.in|pc\.in|spec)$"
    r"|(^|/)(go\.(mod|sum|work)(\.sum)?|(GNUm|m|M)akefile(\.\w+)?|CMakeLists\.txt|meson\.build|meson(_options\.txt|\.options)|configure|autogen\.sh|Dockerfile[^/]*|[^/]*\.Dockerfile|\.dockerignore"
    r"|docker-compose[^/]*|compose\.ya?ml|\.gitignore|\.gitattributes|\.editorconfig|\.clang-format|\.golangci\.ya?ml|\.travis\.yml|LICEN[CS]E[^/]*"
    r"|COPYING[^/]*|README[^/]*|CHANGELOG[^/]*|CHANGES|AUTHORS|NEWS|NOTICE)$|(^|/)(\.git|\.github|\.vscode|\.idea|testdata|docs?|vendor)/"
)


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def in_system(path: str) -> bool:
    """Whether a path lies in a folder of the system, /usr/local, /usr/src and /usr/share/<own> not counted."""
    return any(is_below(path, folder) for folder in SYSTEM_FOLDERS) and not is_below(path, "/usr/local") and not is_below(path, "/usr/src")


def data_files(model: Model, stage: Stage, outside: str | None = None) -> tuple[str, ...]:
    """The copied files that are neither source nor build files nor documentation, as paths of the image.

    outside: leave out those below this folder.
    """
    if model.context is None:
        return ()
    found = []
    for file in model.context.files():
        if not _NOT_DATA.search(file):
            found += [p for p in image_path(model, stage, file) if outside is None or not is_below(p, outside)]
    return tuple(found)


def copied_elsewhere(model: Model, stage: Stage, source: str, last: int) -> tuple[str, ...]:
    """What COPY instructions up to `last` put outside of the source folder: configuration and the like, as image paths."""
    found: list[str] = []
    for copy in stage_copies(model, stage):
        if copy.position > last or copy.destination is None or is_below(copy.destination, source) or is_below(source, copy.destination):
            continue
        for match in (m for s in copy.sources for m in (model.context.match(s) if model.context is not None else ())):
            folder = match == "." or (model.context is not None and model.context.is_dir(match))
            placed = copy.destination if folder else copy.image_of(model, match)
            files = model.context.under(match) if folder and model.context is not None else (match,)
            if placed is not None and not all(_NOT_DATA.search(file) for file in files):
                found.append(placed)
    return tuple(dict.fromkeys(found))


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Paths without those that lie below another one, in order."""
    given = tuple(dict.fromkeys(paths))
    return tuple(p for p in given if not any(p != other and is_below(p, other) for other in given))


def copy_line(model: Model, stage: Stage, name: str, source: str, target: str) -> Instruction:
    """A COPY from the build stage."""
    words = f"{source} {target}" if not re.search(r"[\s\"'\\$]", source + target) else json.dumps([source, target], ensure_ascii=False)
    return line(model, stage, "COPY", f"--from={name} {words}")


class Split(Struct, frozen=True):
    """The two stages to write.

    Args:
        name: The build stage's name.
        reference: The runtime stage's base.
        last: Index of the last instruction of the build stage.
        middle: What the runtime stage has of its own: packages, copies.
        edited: Instructions of the build stage in another wording, or with lines in front.
        replaced: Instructions of the runtime stage in another wording.
        build_variable: Whether only the build reads an ENV variable of that name.
        moved: Positions of ENV instructions that only the program reads.
        workdir: Whether the runtime stage needs the working directory although no WORKDIR names it.
        user: The value of USER in the runtime stage, None for that of the stage, "" for none.
        platform: Whether the runtime stage is for the platform that FROM names.
    """

    name: str
    reference: str
    last: int
    middle: tuple[Instruction, ...]
    edited: Mapping[int, list[Node]] = field(default_factory=dict)
    replaced: Mapping[int, Instruction] = field(default_factory=dict)
    build_variable: Callable[[str], bool] = lambda name: False
    moved: frozenset[int] = frozenset()
    workdir: bool = False
    user: str | None = None
    platform: bool = True


def assemble(model: Model, stage: Stage, split: Split) -> Dockerfile:
    """The Dockerfile with a stage in two.

    Raises:
        Refused: An instruction cannot be taken over.
    """
    file = model.file
    end = next((s.position for s in model.stages if s.position > stage.position), len(file.nodes))
    if end < len(file.nodes) and any(n.isdigit() for p in file.positions if p >= end for n in model.sources(file.instruction(p))):
        raise Refused("stages behind it are named by number", stage.position)
    moved = [p for p in stage.positions if p <= split.last and (file.instruction(p).keyword in METADATA or p in split.moved)]
    written = file.instruction(stage.position).value.split()[0]
    body = body_nodes(file, stage, split.last + 1, {**{p: [] for p in moved}, **split.edited})
    build: list[Node] = [from_line(model, stage, written, split.name), *body]
    while isinstance(build[-1], Blank | Comment):
        build.pop()
    final = _final_from(model, stage, split)
    nodes = [*build, Blank(file.newline), *final, *_runtime(model, stage, split, end)]
    return file.replaced(stage.position, end, nodes)


def _final_from(model: Model, stage: Stage, split: Split) -> list[Node]:
    made = from_line(model, stage, split.reference, stage.name)
    if stage.platform and not split.platform:
        made = Instruction(made.text.replace(f"--platform={stage.platform} ", "", 1), made.escape)
    return [made]


def _runtime(model: Model, stage: Stage, split: Split, end: int) -> list[Node]:
    """The nodes behind the runtime stage's FROM."""
    file = model.file
    early: list[Node] = []
    kept: list[Instruction] = []
    for position in stage.positions:
        node = file.instruction(position)
        if position > split.last:
            break
        if node.keyword == "SHELL":
            early.append(node)
        elif node.keyword in METADATA:
            nodes = with_lead(file, position)
            early += [*nodes[:-1], split.replaced.get(position, node)]
            kept.append(node)
        elif node.keyword == "ENV":
            own = [pair for pair in node.pairs if not split.build_variable(pair.name)]
            if own:
                early += with_lead(file, position)[:-1] if position in split.moved else []
                early.append(node if len(own) == len(node.pairs) else _env(model, node, own))
                kept.append(node)
        elif node.keyword == "ONBUILD":
            raise Refused("it is a base for other images", position)
    tail = _tail(model, stage, split, end, kept)
    early = [*_arguments(model, stage, split, kept), *early]
    workdir = _workdir(model, stage, split)
    return [*early[: _first_command(early)], *workdir, *split.middle, *_user(model, stage, split), *early[_first_command(early) :], *tail]


def _first_command(nodes: list[Node]) -> int:
    """Where the instructions begin that say how the container starts; what the stage is made of stands before them."""
    keywords = [node.keyword if isinstance(node, Instruction) else "" for node in nodes]
    first = next((i for i, k in enumerate(keywords) if k in METADATA - {"LABEL", "MAINTAINER"}), len(nodes))
    while first > 0 and isinstance(nodes[first - 1], Comment):
        first -= 1
    return first


def _env(model: Model, node: Instruction, own: list[Pair]) -> Instruction:
    """An ENV with those of its variables that are kept."""
    words = [a.text for a in node.arguments if any(a.text.startswith(f"{pair.name}=") for pair in own)]
    return Instruction(f"{keyword_like(node, 'ENV')} {' '.join(words)}{line_end_of(model.file, node)}", node.escape)


def _arguments(model: Model, stage: Stage, split: Split, kept: list[Instruction]) -> list[Node]:
    """The ARG instructions whose names the kept instructions use."""
    text = "\n".join(node.value for node in kept)
    found: list[Node] = []
    for position in stage.positions:
        node = model.file.instruction(position)
        named = node.keyword == "ARG" and any(re.search(rf"\$\{{?{re.escape(pair.name)}\b", text) for pair in node.pairs)
        if named and position <= split.last:
            found.append(node)
    return found


def _workdir(model: Model, stage: Stage, split: Split) -> list[Node]:
    """The working directory in force behind the build, as it is written where that is a plain path."""
    file = model.file
    written = [p for p in stage.positions if p <= split.last and file.instruction(p).keyword == "WORKDIR"]
    if not written and not split.workdir:
        return []
    following = [p for p in stage.positions if p > split.last]
    if _names_workdir(file, following):
        return []
    folder = (model.before(following[0]) if following else model.behind(stage)).workdir
    if folder is None:
        raise Refused("the working directory is not known", written[-1] if written else stage.position)
    if folder == "/":
        return []
    node = file.instruction(written[-1]) if written else None
    if node is not None and node.value.startswith("/") and "$" not in node.value:
        return [node]
    return [line(model, stage, "WORKDIR", folder)]


def _names_workdir(file: Dockerfile, following: list[int]) -> bool:
    """Whether the first of some instructions that is not about the container's start is a WORKDIR with a whole path."""
    nodes = [file.instruction(p) for p in following if file.instruction(p).keyword not in METADATA]
    return bool(nodes) and nodes[0].keyword == "WORKDIR" and nodes[0].value.startswith("/")


def _user(model: Model, stage: Stage, split: Split) -> list[Node]:
    if split.user is None:
        last = decided_user(model, stage)
        return [model.file.instruction(last)] if last is not None and last <= split.last else []
    return [line(model, stage, "USER", split.user)] if split.user else []


def _tail(model: Model, stage: Stage, split: Split, end: int, kept: list[Instruction]) -> list[Node]:
    """What stands behind the build stage's last instruction, as it is; without USER where that changes."""
    out: list[Node] = []
    runtime = lookup(split.reference)
    for index in range(split.last + 1, end):
        node = model.file.nodes[index]
        if isinstance(node, Instruction):
            if node.keyword == "USER" and split.user is not None:
                continue
            if node.keyword in ("COPY", "ADD"):
                check_owner(node, runtime, index)
            if node.keyword == "ONBUILD":
                raise Refused("it is a base for other images", index)
            if node.keyword == "ENV" and all(split.build_variable(pair.name) for pair in node.pairs):
                continue
            kept.append(node)
            node = split.replaced.get(index, node)
        out.append(node)
    first = next((i for i, node in enumerate(out) if not isinstance(node, Blank)), len(out))
    return out[first:]


_ACCOUNTS = frozenset({"useradd", "groupadd", "adduser", "addgroup", "usermod"})


def account_steps(model: Model, stage: Stage) -> list[Instruction]:
    """The RUN instructions of a stage that make user accounts and do nothing else."""
    nodes = [model.file.instruction(p) for p in stage.positions]
    runs = [node for node in nodes if node.keyword == "RUN" and node.script is not None and node.script.understood]
    return [node for node in runs if node.script and node.script.commands and all(c.name in _ACCOUNTS for c in node.script.commands)]


def has_user(model: Model, stage: Stage) -> bool:
    """Whether a stage says which user its program runs as."""
    return decided_user(model, stage) in stage.positions


def is_root(user: str | None) -> bool:
    """Whether a value of USER is root; so is none."""
    return user is None or user.partition(":")[0] in ("root", "0")


def exposed_ports(model: Model, stage: Stage) -> set[int]:
    """The ports of EXPOSE and of ENV PORT."""
    found: set[int] = set()
    for position in stage.positions:
        node = model.file.instruction(position)
        for word in node.words if node.keyword == "EXPOSE" else ():
            text = (model.before(position).expand(word, node.escape) or "").partition("/")[0]
            found |= {int(part) for part in text.split("-") if part.isdecimal()}
    value = model.behind(stage).env.get("PORT")
    return found | ({int(value)} if value and value.isdecimal() else set())


def check_owner(node: Instruction, runtime: BaseImage | None, position: int) -> None:
    """Refuse a COPY whose ``--chown`` names a user that the runtime base does not have.

    Raises:
        Refused: It names one.
    """
    owner = (node.flag("chown") or "").partition(":")[0]
    if owner and not owner.isdigit() and (runtime is None or owner not in runtime.users):
        raise Refused(f"it gives files to the user {owner}, whom the runtime image does not have", position)
