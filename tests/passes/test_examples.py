"""Every pass is documented, its examples are true, and it has fixtures."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from optimizer import PASSES, Options, Result, optimize
from optimizer.passes import Fact, Keeps, Pass, Rewrites

FIXTURES = Path(__file__).parents[2] / "fixtures" / "passes"
HEADINGS = ("What it does", "Why", "When it refuses", "Safety")

each_pass = pytest.mark.parametrize("rewriter", PASSES, ids=lambda rewriter: rewriter.name)
each_example = pytest.mark.parametrize(
    ("rewriter", "example"),
    [pytest.param(rewriter, example, id=f"{rewriter.name}-{i}") for rewriter in PASSES for i, example in enumerate(rewriter.examples)],
)


def rewrite(rewriter: Pass, source: str, files: tuple[tuple[str, str], ...], folder: Path, unsafe: bool) -> Result:
    for name, text in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    digests = {name: digest for example in rewriter.examples if isinstance(example, Rewrites) for name, digest in example.digests}
    options = Options(select=frozenset({rewriter.name}), unsafe=unsafe, digests=digests)
    return optimize(source, context=folder if files else None, config=options)


@each_example
def test_example(rewriter: Pass, example: Rewrites | Keeps, tmp_path: Path) -> None:
    """A ``Keeps`` is kept by default; a ``Rewrites`` is made by default, or with ``--unsafe``."""
    if isinstance(example, Keeps):
        result = rewrite(rewriter, example.source, example.files, tmp_path, unsafe=False)
        assert result.text == example.source
        assert example.because.strip()
    else:
        result = rewrite(rewriter, example.before, example.files, tmp_path, unsafe=False)
        unsafe = not result.rewrites
        if unsafe:
            result = rewrite(rewriter, example.before, example.files, tmp_path, unsafe=True)
        assert result.text == example.after
        assert result.rewrites
        assert (result.ignore_file.text if result.ignore_file else None) == example.ignore_file
        assert rewrite(rewriter, example.after, example.files, tmp_path, unsafe).text == example.after
    assert result.problems == ()
    assert [refused for refused in result.refusals if refused.fault] == []


@each_pass
def test_examples_show_both_sides(rewriter: Pass) -> None:
    assert any(isinstance(example, Rewrites) for example in rewriter.examples)
    assert any(isinstance(example, Keeps) for example in rewriter.examples)


@each_pass
def test_documentation(rewriter: Pass) -> None:
    lines = (inspect.getdoc(type(rewriter)) or "").splitlines()
    assert lines
    assert lines[0].endswith(".")
    headings = [line for line in lines[1:] if line and not line[0].isspace()]
    assert headings == list(HEADINGS)
    for heading in HEADINGS:
        below = lines[lines.index(heading) + 1 :]
        assert below
        assert below[0].startswith("    "), f"nothing is said under {heading}"


@each_pass
def test_names(rewriter: Pass) -> None:
    module = type(rewriter).__module__
    assert module == "optimizer.passes." + rewriter.name.replace("-", "_")
    assert rewriter.alters <= frozenset(Fact)


def test_names_are_unique() -> None:
    names = [rewriter.name for rewriter in PASSES]
    assert len(names) == len(set(names))


@each_pass
def test_fixtures(rewriter: Pass) -> None:
    folder = FIXTURES / rewriter.name
    assert folder.is_dir(), f"no fixtures for {rewriter.name}"
    assert any(folder.glob("*/case.toml"))
    assert any(folder.glob("*/after.*ocker*"))
