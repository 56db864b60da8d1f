"""uv and Poetry installs that bring groups of development along, which the program that runs does not use."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from packaging.utils import canonicalize_name

from optimizer.context.python_groups import Locked, development, locked_closure
from optimizer.ecosystems import Call, read_call
from optimizer.knowledge.python_packages import distributions
from optimizer.model import Model, Stage
from optimizer.model.application import Application, application_of
from optimizer.model.copies import stage_copies
from optimizer.passes.base import Change
from optimizer.passes.split.python_managers import project_folder
from optimizer.syntax import Instruction

_VERBS = {"uv": ("sync",), "poetry": ("install", "sync")}
_CHOOSING = frozenset({
    "--dev", "--no-dev", "--only-dev", "--group", "--no-group", "--only-group", "--all-groups", "--no-default-groups", "--only",
    "--with", "--without", "--only-root", "--all-packages", "--package", "--directory", "--project", "-C", "-P", "--dev-only",
})  # fmt: skip
"""Options that say which groups, or of which project."""
_SYNCS = re.compile(r"\buv\s+run\b(?![^\n&;|]*--(?:no-dev|no-sync|no-default-groups))|\"uv\",\s*\"run\"(?![^\n]*--no-(?:dev|sync))")
_OLD_POETRY = re.compile(r"poetry(?:==|~=|@)1\.[01]\b|POETRY_VERSION[= ][\"']?1\.[01]\b")


def omit_development(model: Model, final: Stage, stage: Stage) -> Change | None:
    """Leave the groups of development out of what a stage installs with uv or Poetry; None where they are not there or are used.

    Args:
        final: The stage that runs.
        stage: That stage, or one that it copies from.
    """
    assert model.context is not None
    calls = [(p, call) for p in stage.positions for call in _installs(model.file.instruction(p))]
    managers = {call.ecosystem for _, call in calls}
    if len(managers) != 1 or any(call.options & _CHOOSING for _, call in calls):
        return None
    first, call = calls[0]
    copies = [copy for copy in stage_copies(model, stage) if copy.position < first]
    folder = project_folder(model, model.before(first), copies)
    if folder is None or {"UV_NO_DEV", "UV_NO_DEFAULT_GROUPS", "POETRY_WITHOUT", "UV_NO_GROUP"} & set(model.before(first).env):
        return None
    groups, locked = development(model.context, folder, call.ecosystem), locked_closure(model.context, folder, call.ecosystem)
    application = application_of(model, final)
    if not groups or locked is None or not locked.beside or application is None or application.language != "python":
        return None
    everything = "\n".join(node.value for p in model.file.positions if (node := model.file.instruction(p)).keyword != "FROM")
    names = {name for members in groups.values() for name in members}
    if _OLD_POETRY.search(everything) or _uses(model, application, names, everything) or not _accounted(application, locked):
        return None
    option = "--no-dev" if call.ecosystem == "uv" else "--only main"
    file = model.file
    for position in dict.fromkeys(p for p, _ in calls):
        node = file.instruction(position)
        text = node.shell_text
        assert text is not None
        ends = [text.source_end(c.verb.end) for p, c in calls if p == position and c.verb is not None]
        file = file.replaced(position, position + 1, [node.edited(*((end, end, f" {option}") for end in ends))])
    shown = ", ".join(sorted(locked.beside)[:4]) + (f" and {len(locked.beside) - 4} more" if len(locked.beside) > 4 else "")
    evidence = (f"only development needs {shown}", "the program imports none of them, and no instruction starts one")
    return Change(f"install without the dependencies of development ({option})", file, tuple(p for p, _ in calls), evidence)


def _installs(node: Instruction) -> list[Call]:
    """The calls of a RUN that install what a project's lock file says."""
    if node.keyword != "RUN" or not any(name in node.text for name in _VERBS):
        return []
    script = node.script
    calls = [read_call(command) for command in script.commands] if script is not None and script.understood else []
    return [c for c in calls if c is not None and c.verb is not None and c.verb.value in _VERBS.get(c.ecosystem, ())]


def _uses(model: Model, application: Application, names: Iterable[str], instructions: str) -> bool:
    """Whether an instruction, a start script or the source names one of some packages, or an instruction installs them again."""
    context = model.context
    assert context is not None
    words = {word for name in names for word in _words(name)}
    if not words:
        return False
    listed = "|".join(sorted(map(re.escape, words)))
    scripts = "\n".join(context.read_text(f) or "" for f in application.start.scripts)
    if _SYNCS.search(f"{instructions}\n{scripts}") or re.search(rf"(?<![\w.-])({listed})(?![\w-])", f"{instructions}\n{scripts}", re.I):
        return True
    imported = re.compile(rf"^\s*(?:import|from)\s+(?:{listed})\b|[\"'](?:{listed})(?:\.[\w.]+)?[\"']", re.IGNORECASE | re.MULTILINE)
    return any(imported.search(context.read_text(f) or "") for f in application.files)


def _words(name: str) -> set[str]:
    """The names that a package's modules and commands are likely to have."""
    plain = re.sub(r"^(python|django)-|-python$", "", name)
    return {form for base in (name, plain) for form in (base, base.replace("-", "_"), base.replace("-", "."))}


def _accounted(application: Application, locked: Locked) -> bool:
    """Whether every module that the program imports comes with Python or belongs to a package that stays."""
    if application.unknown_about("module"):
        return False
    for module in application.modules:
        if module in sys.stdlib_module_names:
            continue
        name = canonicalize_name(module)
        if not ({name, *distributions(module)} & locked.kept or any(one.startswith(f"{name}-") for one in locked.kept)):
            return False
    return True
