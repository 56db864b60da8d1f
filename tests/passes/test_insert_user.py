"""Cases of insert-user that a folder of fixtures cannot hold: modes of files, and the parts that decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.context import BuildContext
from optimizer.engine.result import Options, Result
from optimizer.engine.run import run
from optimizer.model import Model
from optimizer.passes.accounts import Account, account_for
from optimizer.passes.insert_user import InsertUser
from optimizer.syntax import parse

SERVER = "require('http').createServer().listen(3000);\n"
DOCKERFILE = 'FROM node:20-slim\nWORKDIR /app\nCOPY . .\nCMD ["node", "server.js"]\n'


def rewritten(folder: Path, source: str = DOCKERFILE) -> Result:
    return run(source, BuildContext.open(folder), Options(), passes=[InsertUser()])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "server.js").write_text(SERVER)
    (tmp_path / "server.js").chmod(0o644)
    (tmp_path / "lib").mkdir(mode=0o755)
    (tmp_path / "lib").chmod(0o755)
    (tmp_path / "lib" / "a.js").write_text("")
    (tmp_path / "lib" / "a.js").chmod(0o644)
    return tmp_path


def test_files_that_all_may_read_keep_their_owner(project: Path) -> None:
    assert rewritten(project).text == DOCKERFILE.replace("CMD", "USER node\nCMD")


@pytest.mark.parametrize(("path", "mode"), [("server.js", 0o600), ("server.js", 0o744), ("lib", 0o700), ("lib/a.js", 0o640)])
def test_files_closed_to_others_are_given_to_the_account_of_the_image(project: Path, path: str, mode: int) -> None:
    (project / path).chmod(mode)
    assert rewritten(project).text == DOCKERFILE.replace("COPY", "COPY --chown=node").replace("CMD", "USER node\nCMD")


@pytest.mark.parametrize(
    "source",
    [
        DOCKERFILE.replace("node:20-slim", "debian:bookworm-slim"),  # the account is made behind the COPY
        DOCKERFILE.replace("COPY . .", "COPY server.js .\nCOPY . ."),  # two instructions bring them
    ],
)
def test_files_closed_to_others_are_refused(project: Path, source: str) -> None:
    (project / "server.js").chmod(0o600)
    result = rewritten(project, source)
    assert result.text == source
    assert [r.reason for r in result.refusals] == ["others may not read server.js of the build context"]


def test_modes_do_not_matter_where_the_copy_sets_them(project: Path) -> None:
    (project / "server.js").chmod(0o600)
    assert "USER node" in rewritten(project, DOCKERFILE.replace("COPY", "COPY --chmod=755")).text
    closed = rewritten(project, DOCKERFILE.replace("COPY", "COPY --chmod=700"))
    assert not closed.changed
    assert "--chmod=700" in closed.refusals[0].reason


@pytest.mark.parametrize("mode", ["600", "0700", "o-r", "go-rwx", "u=rw,go=", "a-x", "750", "-r"])
def test_chmod_that_takes_rights_away(project: Path, mode: str) -> None:
    source = DOCKERFILE.replace("CMD", f"RUN chmod {mode} server.js\nCMD")
    assert not rewritten(project, source).changed


@pytest.mark.parametrize("mode", ["755", "+x", "a+rx", "u+x", "644", "g-w", "ugo+r", "go=rX"])
def test_chmod_that_leaves_rights(project: Path, mode: str) -> None:
    source = DOCKERFILE.replace("CMD", f"RUN chmod {mode} server.js\nCMD")
    assert rewritten(project, source).changed


@pytest.mark.parametrize(
    "step",
    [
        "RUN pip install --user x",
        "ENV PATH=/root/.local/bin:$PATH",
        "COPY lib /root/lib",
        "RUN touch ~/state",
        "RUN cp x $HOME",
        "RUN echo x > ~/y",
    ],
)
def test_what_lies_in_the_home_of_root(project: Path, step: str) -> None:
    result = rewritten(project, DOCKERFILE.replace("CMD", f"{step}\nCMD"))
    assert not result.changed
    assert "root's home" in result.refusals[0].reason


@pytest.mark.parametrize("step", ["RUN npm ci && rm -rf /root/.npm ~/.cache", "RUN --mount=type=cache,target=/root/.npm npm ci"])
def test_caches_in_the_home_of_root_do_not_matter(project: Path, step: str) -> None:
    assert rewritten(project, DOCKERFILE.replace("CMD", f"{step}\nCMD")).changed


def test_a_stage_that_another_one_starts_from(project: Path) -> None:
    source = DOCKERFILE.replace("slim", "slim AS base") + "FROM base AS other\n"
    result = run(source, BuildContext.open(project), Options(target="base"), passes=[InsertUser()])
    assert result.text == source
    assert [r.reason for r in result.refusals] == ["another stage starts from this one"]


def test_a_shell_that_is_not_known(project: Path) -> None:
    source = 'FROM debian:bookworm-slim\nSHELL ["fish", "-c"]\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["node", "server.js"]\n'
    result = rewritten(project, source)
    assert result.text == source
    assert "SHELL" in result.refusals[0].reason


def test_evidence_says_what_was_found(project: Path) -> None:
    (project / "server.js").write_text(SERVER.replace("3000", "80") + "require('fs').writeFileSync('/data/x.json', '');\n")
    (change,) = rewritten(project).rewrites
    assert "the image has the user node (1000)" in change.evidence
    assert "writes /data/x.json (server.js:2)" in change.evidence
    assert any(text.startswith("port 80 is open") for text in change.evidence)


@pytest.mark.parametrize(
    ("dockerfile", "name", "commands"),
    [
        ("FROM node:20", "node", ()),
        ("FROM ubuntu:22.04", "app", ("useradd --system --create-home app",)),
        ("FROM alpine:3.19", "app", ("addgroup -S app", "adduser -S -D -G app app")),
        ("FROM gcr.io/distroless/python3-debian12", "65532", ()),
        ("FROM scratch", "65532", ()),
        ("FROM debian:12\nRUN useradd -r -u 1001 -ms /bin/sh -g users web", "web", ()),
        ("FROM alpine:3.19\nRUN adduser -D -h /app -G www web", "web", ()),
    ],
)
def test_account(dockerfile: str, name: str, commands: tuple[str, ...]) -> None:
    model = Model(parse(f"{dockerfile}\n"))
    found = account_for(model, model.final)
    assert isinstance(found, Account)
    assert (found.name, found.commands) == (name, commands)


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM example.org/own:1",
        "FROM busybox:1.36-musl",
        "FROM debian:12\nRUN useradd $NAME",
        "FROM debian:12\nRUN useradd one && useradd two",
        "FROM amazonlinux:2023",
    ],
)
def test_no_account(dockerfile: str) -> None:
    model = Model(parse(f"{dockerfile}\n"))
    assert isinstance(account_for(model, model.final), str)
