"""What becomes of a stage's commands when a pipe fails with any of its commands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.ecosystems import unwrapped
from optimizer.model import Model, Stage
from optimizer.model.state import DEFAULT_SHELL
from optimizer.passes.base import Change, Refusal, Safety
from optimizer.passes.runs.bash import other_in_bash
from optimizer.passes.runs.shells import windows
from optimizer.passes.text import instruction_like
from optimizer.syntax import Comment
from optimizer.syntax.shell import Command, Compound, Pipeline, Script, Statement, Word

# Commands that fail only when something is wrong.
_WRITES = frozenset({
    "echo", "printf", "cat", "curl", "wget", "gzip", "gunzip", "zcat", "xz", "xzcat", "bzip2", "bunzip2", "bzcat", "zstd", "tar",
    "sed", "awk", "gawk", "tr", "cut", "sort", "uniq", "base64", "gpg", "openssl", "uname", "pwd", "date", "sha256sum", "sha1sum",
    "md5sum", "envsubst", "jq", "rev", "wc", "tee", "nproc", "lsb_release", "basename", "dirname", "env", "rpm2cpio", "column",
})  # fmt: skip
# Those that do so only with some sub-commands.
_WRITES_WITH = {
    "git": frozenset({"archive", "branch", "clone", "log", "ls-files", "ls-remote", "show", "tag", "--version"}),
    "dpkg": frozenset({"--print-architecture", "--print-foreign-architectures", "--version"}),
}
# Commands that read their input to its end before they are done.
_READS = (_WRITES - {"echo", "printf", "env"}) | frozenset({
    "bash", "sh", "apt-key", "chpasswd", "debconf-set-selections", "xargs", "php", "python", "python3", "node", "perl", "ruby", "patch",
    "cpio", "crontab", "mysql", "psql", "grep", "egrep", "fgrep", "bc", "passwd", "iconv", "docker", "sha512sum", "shasum", "unxz", "nl",
})  # fmt: skip
_SAME_SHELL = frozenset({"/bin/ash"})  # where /bin/sh is the same program
# What these hand to a shell is short enough for a pipe to hold, should the script end before its last line.
_SHORT = frozenset({"curl", "wget", "echo", "printf"})
_INTERPRETERS = frozenset({"bash", "sh", "php", "python", "python3", "node", "perl", "ruby"})


def has_pipe(script: Script | None) -> bool:
    """Whether a script holds a pipe that ShellCheck would see."""
    return script is not None and script.understood and any("|" in enclosing for _, enclosing in script.walk())


def with_pipefail(model: Model, stage: Stage, position: int) -> Change | Refusal:
    """The change that sets SHELL above the first RUN of a stage with a pipe, or why it is not made."""
    shell, assumption = _shell(model, stage)
    if "BASH_ENV" in model.file.text:
        return Refusal("no pipefail: bash would read the file that BASH_ENV names first", position)
    if shell is None or model.before(position).shell != DEFAULT_SHELL or windows(model, position):
        return Refusal("no pipefail: the image is not sure to have a shell that knows it", position)
    children = _children(model, stage)
    later = [p for p in stage.positions if p >= position] + [p for child in children for p in child.positions]
    reason = next((why for p in later if (why := _otherwise(model, p, shell)) is not None), None)
    if reason is not None:
        return Refusal(f"no pipefail: {reason}", position)
    assumptions = [assumption] if assumption else []
    if doubtful := sorted({name for p in later for name in _doubtful(model.file.instruction(p).script)}):
        assumptions.append(f"{', '.join(doubtful[:4])} in a pipe fails only when something is wrong")
    if stage == model.final or not model.dependants(stage) or children:
        assumptions.append("nobody minds SHELL in the image's configuration")
    start = position
    while isinstance(model.file.nodes[start - 1], Comment):
        start -= 1  # what is said of the RUN stays right above it
    new = instruction_like(model.file, model.file.instruction(position), "SHELL", f'["{shell}", "-o", "pipefail", "-c"]')
    file = model.file.replaced(start, start, [new])
    evidence = (f"the image has {shell}", "the commands mean the same to it")
    safety = Safety.UNSAFE if assumptions else Safety.SAFE
    return Change("stop a RUN where a command of a pipe fails", file, (position,), evidence, safety, ", and ".join(assumptions))


def _shell(model: Model, stage: Stage) -> tuple[str | None, str]:
    """A shell of the image that knows pipefail, and what that assumes."""
    if stage.image is not None:
        return next((s for s in ("/bin/bash", "/bin/ash") if s in stage.image.pipefail_shells), None), ""
    texts = [model.file.instruction(p).text for p in stage.positions if model.file.instruction(p).keyword == "RUN"]
    if any(re.search(r"\b(?:apt-get|yum|dnf)\b", text) for text in texts) and not any("apk " in text for text in texts):
        return "/bin/bash", "the base image has bash"
    return None, ""


def _children(model: Model, stage: Stage) -> list[Stage]:
    direct = [other for other in model.stages if other.base == stage.index]
    return [*direct, *(below for child in direct for below in _children(model, child))]


def _otherwise(model: Model, position: int, shell: str) -> str | None:
    """Why an instruction would do something else with the new shell."""
    node = model.file.instruction(position)
    if node.keyword == "SHELL":
        return "a later SHELL sets another one"
    if node.keyword == "ONBUILD" or (
        node.keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK") and node.json is None and node.value.upper() != "NONE"
    ):
        return f"{node.keyword} would start with {shell}"
    if node.keyword != "RUN" or node.shell_text is None:
        return None
    script = node.script
    if script is None or not script.understood:
        return "a RUN is not understood"
    for pipeline in _pipelines(script.statements):
        if pipeline.negated:
            return "a failure of a pipe is what `!` asks for"
        if (cut := _cut_off(pipeline)) is not None:
            return f"`{cut}` ends a pipe before it is read"
        if (silent := _silenced(pipeline)) is not None:
            return f"`{silent}` in a pipe may fail on purpose: what it says of errors is thrown away"
    return None if shell in _SAME_SHELL else other_in_bash(script, model.before(position))


def _pipelines(statements: tuple[Statement, ...]) -> Iterator[Pipeline]:
    """Every pipe of several commands, wherever it stands."""
    for statement in statements:
        for pipeline in statement.pipelines:
            if len(pipeline.commands) > 1:
                yield pipeline
            for command in pipeline.commands:
                if isinstance(command, Compound):
                    yield from _pipelines(command.statements)
                    continue
                for word in (*command.words, *(value for _, value in command.assignments if value)):
                    yield from _pipelines(word.substitutions)


def _cut_off(pipeline: Pipeline) -> str | None:
    """The command of a pipe that ends before it has read everything, or never ends by itself."""
    for index, command in enumerate(pipeline.commands):
        if not isinstance(command, Command):
            continue
        name, text = command.name or "", " ".join(word.text for word in command.words[1:])
        if name == "yes" and index < len(pipeline.commands) - 1:
            return name
        if index and (
            name in ("head", "true", ":", "echo", "more", "less")
            or (name in ("grep", "egrep", "fgrep") and (_finds_one(text) or _thrown_away(command, "", "1", "&")))
            or (name in ("sed", "gsed") and re.search(r"(?:^|[\d/$;'\"{} ])[qQ]\s*\d*\s*(?:[;'\"} ]|$)|(?:^|\s)(?:-f|--file)", text))
            or (name.endswith("awk") and re.search(r"exit|getline|(?:^|\s)(?:-f|--file)|^\W*BEGIN\s*\{[^}]*\}\W*$", text))
            or (name == "tar" and "--occurrence" in text)
            or (name == "jq" and re.search(r"(?:^|\s)(?:-\w*n|--null-input)|halt", text))
            or (name in _INTERPRETERS and re.search(r"exit|last|head|read\w*\(|input\(|next|islice|break", text))
        ):
            return name
    return None


def _finds_one(text: str) -> bool:
    """Whether the options of a grep say that it is done once it has found something."""
    return re.search(r"(?:^|\s)-\w*[qmlL]|--quiet|--silent|--max-count|--files-with", text) is not None


def _thrown_away(command: Command, *descriptors: str) -> bool:
    """Whether what a command writes to one of these file descriptors goes to ``/dev/null``."""
    return any(
        redirect.target is not None
        and redirect.target.value == "/dev/null"
        and ">" in redirect.operator
        and ("&" if redirect.operator.startswith("&") else redirect.descriptor) in descriptors
        for redirect in command.redirects
    )


def _silenced(pipeline: Pipeline) -> str | None:
    """The command in front of a pipe's last whose messages of errors are thrown away."""
    return next((c.name or "a command" for c in pipeline.commands[:-1] if isinstance(c, Command) and _thrown_away(c, "2", "&")), None)


def _doubtful(script: Script | None) -> Iterator[str]:
    """The commands of pipes that may fail without harm, or may not read to the end."""
    for pipeline in _pipelines(script.statements) if script is not None and script.understood else ():
        first = pipeline.commands[0]
        short = isinstance(first, Command) and unwrapped(first).program in _SHORT
        for index, command in enumerate(pipeline.commands):
            if not isinstance(command, Command):
                yield command.kind
                continue
            words = unwrapped(command).words
            name = unwrapped(command).program or "a command"
            last = index == len(pipeline.commands) - 1
            partly = name in ("bash", "sh") and not short
            if (not last and not _writes(name, words)) or (index and (partly or not _reads_all(name, words))):
                yield name.rpartition("/")[2]


def _writes(name: str, words: tuple[Word, ...]) -> bool:
    return name in _WRITES or (len(words) > 1 and words[1].text in _WRITES_WITH.get(name, ()))


def _reads_all(name: str, words: tuple[Word, ...]) -> bool:
    """Whether a command reads its input to the end: an interpreter does when that is its program, or its program is given as text."""
    if name not in _INTERPRETERS or len(words) < 2:
        return name in _READS
    if name in ("bash", "sh"):
        return not any(re.match(r"-\w*c", word.text) for word in words[1:]) and (
            words[1].text.startswith("-") or any(word.text == "-s" for word in words)
        )
    return words[1].text.startswith("-")
