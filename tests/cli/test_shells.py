"""What shells and ``man`` get: completion that works in them, and a manual page without a warning."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer import PASSES
from optimizer.checks import CHECKS
from optimizer.cli import main
from optimizer.report.manual import manual

ROOT = Path(__file__).parents[2]
BASH = """
eval "$(dopt completion bash)"
complete -p dopt >&2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_dopt_completion dopt
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def environment(tmp_path):
    """Variables with which ``dopt`` is this tree's."""
    program = tmp_path / "bin" / "dopt"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m optimizer "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def shell(environment, *command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["comp"], ["completion"]),
        (["fix", "--stdin"], ["--stdin-filename"]),
        (["check", "-o", "ma"], ["markdown"]),
        (["explain", "drop-apt"], ["drop-apt-clean"]),
        (["fix", "--ignore", "merge-runs,insert-u"], ["merge-runs,insert-user"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes(environment, words, expected):
    done = shell(environment, "bash", "--norc", "-c", BASH, "bash", "dopt", *words)
    assert done.stdout.split() == expected
    assert done.stderr == "complete -o nosort -F _dopt_completion dopt\n"


def test_fish_completes(environment):
    done = shell(environment, "fish", "--no-config", "-c", "dopt completion fish | source; complete -C 'dopt explain drop-apt'")
    assert done.stdout.split() == ["drop-apt-clean"]


def test_zsh_takes_what_is_printed(environment):
    done = shell(
        environment, "zsh", "-f", "-c", 'autoload -U compinit && compinit -D && eval "$(dopt completion zsh)" && echo $_comps[dopt]'
    )
    assert done.stdout == "_dopt_completion\n"


def test_the_manual_has_every_command_option_and_exit_status():
    page = manual(main).replace("\\-", "-")
    for name, command in main.commands.items():
        assert f'.SS "dopt {name}' in page
        for parameter in command.params:
            assert all(option in page for option in parameter.opts if option.startswith("-"))
    assert ".SH EXIT STATUS\n.TP\n\\fB0\\fR" in page


@pytest.mark.parametrize("command", [["mandoc", "-Tlint", "-Wwarning"], ["groff", "-ww", "-man", "-Tutf8", "-z"]], ids=lambda each: each[0])
def test_the_manual_has_no_mistake_in_its_own_language(command):
    done = shell(dict(os.environ), *command, str(ROOT / "docs" / "dopt.1"))
    assert done.stdout + done.stderr == ""


def test_names_are_completed_for_passes_and_checks(dopt_process):
    done = dopt_process(_DOPT_COMPLETE="bash_complete", COMP_WORDS="dopt explain ", COMP_CWORD="2")
    assert done.stdout.decode().split() == [f"plain,{each.name}" for each in (*PASSES, *CHECKS)]
