"""Where files of the context lie in a stage, and what lies at a path of a stage."""

from __future__ import annotations

import pytest

from optimizer.model import Model
from optimizer.model.paths import context_path, image_path
from optimizer.syntax import parse

FILES = {"app.py": "", "src/a.py": "", "src/deep/b.py": "", "package.json": "{}", "package-lock.json": "{}", "logs/.keep": ""}


@pytest.mark.parametrize(
    ("instructions", "path", "where"),
    [
        ("COPY . /app", "app.py", "/app/app.py"),
        ("COPY . /app", ".", "/app"),
        ("COPY . /app", "src/deep", "/app/src/deep"),
        ("WORKDIR /srv\nCOPY . .", "src/a.py", "/srv/src/a.py"),
        ("WORKDIR /srv\nWORKDIR web\nCOPY . ./", "app.py", "/srv/web/app.py"),
        ("COPY src /code", "src/a.py", "/code/a.py"),
        ("COPY src/ /code/", "src/deep/b.py", "/code/deep/b.py"),
        ("COPY app.py /code", "app.py", "/code"),
        ("COPY app.py /code/", "app.py", "/code/app.py"),
        ("WORKDIR /code\nCOPY app.py /code", "app.py", "/code/app.py"),
        ("RUN mkdir -p /code/x\nCOPY app.py /code", "app.py", "/code/app.py"),
        ("COPY app.py /usr/local/bin", "app.py", "/usr/local/bin/app.py"),
        ("WORKDIR /w\nCOPY package*.json ./", "package-lock.json", "/w/package-lock.json"),
        ("WORKDIR /w\nCOPY app.py package.json src/ ./", "src/a.py", "/w/a.py"),
        ('WORKDIR /w\nCOPY ["app.py", "./"]', "app.py", "/w/app.py"),
        ("ENV HOME_OF_APP=/x\nCOPY . ${HOME_OF_APP}/app", "app.py", "/x/app/app.py"),
        ("ARG TO=/x\nCOPY . $TO", "app.py", "/x/app.py"),
        ("ADD src /code", "src/a.py", "/code/a.py"),
    ],
)
def test_both_ways(make_model, instructions, path, where):
    model = make_model(f"FROM debian\n{instructions}\n", FILES)
    assert image_path(model, model.final, path) == (where,)
    assert context_path(model, model.final, where) == path


@pytest.mark.parametrize(
    "instructions",
    [
        "COPY src /code",
        "ARG TO\nCOPY . $TO",
        "COPY --from=other/image /app.py /code/app.py",
        "COPY --parents app.py /code",
        "COPY --exclude=*.py . /code",
        "COPY <<EOF /code/app.py\nprint(1)\nEOF",
        "ADD https://example.org/app.py /code/app.py",
        "RUN cp app.py /code/app.py",
    ],
)
def test_unknown_or_not_copied(make_model, instructions):
    model = make_model(f"FROM debian\n{instructions}\n", FILES)
    assert image_path(model, model.final, "app.py") == ()
    assert context_path(model, model.final, "/code/app.py") is None


def test_through_other_stages(make_model):
    text = (
        "FROM node:20 AS base\nWORKDIR /base\nCOPY package.json .\n"
        "FROM base AS build\nWORKDIR /build\nCOPY . .\n"
        "FROM node:20-slim\nWORKDIR /run\nCOPY --from=build /build/src ./code\nCOPY --from=build /build/dist/ dist/\n"
        "COPY --from=0 /base/package.json ./\n"
    )
    model = make_model(text, FILES)
    build, final = model.stages[1:]
    assert image_path(model, build, "package.json") == ("/base/package.json", "/build/package.json")
    assert image_path(model, final, "src/deep/b.py") == ("/run/code/deep/b.py",)
    assert image_path(model, final, "package.json") == ("/run/package.json",)
    assert image_path(model, final, "app.py") == ()
    assert context_path(model, final, "/run/code/a.py") == "src/a.py"
    assert context_path(model, final, "/run/package.json") == "package.json"
    assert context_path(model, final, "/run/dist/server.js") is None
    assert context_path(model, final, "/run/dist/server.js", must_exist=False) == "dist/server.js"


def test_what_a_build_makes_in_another_stage(make_model):
    text = "FROM golang AS b\nWORKDIR /s\nCOPY . .\nFROM scratch\nCOPY --from=b /s/out.jar /lib/\nCOPY --from=b /s/bin/tool /usr/bin/\n"
    model = make_model(text, FILES)
    assert context_path(model, model.final, "/lib/out.jar", must_exist=False) == "out.jar"
    assert context_path(model, model.final, "/usr/bin/tool", must_exist=False) == "bin/tool"


def test_the_last_copy_wins(make_model):
    model = make_model("FROM debian\nCOPY src /x\nCOPY app.py /x/a.py\n", FILES)
    last = model.final.positions[-1]
    assert context_path(model, model.final, "/x/a.py") == "app.py"
    assert context_path(model, model.final, "/x/a.py", before=last) == "src/a.py"
    assert image_path(model, model.final, "app.py", before=last) == ()


def test_an_unknown_copy_hides_what_came_before(make_model):
    model = make_model("FROM debian\nCOPY . /x\nARG P\nCOPY src $P\n", FILES)
    assert context_path(model, model.final, "/x/app.py") is None


def test_ignored_files_do_not_come(make_model):
    model = make_model("FROM debian\nCOPY . /x\n", {**FILES, ".dockerignore": "src\n"})
    assert image_path(model, model.final, "src/a.py") == ()
    assert context_path(model, model.final, "/x/src/a.py") is None


def test_several_places(make_model):
    model = make_model("FROM debian\nCOPY app.py /a/\nCOPY . /b\n", FILES)
    assert image_path(model, model.final, "app.py") == ("/a/app.py", "/b/app.py")


def test_without_a_context_nothing_is_known():
    model = Model(parse("FROM debian\nCOPY . /x\n"))
    assert image_path(model, model.final, "app.py") == ()
    assert context_path(model, model.final, "/x/app.py") is None
