"""How a Go program is compiled for an image of its own: statically, without symbols for debuggers, with a cache that stays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from optimizer.context.golang import GoModule
from optimizer.knowledge.tags import version_number
from optimizer.model import Model, Stage, mounts
from optimizer.model.go_builds import GoBuild
from optimizer.passes.split.go_project import GoProject
from optimizer.passes.text import keyword_like, line_end_of
from optimizer.syntax import Directive, Instruction, Node
from optimizer.syntax.joined import JoinedText
from optimizer.syntax.shell import Word

_BUILD_VARIABLE = re.compile(r"CGO_\w+|GO[A-Z0-9]*|GO(LANG)?_VERSION|CC|CXX|PKG_CONFIG\w*|GIT_TERMINAL_PROMPT|DEBIAN_FRONTEND|PATH")
_PROGRAM_VARIABLES = frozenset({"GODEBUG", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GOTRACEBACK"})
_COMPILES = (("build",), ("install",), ("test",), ("vet",), ("generate",), ("run",))
_READS_NO_ENVIRONMENT = (("build",), ("install",), ("mod",), ("vet",), ("get",), ("version",), ("env",))
_KEEPS = (1, 10)
"""The version of Go since which compiled packages are kept by their content (release notes of Go 1.10, "Build")."""


def build_variable(name: str) -> bool:
    """Whether only the build reads an environment variable; PATH is one, since programs are put where every image looks."""
    return _BUILD_VARIABLE.fullmatch(name) is not None and name not in _PROGRAM_VARIABLES


def program_variables(project: GoProject) -> frozenset[int]:
    """The positions of the ENV instructions that no step of the build is seen to read."""
    nodes = [(p, project.model.file.instruction(p)) for p in project.stage.positions]
    commands = [c for _, node in nodes if node.keyword == "RUN" and node.script is not None for c in node.script.commands]
    if project.unusual or any(c.name == "go" and c.argv[1:2] not in _READS_NO_ENVIRONMENT for c in commands):
        return frozenset()
    readers = ("RUN", "COPY", "ADD", "WORKDIR", "ENV", "ARG", "USER")
    used = "\n".join(node.value for p, node in nodes if p <= project.last and node.keyword in readers)

    def build_reads(name: str) -> bool:
        everyday = name in ("HOME", "TMPDIR", "TZ", "LANG") or "proxy" in name.lower()
        return everyday or build_variable(name) or re.search(rf"\$\{{?{re.escape(name)}\b", used) is not None

    return frozenset(p for p, node in nodes if node.keyword == "ENV" and not any(build_reads(pair.name) for pair in node.pairs))


def edited_builds(
    model: Model, stage: Stage, builds: Iterable[GoBuild], modules: Iterable[GoModule], static: bool
) -> dict[int, list[Node]]:
    """The RUN instructions that compile, by position, in their new wording.

    Args:
        model, stage: The stage that compiles.
        builds: The commands that build programs of the context.
        modules: The modules of these programs.
        static: Whether the program must not link C libraries: CGO_ENABLED=0 is set where nothing else is.
    """
    found: dict[int, list[Node]] = {}
    # Programs that look at their own symbols, such as debuggers, keep them.
    symbols = any(name.startswith("debug/") and name != "debug/buildinfo" for module in modules for name in module.imports)
    keeps = stage.image is not None and stage.image.family == "golang" and version_number(stage.image.version) >= _KEEPS
    given = tuple(builds)
    for position in stage.positions:
        node = model.file.instruction(position)
        here = [b for b in given if b.position == position]
        if not here and not _compiles(node):
            continue
        edits = [edit for build in here if build.command is not None for edit in _command_edits(node, build, static, symbols, keeps)]
        before: list[Node] = []
        if static and any(b.command is None and b.cgo is None for b in here):
            before = [Instruction(f"{keyword_like(node, 'ENV')} CGO_ENABLED=0{line_end_of(model.file, node)}", node.escape)]
        cache = _cache(model, position, node, here)
        if cache is not None:
            at = len(node.text) - len(node.text.lstrip(" \t")) + len(node.keyword_text)
            edits.append((at, at, f" --mount=type=cache,target={cache}"))
        if edits or before:
            found[position] = [*before, node.edited(*edits)]
    return found


def _compiles(node: Instruction) -> bool:
    script = node.script if node.keyword == "RUN" else None
    return script is not None and any(c.name == "go" and c.argv[1:2] in _COMPILES for c in script.commands)


def linked_statically(build: GoBuild) -> bool:
    """Whether the flags of a build keep the C library out of the program, or link it statically.

    Source: the documentation of the packages net and os/user on their build tags.
    """
    flags = f"{build.option('ldflags') or ''} {build.environment.get('GOFLAGS') or ''}"
    tags = set(re.split(r"[\s,]+", build.option("tags") or ""))
    return re.search(r"-static\b", flags) is not None or {"netgo", "osusergo"} <= tags


def _command_edits(node: Instruction, build: GoBuild, static: bool, symbols: bool, keeps: bool) -> list[tuple[int, int, str]]:
    command, script = build.command, node.shell_text
    assert command is not None
    assert script is not None
    edits = []
    if static and build.cgo is None and not re.search(r"-static\b", build.option("ldflags") or ""):
        at = script.source(command.start)
        edits.append((at, at, "CGO_ENABLED=0 "))
    words = command.words
    edits += _rebuilding(script, words, node.text) if keeps else []
    if symbols or _debugs(build):
        return edits
    verb = next(i for i, w in enumerate(words) if w.value in ("build", "install") and (words[i - 1].value or "").endswith("go"))
    given = next((i for i, w in enumerate(words) if re.match(r"--?ldflags(=|$)", w.text)), None)
    if given is None:
        at = script.source_end(words[verb].end)
        return [*edits, (at, at, ' -ldflags="-s -w"')]
    word = words[given] if "=" in words[given].text else words[given + 1]
    quote = re.match(r"(?:--?ldflags=)?([\"'])", word.text)
    if quote and not re.search(r"(^|[\s\"'])-(s|w)\b", word.text):
        at = script.source(word.start) + quote.end()
        edits.append((at, at, "-s -w " if word.text[quote.end()] not in "\"'" else "-s -w"))
    return edits


def _rebuilding(script: JoinedText, words: Sequence[Word], text: str) -> list[tuple[int, int, str]]:
    """What takes ``-a``, and the suffix that went with it, off a build, which with them compiles every package each time.

    Since Go 1.10 what is compiled is kept by its content, so neither changes what is made.
    """
    found = []
    forced = any(word.text == "-a" for word in words)
    for index, word in enumerate(words):
        pair = word.text == "-installsuffix" and forced and index + 1 < len(words)
        if word.text == "-a" or pair or (forced and word.text.startswith("-installsuffix=")):
            start, end = script.source(word.start), script.source_end(words[index + pair].end)
            if text[start - 1] == " " and text[start:end].count("\n") == 0:
                found.append((start - 1, end, ""))
    return found


def _debugs(build: GoBuild) -> bool:
    """Whether debug information is wanted: optimizations are off, or flags come from elsewhere."""
    return re.search(r"-N\b", build.option("gcflags") or "") is not None or "ldflags" in (build.environment.get("GOFLAGS") or "")


def _cache(model: Model, position: int, node: Instruction, here: list[GoBuild]) -> str | None:
    """Where a cache mount for compiled packages goes, None where there is one or where that is not known.

    Source: ``go help cache``; GOCACHE is go-build in the user's cache folder by default.
    """
    syntax = next((n.value for n in model.file.nodes if isinstance(n, Directive) and n.name == "syntax"), "")
    if re.search(r":1\.[01](\.|$|-)", syntax) or any(m.type == "cache" for m in mounts(node)):
        return None
    state = model.before(position)
    if state.user not in (None, "root", "0") or any(name in state.env for name in ("HOME", "XDG_CACHE_HOME")):
        return None
    for command in node.script.commands if node.script is not None else ():
        if command.name == "export" or (command.name == "rm" and "cache" in " ".join(w.text for w in command.words)):
            return None
    given = next((value for b in here if (value := b.environment.get("GOCACHE"))), None) or state.env.get("GOCACHE")
    if given is not None:
        return given if given.startswith("/") and "$" not in given else None
    return "/root/.cache/go-build"
