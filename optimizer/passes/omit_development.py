"""Leave development dependencies out of the image that runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from optimizer.model import Model, Stage
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites

if TYPE_CHECKING:
    pass

_PACKAGE = '{"name": "app", "version": "1.0.0", "dependencies": {"express": "4.19.2"}, "devDependencies": {"mocha": "10.4.0"}}\n'
_LOCK = (
    '{"lockfileVersion": 3, "packages": {"": {"name": "app", "version": "1.0.0", "dependencies": {"express": "4.19.2"}, '
    '"devDependencies": {"mocha": "10.4.0"}}, "node_modules/express": {"version": "4.19.2"}, '
    '"node_modules/mocha": {"version": "10.4.0", "dev": true}}}\n'
)


class OmitDevelopment(Pass):
    """Leave development dependencies out of the image that runs.

    What it does
        Where the program of a Node project runs without its ``devDependencies``: tells the install to leave them out when
        nothing is built. Where a later stage copies ``node_modules`` of a stage that builds, installs for it in a stage of
        its own, or removes them behind the build. Where uv or Poetry install for a Python program: leaves out the groups that
        are for development and that are installed unless somebody says otherwise.

    Why
        Compilers, test runners and linters make half of many a ``node_modules``.

    When it refuses
        It does nothing when the program, or a script that an install runs, loads or starts one of them, when modules are
        loaded by a computed name, and when no lock file agrees with package.json. With uv and Poetry it needs the lock file, and
        does nothing when an instruction, a script or a text of the source names a package of such a group, and when the program
        imports a module that belongs to no package that stays.

    Safety
        Safe: the sources are read from the program's entry on, and the lock decides what is installed.
    """

    name = "omit-development"
    alters = frozenset({Fact.STAGES, Fact.BASES, Fact.COPIES, Fact.RUNS})
    examples = (
        Rewrites(
            'FROM node:20-slim\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\nCMD ["node", "server.js"]\n',
            'FROM node:20-slim\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci --omit=dev\nCOPY . .\nCMD ["node", "server.js"]\n',
            files=(("package.json", _PACKAGE), ("package-lock.json", _LOCK), ("server.js", "require('express')().listen(3000);\n")),
        ),
        Keeps(
            'FROM node:20-slim\nWORKDIR /app\nCOPY package*.json ./\nRUN npm ci\nCOPY . .\nCMD ["npx", "mocha"]\n',
            because="a development dependency is what runs",
            files=(("package.json", _PACKAGE), ("package-lock.json", _LOCK)),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        final = model.final if model.stages else None
        if model.context is None or final is None or final.base is not None or final.image is None:
            return
        if final.image.family in ("python", "distroless-python3"):
            yield from _of_python(model, final)
            return
        if final.image.family not in ("node", "distroless-nodejs"):
            return
        from optimizer.passes.omit.node import omit_development

        change = omit_development(model, final)
        if change is not None:
            yield change


def _of_python(model: Model, final: Stage) -> Iterator[Change]:
    """The changes of what uv and Poetry install for the final stage."""
    if "uv" not in model.file.text and "poetry" not in model.file.text:
        return
    from optimizer.passes.omit.python import omit_development

    for stage in (final, *(model.stages[i] for i in sorted(model.dependencies[final.index]))):
        if all(other is final for other in model.dependants(stage)):
            change = omit_development(model, final, stage)
            if change is not None:
                yield change
