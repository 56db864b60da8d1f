"""Install what a Python project depends on before its sources are copied."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Keeps, Pass, Refusal, Rewrites

_LOCAL = (" .", " /", '".', "'.", '"/', "'/", "=.")
"""What stands in a RUN that installs a folder."""
_PROJECT = (
    '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n\n'
    '[project]\nname = "notes"\nversion = "1.0"\ndependencies = ["flask>=3"]\n'
)


class InstallDependenciesFirst(Pass):
    """Install what a Python project depends on before its sources are copied.

    What it does
        ``pip install .`` reads the whole project. Where pyproject.toml or setup.cfg writes the dependencies out, that file is
        copied alone and what it names is installed by a RUN of its own, above the COPY of the sources: pip by way of a list that
        Python's own reader of such files prints, uv by itself. A setup.py that takes the packages that it finds is copied alone
        and installs them without any. The install of the project stays, and finds them there.

    Why
        Every edit of a source changes the COPY above ``pip install .``, and all dependencies are installed anew.

    When it refuses
        When the manifest computes its dependencies, or one of them lies in the project; when setup.py names packages that must be
        there, or reads sources; when the image's Python is older than
        3.11 and has no reader of pyproject.toml; when options or variables lead pip to files or folders; when another
        instruction stands between the sources and the install. It is silent where what is installed above names them all.

    Safety
        Safe: both installs have the same constraints, and the second one brings what the first might leave out.
    """

    name = "install-dependencies-first"
    alters = frozenset({Fact.COPIES, Fact.RUNS})
    examples = (
        Rewrites(
            'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nRUN pip install --no-cache-dir .\nUSER 1000\nCMD ["python", "-m", "notes"]\n',
            "FROM python:3.12-slim\nWORKDIR /app\nCOPY pyproject.toml .\n"
            'RUN python -c \'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\\n")\''
            " > /tmp/requirements.txt \\\n    && pip install --no-cache-dir -r /tmp/requirements.txt\n"
            'COPY . .\nRUN pip install --no-cache-dir .\nUSER 1000\nCMD ["python", "-m", "notes"]\n',
            files=(("pyproject.toml", _PROJECT), ("notes/__main__.py", "import flask\n")),
        ),
        Keeps(
            'FROM python:3.10-slim\nWORKDIR /app\nCOPY . .\nRUN pip install --no-cache-dir .\nUSER 1000\nCMD ["python", "-m", "notes"]\n',
            because="Python 3.10 has no reader of TOML",
            files=(("pyproject.toml", _PROJECT), ("notes/__main__.py", "import flask\n")),
        ),
    )

    def changes(self, model: Model) -> Iterator[Change | Refusal]:
        """See ``Pass.changes``."""
        if model.context is None:
            return
        for stage in model.stages:
            texts = {p: model.file.nodes[p].text for p in stage.positions}
            positions = [p for p, text in texts.items() if "install" in text and "pip" in text and any(map(text.__contains__, _LOCAL))]
            if positions and any("COPY" in text.upper() or "ADD" in text.upper() for text in texts.values()):
                from optimizer.passes.reorder.project_dependencies import dependencies_first  # seldom needed

                for position in positions:
                    yield from dependencies_first(model, stage, position)
