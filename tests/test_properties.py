"""Laws of the whole: whatever Dockerfile comes in, what goes out builds as much, is done in one go, and lost nothing."""

from __future__ import annotations

import re

import dockerfile
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer
from optimizer.engine import Options

RUNS = (
    "apt-get update", "apt-get update && apt-get install -y curl", "apt-get install -y git", "cd /tmp && touch a", "export A=1",
    "umask 077; mkdir /x", "pip install flask", "pip install -r requirements.txt", "npm ci", "npm install -g pm2",
    "apk add --update curl", "yum install -y make", "set -e; a || true", "false || echo no", "service x start", "echo $? $$",
    "for i in 1 2; do echo $i; done", "rm -rf /var/lib/apt/lists/*", "mkdir -p /a \\\n    # why\n    && touch /a/b",
    "<<EOF\nset -e\napt-get update\nEOF", "cat <<A <<B\n1\nA\n2\nB", '["a", "b"]',
    "--mount=type=cache,target=/root/.cache pip install x", "curl https://x | bash -", "make", "make && make install", "(cd a; b) &",
    "a 'b\n", "x() { y; }; x", "conda install -y a", "yarn install",
)  # fmt: skip
LINES = (
    "USER app", "WORKDIR /app", "WORKDIR sub", "ENV A=1 B=2", "ENV A 1", "ARG V=1", "ARG V", "COPY . .", "COPY requirements.txt ./",
    "ADD x.tar.gz /", "COPY . /app", "COPY --from=build /app /app", "COPY --chown=1:1 a b c/", "EXPOSE 80", "VOLUME /data", "LABEL a=b",
    "MAINTAINER me", "ONBUILD RUN make", "STOPSIGNAL 9", 'SHELL ["/bin/bash", "-c"]', 'CMD ["python", "app.py"]', "CMD python app.py",
    'ENTRYPOINT ["./run.sh"]', "HEALTHCHECK CMD curl -f http://localhost", "# a comment", "# dopt: ignore[merge-runs]",
    "# hadolint ignore=DL3008", "", "   ",
)  # fmt: skip
FROMS = (
    "FROM debian:bookworm", "FROM python:3.12 AS build", "FROM python:3.12-slim", "FROM node:20", "from alpine as build", "FROM build",
    "FROM scratch", "FROM $BASE", "FROM golang:1.22",
)  # fmt: skip


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        lines.append(draw(st.sampled_from(FROMS)))
        body = st.one_of(st.sampled_from(RUNS).map(lambda text: f"RUN {text}"), st.sampled_from(LINES))
        lines.extend(draw(st.lists(body, max_size=8)))
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n"]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@settings(max_examples=300, deadline=None)
@given(dockerfiles(), st.booleans())
def test_a_rewrite_is_complete_accepted_and_checked(text: str, unsafe: bool) -> None:
    options = Options(unsafe=unsafe)
    result = optimizer.optimize(text, config=options)
    assert not [refused for refused in result.refusals if refused.fault]
    assert not optimizer.parse(result.text).problems or result.problems
    assert not optimizer.optimize(result.text, config=options).changed
    if not result.problems:
        dockerfile.parse_string(result.text)
        assert ("\r\n" in result.text) == ("\r\n" in text)
        assert ("\n" in result.text.replace("\r\n", "")) == ("\n" in text.replace("\r\n", ""))


@settings(max_examples=200, deadline=None)
@given(dockerfiles())
def test_no_comment_is_lost_without_a_context(text: str) -> None:
    result = optimizer.optimize(text)
    comments = re.compile(r"^[ \t]*#[^\r\n]*", re.M)
    assert sorted(c.strip() for c in comments.findall(result.text)) == sorted(c.strip() for c in comments.findall(text))


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_comes_through(text: str) -> None:
    result = optimizer.optimize(text)
    assert result.changed or result.text == text
