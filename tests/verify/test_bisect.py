"""The search for the rewrites that break: exactly those are dropped, the rest is kept, and a passing build says so."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from optimizer.engine import Options, Result, Rewrite
from optimizer.passes import Safety
from optimizer.verify import Figures, Progress, Proof, Source, Verdict, prove

NAMES = "abcdefgh"


def rewrite(options: Options) -> Result:
    """Each letter is a rewrite, and the text is the letters of those that are made."""
    made = [Rewrite(f"pass-{name}", f"do {name}", (), Safety.SAFE, "", (i + 1, i + 1)) for i, name in enumerate(NAMES)]
    made = [each for each in made if each.key not in options.drop][: options.limit]
    return Result("", "".join(each.summary[-1] for each in made), tuple(made))


@dataclass
class Judge:
    """Stands in for a prover: a text with a bad set of letters in it breaks."""

    bad: tuple[str, ...]
    before: Source = field(default_factory=lambda: Source(""))
    builds: int = 1
    judged: list[str] = field(default_factory=list)
    workspace: Any = field(default_factory=lambda: type("Workspace", (), {"progress": Progress(None)})())

    def judge(self, after: Source, passes: object = None, *, cold: bool | None = None) -> Verdict:
        self.builds += 1
        self.judged.append(after.text)
        wrong = tuple(f"{each} breaks" for each in self.bad if set(each) <= set(after.text))
        return Verdict("engine", Figures(1, 1), Figures(1, 1), wrong)


def proof(*bad: str, builds: int = 40) -> tuple[Proof, Judge]:
    judge = Judge(bad)
    return prove(rewrite, Options(), judge, builds), judge  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_one_that_breaks(name: str) -> None:
    found, judge = proof(name)
    assert [(each.rewrite.summary, each.reason) for each in found.dropped] == [(f"do {name}", f"{name} breaks")]
    assert found.result.text == NAMES.replace(name, "")
    assert judge.judged[-1] == found.result.text
    assert found.verdict is not None
    assert found.verdict.proved
    assert len(judge.judged) <= 5


def test_none_that_breaks() -> None:
    found, judge = proof()
    assert (found.dropped, found.result.text, judge.judged) == ((), NAMES, [NAMES])


def test_two_that_break() -> None:
    found, _ = proof("b", "g")
    assert {each.rewrite.summary for each in found.dropped} == {"do b", "do g"}
    assert found.result.text == "acdefh"


def test_two_that_break_together_only_cost_one() -> None:
    found, _ = proof("bg")
    assert [each.rewrite.summary for each in found.dropped] == ["do g"]


def test_all_that_break_leave_nothing() -> None:
    found, _ = proof(*NAMES)
    assert (found.result.text, found.verdict, len(found.dropped)) == ("", None, len(NAMES))


def test_the_number_of_builds_is_bounded() -> None:
    found, judge = proof(*NAMES, builds=6)
    assert "stopped after" in found.note
    assert found.verdict is None or found.verdict.proved
    assert judge.builds <= 8
    assert replace(found, note="").result.text == ""
