"""Which words of a command are conda's."""

from __future__ import annotations

import pytest

from optimizer.ecosystems import read_call
from optimizer.ecosystems.conda_run import behind_run, shell_inside
from optimizer.syntax.shell import parse_script


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("conda run -n web python app.py", ("web", 4)),
        ("conda run --no-capture-output --name=web python app.py", ("web", 4)),
        ("/opt/conda/bin/mamba run -p /srv/env gunicorn app:app", ("/srv/env", 4)),
        ("micromamba run flask run", (None, 2)),
        ("conda run --cwd /srv -n web python app.py", None),
        ("conda run -n web", None),
        ("conda install run", None),
        ("bundle run web app", None),
    ],
)
def test_the_program_begins_behind_the_options(text: str, found: tuple[str | None, int] | None) -> None:
    assert behind_run(text.split()) == found


def test_a_program_that_is_known_only_later_is_still_behind() -> None:
    assert behind_run(["conda", "run", "-n", None, "python"]) is None
    assert behind_run(["conda", "run", "-n", "web", None]) == ("web", 4)


def test_what_runs_in_an_environment_is_read() -> None:
    call = read_call(parse_script("conda run -n web pip install flask").commands[0])
    assert call is not None
    assert (call.ecosystem, call.packages, call.prefix) == ("pip", ("flask",), "conda run -n web ")


@pytest.mark.parametrize(
    ("text", "names", "installs"),
    [
        ("conda env create -f environment.yml", (), True),
        ("conda env list", (), False),
        ("conda create -n web python=3.11 flask", ("python", "flask"), True),
    ],
)
def test_calls_of_conda(text: str, names: tuple[str, ...], installs: bool) -> None:
    call = read_call(parse_script(text).commands[0])
    assert call is not None
    assert (tuple(n.partition("=")[0] for n in call.packages), call.action.name == "INSTALL") == (names, installs)


def test_the_shell_that_an_environment_is_entered_by() -> None:
    assert shell_inside(("conda", "run", "-n", "web", "/bin/bash", "-c")) == ("/bin/bash", "-c")
    assert shell_inside(("/usr/local/bin/_dockerfile_shell.sh",)) == ("/bin/bash", "-o", "pipefail", "-c")
    assert shell_inside(("/bin/sh", "-c")) == ("/bin/sh", "-c")
