"""The hooks for pre-commit and the action for GitHub, as far as they can be run here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from optimizer.files import _OTHERS, is_dockerfile_name

ROOT = Path(__file__).parents[2]
NAIVE = "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n"
FIXED = "FROM debian:bookworm\nRUN mkdir /a \\\n    && mkdir /b\n"
NAMES = (
    *("Dockerfile", "Dockerfile.dev", "Containerfile", "Containerfile.x.y", "dockerfile", "api.Dockerfile", "api.Containerfile"),
    *("api.dockerfile", "Dockerfile~", "Dockerfile.old~", "MyDockerfile", "dockerfile.dev", "DOCKERFILE", "docker-compose.yml"),
)


@pytest.mark.parametrize("hook", yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()), ids=lambda hook: hook["id"])
@pytest.mark.parametrize("name", [*NAMES, *(f"Dockerfile.{end}" for end in sorted(_OTHERS))])
def test_hooks_take_the_files_that_a_search_finds(hook: dict[str, str], name: str) -> None:
    for path in (name, f"deploy/{name}"):
        taken = re.search(hook["files"], path) is not None and re.search(hook["exclude"], path) is None
        assert taken == is_dockerfile_name(name)


class Action:
    """A run of the action's last step in a folder, with dopt already installed."""

    def __init__(self, folder: Path, **inputs: str) -> None:
        action = yaml.safe_load((ROOT / "action.yml").read_text())
        step = action["runs"]["steps"][-1]
        given = {name: inputs.get(name, value["default"]) for name, value in action["inputs"].items()}
        values = {name: given[re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", value)[1]] for name, value in step["env"].items()}
        self.runner = folder.parent / "runner"
        dopt = self.runner / "dopt" / "bin" / "dopt"
        dopt.parent.mkdir(parents=True, exist_ok=True)
        dopt.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m optimizer "$@"\n')
        dopt.chmod(0o755)
        files = {"GITHUB_OUTPUT": str(self.runner / "output"), "GITHUB_STEP_SUMMARY": str(self.runner / "summary")}
        environment = {**os.environ, **values, **files, "RUNNER_TEMP": str(self.runner), "PYTHONPATH": str(ROOT)}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]  # as GitHub starts it
        self.ran = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.runner / "output").read_text().splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "Dockerfile").write_text(NAIVE)
    return tmp_path / "checkout"


def test_the_action_fails_and_shows_the_difference(folder: Path) -> None:
    action = Action(folder)
    assert action.ran.returncode == 1
    assert "+RUN mkdir /a \\" in action.ran.stdout
    assert action.outputs["changed"] == "true"
    assert "::warning file=Dockerfile,line=2,endLine=3," in action.ran.stdout
    assert "merge-runs" in (action.runner / "summary").read_text()
    (run,) = json.loads(Path(action.outputs["sarif"]).read_text())["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["merge-runs"]
    subprocess.run(["git", "apply", action.outputs["diff"]], cwd=folder, check=True)
    assert (folder / "Dockerfile").read_text() == FIXED


def test_the_action_rewrites_when_asked(folder: Path) -> None:
    action = Action(folder, fix="true")
    assert (action.ran.returncode, action.outputs["changed"]) == (0, "true")
    assert (folder / "Dockerfile").read_text() == FIXED


def test_the_action_passes_where_nothing_is_to_do(folder: Path) -> None:
    action = Action(folder, args="--ignore merge-runs", fix="true")
    assert (action.ran.returncode, action.outputs["changed"]) == (0, "false")
    assert "::warning" not in action.ran.stdout
    assert (folder / "Dockerfile").read_text() == NAIVE


def test_the_action_fails_on_what_cannot_be_done(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM debian:bookworm\nNONSENSE\n")
    action = Action(folder, fix="true")
    assert action.ran.returncode == 2
    assert action.ran.stderr.count("unknown instruction: NONSENSE") == 1
