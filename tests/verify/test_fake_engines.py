"""Engines that are not there, die, hang or lack room: one line, exit 2, and the file is as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from optimizer.cli import main
from optimizer.verify import NoEngine, Passed, find_engine
from optimizer.verify.engines import Build, Engine

DIES = """open(folder + "/dead", "w").close()
print("#5 [2/3] RUN mkdir /a", flush=True)
sys.exit("error: failed to receive status: unexpected EOF")"""
FAILS = """print("#5 [2/3] RUN mkdir /a")
print("#5 ERROR: exit code 1: token=hunter22")
sys.exit("ERROR: failed to solve: exit code: 1 for hunter22")"""
SYNTAX = """print("#2 resolve image config for docker-image://docker.io/docker/dockerfile:1")
sys.exit("ERROR: failed to solve: docker/dockerfile:1: failed to do request: connection refused")"""


def dopt(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def fix(*arguments: str) -> Result:
    return dopt("fix", "--verify", "--quiet", *arguments, "Dockerfile")


def test_no_engine_is_one_line_and_nothing_is_changed(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (project / "Dockerfile").read_bytes()
    monkeypatch.setenv("PATH", str(tmp_path))
    for result in (fix(), dopt("verify", "Dockerfile", "Dockerfile")):
        assert result.exit_code == 2
        reasons = "docker is not installed; podman is not installed; buildah is not installed"
        assert result.stderr == f"Error: no engine to build with: {reasons}; nothing was changed\n"
    assert (project / "Dockerfile").read_bytes() == before


def test_an_engine_that_does_not_answer(project: Path, fake_docker: Callable[[str], Path]) -> None:
    notes = fake_docker("pass")
    (notes / "dead").touch()
    result = fix()
    assert result.exit_code == 2
    assert "docker does not answer (Cannot connect to the Docker daemon)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_engine_that_dies_in_the_middle(project: Path, fake_docker: Callable[[str], Path], temporary: Path) -> None:
    before = (project / "Dockerfile").read_bytes()
    notes = fake_docker(DIES)
    result = fix()
    assert result.exit_code == 2
    assert "the engine stopped answering in the middle of a build" in result.stderr
    assert [line for line in result.stderr.splitlines() if not line.startswith("dopt: ")] == result.stderr.splitlines()[-1:]
    assert (project / "Dockerfile").read_bytes() == before
    assert list(temporary.iterdir()) == []
    assert "buildx build" in (notes / "calls").read_text()


def test_a_dockerfile_that_does_not_build_is_left_alone(project: Path, fake_docker: Callable[[str], Path], temporary: Path) -> None:
    before = (project / "Dockerfile").read_bytes()
    fake_docker(FAILS)
    result = fix("--build-arg", "TOKEN=hunter22")
    assert result.exit_code == 2
    assert "the Dockerfile before does not build" in result.stderr
    assert "hunter22" not in result.output
    assert (project / "Dockerfile").read_bytes() == before
    assert list(temporary.iterdir()) == []


def test_a_frontend_that_cannot_be_pulled_is_named(project: Path, fake_docker: Callable[[str], Path]) -> None:
    file = project / "Dockerfile"
    file.write_text("# syntax=docker/dockerfile:1\n" + file.read_text())
    fake_docker(SYNTAX)
    assert "the frontend docker/dockerfile:1, which its syntax line names, could not be pulled" in fix().stderr


def test_a_build_that_takes_too_long(project: Path, fake_docker: Callable[[str], Path]) -> None:
    fake_docker("time.sleep(60)")
    result = fix("--timeout", "1")
    assert (result.exit_code, "longer than 1 s" in result.stderr) == (2, True)


def test_too_little_room_to_build(project: Path, fake_docker: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    notes = fake_docker("pass")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10_000_000})())
    result = fix()
    assert (result.exit_code, "0.0 GB free" in result.stderr) == (2, True)
    assert "buildx build" not in (notes / "calls").read_text()


def test_nothing_is_built_where_nothing_is_rewritten(project: Path, fake_docker: Callable[[str], Path]) -> None:
    (project / "Dockerfile").write_text("FROM debian:bookworm\nRUN mkdir /a\n")
    notes = fake_docker("sys.exit(1)")
    assert fix().exit_code == 0
    assert "buildx build" not in (notes / "calls").read_text()


def test_a_builder_is_docker_s(fake_docker: Callable[[str], Path]) -> None:
    fake_docker("pass")
    with pytest.raises(NoEngine, match="not of podman"):
        find_engine("podman", "remote")


@pytest.mark.parametrize(
    ("engine", "wanted", "not_wanted"),
    [
        (Engine("docker"), "buildx build --progress=plain --provenance=false --load --build-arg BUILDKIT_CACHE_MOUNT_NS=m", "--push"),
        (Engine("docker", "far"), "--load --builder far", "--push"),
        (Engine("podman"), "podman build --format docker --tag t", "--load"),
        (Engine("buildah"), "buildah build --format docker --tag t", "CACHE_MOUNT_NS"),
    ],
)
def test_what_is_asked_of_engines(tmp_path: Path, engine: Engine, wanted: str, not_wanted: str) -> None:
    passed = Passed(("A=1",), ("id=s,src=f",), ("default",), ("other=.",), "final", "linux/amd64")
    command = " ".join(engine.build_command(Build(tmp_path / "D", tmp_path, "t", "run", False, "m", passed, 60)))
    assert wanted in command
    assert not_wanted not in command
    assert "--tag t" in command
    assert "--no-cache --build-arg A=1 --secret id=s,src=f --ssh default --build-context other=." in command
    assert "--target final --platform linux/amd64" in command
    assert "--label dopt.verify=run" in command
