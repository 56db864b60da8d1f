"""What holds for every text: nothing is lost, nothing raises, every offset points at its own text, BuildKit agrees."""

from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from optimizer.syntax import Comment, Dockerfile, Instruction, encode, parse
from optimizer.syntax.shell import Command, Compound, Redirect, Statement, Word, parse_script

SETTINGS = settings(
    max_examples=int(os.environ.get("DOPT_EXAMPLES", "150")), database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

_KEYWORDS = (
    "FROM",
    "run",
    "COPY",
    "ADD",
    "ENV",
    "Label",
    "ARG",
    "CMD",
    "WORKDIR",
    "ONBUILD RUN",
    "ONBUILD",
    "HEALTHCHECK CMD",
    "SHELL",
    "VOLUME",
    "X",
)
_WORDS = (
    "a", "b=c", '"d e"', "'f g'", "h\\ i", "$j", "${k:-l}", "--flag", "--from=x", "--chown='a b'", "--", "<<E", "<<-E", '<<"E"', "<<E2",
    "E", "\t", "&&", "||", "|", ";", "&", "#", "[", "]", '["a", "b"]', '["a"', "C:\\dir\\", "`", "\\", '"', "'", "é", "☃", "$(",
    ")", "{", "}", "if", "then", "fi", "(", "> f", "2>&1", "=", "==", "", ",", "!",
)  # fmt: skip
_BREAKS = (" ", "  ", "\t", " \\\n", " \\\n  ", "\\\n", " \\ \n", " `\n", " \\\r\n", " \\\n# c\n", " \\\n\n ", " \\\n \t# c\n\n")
_LINES = ("", " ", "# c", "  # c", "# escape=`", "# syntax=x", "E", "\tE", "E2", "x", "\\", "\ufeff")
_ENDS = ("\n", "\n", "\n", "\r\n", "\n\n", "\r\r\n")


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    """Dockerfiles made of nasty lines: every construct beside every other."""
    text = draw(st.sampled_from(("", "", "# escape=`\n", "\ufeff", "# c\n", "# syntax=x\n# escape=\\\n")))
    text += draw(st.sampled_from(("FROM a\n", "FROM a\n", "")))
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            text += draw(st.sampled_from(_KEYWORDS))
            for word in draw(st.lists(st.sampled_from(_WORDS), max_size=5)):
                text += draw(st.sampled_from(_BREAKS)) + word
        else:
            text += draw(st.sampled_from(_LINES))
        text += draw(st.sampled_from(_ENDS))
    return text[: len(text) - draw(st.sampled_from((0, 0, 0, 1, 2)))]


scripts = st.lists(st.tuples(st.sampled_from((" ", " ", "\n", "", " \\\n")), st.sampled_from(_WORDS)), max_size=10).map(
    lambda parts: "".join(blank + word for blank, word in parts)
)


@SETTINGS
@given(st.binary(max_size=200))
def test_bytes_come_back(data: bytes) -> None:
    assert encode(parse(data).text) == data


@SETTINGS
@given(st.text(max_size=200))
def test_text_comes_back(text: str) -> None:
    assert parse(text).text == text


@SETTINGS
@given(dockerfiles())
def test_everything_can_be_asked(text: str) -> None:
    tree = parse(text)
    assert tree.text == text
    assert tree == parse(tree.text)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in tree.problems)
    for position in tree.positions:
        check_node(tree.instruction(position))


def check_node(node: Instruction) -> None:
    """Every offset of a node is inside its text and points at what it says."""
    text, joined = node.text, node.joined
    for at, character in enumerate(joined.text):
        assert text[joined.source(at)] == character
    for part in (*node.flags, *node.arguments):
        assert 0 <= part.start < part.end <= len(text)
        assert text[part.start : part.end].startswith(part.text[:1] if hasattr(part, "text") else "--")
    for argument in node.arguments:
        written = text[argument.start : argument.end]
        assert written == argument.text or "\n" in written
    for flag in node.flags:
        assert text[flag.start : flag.end].startswith("--") or "\n" in text[flag.start : flag.end]
    for heredoc in node.heredocs:
        assert node.head_end <= heredoc.start <= heredoc.end <= len(text)
        closing = text[heredoc.end :].split("\n")[0].rstrip("\r")
        assert (closing.lstrip("\t") if heredoc.chomp else closing) == heredoc.name
    assert not node.terminated or node.end == len(text)
    assert all(isinstance(word, str) for word in node.words)
    assert all(pair.name is not None for pair in node.pairs)
    if node.shell_text is not None:
        for at, character in enumerate(node.shell_text.text):
            assert character == "\n" or text[node.shell_text.source(at)] == character
    if node.onbuild is not None:
        check_node(node.onbuild)
    if node.script is not None:
        node.script.walk()


@SETTINGS
@given(dockerfiles())
def test_same_as_buildkit_on_generated(difference: Callable[[bytes], str | None], text: str) -> None:
    assume("<< " not in text.replace("\\", " ").replace("\n", " ").replace("\t", " "))
    assert difference(text.encode()) is None


@SETTINGS
@given(dockerfiles(), st.data())
def test_edits_keep_all_else(text: str, data: st.DataObject) -> None:
    tree = parse(text)
    assume(tree.positions)
    position = data.draw(st.sampled_from(tree.positions))
    node = tree.instruction(position)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(node.text)), min_size=4, max_size=4)))
    edited = (
        node.edited((cuts[2], cuts[3], "two"), (cuts[0], cuts[1], "one")) if cuts[1] < cuts[2] else node.edited((cuts[0], cuts[1], "one"))
    )
    assert edited.text.startswith(node.text[: cuts[0]] + "one" + node.text[cuts[1] : cuts[2]])
    assert node.edited((cuts[0], cuts[3], node.text[cuts[0] : cuts[3]])) == node
    again = tree.replaced(position, position + 1, [edited])
    assert [a.text for i, a in enumerate(again.nodes[:-1]) if i != position] == [
        a.text for i, a in enumerate(tree.nodes[:-1]) if i != position
    ]
    assert tree.replaced(position, position + 1, [node]) == tree


@SETTINGS
@given(dockerfiles(), st.lists(st.sampled_from(("# new", "# new\n")), max_size=2))
def test_insertion_keeps_every_byte(text: str, lines: list[str]) -> None:
    tree = parse(text)
    for at in range(len(tree.nodes) + 1):
        new = tree.replaced(at, at, [Comment(line) for line in lines])
        before, after = "".join(n.text for n in tree.nodes[:at]), "".join(n.text for n in tree.nodes[at:])
        assert new.text.removeprefix(tree.bom).startswith(before)
        assert new.text.endswith(after)


@SETTINGS
@given(st.one_of(scripts, st.text(max_size=60)))
@example(" && !\na")
def test_shell_offsets(text: str) -> None:
    check_statements(text, parse_script(text).statements, 0, len(text))
    assert len(parse_script(text).commands) == len(parse_script(text).walk())


def check_statements(text: str, statements: tuple[Statement, ...], start: int, end: int) -> None:
    for statement in statements:
        assert start <= statement.start <= statement.end <= end
        assert len(statement.operators) == len(statement.pipelines) - 1
        for pipeline in statement.pipelines:
            assert start <= pipeline.start <= pipeline.end <= end
            assert pipeline.commands
            for command in pipeline.commands:
                check_command(text, command, start, end)


def check_command(text: str, command: Command | Compound, start: int, end: int) -> None:
    assert start <= command.start <= command.end <= end
    for redirect in command.redirects:
        check_redirect(text, redirect)
    if isinstance(command, Compound):
        check_statements(text, command.statements, command.start, command.end)
        return
    for word in (*command.words, *(value for _, value in command.assignments if value)):
        check_word(text, word)
        assert command.start <= word.start <= word.end <= command.end


def check_redirect(text: str, redirect: Redirect) -> None:
    assert 0 <= redirect.start <= redirect.end <= len(text)
    if redirect.target is not None:
        check_word(text, redirect.target)


def check_word(text: str, word: Word) -> None:
    assert 0 <= word.start <= word.end <= len(text)
    assert word.text == text[word.start : word.end]
    assert word.value is not None or isinstance(word.substitutions, tuple)
    check_statements(text, word.substitutions, word.start, word.end)


def test_a_whole_dockerfile_is_its_nodes() -> None:
    tree = parse("FROM a\n")
    assert Dockerfile((*tree.nodes, Comment("# b"))).text == "FROM a\n# b"
