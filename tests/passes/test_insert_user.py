"""Cases of insert-user that a folder of fixtures cannot hold: modes of files, and the parts that decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.context import BuildContext
from optimizer.engine.result import Options, Result
from optimizer.engine.run import run
from optimizer.model import Model
from optimizer.passes.account.accounts import Account, account_for
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


def test_files_closed_to_others_are_given_to_an_account_made_above(project: Path) -> None:
    (project / "server.js").chmod(0o600)
    source = DOCKERFILE.replace("node:20-slim", "debian:bookworm-slim")
    expected = source.replace("COPY", "RUN useradd --system --create-home app\nCOPY --chown=app").replace("CMD", "USER app\nCMD")
    assert rewritten(project, source).text == expected


@pytest.mark.parametrize(
    "source",
    [
        DOCKERFILE.replace("node:20-slim", "debian:bookworm-slim").replace("CMD", "RUN apt-get install -y curl\nCMD"),  # made below
        DOCKERFILE.replace("node:20-slim", "debian:bookworm-slim").replace("CMD", "RUN useradd web\nCMD"),  # made below
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
        ("FROM busybox:1.36-musl", "65534", ()),
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
        "FROM debian:12\nRUN useradd $NAME",
        "FROM debian:12\nRUN useradd one && useradd two",
        "FROM amazonlinux:2023",
    ],
)
def test_no_account(dockerfile: str) -> None:
    model = Model(parse(f"{dockerfile}\n"))
    assert isinstance(account_for(model, model.final), str)


MAKE = "RUN useradd --system --create-home app"
GIVE = "mkdir -p /app/data && chown app /app/data"
PYTHON = 'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "app.py"]\n'


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that writes into /app/data."""
    (tmp_path / "app.py").write_text("open('/app/data/visits.txt', 'a')\n")
    (tmp_path / "app.py").chmod(0o644)
    return tmp_path


@pytest.mark.parametrize(
    "steps",
    [
        "RUN pip install flask",
        "RUN cd /tmp && echo x > y",
        "RUN chmod +x app.py",
        "RUN rm -rf tests /app/docs",
        "RUN --mount=type=cache,target=/root/.cache/pip pip install flask",
        "RUN pip install .",
        "RUN python -m compileall -q .",
        "COPY app.py /app/data/",
        "COPY app.py /app/data/inner/app.py",
        "WORKDIR /app/data\nWORKDIR /app",
        "ENV A=1\nARG B",
    ],
)
def test_a_folder_is_given_away_above_steps_that_leave_it(program: Path, steps: str) -> None:
    source = PYTHON.replace("CMD", f"{steps}\nCMD")
    assert rewritten(program, source).text == source.replace("COPY . .", f"{MAKE} && {GIVE}\nCOPY . .").replace("CMD", "USER app\nCMD")


@pytest.mark.parametrize(
    "steps",
    [
        "RUN chown -R root:root /app",
        "RUN rm -rf data",
        "RUN rm -rf /app/d*",
        "RUN mv conf/* .",
        "RUN python seed.py",
        "RUN ./seed",
        "RUN cd data; rm -rf x",
        "RUN (cd /app && touch y)",
        "RUN rm -rf $DATA",
        "RUN tar xf data.tar",
        "RUN --mount=type=cache,target=/app pip install flask",
        "COPY --link app.py /app/data/",
        "COPY --from=example.org/data / /app",
        "RUN test -d /app/data || echo none",
        "ADD --link app.py /app/data/",
    ],
)
def test_a_folder_is_given_away_below_steps_that_may_reset_it(program: Path, steps: str) -> None:
    text = rewritten(program, PYTHON.replace("CMD", f"{steps}\nCMD")).text
    above, _, below = text.partition(steps)
    assert "chown app /app/data" not in above
    assert "chown app /app/data" in below


@pytest.mark.parametrize(
    "step",
    [
        "RUN apt-get update && apt-get install -y curl",
        "RUN groupmod -g 4000 mail",
        "RUN echo 'x:x:900:900::/:/bin/sh' >> /etc/passwd",
        "RUN ./setup.sh",
        "RUN sh setup.sh",
        "RUN sudo apt-get install curl",
        'RUN ["apt-get", "install", "curl"]',
        "COPY . /",
        "COPY app.py /etc/",
    ],
)
def test_accounts_keep_their_numbers(program: Path, step: str) -> None:
    """What may make accounts stands above the new one as before."""
    text = rewritten(program, PYTHON.replace("CMD", f"{step}\nCMD")).text
    assert 0 < text.index(step) < text.index(MAKE)


@pytest.mark.parametrize(
    ("above", "behind"),
    [
        ("WORKDIR /app", "WORKDIR /app"),
        ("RUN apt-get install -y curl\nWORKDIR /app", "RUN apt-get install -y curl"),
        ("RUN apt-get install -y curl\nWORKDIR /app\nRUN pip install flask", "RUN apt-get install -y curl"),
        ("WORKDIR /app\nENV A=1\n# the program", "WORKDIR /app"),
        ("ENV A=1", "ENV A=1"),
        ("COPY --from=example.org/tool /tool /bin/\nWORKDIR /app", "WORKDIR /app"),
    ],
)
def test_where_the_account_is_made(program: Path, above: str, behind: str) -> None:
    source = PYTHON.replace("COPY . .", "COPY . /app").replace("app.py", "/app/app.py")
    text = rewritten(program, source.replace("WORKDIR /app", above)).text
    assert text.partition(behind)[2].startswith(f"\n{MAKE}")


@pytest.mark.parametrize(
    ("step", "early"),
    [
        ("RUN pip install .", False),  # git refuses the folder of another user
        ("RUN git describe", False),
        ("RUN npm ci", False),  # runs scripts as the owner of the folder
        ("RUN mv ../x .", False),
        ("RUN pip install flask", True),
        ("RUN rm -rf /app/tests /app/*.md", True),
        ("COPY app.py ./other.py", True),
        ("COPY --link app.py ./other.py", False),
    ],
)
def test_the_folder_of_the_program_itself(program: Path, step: str, early: bool) -> None:
    (program / "app.py").write_text("open('/app/visits.txt', 'a')\n")
    above, _, below = rewritten(program, PYTHON.replace("CMD", f"{step}\nCMD")).text.partition(step)
    assert ("chown app /app" in above, "chown app /app" in below) == (early, not early)


@pytest.mark.parametrize(
    ("build", "early"),
    [
        ("RUN pip install flask", True),
        ("RUN mkdir data", False),
        ("RUN python seed.py", False),
        ("COPY app.py data/", False),
        ("WORKDIR /app/data", False),
    ],
)
def test_a_folder_that_another_stage_may_hand_on(program: Path, build: str, early: bool) -> None:
    source = PYTHON.replace('CMD ["python", "app.py"]\n', "") + f"{build}\n"
    source = source.replace("slim", "slim AS build") + PYTHON.replace("COPY . .", "COPY --from=build /app /app")
    final = rewritten(program, source).text.partition("FROM python:3.12-slim\n")[2]
    above, _, below = final.partition("COPY --from")
    assert ("/app/data" in above, "/app/data" in below) == (early, not early)


@pytest.mark.parametrize(
    ("steps", "given"),
    [
        ("COPY --chown=node . .", True),
        ("COPY --chown=1000:1000 . .\nRUN npm ci", True),
        ("COPY --chown=root . .", False),
        ("COPY --chown=node . .\nRUN chown -R root .", False),
        ("COPY --chown=node . .\nCOPY data data", False),
        ("COPY . .\nRUN chown -R node:node /app", True),
        ("RUN chown -R node:node /app\nCOPY . .", False),
    ],
)
def test_what_the_stage_gives_to_the_account_itself(project: Path, steps: str, given: bool) -> None:
    (project / "data").mkdir(mode=0o755)
    (project / "data" / "hits").write_text("")
    (project / "server.js").write_text(f"{SERVER}require('fs').writeFileSync('/app/data/hits', '');\n")
    source = DOCKERFILE.replace("COPY . .", steps)
    text = rewritten(project, source).text
    assert (text == source.replace("CMD", "USER node\nCMD")) is given
    assert ("RUN chown node /app/data /app/data/hits\n" in text) is not given
