"""Values of build arguments and secrets are nowhere to be seen; everything else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.verify import Passed


@pytest.mark.parametrize(
    ("passed", "text", "shown"),
    [
        (Passed(("TOKEN=hunter22",)), "x hunter22 y hunter22z", "x *** y ***z"),
        (Passed(("A=ab",)), "ENV A=ab and cab", "ENV A=*** and cab"),
        (Passed(("A=a.b*c",)), "a.b*c axbbc", "*** axbbc"),
        (Passed(("A=long", "B=longer")), "longer long", "*** ***"),
        (Passed(("EMPTY=", "NONE")), "EMPTY= NONE", "EMPTY= NONE"),
        (Passed(), "hunter22", "hunter22"),
    ],
)
def test_values_are_hidden(passed: Passed, text: str, shown: str) -> None:
    assert passed.hide(text) == shown


def test_values_of_the_environment_and_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("first line\nsecond line\n")
    monkeypatch.setenv("FROM_OUTSIDE", "outside")
    monkeypatch.setenv("mine", "of the environment")
    passed = Passed(("FROM_OUTSIDE",), (f"id=a,src={tmp_path}/key", "id=mine", "id=none,src=/nowhere", "type=env,id=b,env=FROM_OUTSIDE"))
    assert passed.hide("first line, second line, outside, of the environment, none") == "***, ***, ***, ***, none"
