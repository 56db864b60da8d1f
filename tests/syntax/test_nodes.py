"""Tables for what a node says about itself, and what editing keeps."""

from __future__ import annotations

import pytest

from optimizer.syntax import Argument, Blank, Comment, Directive, Instruction, Pair, parse, parse_nodes


def only(text: str, escape: str = "\\") -> Instruction:
    (node,) = parse_nodes(text, escape)
    assert isinstance(node, Instruction)
    return node


@pytest.mark.parametrize(
    ("text", "kinds", "escape"),
    [
        ("# escape=`\nFROM a\n", [Directive, Instruction], "`"),
        ("# syntax=x\n# escape=`\nFROM a\n", [Directive, Directive, Instruction], "`"),
        ("#escape=`\n", [Directive], "`"),
        ("# c\n# escape=`\nFROM a\n", [Comment, Comment, Instruction], "\\"),
        ("\n# escape=`\nFROM a\n", [Blank, Comment, Instruction], "\\"),
        ("FROM a\n# escape=`\n", [Instruction, Comment], "\\"),
        ("# escape=`\n# escape=\\\nFROM a\n", [Directive, Comment, Instruction], "`"),
        ("# escape=x\nFROM a\n", [Directive, Instruction], "\\"),
        ("# escape =\nFROM a\n", [Comment, Instruction], "\\"),
        ("# unknown=`\n# escape=`\nFROM a\n", [Comment, Comment, Instruction], "\\"),
    ],
)
def test_directives(text: str, kinds: list[type], escape: str) -> None:
    tree = parse(text)
    assert [type(node) for node in tree.nodes] == kinds
    assert tree.escape == escape


@pytest.mark.parametrize(
    ("text", "flags", "rest"),
    [
        ("COPY --from=a b c", [("from", "a")], "b c"),
        ("COPY --link b c", [("link", None)], "b c"),
        ("COPY --link= b c", [("link", "")], "b c"),
        ('COPY --chown=\'a b\' --chmod="7\\"5" b c', [("chown", "a b"), ("chmod", '7"5')], "b c"),
        ("COPY --chown=a\\ b c d", [("chown", "a b")], "c d"),
        ("COPY -- --from=a b", [], "--from=a b"),
        ("COPY --from=a -- b c", [("from", "a")], "b c"),
        ("COPY -b --from=a c", [], "-b --from=a c"),
        ("COPY a --from=b c", [], "a --from=b c"),
        (
            "RUN --mount=type=cache,target=/a \\\n  --mount=target=/b \\\n# c\n x",
            [("mount", "type=cache,target=/a"), ("mount", "target=/b")],
            "x",
        ),
        ("RUN --network=none", [("network", "none")], ""),
        ("RUN --", [], ""),
        ("COPY --chown='a b", [("chown", "a b")], ""),
        ("RUN --a=`x` y", [("a", "`x`")], "y"),
    ],
)
def test_flags(text: str, flags: list[tuple[str, str | None]], rest: str) -> None:
    node = only(text)
    assert [(flag.name, flag.value) for flag in node.flags] == flags
    assert node.value == rest


def test_flag_gives_the_last_of_a_name() -> None:
    node = only("COPY --from=a --link --from=b x y")
    assert (node.flag("from"), node.flag("link"), node.flag("chown")) == ("b", None, None)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ENV A b  c", [Pair("A", "b  c", legacy=True)]),
        ("ENV A=b", [Pair("A", "b")]),
        ("ENV A='b c' D=\"e f\" G=h\\ i J=", [Pair("A", "'b c'"), Pair("D", '"e f"'), Pair("G", "h\\ i"), Pair("J", "")]),
        ("ENV A b=c", [Pair("A", "b=c", legacy=True)]),
        ("ENV A=b \\\n# c\n\n  D=e", [Pair("A", "b"), Pair("D", "e")]),
        ("ENV A", []),
        ("LABEL a.b='c=d'", [Pair("a.b", "'c=d'")]),
        ("ARG A", [Pair("A", None)]),
        ("ARG A= B=c D", [Pair("A", ""), Pair("B", "c"), Pair("D", None)]),
        ("RUN A=b", []),
    ],
)
def test_pairs(text: str, pairs: list[Pair]) -> None:
    assert list(only(text).pairs) == pairs


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("COPY a 'b' c", ["a", "'b'", "c"], ["a", "b", "c"]),
        ('COPY "a b" c', ['"a', 'b"', "c"], ['"a', 'b"', "c"]),  # BuildKit splits COPY at blanks whatever the quotes
        ('COPY ["a b", "c"]', ['["a', 'b",', '"c"]'], ["a b", "c"]),
        ("COPY $A/${B:-c} /d", ["$A/${B:-c}", "/d"], ["$A/${B:-c}", "/d"]),
        ("WORKDIR /a b", ["/a b"], ["/a b"]),
        ('WORKDIR "/a b"', ['"/a b"'], ["/a b"]),
        ("USER", [], []),
        ("FROM a  AS\tb", ["a", "AS", "b"], ["a", "AS", "b"]),
        ("ENV A=\"b c\" D='e'", ['A="b c"', "D='e'"], ["A=b c", "D=e"]),
        ("EXPOSE 1 \\\n 2", ["1", "2"], ["1", "2"]),
        ("COPY a\\ b c", ["a\\", "b", "c"], ["a", "b", "c"]),
    ],
)
def test_arguments(text: str, arguments: list[str], words: list[str]) -> None:
    node = only(text)
    assert [argument.text for argument in node.arguments] == arguments
    assert list(node.words) == words


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ('RUN ["a", "b"]', ("a", "b")),
        ('RUN  [ "a" ]  ', ("a",)),
        ("RUN []", ()),
        ('RUN ["a",]', None),
        ("RUN ['a']", None),
        ("RUN [1]", None),
        ("RUN [NaN]", None),
        ("RUN [ -f x ]", None),
        ('RUN {"a": 1}', None),
        ('RUN ["a"] b', ("a",)),
        ('RUN --network=none ["a"]', ("a",)),
        ('HEALTHCHECK CMD ["a"]', ("a",)),
        ('HEALTHCHECK --interval=5s CMD\t["a", "b"]', ("a", "b")),
        ("HEALTHCHECK CMD a", None),
        ('CMD ["a", \\\n# c\n\n"b"]', ("a", "b")),
        ("RUN " + "[" * 100_000, None),
    ],
)
def test_json(text: str, json: tuple[str, ...] | None) -> None:
    assert only(text).json == json


@pytest.mark.parametrize(
    ("text", "heredocs", "shell"),
    [
        ("RUN <<E\na\nE\n", [("E", False, True, "a\n")], "a\n"),
        ("RUN <<-E\n\ta\n\t\tE\n", [("E", True, True, "\ta\n")], "a\n"),
        ("RUN <<'E'\n$a\nE\n", [("E", False, False, "$a\n")], "$a\n"),
        ("RUN <<E cat\na\nE\n", [("E", False, True, "a\n")], "<<E cat\na\nE\n"),
        ("RUN cat <<A <<B\n1\nA\n2\nB\n", [("A", False, True, "1\n"), ("B", False, True, "2\n")], "cat <<A <<B\n1\nA\n2\nB\n"),
        ("RUN <<E\nE\n", [("E", False, True, "")], ""),
        ("RUN <<E\r\na\r\nE\r\n", [("E", False, True, "a\r\n")], "a\r\n"),
        ("ONBUILD RUN <<E\na\nE\n", [("E", False, True, "a\n")], None),
        ("COPY <<E <<F /\na\nE\nb\nF\n", [("E", False, True, "a\n"), ("F", False, True, "b\n")], None),
        ('RUN echo "<<E"\n', [], 'echo "<<E"'),
        ("RUN echo $((1<<E))\n", [], "echo $((1<<E))"),
        ("RUN cat <<<E\n", [], "cat <<<E"),
        ('RUN ["<<E"]\n', [], None),
        ("ENV A=<<E\n", [], None),
    ],
)
def test_heredocs(text: str, heredocs: list[tuple[str, bool, bool, str]], shell: str | None) -> None:
    node = only(text)
    assert [(h.name, h.chomp, h.expand, node.text[h.start : h.end]) for h in node.heredocs] == heredocs
    assert node.terminated
    assert node.end == len(text)
    if node.keyword == "RUN":
        assert (node.shell_text.text if node.shell_text else None) == shell


def test_unterminated_heredoc_takes_the_rest() -> None:
    tree = parse("FROM a\nRUN <<E\nb\nRUN c")
    assert len(tree.nodes) == 2
    assert not tree.instruction(1).terminated


def test_shell_offsets_reach_the_source() -> None:
    node = only("RUN --network=none a \\\n# comment\n  bb && \\\n\n  ccc\n")
    shell = node.shell_text
    assert shell is not None
    for word in ("a", "bb", "&&", "ccc"):
        at = shell.text.index(word)
        assert node.text[shell.source(at) : shell.source_end(at + len(word))] == word
    assert node.script is not None
    assert [command.name for command in node.script.commands] == ["a", "ccc"]


def test_backtick_escape_leaves_backslashes() -> None:
    node = only("RUN dir C:\\ `\n  && x\\\n", "`")
    assert node.value == "dir C:\\   && x\\"


def test_onbuild_is_a_node_of_its_own() -> None:
    inner = only("ONBUILD \\\n# c\n  COPY --from=a b c\n").onbuild
    assert inner is not None
    assert (inner.keyword, inner.flag("from"), inner.words) == ("COPY", "a", ("b", "c"))
    assert only("ONBUILD\n").onbuild is None
    assert only("RUN a\n").onbuild is None


def test_edited_replaces_in_any_order() -> None:
    node = only("COPY  --from=x a \\\n  b\n")
    first, second = node.arguments
    edited = node.edited((first.start, first.end, "one"), (second.start, second.end, "two"))
    assert edited.text == "COPY  --from=x one \\\n  two\n"
    assert node.edited() == node
    assert node.edited((0, 0, "x"), (0, 4, "ADD")).text.startswith("xADD  --from")


def test_replaced_supplies_line_ends_and_keeps_the_rest() -> None:
    tree = parse("FROM a\r\nRUN b\r\nRUN c")
    longer = tree.replaced(3, 3, [Instruction("RUN d")])
    assert longer.text == "FROM a\r\nRUN b\r\nRUN c\r\nRUN d"
    assert longer.nodes[:2] == tree.nodes[:2]
    assert tree.replaced(1, 2, []).text == "FROM a\r\nRUN c"
    assert tree.replaced(0, 0, [Comment("# x"), Blank("")]).text.startswith("# x\r\n\r\nFROM")
    assert parse("# escape=`\nFROM a").replaced(2, 2, [Instruction("RUN b", "`")]).text == "# escape=`\nFROM a\nRUN b"


@pytest.mark.parametrize(
    ("text", "newline"), [("a\r\nb\r\nc\n", "\r\n"), ("a\r\nb\nc\n", "\n"), ("a", "\n"), ("", "\n"), ("a\r\n", "\r\n")]
)
def test_newline(text: str, newline: str) -> None:
    assert parse(text).newline == newline


def test_lines() -> None:
    tree = parse("FROM a\n\nRUN b \\\n  c\n# d\nRUN <<E\nx\nE\nCMD e")
    assert [(tree.line(i), tree.last_line(i)) for i in range(len(tree.nodes))] == [(1, 1), (2, 2), (3, 4), (5, 5), (6, 8), (9, 9)]
    with pytest.raises(TypeError):
        tree.instruction(1)


def test_arguments_know_where_they_stand() -> None:
    node = only("  COPY a \\\n# b\n\n   cc\n")
    assert node.arguments == (Argument("a", 7, 8), Argument("cc", 19, 21))


def test_many_lines() -> None:
    """100,000 lines with what makes parsers slow: heredocs, one long continuation, unclosed quotes."""
    text = "FROM a\n" + "RUN <<E\nx\nE\n" * 15_000 + "RUN a \\\n" + "  b \\\n" * 40_000 + "  c\n" + 'ENV A="\n' * 15_000
    tree = parse(text)
    assert tree.text == text
    assert len(tree.nodes) == 30_002
