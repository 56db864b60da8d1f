"""Commands, options and settings that the documentation names are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from optimizer.cli import main
from optimizer.config import load

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^ *```(?P<language>\w+)\n(?P<text>.*?)^ *```", re.DOTALL | re.MULTILINE)
ENDS = {"|", "||", "&&", ">", ">>", "<", ";"}


def blocks(page: Path, *languages: str) -> list[str]:
    return [found["text"] for found in FENCE.finditer(page.read_text(encoding="utf-8")) if found["language"] in languages]


def commands(page: Path) -> list[list[str]]:
    """The words behind ``dopt`` of every command in a page's blocks and inline code, up to what is the shell's."""
    text = page.read_text(encoding="utf-8")
    inline = [code for code in re.findall(r"`(dopt [^`\n]+)`", FENCE.sub("", text)) if not re.search(r"[A-Z]{3}", code)]
    lines = [line for block in blocks(page, "sh", "yaml") for line in block.splitlines()]
    found = []
    for line in [*inline, *lines]:
        for start in re.finditer(r"(?:^|[\s(\"/])dopt (?=[a-z-])", line):
            words = shlex.split(line[start.end() :].partition(")")[0], comments=True)
            found.append(words[: next((n for n, word in enumerate(words) if word in ENDS), len(words))])
    return found


def test_there_are_commands_to_look_at() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_exist(page: Path) -> None:
    for name, *words in commands(page):
        if name.startswith("-"):
            main.make_parser(click.Context(main)).parse_args([name])
            continue
        command = main.commands[name]
        command.make_parser(click.Context(command, info_name=name)).parse_args(list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_in_examples_are_read(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "toml"):
        if "[tool.dopt]" in block:
            path = tmp_path / "pyproject.toml"
            path.write_text(block)
            assert load(path) is not None
