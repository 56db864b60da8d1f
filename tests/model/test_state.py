"""What is in force before an instruction. The expected values are those that builds print."""

from __future__ import annotations

import pytest

from optimizer.model import Model, State, mounts
from optimizer.syntax import Instruction, parse, parse_nodes


def behind(text: str) -> State:
    model = Model(parse(text))
    return model.behind(model.final)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("FROM scratch\nENV A=b", "A", "b"),
        ("FROM scratch\nENV A b c", "A", "b c"),
        ("FROM scratch\nENV A='b c' D=\"$A\"", "D", ""),  # seen from before the instruction
        ("FROM scratch\nENV A=b\nENV C=$A/d", "C", "b/d"),
        ("FROM scratch\nENV A=b\nENV C=${A}d D='$A' E=\\$A F=\"\\$A\"", "C", "bd"),
        ("FROM scratch\nENV A=b\nENV C='$A'", "C", "$A"),
        ("FROM scratch\nENV A=b\nENV C=\\$A", "C", "$A"),
        ("FROM scratch\nENV A=b\nENV C=\\\\$A", "C", "\\b"),
        ("FROM scratch\nENV C=${A:-b} D=c", "C", "b"),
        ("FROM scratch\nENV C=${A-b}", "C", "b"),
        ("FROM scratch\nENV A=\nENV C=${A:-b}", "C", "b"),
        ("FROM scratch\nENV A=\nENV C=${A-b}", "C", ""),
        ("FROM scratch\nENV A=x\nENV C=${A:+b}", "C", "b"),
        ("FROM scratch\nENV C=${A:+b}", "C", ""),
        ("FROM scratch\nENV A=x.tar.gz\nENV C=${A%.gz}", "C", "x.tar"),
        ("FROM scratch\nENV A=b\nENV A=$A:c", "A", "b:c"),
        ("FROM scratch\nENV P=$PATH", "P", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("FROM scratch\nENV C=$A", "C", ""),  # there is nothing else in scratch
        ("FROM busy\nENV C=$A", "C", None),  # the base image may set A
        ("FROM busy\nENV C=${A:-b}", "C", None),
        ("FROM busy\nENV A=b\nENV C=$A", "C", "b"),
        ("FROM scratch\nENV N=X\nENV $N=b", "X", "b"),
        ("FROM scratch\nARG A=b\nENV C=$A", "C", "b"),
        ("FROM scratch\nARG A\nENV C=$A", "C", None),  # only the command line tells
        ("FROM scratch\nARG TARGETARCH\nENV C=$TARGETARCH", "C", None),
        ("FROM scratch\nENV C=$TARGETARCH", "C", ""),  # not in scope without ARG
        ("FROM scratch\nENV A=e\nARG A=a\nENV C=$A", "C", "a"),  # of ENV and ARG the last one counts
        ("FROM scratch\nARG A=a\nENV A=e\nENV C=$A", "C", "e"),
        ("FROM scratch\nENV A=e\nARG A\nENV C=$A", "C", "e"),
        ("FROM scratch\nARG A=a\nARG A\nENV C=$A", "C", "a"),
        ("FROM scratch AS x\nARG A=a\nFROM x\nARG A\nENV C=$A", "C", "a"),
        ("ARG A=b\nFROM scratch\nENV C=$A", "C", ""),  # global ARGs are seen by FROM alone
        ("ARG A=b\nFROM scratch\nARG A\nENV C=$A", "C", "b"),
        ("ARG A=b\nFROM scratch\nARG A=c\nENV C=$A", "C", "c"),
        ("FROM scratch AS x\nARG A=b\nENV E=f\nFROM x\nENV C=$A$E", "C", "bf"),  # a stage hands both on
        ("FROM scratch AS x\nARG A=b\nFROM scratch\nENV C=$A", "C", ""),
        ("# escape=`\nFROM scratch\nENV A=b\nENV C=`$A\\$A", "C", "$A\\b"),
        ("FROM scratch\nENV C=${A!b}", "C", None),  # the build fails
    ],
)
def test_env(text: str, name: str, value: str | None) -> None:
    state = behind(text)
    assert name in state.env
    assert state.env[name] == value


def test_arg_does_not_stay_in_the_image() -> None:
    state = behind("FROM scratch\nENV A=e\nARG A=a\n")
    assert (state.env["A"], state.lookup("A")) == ("e", "a")


@pytest.mark.parametrize(
    ("text", "workdir"),
    [
        ("FROM scratch", "/"),
        ("FROM scratch\nWORKDIR a", "/a"),
        ("FROM scratch\nWORKDIR /a\nWORKDIR b/../c", "/a/c"),
        ("FROM scratch\nWORKDIR /a/", "/a"),
        ('FROM scratch\nWORKDIR "/a b"', "/a b"),
        ("FROM scratch\nENV D=/x\nWORKDIR $D/y", "/x/y"),
        ("FROM busy", None),
        ("FROM busy\nWORKDIR a", None),  # relative to nobody knows what
        ("FROM busy\nWORKDIR /a\nWORKDIR b", "/a/b"),
        ("FROM busy\nWORKDIR /a\nWORKDIR $X", None),
        ("FROM busy AS x\nWORKDIR /a\nFROM x\nWORKDIR b", "/a/b"),
    ],
)
def test_workdir(text: str, workdir: str | None) -> None:
    assert behind(text).workdir == workdir


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("FROM scratch", "root"),
        ("FROM debian:bookworm-slim", "root"),
        ("FROM registry.example/unknown:1", None),
        ("FROM registry.example/unknown:1\nUSER a", "a"),
        ("FROM scratch\nARG U=1000\nUSER $U:$U", "1000:1000"),
        ("FROM debian:bookworm-slim\nUSER $U", None),
        ("FROM debian:bookworm-slim AS x\nUSER a\nFROM x", "a"),
        ("FROM debian:bookworm-slim AS x\nUSER a\nFROM debian:bookworm-slim", "root"),
    ],
)
def test_user(text: str, user: str | None) -> None:
    assert behind(text).user == user


@pytest.mark.parametrize(
    ("text", "shell"),
    [
        ("FROM debian:bookworm-slim", ("/bin/sh", "-c")),
        ('FROM debian:bookworm-slim\nSHELL ["/bin/bash", "-c"]', ("/bin/bash", "-c")),
        ('FROM debian:bookworm-slim AS x\nSHELL ["/bin/bash", "-c"]\nFROM x', ("/bin/bash", "-c")),
        ('FROM debian:bookworm-slim AS x\nSHELL ["/bin/bash", "-c"]\nFROM debian:bookworm-slim', ("/bin/sh", "-c")),
    ],
)
def test_shell(text: str, shell: tuple[str, ...]) -> None:
    assert behind(text).shell == shell


def test_state_is_that_before_the_instruction() -> None:
    model = Model(parse("FROM scratch\nENV A=1\nUSER a\nENV A=2\nRUN b\n"))
    states = [model.before(position) for position in model.final.positions]
    assert [state.env.get("A") for state in states] == [None, "1", "1", "2"]
    assert [state.user for state in states] == ["root", "root", "a", "a"]


@pytest.mark.parametrize(("word", "path"), [("a", "/w/a"), ("/a/./b", "/a/b"), ("../../a", "/a"), ("$X/a", None), ("'a b'", "/w/a b")])
def test_path(word: str, path: str | None) -> None:
    assert State(workdir="/w").path(word) == path


def test_unbalanced_quotes_are_unknown() -> None:
    assert State().expand('"a') is None


@pytest.mark.parametrize(
    ("flag", "found"),
    [
        ("--mount=type=cache,target=/a", [("cache", "/a", {"target": "/a"})]),
        ("--mount=target=/a,source=b", [("bind", "/a", {"target": "/a", "source": "b"})]),
        ("--mount=TYPE=Cache,Dst=/a,ro", [("cache", "/a", {"dst": "/a", "ro": ""})]),
        ('--mount=type=bind,\\"source=a,b\\",target=/c', [("bind", "/c", {"source": "a,b", "target": "/c"})]),
        ("--mount=type=secret,id=x --mount=type=ssh", [("secret", None, {"id": "x"}), ("ssh", None, {})]),
        ("--network=none", []),
    ],
)
def test_mounts(flag: str, found: list[tuple[str, str | None, dict[str, str]]]) -> None:
    (node,) = parse_nodes(f"RUN {flag} x\n", "\\")
    assert isinstance(node, Instruction)
    assert [(mount.type, mount.target, mount.options) for mount in mounts(node)] == found
