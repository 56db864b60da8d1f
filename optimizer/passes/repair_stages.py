"""Bring along the packages that a multi-stage build leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites

_RUN_COMPILED = frozenset({
    "scratch", "distroless-static", "distroless-base", "distroless-cc", "debian", "ubuntu", "alpine", "busybox",
})  # fmt: skip
"""Families of images that compiled programs run on, and hardly any other."""


class RepairStages(Pass):
    """Bring along the packages that a multi-stage build leaves behind.

    What it does
        Finds a runtime stage that starts a Python program whose packages, or the command that starts it, were installed in
        a build stage and not copied. Packages are then installed into a virtual environment, which the runtime stage
        copies; a command alone is copied by itself. Packages that are copied to where the interpreter does not look
        are put on ``PATH`` or ``PYTHONPATH``, those in root's home move to where every user may read them. A distroless
        image starts a module where its command is not there. A runtime stage with another C library than compiled
        packages need moves to the slim image of the same Python, and one without a shared library installs it.
        Where all of ``/usr/local`` is copied over the same Python for its packages, these are copied alone.
        For Node, ``node_modules`` and package.json are copied where the program needs them, and the command of a
        distroless image, which starts Node itself, becomes Node's arguments.

        A compiled program that is linked with a C library which its image has not is compiled without it, where no source
        needs it: with ``CGO_ENABLED=0`` for Go, ``-static`` for C. Otherwise the stage moves to the distroless or slim
        image of the distribution that it is compiled on, as does one in Rust. Libraries that it is linked with, the certificates
        that a client of TLS checks others by, and time zones that it looks up by name come along, and so do files of the project
        that it reads by name, such as templates. A Java program gets the runtime of the version that it is compiled for,
        and the jars that its class path names, and one of .NET the runtime of its version, ASP.NET's where it is built on that.

    Why
        Such an image builds and does not start: ``COPY --from=build /app /app`` brings the project, but pip
        installs to ``/usr/local``, and the commands of ``pip install --user`` are not on ``PATH``.

    When it refuses
        When the two stages hold different Pythons, since what was compiled in one does not run in the other, and when it
        is not known what was installed or linked. When a step or the user of the stage is one of the image that it leaves.

    Safety
        Safe: the image before cannot start, or as no user but root, by evidence that is printed.
    """

    name = "repair-stages"
    alters = frozenset({Fact.BASES, Fact.COMMAND, Fact.ENV, Fact.USER, Fact.COPIES, Fact.RUNS})
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
        if model.context is None or stage.base is not None or stage.image is None:
            return
        if stage.image.family in ("node", "distroless-nodejs"):
            from optimizer.passes.repair.node import repairs as node_repairs

            yield from node_repairs(model, stage)
            return
        if stage.image.family in _RUN_COMPILED and model.dependencies[stage.index]:
            from optimizer.passes.repair.compiled import repairs as compiled_repairs

            yield from compiled_repairs(model, stage)
            return
        if stage.image.family in ("eclipse-temurin", "openjdk", "amazoncorretto") and model.dependencies[stage.index]:
            from optimizer.passes.repair.java import repairs as java_repairs

            yield from java_repairs(model, stage)
            return
        if stage.image.family in ("dotnet-runtime", "dotnet-aspnet") and model.dependencies[stage.index]:
            from optimizer.passes.repair.dotnet import repairs as dotnet_repairs

            yield from dotnet_repairs(model, stage)
            return
        if stage.image.family not in ("python", "distroless-python3"):
            return
        from optimizer.passes.repair.installed import installed_by, manager_calls, pip_calls

        if any(pip_calls(model.file.instruction(p)) or manager_calls(model.file.instruction(p)) for p in stage.positions):
            return
        sources = [model.stages[i] for i in sorted(model.dependencies[stage.index])]
        nodes = {s.index: [model.file.instruction(p) for p in s.positions] for s in sources}
        builders = [s for s in sources if any(pip_calls(node) or manager_calls(node) for node in nodes[s.index])]
        if len(builders) != 1 or builders[0].image is None:
            return
        from optimizer.model.application import application_of  # heavy, and seldom needed
        from optimizer.passes.repair.libraries import missing_libraries
        from optimizer.passes.repair.python import Repair, needed_of, repairs

        application = application_of(model, stage)
        if application is None or application.language != "python":
            return
        installed = installed_by(model, builders[0])
        if isinstance(installed, Refusal):
            yield installed
            return
        repair = Repair(model, stage, application, installed, needed_of(model, stage, application, installed))
        if not repair.needed:
            return
        found = list(repairs(repair))
        yield from found
        if not found and (libraries := missing_libraries(repair)) is not None:
            yield libraries
