"""What becomes of a stage's commands when a pipe fails with any of its commands, and when bash reads them in place of ``/bin/sh``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.ecosystems import unwrapped
from optimizer.model import Model, Stage
from optimizer.model.state import DEFAULT_SHELL
from optimizer.passes.base import Change, Refusal, Safety
from optimizer.passes.runs.shells import windows
from optimizer.passes.text import instruction_like
from optimizer.syntax import Comment
from optimizer.syntax.shell import Command, Compound, Pipeline, Script, Statement

# Commands that fail only when something is wrong.
_WRITES = frozenset({
    "echo", "printf", "cat", "curl", "wget", "gzip", "gunzip", "zcat", "xz", "xzcat", "bzip2", "bunzip2", "bzcat", "zstd", "tar",
    "sed", "awk", "gawk", "tr", "cut", "sort", "uniq", "base64", "gpg", "openssl", "dpkg", "uname", "pwd", "date",
    "sha256sum", "sha1sum", "md5sum", "envsubst", "jq", "rev", "wc", "tee", "nproc", "git", "lsb_release", "basename", "dirname", "env",
    "printenv", "rpm2cpio",
    "column",
})  # fmt: skip
# Commands that read their input to its end before they are done.
_READS = (_WRITES - {"echo", "printf", "git"}) | frozenset({
    "bash", "sh", "apt-key", "chpasswd", "debconf-set-selections", "xargs", "php", "python", "python3", "node", "perl", "ruby", "patch",
    "cpio", "crontab", "mysql", "psql", "grep", "egrep", "fgrep", "bc", "passwd", "iconv", "docker", "sha512sum", "shasum", "unxz", "nl",
})  # fmt: skip
_RARE_ESCAPE = re.compile(r"\\[^\\ntr\"%]|%[^sdiuxXcof%]")  # of printf: what not every shell knows
_BASH_SETS = re.compile(r"\$\{?(RANDOM|UID|EUID|HOSTNAME|HOSTTYPE|MACHTYPE|OSTYPE|SECONDS|LINENO|PIPESTATUS|GROUPS|SHELLOPTS|BASH\w*)\b")
_SAME_SHELL = frozenset({"/bin/ash"})  # where /bin/sh is the same program


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
    if cut := next((name for pipeline in _pipelines(script.statements) if (name := _cut_off(pipeline)) is not None), None):
        return f"`{cut}` ends a pipe before it is read"
    return None if shell in _SAME_SHELL else _other_in_bash(script)


def _other_in_bash(script: Script) -> str | None:
    """What bash takes otherwise than dash."""
    if named := _BASH_SETS.search(script.text):
        return f"bash sets `{named[1]}`, which sh does not know"
    for command in script.commands:
        if command.name in ("[[", "source", "let", "declare", "typeset", "shopt", "((") or (
            command.name in ("[", "test") and any("==" in word.text for word in command.words)
        ):
            return f"sh does not know `{command.words[0].text}` as it is written here, and may go on without it"
        words = command.words
        texts = [word.text for word in words[1:]]
        escaped = any("\\" in text or re.match(r"-\w*[eE]", text) for text in texts)
        if (command.name in ("echo", "read") and escaped) or (command.name == "printf" and any(map(_RARE_ESCAPE.search, texts))):
            return f"bash writes other characters than sh for a backslash in `{command.name}`"
        if any(re.search(r"\{[^}\s]*(?:,|\.\.)[^}\s]*\}|\$'|\$\"", re.sub(r"'[^']*'|\"[^\"]*\"", "", word.text)) for word in words):
            return "bash expands braces, which sh takes as they are"
        if any(redirect.operator.startswith("&") for redirect in command.redirects):
            return "bash reads &> otherwise"
        if command.name in ("export", "local", "readonly") and any("$" in w.text and '"' not in w.text for w in words[1:]):
            return f"sh splits what `{command.name}` sets at blanks, and bash does not"
    return None


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
            or (name in ("grep", "egrep", "fgrep") and re.search(r"(?:^|\s)-\w*[qm]|--quiet|--max-count", text))
            or (name in ("sed", "gsed") and re.search(r"\dq|[;'\"{ ]q[;'\"} ]|q['\"]?$", text))
            or (name.endswith("awk") and "exit" in text)
        ):
            return name
    return None


def _doubtful(script: Script | None) -> Iterator[str]:
    """The commands of pipes that may fail without harm, or may not read to the end."""
    for pipeline in _pipelines(script.statements) if script is not None and script.understood else ():
        for index, command in enumerate(pipeline.commands):
            name = (unwrapped(command).program or "a command") if isinstance(command, Command) else command.kind
            last = index == len(pipeline.commands) - 1
            if (not last and name not in _WRITES) or (index and name not in _READS):
                yield name.rpartition("/")[2]
