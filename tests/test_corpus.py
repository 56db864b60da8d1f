"""Real Dockerfiles by themselves: nothing raises, BuildKit takes every result, a second run changes nothing."""

from __future__ import annotations

import dockerfile
import pytest

from optimizer import optimize
from optimizer.syntax import decode, encode

PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_corpus(part: int, corpus: list) -> None:
    """A part of the files each, so that they can run side by side."""
    wrong: list[str] = []
    for path in corpus[part::PARTS]:
        data = path.read_bytes()
        try:
            result = optimize(data)
            again = optimize(result.text)
        except Exception as error:
            wrong.append(f"{path}: raised {type(error).__name__}: {error}")
            continue
        if result.problems:
            if result.text != decode(data):
                wrong.append(f"{path}: changed although it is rejected")
            continue
        wrong += [f"{path}:{refused.line}: {refused.pass_name}: {refused.reason}" for refused in result.refusals if refused.fault]
        if again.text != result.text:
            names = sorted({rewrite.pass_name for rewrite in again.rewrites})
            wrong.append(f"{path}: a second run changes it again: {', '.join(names)}")
        try:
            dockerfile.parse_string(encode(result.text).decode("utf-8", "replace"))
        except (dockerfile.GoParseError, ValueError) as error:
            wrong.append(f"{path}: BuildKit rejects the result: {error}")
    assert wrong == []


def test_part_of_the_corpus_is_rewritten(corpus: list) -> None:
    """The passes do something on real files; otherwise the tests above say nothing."""
    sample = corpus[::20]
    assert sum(optimize(path.read_bytes()).changed for path in sample) > len(sample) // 20
