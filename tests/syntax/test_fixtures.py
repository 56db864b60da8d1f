"""Every nasty Dockerfile under fixtures/syntax comes back byte for byte and is read as BuildKit reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.syntax import Instruction, encode, parse, parse_nodes

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "syntax").iterdir())
INCOMPARABLE = {
    "heredoc-blank-before-name": "a blank between << and the name is allowed since BuildKit 0.21, the oracle is older",
    "nul": "the oracle stops reading at a NUL",
}


def test_every_fixture_is_one_dockerfile() -> None:
    assert len(FIXTURES) > 60
    assert {tuple(path.name for path in folder.iterdir()) for folder in FIXTURES} == {("Dockerfile",)}


@pytest.mark.parametrize("folder", FIXTURES, ids=lambda path: path.name)
def test_round_trip(folder: Path) -> None:
    data = (folder / "Dockerfile").read_bytes()
    tree = parse(data)
    assert encode(tree.text) == data
    assert "".join(node.text for node in tree.nodes) == tree.text.removeprefix("\ufeff")
    assert all(node.text.endswith("\n") for node in tree.nodes[:-1])
    lines = [line for position in range(len(tree.nodes)) for line in range(tree.line(position), tree.last_line(position) + 1)]
    assert lines == list(range(1, 1 + tree.text.count("\n") + (tree.text != "" and not tree.text.endswith("\n"))))


@pytest.mark.parametrize("folder", FIXTURES, ids=lambda path: path.name)
def test_same_as_buildkit(folder: Path, difference: Callable[[bytes], str | None]) -> None:
    if folder.name in INCOMPARABLE:
        pytest.skip(INCOMPARABLE[folder.name])
    assert difference((folder / "Dockerfile").read_bytes()) is None


@pytest.mark.parametrize("folder", FIXTURES, ids=lambda path: path.name)
def test_pieces_parse_alone(folder: Path) -> None:
    """A node's text read by itself, with the file's escape, is that node again."""
    tree = parse((folder / "Dockerfile").read_bytes())
    for position in tree.positions:
        node = tree.instruction(position)
        (again,) = parse_nodes(node.text, tree.escape)
        assert again == node
        assert isinstance(again, Instruction)
        assert (again.keyword, again.flags, again.arguments, again.heredocs) == (node.keyword, node.flags, node.arguments, node.heredocs)


def test_same_as_buildkit_on_the_corpus(corpus: list[Path], difference: Callable[[bytes], str | None]) -> None:
    found = {str(path): why for path in corpus if (why := difference(path.read_bytes())) is not None}
    assert not found


def test_same_as_dockerfile_parse_where_it_is_right(corpus: list[Path], tmp_path: Path) -> None:
    """dockerfile-parse knows neither heredocs nor comments and blank lines inside continuations, and joins in its own way."""
    from dockerfile_parse import DockerfileParser

    compared = 0
    for path in corpus[::10]:
        data = path.read_bytes()
        tree = parse(data)
        nodes = [tree.instruction(position) for position in tree.positions]
        simple = not any(node.heredocs or "\n\n" in node.text.strip() or "\n#" in node.text.replace(" ", "") for node in nodes)
        if not simple or tree.problems or tree.escape != "\\" or b"\r" in data or b"\t" in data or tree.bom or not data.isascii():
            continue
        parser = DockerfileParser(fileobj=(tmp_path / "Dockerfile").open("w+b"), env_replace=False)
        parser.content = tree.text
        theirs = [(entry["instruction"], entry["startline"] + 1) for entry in parser.structure if entry["instruction"] != "COMMENT"]
        assert [(node.keyword, tree.line(position)) for node, position in zip(nodes, tree.positions, strict=True)] == theirs, path
        compared += 1
        parser.fileobj.close()
    assert compared > len(corpus) // 40
