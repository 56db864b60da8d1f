"""Bring along the Python packages that a multi-stage build leaves behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from optimizer.ecosystems import Action, Call, read_call
from optimizer.ecosystems.pip import project_name
from optimizer.knowledge.images import BaseImage
from optimizer.model import Model, Stage
from optimizer.model.copies import stage_copies
from optimizer.model.reads import CannotTell, reads
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites
from optimizer.passes.text import instruction_like, quote_names
from optimizer.syntax import Comment, Instruction, Node

if TYPE_CHECKING:
    from optimizer.model.application import Application

VENV = "/opt/venv"
_USER_BASE = "/root/.local"


class RepairStages(Pass):
    """Bring along the packages that a multi-stage build leaves behind.

    What it does
        Finds a runtime stage that starts a Python program whose packages, or the command that starts it, were installed in
        a build stage and not copied. Packages are then installed into a virtual environment, which the runtime stage
        copies; a command alone is copied by itself.

    Why
        Such an image builds and does not start: ``COPY --from=build /app /app`` brings the project, but pip
        installs to ``/usr/local``, and the commands of ``pip install --user`` are not on ``PATH``.

    When it refuses
        When the two stages hold different Pythons or libraries of C, since what was compiled in one does not run in the
        other, and when it is not known what was installed.

    Safety
        Safe: the image before cannot start, by evidence that is printed.
    """

    name = "repair-stages"
    alters = frozenset({Fact.ENV, Fact.COPIES, Fact.RUNS})
    examples = (
        Rewrites(
            "FROM python:3.12-slim AS build\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n\n"
            'FROM python:3.12-slim\nWORKDIR /app\nCOPY --from=build /app /app\nCMD ["gunicorn", "app:app"]\n',
            "FROM python:3.12-slim AS build\nWORKDIR /app\nCOPY requirements.txt .\n"
            "RUN python -m venv /opt/venv\nENV PATH=/opt/venv/bin:$PATH\nRUN pip install -r requirements.txt\nCOPY . .\n\n"
            "FROM python:3.12-slim\nWORKDIR /app\nCOPY --from=build /opt/venv /opt/venv\n"
            'ENV PATH=/opt/venv/bin:$PATH\nCOPY --from=build /app /app\nCMD ["gunicorn", "app:app"]\n',
            files=(("requirements.txt", "flask==3.0.3\ngunicorn==23.0.0\n"), ("app.py", "import flask\napp = flask.Flask(__name__)\n")),
        ),
        Keeps(
            "FROM python:3.12-slim AS build\nRUN python -m venv /venv && /venv/bin/pip install gunicorn\n\nFROM python:3.12-slim\n"
            'COPY --from=build /venv /venv\nCOPY app.py .\nCMD ["/venv/bin/gunicorn", "app:app"]\n',
            because="the packages are copied with their virtual environment",
            files=(("app.py", "def app(environ, start_response): ...\n"),),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        stage = model.final
        if model.context is None or stage.base is not None or stage.image is None or stage.image.family != "python":
            return
        if any(_pip_calls(model.file.instruction(p)) for p in stage.positions):
            return
        sources = [model.stages[i] for i in sorted(model.dependencies[stage.index])]
        builders = [s for s in sources if any(_pip_calls(model.file.instruction(p)) for p in s.positions)]
        if len(builders) != 1:
            return
        from optimizer.model.application import application_of  # heavy, and seldom needed

        application = application_of(model, stage)
        if application is None or application.language != "python":
            return
        builder = builders[0]
        installed = _installed(model, builder)
        if isinstance(installed, Refusal):
            yield installed
            return
        missing = _missing(application, installed)
        if missing.commands or missing.modules:
            yield from _repair(model, stage, builder, missing)


class _Missing(Struct, frozen=True):
    """What the program needs that the build stage installed: commands it starts, modules it imports."""

    commands: tuple[str, ...]
    modules: tuple[str, ...]


def _pip_calls(node: Instruction) -> list[Call]:
    script = node.script if node.keyword == "RUN" else None
    if script is None or not script.understood:
        return []
    calls = [read_call(command) for command in script.commands]
    return [c for c in calls if c is not None and c.ecosystem == "pip" and c.action is Action.INSTALL]


def _installed(model: Model, stage: Stage) -> frozenset[str] | Refusal:
    """The names of the packages that a stage installs with pip, normalised."""
    from optimizer.context.requirements import requirement_files

    assert model.context is not None
    names: set[str] = set()
    copies = stage_copies(model, stage)
    for position in stage.positions:
        node = model.file.instruction(position)
        calls = _pip_calls(node)
        if not calls:
            continue
        try:
            found = reads(model, position, [c for c in copies if c.position < position])
        except CannotTell as error:
            return Refusal(f"not repaired: what pip installs is not known: {error}", position)
        for call in calls:
            names |= {project_name(p) for p in call.packages}
        for _, file in found.files:
            names |= {r.name for r in requirement_files(model.context, file).packages if r.name}
    return frozenset(names)


def _missing(application: Application, installed: frozenset[str]) -> _Missing:
    from optimizer.knowledge.python_packages import packages_of_script

    commands = [p for p in application.start.programs if installed & set(packages_of_script(p)) or p in installed]
    modules = [m for m in application.modules if project_name(m) in installed]
    return _Missing(tuple(commands), tuple(modules))


def _repair(model: Model, stage: Stage, builder: Stage, missing: _Missing) -> Iterator[Change | Refusal]:
    copies = {p: model.file.instruction(p) for p in stage.positions if model.file.instruction(p).flag("from") is not None}
    sources = [word for node in copies.values() for word in node.words[:-1]]
    user_install = any(c.options & {"--user"} for p in builder.positions for c in _pip_calls(model.file.instruction(p)))
    if any(re.search(r"/(usr/local|usr|)/?$|/venv|/env\b|/install\b|/\.venv|/opt/", s) and s != "/app" for s in sources):
        return  # packages may well come along: with everything, or with an environment
    brings = next((p for p, node in copies.items() if any(_USER_BASE.startswith(w.rstrip("/")) for w in node.words[:-1])), None)
    if user_install and brings is not None:
        path = "".join(model.file.instruction(p).value for p in stage.positions if model.file.instruction(p).keyword == "ENV")
        if not missing.commands or "/.local/bin" in path or copies[brings].words != (_USER_BASE, _USER_BASE):
            return
    elif any("site-packages" in s or re.search(r"/lib/python[\d.]*/?$", s) for s in sources):
        if missing.commands and not any(re.search(r"/usr/local/bin", s) for s in sources):
            yield from _commands_alone(model, stage, builder, copies, missing)
        return
    one, other = builder.image, stage.image
    if one is None or other is None or _python_of(one) != _python_of(other):
        yield Refusal("not repaired: the packages are installed for another Python than the one that runs", stage.position)
        return
    yield _venv(model, stage, builder, copies, missing, brings if user_install else None)


def _python_of(image: BaseImage) -> tuple[str | None, ...]:
    return image.family, image.version, image.distribution, image.libc


def _evidence(missing: _Missing, builder: Stage) -> tuple[str, ...]:
    where = f"stage {builder.name or builder.index}"
    found = []
    if missing.commands:
        found.append(f"the container starts {quote_names(missing.commands)}, which only {where} installs")
    if missing.modules:
        found.append(f"the program imports {quote_names(missing.modules)}, which only {where} installs")
    return tuple(found)


def _commands_alone(model: Model, stage: Stage, builder: Stage, copies: dict[int, Instruction], missing: _Missing) -> Iterator[Change]:
    name = builder.name or str(builder.index)
    position = next(p for p, node in copies.items() if any("python" in w for w in node.words))
    paths = [f"/usr/local/bin/{command}" for command in missing.commands]
    new = _new(model, stage, "COPY", f"--from={name} {' '.join(paths)} /usr/local/bin/")
    file = model.file.replaced(position + 1, position + 1, [new])
    yield Change(f"copy {quote_names(missing.commands)} along with the packages", file, (position,), _evidence(missing, builder))


def _venv(model: Model, stage: Stage, builder: Stage, copies: dict[int, Instruction], missing: _Missing, instead: int | None) -> Change:
    """Install into a virtual environment in the build stage, and copy that; ``instead`` of a COPY of root's own packages."""
    installs = [p for p in builder.positions if _pip_calls(model.file.instruction(p))]
    environment = [_new(model, builder, "RUN", f"python -m venv {VENV}"), _new(model, builder, "ENV", f"PATH={VENV}/bin:$PATH")]
    name = builder.name or str(builder.index)
    brought = [_new(model, stage, "COPY", f"--from={name} {VENV} {VENV}"), _new(model, stage, "ENV", f"PATH={VENV}/bin:$PATH")]
    place = _lead(model, min(copies))
    first = _lead(model, installs[0])
    nodes: list[Node] = []
    for index, node in enumerate(model.file.nodes):
        if index == first:
            nodes.extend(environment)
        if index == (place if instead is None else instead):
            nodes.extend(brought)
        if index == instead:
            continue
        nodes.append(_without_user(model.file.instruction(index)) if index in installs else node)
    file = model.file.replaced(0, len(model.file.nodes), nodes)
    summary = f"copy the packages that stage {name} installs into the stage that runs"
    return Change(summary, file, (installs[0], min(copies), stage.position), _evidence(missing, builder))


def _new(model: Model, stage: Stage, keyword: str, rest: str) -> Instruction:
    return instruction_like(model.file, model.file.instruction(stage.position), keyword, rest)


def _lead(model: Model, position: int) -> int:
    while isinstance(model.file.nodes[position - 1], Comment):
        position -= 1
    return position


def _without_user(node: Instruction) -> Instruction:
    """``pip install --user`` installs past a virtual environment, so the option goes."""
    text = node.shell_text
    assert text is not None
    edits = [
        (text.source_end(word.start - 1), text.source_end(word.end), "")
        for call in _pip_calls(node)
        for word in call.command.words
        if word.value == "--user"
    ]
    return node.edited(*edits) if edits else node
