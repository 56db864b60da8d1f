"""Start the program itself, not a package manager that starts it."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites, Safety

_PACKAGE = '{"name": "app", "version": "1.0.0", "scripts": {"start": "node server.js"}}\n'


class StartProgram(Pass):
    """Start the program itself, not a package manager that starts it.

    What it does
        Where CMD is ``npm start``, ``npm run …`` or the same with yarn or pnpm, and the script of package.json is one
        plain program: writes that program as a JSON list. Variables that the script sets become an ENV. The script of a
        workspace's member runs in the member's folder, which becomes the working directory.

    Why
        npm, a shell and then the program make three processes, and of the signal that ``docker stop`` sends to the first one the
        program may never hear. Yarn and pnpm, which the images do not have, need not be in the image that runs.

    When it refuses
        When the script is more than one command or has one before or behind it, when the sources read what npm tells the
        scripts that it runs (``npm_package_version`` and the like), when they start programs that only npm's PATH may find,
        and when Yarn runs without ``node_modules``.

    Safety
        Safe for CMD: the same program runs in the same folder. That no package of ``node_modules`` reads npm's variables to
        do its work is taken on trust. ENTRYPOINT takes what is given behind the image's name, of which npm keeps the options
        for itself: the change is unsafe.
    """

    name = "start-program"
    alters = frozenset({Fact.COMMAND, Fact.ENV, Fact.WORKDIR})
    examples = (
        Rewrites(
            'FROM node:20-slim\nWORKDIR /app\nCOPY . .\nCMD ["npm", "start"]\n',
            'FROM node:20-slim\nWORKDIR /app\nCOPY . .\nCMD ["node", "server.js"]\n',
            files=(("package.json", _PACKAGE), ("server.js", "require('http').createServer().listen(3000);\n")),
        ),
        Keeps(
            'FROM node:20-slim\nWORKDIR /app\nCOPY . .\nCMD ["npm", "start"]\n',
            because="the program reads a variable that npm sets",
            files=(("package.json", _PACKAGE), ("server.js", "console.log(process.env.npm_package_version);\n")),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        if model.context is None or not model.stages:
            return
        stage = model.final
        entry = model.last(stage, "ENTRYPOINT")
        for keyword in ("CMD", "ENTRYPOINT"):
            position = model.last(stage, keyword)
            if position is None or model.stage_of(position) != stage:
                continue
            text = model.file.nodes[position].text
            if not any(manager in text for manager in ("npm", "yarn")):  # pnpm's name holds npm's
                continue
            from optimizer.passes.start.program import started

            found = started(model, stage, position, entry)
            if isinstance(found, str):
                yield Refusal(f"stays with the package manager: {found}", position)
            elif found is not None and keyword == "CMD":
                yield found
            elif found is not None and model.last(stage, "CMD") is None:
                assumption = "nobody gives options of the package manager behind the image's name"
                yield Change(found.summary, found.file, found.touched, found.evidence, Safety.UNSAFE, assumption)
