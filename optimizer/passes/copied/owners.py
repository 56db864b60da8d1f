"""A chown behind COPY instructions as a ``--chown`` of them.

What ``--chown`` does: the files and folders that a COPY brings, and the folders that it makes on the way, get the owner; a folder that
exists keeps its own. Source: ``dispatchCopy`` in BuildKit's dockerfile2llb/convert.go and ``copyDirectory`` in fsutil's copy package.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from msgspec import Struct

from optimizer.model import Model, Stage, mounts
from optimizer.model.copies import copy_facts, stage_copies
from optimizer.model.paths import Placement, is_folder, placements, within
from optimizer.model.state import ROOT_USERS
from optimizer.passes.base import Change, Refusal
from optimizer.passes.copied.accounts import MAKES_ACCOUNTS, Makers, makers_of, movable
from optimizer.passes.copied.moved import with_copies
from optimizer.passes.copied.rights import Rights, rights_of
from optimizer.passes.copied.without import with_flag
from optimizer.passes.runs.continuation import with_command_behind
from optimizer.passes.runs.keeps import command_keeps, does_not_bring, run_keeps
from optimizer.passes.runs.readable import ReadableRun
from optimizer.passes.runs.shells import posix_shell, script_of
from optimizer.passes.text import quote_names
from optimizer.syntax import Dockerfile, Instruction
from optimizer.syntax.shell import Command

_OWNER = re.compile(r"(?P<user>[\w$][\w${}-]*)?(?:(?P<separator>[:.])(?P<group>[\w$][\w${}-]*)?)?")
_OF_THE_IMAGE = ("/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var")
_SHARED = frozenset({"/", "/media", "/mnt", "/opt", "/srv", "/tmp", "/usr/src", "/opt/java", "/opt/bitnami"})
_FRESH = re.compile(r"(?:/usr/src|/home/[^/]+)/[^.].*")
"""Folders below those of the image that hold nothing unless somebody puts it there."""
_SET_BITS = re.compile(r"\bsetcap\b|\bchmod\s+(?:-\w+\s+)*(?:[ugoa]*[+=][rwxX]*s|[2467][0-7]{3}\b)|install\s.*-m\s*[2467][0-7]{3}\b")


class _Brought(Struct, frozen=True):
    """What is known of the folders that a RUN gives away.

    Args:
        copies: Positions of the COPY instructions that fill them, behind ``writer`` where there is one.
        made: The folders that are made otherwise, behind ``writer`` where there is one.
        writer: Position of the one RUN that writes there as well.
    """

    copies: tuple[int, ...]
    made: tuple[str, ...]
    writer: int | None = None


def while_copied(model: Model, run: ReadableRun) -> Iterator[Change | Refusal]:
    """The first chown of a RUN that the COPY instructions above can make, or why they cannot."""
    if run.node.flags or model.before(run.position).user not in ROOT_USERS:
        return
    for rights in rights_of(model.before(run.position), run, "chown"):
        found = _change(model, run, rights)
        if isinstance(found, str):
            yield Refusal(f"the owner of {quote_names(list(rights.paths))} is not set while copying: {found}", run.position)
        elif found is not None:
            yield found
            return


def _change(model: Model, run: ReadableRun, rights: Rights) -> Change | str | None:
    """The change, a reason where one is worth telling, None where the chown is about something else."""
    owner = _OWNER.fullmatch(rights.value.text)
    if owner is None or (owner["separator"] and not owner["group"]) or not (owner["user"] or owner["group"]):
        return None
    brought = _brought(model, run, rights)
    if not isinstance(brought, _Brought):
        return brought
    if not brought.copies and brought.writer is None:
        return None
    if _SET_BITS.search(model.file.text) or _special_files(model, brought.copies):
        return "chown takes special rights off files, and --chown does not"
    first = min(p for p in (*brought.copies, brought.writer) if p is not None)
    if any(flag.name == "link" for p in brought.copies for flag in model.file.instruction(p).flags):
        return "a linked layer knows no accounts"
    makers = makers_of(model, run, rights.at, [name for name in owner.group("user", "group") if name], first)
    if isinstance(makers, str):
        return makers
    nodes = {}
    for position in brought.copies:
        node = model.file.instruction(position)
        value = _flag_value(owner, node.flag("chown"))
        nodes[position] = node if value == "root:root" and node.flag("chown") is None else with_flag(node, "chown", value)
    evidence = f"COPY brings all that {quote_names(list(rights.paths))} holds"
    if brought.writer is not None:
        if brought.made and (makers.positions or makers.with_run):
            return "folders that it makes with the account would be there too early"
        node = model.file.instruction(brought.writer)
        command = run.text.text[rights.command.start : rights.command.end]
        longer = with_command_behind(model.file, node, node.script, command) if node.script is not None else "it cannot be read"
        if isinstance(longer, str):
            return f"line {model.file.line(brought.writer)} may write there, and {longer}"
        nodes[brought.writer] = longer
        evidence += f" but what line {model.file.line(brought.writer)} makes, which gives it away in the same layer"
    file = _file(model, run, rights, brought.made, nodes, makers)
    if isinstance(file, str):
        return file
    return Change(
        summary="give files their owner in the layer that brings them",
        file=file,
        touched=(*nodes, *makers.positions, run.position),
        evidence=(evidence,),
    )


def _brought(model: Model, run: ReadableRun, rights: Rights) -> _Brought | str | None:
    """What fills the paths before the RUN; a reason where that is not known, None where no COPY does."""
    copies: list[int] = []
    made: list[str] = []
    writer = None
    stage, file = run.stage, model.file
    for path in rights.paths:
        if rights.deep and (stage.base is not None or (stage.image is None and stage.reference != "scratch")):
            return "the base may have files there"
        if path in _SHARED or (rights.deep and any(within(path, f) for f in _OF_THE_IMAGE) and not _is_fresh(stage, path)):
            return "the base may have files there" if rights.deep else None
        if stage.image is not None and any(within(path, volume) or within(volume, path) for volume in stage.image.volumes):
            return "a volume lies there"
    for position in (p for p in stage.positions if p < run.position):
        node = file.instruction(position)
        if node.keyword in ("COPY", "ADD"):
            found = placements(model, position) or _to_its_target(model, position)
            if found is None:
                return f"it is not known what line {file.line(position)} copies"
            inside = [any(within(p.target, path) for path in rights.paths) for p in found]
            around = [(p, path) for p in found for path in rights.paths if within(path, p.target) and path != p.target]
            if any(not does_not_bring(model, p, path) for p, path in around) or (any(inside) and not all(inside)):
                return f"line {file.line(position)} brings other files as well"
            if any(inside):
                if any(p.source is None and not p.foreign and p.stage is None for p in found):
                    return f"it is not known what line {file.line(position)} brings"
                if not rights.deep and not all(_a_file(model, p.target, p.folder, position, rights) for p in found):
                    return None
                copies.append(position)
        elif node.keyword == "WORKDIR":
            folder = model.before(position).path(node.value, node.escape)
            if folder is None:
                return f"it is not known where line {file.line(position)} works"
            made += [folder] if any(within(folder, path) for path in rights.paths) else []
        elif node.keyword == "VOLUME":
            return f"line {file.line(position)} declares a volume"
        elif node.keyword == "RUN":
            folders = _folders_of(model, position, rights.paths)
            if folders is not None:
                made += folders
            elif writer is None and _gives_away(model, run, rights, position):
                writer, made = position, []  # what is made above it is given away with what it makes
            else:
                return f"line {file.line(position)} may write there"
    own = _folders_of(model, run.position, rights.paths, rights.command.start)
    if own is None:
        return "the same RUN writes there"
    made += own
    if writer is not None:
        copies = [position for position in copies if position > writer]  # those above stay as the RUN has to find them
    elif copies:
        made += [path for path in rights.paths if rights.deep and is_folder(model, stage, path, copies[0])]
    parents = [parent for folder in made for parent in _parents(folder) if any(within(parent, path) for path in rights.paths)]
    given = {path for path in {*made, *parents} if writer is None or not is_folder(model, stage, path, writer)}
    return _Brought(tuple(copies), tuple(sorted(given)), writer)


def _is_fresh(stage: Stage, path: str) -> bool:
    """Whether a folder holds nothing of the base image: one below those of the image, or the home of an account that it has not."""
    parent, _, name = path.rpartition("/")
    return _FRESH.fullmatch(path) is not None or (parent == "/home" and stage.image is not None and name not in stage.image.users)


def _gives_away(model: Model, run: ReadableRun, rights: Rights, position: int) -> bool:
    """Whether a RUN that writes into the paths can give them away itself, and pays for it with what it makes and little else.

    All commands of the RUN still run while the folder belongs to root, as npm and git care for: one asks its owner who runs the scripts
    of a package, the other refuses to work in a folder of somebody else.
    """
    node, state = model.file.instruction(position), model.before(position)
    if not rights.deep or node.heredocs or node.json is not None or node.script is None or not node.script.understood:
        return False
    if state.user not in ROOT_USERS or not posix_shell(state) or any(flag.name != "mount" for flag in node.flags):
        return False
    if any(mount.type != "cache" or mount.target is None or _near(mount.target, rights.paths) for mount in mounts(node)):
        return False
    above = [p for p in stage_copies(model, run.stage) if p.position < position]
    return bool(above) and all(is_folder(model, run.stage, path, position) for path in rights.paths)


def _near(place: str, paths: tuple[str, ...]) -> bool:
    """Whether a place, or a folder around it, is one of the paths, or it may be."""
    return "$" in place or not place.startswith("/") or any(within(place, path) or within(path, place) for path in paths)


def _to_its_target(model: Model, position: int) -> tuple[Placement, ...] | None:
    """What a COPY brings where there is no context to look at: something, to its target."""
    facts = copy_facts(model, position)
    if model.context is not None or facts is None or facts.node.keyword != "COPY" or not facts.plain or facts.destination is None:
        return None
    known = {flag.name for flag in facts.node.flags} <= {"chown", "chmod"}
    return tuple(Placement(source, facts.destination, None) for source in facts.sources) if known else None


def _special_files(model: Model, copies: tuple[int, ...]) -> bool:
    """Whether a file that COPY takes from the context has set-user-ID, set-group-ID or sticky bits."""
    context = model.context
    if context is None:
        return False
    sources = [p.source for position in copies for p in placements(model, position) or () if p.source is not None and p.stage is None]
    return any((context.permissions(file) or 0) & 0o7000 for source in sources for file in (source, *context.under(source)))


def _a_file(model: Model, target: str, folder: bool | None, position: int, rights: Rights) -> bool:
    """Whether a COPY brings a file that is named, into a folder that exists."""
    stage = model.stage_of(position)
    exists = stage is not None and is_folder(model, stage, posixpath.dirname(target), position)
    return folder is False and exists and target in rights.paths


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(2, len(parts))]


def _folders_of(model: Model, position: int, paths: tuple[str, ...], end: int | None = None) -> list[str] | None:
    """The folders that a RUN makes in the paths, None where it may do anything else there but change modes.

    Args:
        model, position, paths: The facts.
        end: Only commands before that offset of its shell text count; None for all.
    """
    node, state = model.file.instruction(position), model.before(position)
    script = script_of(node)
    if script is None or not posix_shell(state) or node.flags:
        return None
    if script.chain is None or any(command.name == "cd" for command in script.commands):
        return [] if all(run_keeps(model, position, path, None, deep=True) for path in paths) else None
    made: list[str] = []
    for command in (c for c in script.commands if end is None or c.start < end):
        words = [state.path(w.text) for w in command.words[1:] if not w.text.startswith("-")]
        inside = [word for word in words if word is not None and any(within(word, path) for path in paths)]
        if command.name == "mkdir" and not command.redirects and None not in words:
            made += inside
        elif command.name in MAKES_ACCOUNTS and (_makes_no_home(model, position, command) or not _names_one(command, paths)):
            continue  # a home there would come with files of its own
        elif command.name != "chmod" and not all(command_keeps(state, command, path, None, deep=True) for path in paths):
            return None
    return made


def _makes_no_home(model: Model, position: int, command: Command) -> bool:
    """Whether a command makes an account or a group without a folder: by its options, or since Debian's useradd makes none unasked."""
    words = [word.text for word in command.words[1:]]
    asked = any(re.fullmatch(r"-[a-zA-Z]*m|--create-home", word) for word in words)
    stage = model.stage_of(position)
    debian = stage is not None and stage.image is not None and stage.image.distribution in ("debian", "ubuntu")
    forbidden = {"-M", "--no-create-home"} & set(words)
    return command.name in ("groupadd", "addgroup") or (command.name == "useradd" and not asked and (debian or bool(forbidden)))


def _names_one(command: Command, paths: tuple[str, ...]) -> bool:
    """Whether a word of a command is, holds, or ends with one of the paths or what lies there, as ``--home=/app`` does."""
    text = " ".join(word.text for word in command.words)
    named = [posixpath.normpath(found) for found in re.findall(r"/[^\s:=,'\"]*", text)]
    return any(within(name, path) or within(path, name) for name in named for path in paths) or "$HOME" in text


def _flag_value(owner: re.Match[str], before: str | None) -> str:
    """The value of ``--chown`` that leaves a file what chown leaves it; before: the value that the COPY has."""
    user, _, group = (before or "root:root").partition(":")
    numeric = (owner["user"] or owner["group"]).isdigit()
    root = "0" if numeric else "root"
    given_user = owner["user"] or (user if before else root)
    given_group = owner["group"] or ((group or user) if before else root)
    return f"{given_user}:{given_group}"


def _file(
    model: Model, run: ReadableRun, rights: Rights, made: tuple[str, ...], copies: dict[int, Instruction], makers: Makers
) -> Dockerfile | str:
    """The file in which COPY gives the files away, and the RUN only the folders that were made otherwise."""
    left = _left(rights, made)
    if left is None:
        return "a folder's name has to be quoted"
    above = makers.positions
    if (above or makers.with_run) and any(within(path, "/home") for path in rights.paths):
        return "its home would be made before it is filled"
    if above or makers.with_run:
        first, steps = min(copies), (*above, run.position)
        exist = all(is_folder(model, run.stage, f, first) or any(_makes(model, step, f) for step in steps) for f in made)
        alone = all(command.name in MAKES_ACCOUNTS | {"mkdir", "chown"} for command in run.script.commands)
        if exist and alone and movable(model, run.position, first):
            above = steps if left or len(run.script.chain or ()) > 1 else above
        elif makers.with_run:
            return "the folders that it gives away are made behind the COPY"
    return with_copies(model.file, run, rights.at, copies, left, above)


def _left(rights: Rights, made: tuple[str, ...]) -> str | None:
    """The command that gives away the folders that no COPY brings, empty without any; None where a name has to be quoted."""
    written = dict(zip(rights.paths, (word.text for word in rights.operands), strict=True))
    names = [written.get(folder, folder) for folder in made]
    if not all(re.fullmatch(r"[\w./${}+-]+", name) for name in names):
        return None
    return f"{rights.command.words[0].text} {rights.value.text} {' '.join(names)}" if names else ""


def _makes(model: Model, position: int, folder: str) -> bool:
    """Whether a RUN makes a folder."""
    script, state = script_of(model.file.instruction(position)), model.before(position)
    made = [w.text for command in (script.commands if script is not None else ()) if command.name == "mkdir" for w in command.words[1:]]
    return any(within(path, folder) for word in made if (path := state.path(word)) is not None)
