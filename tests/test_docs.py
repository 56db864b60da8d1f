"""The pages of the passes and README.md's table say what the passes say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from optimizer.passes import PASSES

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path, generate):
    """A folder with pages that are up to date."""
    (tmp_path / "docs" / "passes").mkdir(parents=True)
    (tmp_path / "README.md").write_text("# x\n\n<!-- passes -->\n<!-- /passes -->\n\nend\n")
    for path, text in generate.generated(tmp_path).items():
        path.write_text(text)
    return tmp_path


def test_committed_pages_are_up_to_date(generate):
    stale = generate.out_of_date(ROOT, generate.generated(ROOT))
    assert not stale, "run: python docs/generate.py"


def test_generated_pages_are_stable(generate, tree):
    assert generate.out_of_date(tree, generate.generated(tree)) == []
    readme = (tree / "README.md").read_text()
    assert readme.startswith("# x\n\n<!-- passes -->\n| Pass |")
    assert readme.endswith("|\n<!-- /passes -->\n\nend\n")
    assert all(f"[{each.name}](docs/passes/{each.name}.md)" in readme for each in PASSES)


@pytest.mark.parametrize("name", ["docs/passes/merge-runs.md", "docs/passes/index.md", "README.md", "docs/passes/no-such-pass.md"])
def test_a_stale_page_is_found(generate, tree, name):
    path = tree / name
    text = path.read_text() if path.exists() else ""
    path.write_text(text.replace("Merge", "Join"))
    assert generate.out_of_date(tree, generate.generated(tree)) == [path]


def test_a_missing_page_is_found(generate, tree):
    path = tree / "docs/passes/merge-runs.md"
    path.unlink()
    assert generate.out_of_date(tree, generate.generated(tree)) == [path]


@pytest.mark.parametrize("text", ["", "# x\n", "<!-- passes -->\n", "<!-- passes -->\n<!-- /passes -->\n" * 2])
def test_a_readme_without_a_place_for_the_table_is_refused(generate, tree, text):
    (tree / "README.md").write_text(text)
    with pytest.raises(generate.Stale, match=r"README\.md"):
        generate.generated(tree)


def test_an_example_that_does_not_come_out_is_refused(generate, tree, monkeypatch):
    rewriter = PASSES[0]
    wrong = next(example for example in rewriter.examples if isinstance(example, generate.Rewrites))
    monkeypatch.setattr(type(rewriter), "examples", (generate.Rewrites(wrong.before, wrong.after + "# more\n", wrong.files),))
    with pytest.raises(generate.Stale, match=rewriter.name):
        generate.generated(tree)


RULES = (ROOT / "docs" / "rules.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('DL3059 = { asks = "No RUN behind a RUN" }\n', "", "DL3059"),  # a pass mends it
        ('behind a RUN" }', 'behind a RUN", left = "it is much work" }', "DL3059"),
        (', left = "which are allowed is for hadolint\'s configuration"', "", "DL3026"),
    ],
)
def test_a_rule_has_just_one_answer(generate, old, new, named):
    assert old in RULES
    with pytest.raises(generate.Stale, match=named):
        generate.rules_page(RULES.replace(old, new))
