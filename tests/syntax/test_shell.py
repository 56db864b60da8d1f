"""Tables: shell text to statements, operators, names, arguments and enclosures."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from optimizer.syntax import parse
from optimizer.syntax.shell import Command, Compound, Redirect, Statement, parse_script


def show(statements: tuple[Statement, ...]) -> str:
    """Statements as text: pipelines in brackets, redirections after their command, terminators written out."""
    return " ".join(_statement(statement) for statement in statements)


def _statement(statement: Statement) -> str:
    parts = []
    for i, pipeline in enumerate(statement.pipelines):
        commands = " | ".join(_command(command) for command in pipeline.commands)
        parts.append((f"{statement.operators[i - 1]} " if i else "") + ("! " if pipeline.negated else "") + f"[{commands}]")
    return " ".join(parts) + statement.terminator.replace("\n", "\\n")


def _command(command: Command | Compound) -> str:
    redirects = "".join(f" {_redirect(redirect)}" for redirect in command.redirects)
    if isinstance(command, Compound):
        return f"{command.kind}({show(command.statements)}){redirects}"
    assignments = [f"{name}={value.text if value else ''}" for name, value in command.assignments]
    return " ".join((*assignments, *(word.text for word in command.words))) + redirects


def _redirect(redirect: Redirect) -> str:
    target = (
        repr(redirect.target.text) if redirect.operator == "<<" and redirect.target else redirect.target.text if redirect.target else ""
    )
    return f"{redirect.descriptor}{redirect.operator}{target}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b", "[a b]"),
        ("a && b > c | d", "[a] && [b >c | d]"),
        ("a || b && c", "[a] || [b] && [c]"),
        ("! a", "! [a]"),
        ("! a | b && c", "! [a | b] && [c]"),
        ("a && ! b", "[a] && ! [b]"),
        ("a & b", "[a]& [b]"),
        ("a && b & c", "[a] && [b]& [c]"),
        ("a; b;", "[a]; [b];"),
        ("a\nb\n", "[a]\\n [b]"),
        ("a\n! b", "[a]\\n ! [b]"),
        ("a &&\n  b", "[a] && [b]"),
        ("a |\n b", "[a | b]"),
        ("a |& b", "[a | b]"),
        ("a > b c", "[a c >b]"),
        ("a 2>&1 >/dev/null b c", "[a b c 2>&1 >/dev/null]"),
        ("> c a", "[a >c]"),
        ("a | > c b", "[a | b >c]"),
        ("> f", "[ >f]"),
        ("a\n> f\nb", "[a]\\n [ >f]\\n [b]"),
        ("a <<< 'x' b", "[a b <<<'x']"),
        ("{ a; b; } > c 2>&1", "[group([a]; [b];) >c 2>&1]"),
        ("(a; b) && c", "[subshell([a]; [b])] && [c]"),
        ("(a) | (b)", "[subshell([a]) | subshell([b])]"),
        ("if ! a; then b; elif c; then d; else e; fi > f", "[if(! [a]; [b]; [c]; [d]; [e];) >f]"),
        ("if a\nthen\n# c\nb\nfi\nc", "[if([a]\\n [b])]\\n [c]"),
        ("for i in 1 'b' *.c; do a $i; done", "[for([a $i];)]"),
        ("for ((i=0;i<3;i++)); do a; done", "[for([i=0]; [a];)]"),
        ("while read l; do a; done < f", "[while([read l]; [a];) <f]"),
        ("until a; do b; done", "[while([a]; [b];)]"),
        ("case $x in a|b*) c;; [0-9]) d; e;; *) f;; esac", "[case([c];; [d]; [e];; [f];;)]"),
        ("case x in 1|2) a;; esac && b", "[case([a];;)] && [b]"),
        ("f() { a; b; }; f", "[function([group([a]; [b];)])]; [f]"),
        ("function g { a; }", "[function([group([a];)])]"),
        ("[ -f a ] || b", "[[ -f a] || [b]"),
        ("[[ -f a && $b == c* ]] && d", "[[[ -f a && $b == c*] && [d]"),
        ("((i++)) && a", "[arithmetic()] && [a]"),
        ("export A=b && c", "[export A=b] && [c]"),
        ("local x=1; unset y", "[local x=1]; [unset y]"),
        ("A=1 B='c d' e f", "[A=1 B='c d' e f]"),
        ("A=1; B=2", "[A=1]; [B=2]"),
        ("A=1 B=2", "[A=1 B=2]"),
        ("a # b && c\nd", "[a]\\n [d]"),
        ("# only", ""),
        ("", ""),
        ("a \\\n  b \\\n&& c", "[a b] && [c]"),
        ("cat <<E && x\nbody\nE\nls", "[cat <<'body\\n'] && [x]\\n [ls]"),
        ("cat <<E > f\nbody\nE\nls", "[cat <<'body\\n' >f]\\n [ls]"),
        ("cat <<E | grep y > z\nbody\nE", "[cat <<'body\\n' | grep y >z]"),
        ("cat <<E; b\nbody\nE\nc", "[cat <<'body\\n']; [b]\\n [c]"),
        ("cat <<E arg && x\nbody\nE\nc", "[cat arg <<'body\\n'] && [x]\\n [c]"),
        ("cat <<A <<-'B'\na\nA\n\tb\n\tB\nc", "[cat <<'a\\n' <<'\\tb\\n']\\n [c]"),
        ("a | while read x; do b | c; done", "[a | while([read x]; [b | c];)]"),
    ],
)
def test_statements(text: str, shown: str) -> None:
    script = parse_script(text)
    assert script.understood
    assert show(script.statements) == shown


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("a 'b c' \"d e\" f\\ g", ("a", "b c", "d e", "f g")),
        ('a $b ${c:-d} "$e" `f` $(g)', ("a", None, None, None, None, None)),
        ("a \"\\$b \\\\ \\n\" '\\n'", ("a", "$b \\ \\n", "\\n")),
        ("a b'c'\"d\"e", ("a", "bcde")),
        ("a b$c'd'", ("a", None)),
        ("a ~ ~/b b~c", ("a", None, None, "b~c")),
        ("a {b,c} {1..3} d{e,f}g {} x{y} '{a,b}'", ("a", None, None, None, "{}", "x{y}", "{a,b}")),
        ("a $'b' $'b\\n'", ("a", "b", None)),
        ("a --b=c -d", ("a", "--b=c", "-d")),
        ("a b\\\nc", ("a", "bc")),
        ("a b\\\n  c", ("a", "b", "c")),
        ("a\\\nb c\\\n$d\\\ne", ("ab", None)),
        ('a "b\\\nc"', ("a", "bc")),
        ("export A=b C=$d E", ("export", "A=b", None, "E")),
        ("export A= B", ("export", "A=", "B")),
        ("'a b' c", ("a b", "c")),
        ('"$a" b', (None, "b")),
        ("a <(b) >(c)", ("a", None, None)),
        ("a é ☃𝄞 'ü'", ("a", "é", "☃𝄞", "ü")),
        ("a $((1+2))", ("a", None)),
        ('a ""', ("a", "")),
        ("a foo[bar]==1.0", ("a", "foo[bar]==1.0")),
    ],
)
def test_values(text: str, argv: tuple[str | None, ...]) -> None:
    script = parse_script(text)
    assert script.understood
    assert script.statements[0].pipelines[0].commands[0].argv == argv  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("word", "glob"),
    [
        ("*.c", True),
        ("a?", True),
        ("[ab]", True),
        ("\\*", False),
        ("'*'", False),
        ('"*"', False),
        ("a\\\\*", True),
        ("'a'*", True),
        ("a", False),
    ],
)
def test_globs(word: str, glob: bool) -> None:
    (command,) = parse_script(f"x {word}").commands
    assert command.words[1].glob is glob


@pytest.mark.parametrize(
    ("text", "walked"),
    [
        ("a && b || c", [("a", ()), ("b", ("&&",)), ("c", ("||",))]),
        ("a | b", [("a", ("|",)), ("b", ("|",))]),
        ("! a; b &", [("a", ("!",)), ("b", ("&",))]),
        ("a && (b; c)", [("a", ()), ("b", ("&&", "subshell")), ("c", ("&&", "subshell"))]),
        ('a $(b | c) "x $(d)"', [("b", ("$(", "|")), ("c", ("$(", "|")), ("d", ("$(",)), ("a", ())]),
        ("A=$(b) c", [("b", ("$(",)), ("c", ())]),
        ("A=$(b)", [("b", ("$(",)), (None, ())]),
        ("a > $(b)", [("b", ("$(",)), ("a", ())]),
        ("a ${b:-$(c)}", [("c", ("$(",)), ("a", ())]),
        ("diff <(a) <(b)", [("a", ("$(",)), ("b", ("$(",)), ("diff", ())]),
        ("for i in $(a) `b`; do c; done", [("a", ("for",)), ("b", ("for",)), ("c", ("for",))]),
        ("case $(a) in b) c;; esac", [("a", ("case",)), ("c", ("case",))]),
        ("if a; then while b; do c; done; fi", [("a", ("if",)), ("b", ("if", "while")), ("c", ("if", "while"))]),
        ("f() { a; }", [("a", ("function", "group"))]),
        ("[ $(a) = b ] && c", [("a", ("$(",)), ("[", ()), ("c", ("&&",))]),
        ("{ a; } > $(b)", [("a", ("group",)), ("b", ("$(",))]),
        ("cat <<E\n$(a)\nE", [("a", ("$(",)), ("cat", ())]),
        ("/usr/bin/a; ./b", [("a", ()), ("b", ())]),
        ("$a b", [(None, ())]),
        ("x=$((1 + $(a)))", [("a", ("$(",)), (None, ())]),
    ],
)
def test_walk(text: str, walked: list[tuple[str | None, tuple[str, ...]]]) -> None:
    script = parse_script(text)
    assert script.understood
    assert [(command.name, enclosing) for command, enclosing in script.walk()] == walked


@pytest.mark.parametrize(
    "text",
    [
        "a && ",
        "if a; then b",
        "a 'b",
        'a "b',
        "a $(b",
        "(a",
        "a )",
        "{ a",
        "for i in a; b; done",
        "a\r\nb",
        "x=1 >f",
        "cat <<A; b\na",
        "$(" * 2000,
    ],
)
def test_what_is_not_understood(text: str) -> None:
    """Syntax errors, and what only looks like white space: nothing may be concluded from such a script."""
    assert not parse_script(text).understood


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("a && b && c", ["a", "b", "c"]),
        ("a", ["a"]),
        ("a;", ["a"]),
        ("a && b | c", ["a", "b"]),
        ("a || b", None),
        ("a; b", None),
        ("a && b &", None),
        ("a && ", None),
        ("", None),
    ],
)
def test_chain(text: str, chain: list[str] | None) -> None:
    found = parse_script(text).chain
    names = None if found is None else [p.commands[0].name for p in found]  # type: ignore[union-attr]
    assert names == chain


def test_comments_are_reported() -> None:
    assert parse_script("a # b").commented
    assert parse_script("if a; then\n# b\nc\nfi").commented
    assert not parse_script("a '# b' c#d").commented


def test_assignments() -> None:
    (command,) = parse_script("A=1 B+='c d' C= D=(x y) E[0]=f run").commands
    assert [(name, value.value if value else None) for name, value in command.assignments] == [
        ("A", "1"), ("B", "c d"), ("C", None), ("D", None), ("E[0]", "f"),
    ]  # fmt: skip
    assert command.name == "run"


def test_offsets_are_characters() -> None:
    text = "echo 'ü☃𝄞' && ls /é"
    echo, ls = parse_script(text).commands
    assert text[echo.start : echo.end] == "echo 'ü☃𝄞'"
    assert [text[word.start : word.end] for word in ls.words] == ["ls", "/é"]


def test_characters_far_beyond_ascii_do_no_harm() -> None:
    """tree-sitter-bash looks characters up in C tables that end early."""
    for text in ("{\U000602b0\x85\U000433cc", "a\U0010ffff=1", "$\U0001f600", "\U0001f600() { a; }", "\ud800 a"):
        parse_script(text)
    assert [command.name for command in parse_script("echo \U0001f600 && b").commands] == ["echo", "b"]


def test_heredoc_offsets() -> None:
    text = "cat <<A <<'B' && x\n1\nA\n2\nB\ny"
    cat, x, y = parse_script(text).commands
    assert [text[r.target.start : r.target.end] for r in cat.redirects if r.target] == ["1\n", "2\n"]
    assert (text[x.start : x.end], text[y.start : y.end]) == ("x", "y")


def test_masking_does_not_hide_substitutions() -> None:
    assert not parse_script("cat <<E; b\n$(c)\nE").understood
    assert parse_script("cat <<'E'; b\n$(c)\nE").understood


def test_understood_agrees_with_bash(corpus: list[Path]) -> None:
    """``bash -n`` and ``understood`` say the same of all but a few real scripts, and never do we understand what bash rejects."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    scripts = set()
    for path in corpus[::10]:
        tree = parse(path.read_bytes())
        nodes = [tree.instruction(position) for position in tree.positions]
        scripts |= {n.shell_text.text for n in nodes if n.keyword == "RUN" and n.shell_text and n.shell_text.text.isprintable()}
    assert len(scripts) > 200
    rejected = {text for text in scripts if not _accepts(bash, text)}
    understood = {text for text in scripts if parse_script(text).understood}
    assert not understood & rejected
    assert len(scripts - understood - rejected) <= len(scripts) // 200


def _accepts(bash: str, text: str) -> bool:
    return subprocess.run([bash, "-n"], input=text.encode("utf-8", "replace"), capture_output=True, check=False).returncode == 0
