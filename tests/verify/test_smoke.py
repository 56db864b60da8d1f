"""When a container after is no worse than before."""

from __future__ import annotations

import pytest

from optimizer.verify.smoke import Outcome, comparable, no_worse

UP = Outcome("start", True, "stays up")
TESTED, FAILED = Outcome("--smoke", True, "passes"), Outcome("--smoke", False, "exit code 1")


def ended(code: int, output: str = "") -> Outcome:
    return Outcome("start", code == 0, f"exits with {code}", code, output)


@pytest.mark.parametrize(
    ("before", "after", "stable", "fine"),
    [
        (UP, UP, True, True),
        (UP, ended(0), True, False),
        (UP, ended(1), True, False),
        (ended(0), UP, True, False),
        (TESTED, TESTED, True, True),
        (TESTED, FAILED, True, False),
        (FAILED, FAILED, True, True),
        (FAILED, TESTED, True, True),
        (ended(1, "KeyError: 'URL'"), UP, True, True),
        (ended(1, "KeyError: 'URL'"), ended(2, "KeyError: 'URL'"), True, False),
        (ended(1, "a\nKeyError: 'URL'"), ended(1, "b\nKeyError: 'URL'"), True, True),
        (ended(1, "KeyError: 'URL'"), ended(1, "ModuleNotFoundError: flask"), True, False),
        (ended(0, "took 3 s"), ended(0, "took 4 s"), True, True),
        (ended(0, "one"), ended(0, "two"), True, False),
        (ended(0, "one"), ended(0, "two"), False, True),
    ],
)
def test_no_worse(before: Outcome, after: Outcome, stable: bool, fine: bool) -> None:
    assert (no_worse(before, after, stable) is None) is fine


def test_what_differs_from_run_to_run_is_not_compared() -> None:
    before = 'File "/usr/local/lib/python3.11/site-packages/x.py", line 3\nat 0x7f00'
    assert comparable(before) == comparable('File "/opt/venv/lib/python3.11/site-packages/x.py", line 3\n\nat 0x1\n')
    assert comparable("a/b") != comparable("b")
