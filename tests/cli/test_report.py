"""Colours, terminals, the passes' pages, and what starting up does not import."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click import unstyle

from optimizer import PASSES, __version__
from optimizer.passes import Keeps, Rewrites
from optimizer.report import Paint, colored, wants_color
from optimizer.report.page import as_markdown, as_table, page_of

CHANGES = "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n"
TERMINAL = type("Terminal", (io.StringIO,), {"isatty": lambda self: True})()


@pytest.mark.parametrize(
    ("choice", "stream", "environment", "expected"),
    [
        ("auto", TERMINAL, {}, True),
        ("auto", io.StringIO(), {"FORCE_COLOR": "1"}, True),
        ("always", io.StringIO(), {"NO_COLOR": "1"}, True),
        ("auto", TERMINAL, {"NO_COLOR": ""}, True),
        ("auto", io.StringIO(), {}, False),
        ("auto", TERMINAL, {"TERM": "dumb"}, False),
        ("auto", TERMINAL, {"NO_COLOR": "1"}, False),
        ("auto", TERMINAL, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ("auto", TERMINAL, {"FORCE_COLOR": "0"}, False),
        ("never", TERMINAL, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_when_there_is_colour(choice, stream, environment, expected):
    assert wants_color(choice, stream, environment) is expected


@pytest.mark.parametrize(("arguments", "environment"), [(["--color", "always"], {}), ([], {"FORCE_COLOR": "1"})])
def test_without_its_colours_the_output_is_the_plain_one(dopt, put, monkeypatch, arguments, environment):
    put("Dockerfile", CHANGES)
    plain = dopt("fix", "--diff")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    painted = dopt("fix", "--diff", *arguments)
    assert "\x1b[31m-RUN mkdir /a\x1b[0m\n" in painted.stdout
    assert "\x1b[32m+RUN mkdir /a \\\x1b[0m\n" in painted.stdout
    assert "\x1b[1m--- a/Dockerfile\x1b[0m\n" in painted.stdout
    assert (unstyle(painted.stdout), unstyle(painted.stderr)) == (plain.stdout, plain.stderr)
    assert "\x1b" not in plain.stdout + plain.stderr


def test_the_dockerfile_itself_is_never_coloured(dopt):
    assert "\x1b" not in dopt("fix", "--color", "always", "-", stdin=CHANGES.encode()).stdout


def test_a_removed_line_that_looks_like_a_name_is_red():
    text = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n--- c\n+++ d\r\n\\ No newline at end of file\n"
    lines = colored(text, Paint(True)).split("\n")
    assert lines[3:5] == ["\x1b[31m--- c\x1b[0m", "\x1b[32m+++ d\x1b[0m\r"]


def on_terminal(folder, *arguments):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-m", "optimizer", *arguments], cwd=folder, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so when the last writer is gone
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    process.wait()
    return b"".join(parts).decode()


@pytest.mark.parametrize(("count", "bar"), [(21, True), (20, False)])
def test_many_files_have_a_bar_on_a_terminal_only(folder, put, dopt_process, count, bar):
    for i in range(count):
        put(f"{i}/Dockerfile", CHANGES)
    seen = on_terminal(folder, "check")
    assert ("100%" in seen) is bar
    assert "\x1b[1m0/Dockerfile" in seen
    assert f"{count} files of {count} would be rewritten" in seen
    piped = dopt_process("check")
    assert b"%" not in piped.stdout + piped.stderr
    assert "%" not in on_terminal(folder, "check", "-q")


def test_passes_are_listed_in_order(dopt):
    lines = dopt("passes").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [each.name for each in PASSES]


@pytest.mark.parametrize("rewriter", PASSES, ids=lambda each: each.name)
def test_every_pass_explains_itself(dopt, rewriter):
    shown = dopt("explain", rewriter.name).stdout
    assert shown.startswith(f"{rewriter.name}: ")
    for heading in ("What it does", "Why", "When it refuses", "Safety"):
        assert f"\n{heading}\n  " in shown
    for example in rewriter.examples:
        assert (f"Leaves alone: {example.because}\n" if isinstance(example, Keeps) else "\nRewrites\n") in shown
    assert "``" not in shown


@pytest.mark.parametrize(("name", "hint"), [("merge-run", " (did you mean 'merge-runs'?)"), ("zzz", "")])
def test_a_pass_that_there_is_not_cannot_be_explained(dopt, name, hint):
    result = dopt("explain", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: unknown pass '{name}'{hint}; 'dopt passes' lists them\n"


class Sample:
    """Do a thing with ``this``.

    What it does
        One.

        - Two ``b``.

    Safety
        Safe, if one
        asks: it is.
    """

    name = "do-a-thing"
    examples = (Rewrites("FROM a\nRUN b", "FROM a\nRUN c\n", files=(("x.txt", "y"),)), Keeps("FROM b\n", because="it is one"))


def test_a_page_is_read_from_the_docstring():
    page = page_of(Sample())
    assert page.summary == "Do a thing with `this`"
    assert [(section.title, section.text) for section in page.sections] == [
        ("What it does", "One.\n\n- Two `b`."),
        ("Safety", "Safe, if one\nasks: it is."),
    ]
    assert page.safety == "Safe, if one asks"
    assert as_table([page], "p/").splitlines()[2] == "| [do-a-thing](p/do-a-thing.md) | Do a thing with `this` | Safe, if one asks |"


def test_a_page_as_markdown_shows_what_the_pass_makes():
    text = as_markdown(page_of(Sample()), lambda example: (example.before.replace("RUN b", "RUN d\n"), True))
    assert "`x.txt` in the build context:\n\n```\ny\n```\n\nWith `--unsafe`:\n\n```diff\n FROM a\n-RUN b\n+RUN d\n```\n" in text
    assert text.endswith("## What it leaves alone\n\nBecause it is one:\n\n```dockerfile\nFROM b\n```\n")


@pytest.mark.parametrize(
    ("docstring", "said"),
    [
        ("", "has no docstring"),
        ("Do.\n\n    Indented before any heading.\nWhy\n    So.", "must stand below headings"),
        ("Do.\n\nWhy\n\nSafety\n    Safe.", "nothing stands below the heading 'Why'"),
    ],
)
def test_a_docstring_that_is_no_page_is_refused(docstring, said):
    with pytest.raises(ValueError, match=said):
        page_of(type("Bad", (), {"__doc__": docstring, "name": "bad", "examples": ()})())


def test_version_and_module(dopt, dopt_process):
    assert dopt("--version").stdout == f"dopt, version {__version__}\n"
    assert dopt_process("--version").stdout.decode() == f"dopt, version {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["fix", "--help"], ["passes"], ["fix", "Dockerfile"], ["check", "--quiet"]])
def test_starting_up_imports_nothing_heavy(folder, put, arguments):
    put("Dockerfile", CHANGES)
    command = [sys.executable, "-X", "importtime", "-m", "optimizer", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.M))
    assert "optimizer.cli" in imported
    heavy = {"asyncio", "rich", "difflib", "libcst", "unidiff", "dockerfile_parse"}
    assert not heavy & {name.partition(".")[0] for name in imported}
    assert ("optimizer.session" in imported) == ("tree_sitter" in imported) == (arguments[-1] in ("Dockerfile", "--quiet"))
