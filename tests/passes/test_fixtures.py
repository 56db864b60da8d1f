"""Folders of cases: a Dockerfile before, what the passes make of it, and why.

``fixtures/passes/<pass>/<case>/`` runs one pass, ``fixtures/pipeline/<case>/`` all of them. A case holds

- ``before.Dockerfile``, exact bytes;
- ``after.Dockerfile``, absent where the text must come out byte for byte as it went in;
- ``after.dockerignore``, the ignore file behind it, where one is written;
- ``case.toml``: ``why`` (what the case is for, required), ``unsafe = true`` (as with ``--unsafe``), ``refusal`` (part of a
  reason that must be given), ``select`` (names of passes in place of the folder's), ``runtime`` (as with ``--runtime``);
- ``context/``, the build context; absent where there is none.

``pytest --update`` writes ``after.Dockerfile`` anew.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import dockerfile
import pytest

from optimizer import PASSES, Options, Result, Runtime, optimize
from optimizer.context import BuildContext
from optimizer.syntax import encode, parse

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = frozenset(each.name for each in PASSES)
FILES = frozenset({"before.Dockerfile", "after.Dockerfile", "after.dockerignore", "case.toml", "context"})
KEYS = {"why": str, "unsafe": bool, "refusal": str, "select": list, "runtime": str, "digests": dict}


@dataclass(frozen=True)
class Case:
    """One folder of fixtures. ``name`` is its pass, None in the pipeline."""

    folder: Path
    name: str | None

    @property
    def before(self) -> bytes:
        return (self.folder / "before.Dockerfile").read_bytes()

    @property
    def after(self) -> Path:
        return self.folder / "after.Dockerfile"

    @property
    def settings(self) -> dict[str, object]:
        return tomllib.loads((self.folder / "case.toml").read_text(encoding="utf-8"))

    @property
    def ignore_file(self) -> Path:
        return self.folder / "after.dockerignore"

    def run(self, source: bytes, before: Result | None = None) -> Result:
        """Run the passes; behind another run, with the ignore file that it made."""
        settings = self.settings
        select = settings.get("select", [self.name] if self.name else None)
        runtime = Runtime(settings.get("runtime", "slim"))
        chosen = None if select is None else frozenset(select)
        options = Options(select=chosen, unsafe=bool(settings.get("unsafe")), runtime=runtime, digests=settings.get("digests", {}))
        folder = self.folder / "context"
        context = BuildContext.open(folder) if folder.is_dir() else None
        if context is not None and before is not None and before.ignore_file is not None:
            context = context.with_patterns(before.ignore_file.patterns, before.ignore_file.path, before.ignore_file.text)
        return optimize(source, context=context, config=options)


def folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir()) if path.is_dir() else []


CASES = [Case(folder, parent.name) for parent in folders(FIXTURES / "passes") for folder in folders(parent)]
CASES += [Case(folder, None) for folder in folders(FIXTURES / "pipeline")]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name or 'pipeline'}/{case.folder.name}")


@each_case
def test_files_and_keys(case: Case) -> None:
    names = {path.name for path in case.folder.iterdir()}
    assert names <= FILES, "unknown files"
    assert {"before.Dockerfile", "case.toml"} <= names
    settings = case.settings
    assert settings.keys() <= KEYS.keys(), "unknown keys"
    assert {key for key, value in settings.items() if not isinstance(value, KEYS[key])} == set(), "keys of another type"
    assert str(settings.get("why", "")).strip(), "case.toml must say why"
    assert set(settings.get("select", ())) <= NAMES
    assert settings.get("unsafe") is not False, "leave unsafe out"
    assert not case.after.exists() or case.after.read_bytes() != case.before, "leave after.Dockerfile out where nothing changes"


@each_case
def test_case(case: Case, request: pytest.FixtureRequest) -> None:
    result = case.run(case.before)
    found = encode(result.text)
    if request.config.getoption("--update"):
        case.after.unlink(missing_ok=True)
        if found != case.before:
            case.after.write_bytes(found)
    ignored = None if result.ignore_file is None else result.ignore_file.text
    if request.config.getoption("--update"):
        case.ignore_file.unlink(missing_ok=True)
        if ignored is not None:
            case.ignore_file.write_text(ignored, encoding="utf-8", newline="")
    assert ignored == (case.ignore_file.read_bytes().decode() if case.ignore_file.exists() else None)
    expected = case.after.read_bytes() if case.after.exists() else case.before
    assert found.decode("utf-8", "replace") == expected.decode("utf-8", "replace")
    assert found == expected
    assert result.problems == ()
    assert [refused for refused in result.refusals if refused.fault] == []
    wanted = case.settings.get("refusal")
    if wanted is not None:
        reasons = [f"{refused.pass_name}: {refused.reason}" for refused in result.refusals]
        assert any(str(wanted) in reason for reason in reasons), reasons


@each_case
def test_second_run_changes_nothing(case: Case) -> None:
    once = case.run(case.before)
    again = case.run(encode(once.text), before=once)
    assert again.text == once.text
    assert again.rewrites == ()


@each_case
def test_buildkit_takes_both_sides(case: Case) -> None:
    result = case.run(case.before)
    for text in (result.source, result.text):
        assert dockerfile.parse_string(encode(text).decode("utf-8", "replace"))
        assert parse(text).problems == ()


def test_folders_are_named_after_passes() -> None:
    assert {folder.name for folder in folders(FIXTURES / "passes")} <= NAMES
    stray = [str(path) for name in ("passes", "pipeline") for path in FIXTURES.glob(f"{name}/*") if not path.is_dir()]
    stray += [str(path) for path in FIXTURES.glob("passes/*/*") if not path.is_dir()]
    assert stray == []


@pytest.mark.parametrize("name", sorted({case.name for case in CASES if case.name}))
def test_half_of_the_cases_say_leave_alone(name: str) -> None:
    cases = [case for case in CASES if case.name == name]
    alone = [case for case in cases if not case.after.exists() and not case.ignore_file.exists()]
    assert 2 * len(alone) >= len(cases), f"{len(alone)} of {len(cases)} cases of {name} leave the file alone"
