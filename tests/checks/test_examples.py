"""What checks say of themselves is so: every example tells what it says, and the others tell nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.checks import CHECKS, Check, Passes, Tells
from optimizer.context.folder import BuildContext
from optimizer.engine import Options, run

EXAMPLES = [(check, example) for check in CHECKS for example in check.examples]


@pytest.mark.parametrize(("check", "example"), EXAMPLES, ids=[f"{check.name}-{i}" for i, (check, _) in enumerate(EXAMPLES)])
def test_examples(check: Check, example: Tells | Passes, tmp_path: Path) -> None:
    for name, content in example.files:
        (tmp_path / name).write_text(content, encoding="utf-8")
    context = BuildContext.open(tmp_path) if example.files else None
    result = run(example.source, context, Options(select=frozenset({check.name})), passes=())
    told = [(finding.message, finding.line) for finding in result.findings if finding.check == check.name]
    assert told == ([(example.message, example.line)] if isinstance(example, Tells) else [])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_is_described(check: Check) -> None:
    first, _, rest = (check.__doc__ or "").partition("\n")
    assert first.endswith(".")
    assert rest.strip()
    assert not check.reason.endswith(".")
    kinds = {type(example) for example in check.examples}
    assert kinds == {Tells, Passes}


def test_names_differ() -> None:
    from optimizer.passes import PASSES

    names = [check.name for check in CHECKS] + [rewriter.name for rewriter in PASSES]
    assert len(set(names)) == len(names)
