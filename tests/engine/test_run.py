"""The engine with toy passes: good ones are applied, bad ones are dropped and named, and the text survives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from optimizer.engine import Options, Result, run
from optimizer.engine.run import MAX_CHANGES
from optimizer.model import Model
from optimizer.passes.base import Change, Fact, Pass, Refusal, Safety
from optimizer.syntax import Comment, Dockerfile, Instruction, parse

Found = Change | Refusal
EVERYTHING = frozenset(Fact)


def toy(name: str, changes: Callable[[Model], Iterator[Found]], alters: frozenset[Fact] = EVERYTHING) -> Pass:
    """A pass out of a function."""

    class Toy(Pass):
        examples = ()

        def changes(self, model: Model) -> Iterator[Found]:
            return changes(model)

    Toy.name, Toy.alters = name, alters
    return Toy()


def substitute(name: str, old: str, new: str, alters: frozenset[Fact] = EVERYTHING, safety: Safety = Safety.SAFE) -> Pass:
    """A pass that replaces the first ``old`` in an instruction by ``new``."""

    def changes(model: Model) -> Iterator[Found]:
        for position in model.file.positions:
            node = model.file.instruction(position)
            at = node.text.find(old)
            if at >= 0:
                file = model.file.replaced(position, position + 1, [node.edited((at, at + len(old), new))])
                yield Change(f"{old} becomes {new}", file, (position,), (f"{old} stands there",), safety, "nobody minds")

    return toy(name, changes, alters)


def reparse(name: str, old: str, new: str) -> Pass:
    """The same, but every node is another object afterwards."""

    def changes(model: Model) -> Iterator[Found]:
        at = model.file.text.find(old)
        if at >= 0:
            line = model.file.text.count("\n", 0, at) + 1
            position = next(p for p in model.file.positions if model.file.last_line(p) >= line)
            yield Change(f"{old} becomes {new}", parse(model.file.text.replace(old, new, 1)), (position,))

    return toy(name, changes)


def faults(result: Result) -> list[tuple[str, str]]:
    return [(refused.pass_name, refused.reason) for refused in result.refusals if refused.fault]


SOURCE = "FROM a\nRUN one\nRUN two\n"


def test_changes_are_applied_until_none_is_left() -> None:
    result = run("FROM a\nRUN x\nRUN x x\n", None, Options(), [substitute("xs", "x", "y"), substitute("ys", "y", "z")])
    assert result.text == "FROM a\nRUN z\nRUN z z\n"
    assert [rewrite.lines[0] for rewrite in result.rewrites if rewrite.pass_name == "xs"] == [2, 3, 3]
    assert result.rewrites[0].evidence == ("x stands there",)
    assert result.refusals == ()


def test_nothing_to_do() -> None:
    result = run(SOURCE, None, Options(), [substitute("p", "absent", "x")])
    assert (result.text, result.changed, result.rewrites, result.refusals, result.diff()) == (SOURCE, False, (), (), "")


def test_a_rejected_dockerfile_comes_back_with_its_problems() -> None:
    result = run("FROM a\nRUNN one\n", None, Options(), [substitute("p", "one", "x")])
    assert result.text == result.source
    assert [problem.line for problem in result.problems] == [2]


def test_select_and_ignore() -> None:
    passes = [substitute("p", "one", "1"), substitute("q", "two", "2")]
    assert run(SOURCE, None, Options(select=frozenset({"p"})), passes).text == "FROM a\nRUN 1\nRUN two\n"
    assert run(SOURCE, None, Options(ignore=frozenset({"p"})), passes).text == "FROM a\nRUN one\nRUN 2\n"


def test_unsafe_changes_need_to_be_asked_for() -> None:
    passes = [substitute("p", "one", "1", safety=Safety.UNSAFE), substitute("q", "two", "2")]
    careful = run(SOURCE, None, Options(), passes)
    assert careful.text == "FROM a\nRUN one\nRUN 2\n"
    assert [(r.reason, r.line, r.available, r.fault) for r in careful.refusals] == [("one becomes 1: only if nobody minds", 2, True, False)]
    bold = run(SOURCE, None, Options(unsafe=True), passes)
    assert bold.text == "FROM a\nRUN 1\nRUN 2\n"
    assert bold.rewrites[0].assumption == "nobody minds"


def test_a_later_change_of_the_same_pass_is_made_when_the_first_is_refused() -> None:
    text = "FROM a\n# dopt: ignore[p]\nRUN x\nRUN x\n"
    result = run(text, None, Options(), [substitute("p", "x", "y")])
    assert result.text == "FROM a\n# dopt: ignore[p]\nRUN x\nRUN y\n"
    assert [(r.reason, r.line) for r in result.refusals] == [("x becomes y: ignored by a comment", 3)]


def test_oscillation_ends_and_is_reported() -> None:
    result = run(SOURCE, None, Options(), [substitute("there", "one", "1"), substitute("back", "1", "one")])
    assert result.text == "FROM a\nRUN 1\nRUN two\n"
    assert faults(result) == [("back", "1 becomes one: dropped, it brings back an earlier text")]


def test_oscillation_of_three_texts_ends() -> None:
    passes = [substitute("a", "one", "1"), substitute("b", "1", "uno"), substitute("c", "uno", "one")]
    assert faults(run(SOURCE, None, Options(), passes)) == [("c", "uno becomes one: dropped, it brings back an earlier text")]


def test_endless_growth_ends_and_is_reported() -> None:
    result = run("FROM a\nRUN x\n", None, Options(), [substitute("grow", "x", "xy"), substitute("q", "FROM a", "FROM b")])
    bound = MAX_CHANGES + 2  # one more for each node
    assert result.text == "FROM b\nRUN x" + "y" * bound + "\n"
    assert faults(result) == [("grow", f"stopped: it still has changes after {bound}")]


def test_growth_over_rounds_ends_and_is_reported() -> None:
    """Two passes that feed each other with new texts for ever."""

    def once(old: str, new: str) -> Callable[[Model], Iterator[Found]]:
        def changes(model: Model) -> Iterator[Found]:
            position = model.file.positions[-1]
            node = model.file.instruction(position)
            if node.text.endswith(f"{old}\n"):
                edited = node.edited((len(node.text) - 1, len(node.text) - 1, new))
                yield Change("grows", model.file.replaced(position, position + 1, [edited]), (position,))

        return changes

    result = run("FROM a\nRUN x\n", None, Options(), [toy("p", once("x", "y")), toy("q", once("y", "x"))])
    assert result.text == "FROM a\nRUN x" + "yx" * 20 + "\n"
    assert faults(result) == [("q", "stopped: the text has not settled after 20 rounds")]


def test_a_pass_that_raises_is_named_and_the_rest_goes_on() -> None:
    def crash(model: Model) -> Iterator[Found]:
        yield from substitute("p", "one", "1").changes(model)
        raise KeyError("what")

    result = run(SOURCE, None, Options(), [toy("crash", crash), substitute("q", "two", "2")])
    assert result.text == "FROM a\nRUN 1\nRUN 2\n"
    assert faults(result) == [("crash", "stopped: it raised KeyError: 'what'")]


@pytest.mark.parametrize("position", [99, -99])
def test_a_pass_that_points_nowhere_is_named(position: int) -> None:
    result = run(SOURCE, None, Options(), [toy("p", lambda model: iter([Refusal("no", position)])), substitute("q", "two", "2")])
    assert result.text == "FROM a\nRUN one\nRUN 2\n"
    assert [name for name, _ in faults(result)] == ["p"]


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        ("one", "three", Fact.RUNS),
        ("AS s", "AS t", Fact.STAGES),
        ("FROM a", "FROM b", Fact.BASES),
        ("/w", "/v", Fact.WORKDIR),
        ("nobody", "root", Fact.USER),
        ("E=1", "E=2", Fact.ENV),
        ("COPY x", "COPY z", Fact.COPIES),
        ("L=1", "L=2", Fact.METADATA),
        ("CMD c", "CMD d", Fact.COMMAND),
    ],
)
def test_a_pass_that_alters_more_than_it_says_is_dropped(old: str, new: str, fact: Fact) -> None:
    text = "FROM a AS s\nWORKDIR /w\nENV E=1\nCOPY x y\nRUN one\nLABEL L=1\nUSER nobody\nCMD c\n"
    honest = run(text, None, Options(), [substitute("p", old, new, frozenset({fact}))])
    assert honest.text == text.replace(old, new)
    assert honest.refusals == ()
    lying = run(text, None, Options(), [substitute("p", old, new, EVERYTHING - {fact})])
    assert lying.text == text
    assert faults(lying) == [("p", f"{old} becomes {new}: dropped, {fact.value} changed")]


def broken_files(file: Dockerfile) -> dict[str, Dockerfile]:
    return {
        "the new text has an error on line 2: unknown instruction: RUNN (did you mean RUN?)": file.replaced(
            1, 2, [Instruction("RUNN one\n")]
        ),
        "the new text parses to another tree": file.replaced(1, 2, [Instruction("RUN one\nRUN three\n")]),
        "the new text has an error on line 1: no build stage in current context": file.replaced(0, 1, []),
        "it changes nothing": replace(file),
    }


@pytest.mark.parametrize("why", broken_files(parse(SOURCE)))
def test_broken_changes_are_dropped(why: str) -> None:
    bad = toy("bad", lambda model: iter([Change("breaks", broken_files(model.file)[why], (1,))] if "two" in model.file.text else []))
    result = run(SOURCE, None, Options(), [bad, substitute("q", "one", "1")])
    assert result.text == "FROM a\nRUN 1\nRUN two\n"
    assert ("bad", f"breaks: dropped, {why}") in faults(result)


def test_another_escape_is_another_tree() -> None:
    file = replace(parse("FROM a\nRUN b \\\n c\n"), escape="`")
    result = run("FROM a\nRUN x\n", None, Options(), [toy("p", lambda model: iter([Change("breaks", file, (1,))]))])
    assert faults(result) == [("p", "breaks: dropped, the new text parses to another tree")]


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        ("# dopt: ignore[p]", "RUN x\nRUN y\n"),
        ("# dopt: ignore", "RUN x\nRUN y\n"),
        ("#dopt:ignore[ q , p ]", "RUN x\nRUN y\n"),
        ("# DOPT: Ignore[p] because it is so", "RUN x\nRUN y\n"),
        ("# dopt: ignore-file[p]", "RUN x\nRUN x\n"),
        ("# dopt: ignore-file", "RUN x\nRUN x\n"),
        ("# dopt: ignore[q]", "RUN y\nRUN y\n"),
        ("# dopt: ignore-file[q]", "RUN y\nRUN y\n"),
        ("# dopt: ignored[p]", "RUN y\nRUN y\n"),
        ("# dopt ignore[p]", "RUN y\nRUN y\n"),
        ("# see dopt: ignore[p]", "RUN y\nRUN y\n"),
        ("# p", "RUN y\nRUN y\n"),
    ],
)
def test_inline_ignores(comment: str, text: str) -> None:
    result = run(f"FROM a\n{comment}\nRUN x\nRUN x\n", None, Options(), [substitute("p", "x", "y")])
    assert result.text == f"FROM a\n{comment}\n{text}"


def test_an_ignore_reaches_over_comments_and_blank_lines_but_not_over_instructions() -> None:
    result = run("FROM a\n# dopt: ignore[p]\n\n# c\nRUN x\n\nRUN x\n", None, Options(), [substitute("p", "x", "y")])
    assert result.text == "FROM a\n# dopt: ignore[p]\n\n# c\nRUN x\n\nRUN y\n"


@pytest.mark.parametrize("rewrite", [substitute, reparse])
def test_lines_are_those_of_the_source(rewrite: Callable[[str, str, str], Pass]) -> None:
    """Lines come and go above; what is said later still points at the source."""

    def drop_comments(model: Model) -> Iterator[Found]:
        for position, node in enumerate(model.file.nodes):
            if isinstance(node, Comment):
                yield Change("drops", model.file.replaced(position, position + 1, []), (position,))

    def grow(model: Model) -> Iterator[Found]:
        node = model.file.nodes[0]
        if isinstance(node, Instruction) and node.value == "a":
            yield Change(
                "grows", model.file.replaced(0, 1, [Instruction("FROM b\n"), Instruction("RUN same\n"), Instruction("RUN new\n")]), (0,)
            )

    def complain(model: Model) -> Iterator[Found]:
        for position in model.file.positions:
            if "same" in model.file.instruction(position).text:
                yield Refusal("same again", position)

    source = "FROM a\n# c\n# c\nRUN same\n# c\nRUN x \\\n  && z\nRUN same\nRUN x\n"
    passes = [toy("drop", drop_comments), toy("grow", grow), rewrite("p", "x", "y"), toy("complain", complain)]
    result = run(source, None, Options(), passes)
    assert result.text == "FROM b\nRUN same\nRUN new\nRUN same\nRUN y \\\n  && z\nRUN same\nRUN y\n"
    assert [(r.pass_name, r.lines) for r in result.rewrites] == [
        ("drop", (2, 2)), ("drop", (3, 3)), ("drop", (5, 5)), ("grow", (1, 1)), ("p", (6, 7)), ("p", (9, 9)),
    ]  # fmt: skip
    assert sorted({r.line for r in result.refusals}) == [1, 4, 8]


def test_the_first_fault_of_a_change_is_said_once() -> None:
    nothing = toy("idle", lambda model: iter([Change("idles", model.file, (0,))]))
    result = run("FROM a\nRUN x x x\n", None, Options(), [nothing, substitute("p", "x", "y")])
    assert result.text == "FROM a\nRUN y y y\n"
    assert set(faults(result)) == {("idle", "idles: dropped, it changes nothing")}
    assert len(faults(result)) == 1


def test_a_rewrite_can_be_left_out_and_the_rest_is_made() -> None:
    passes = [substitute("ones", "one", "1"), substitute("twos", "two", "2")]
    whole = run(SOURCE, None, Options(), passes)
    first, second = whole.rewrites
    kept = run(SOURCE, None, Options(drop=frozenset({first.key})), passes)
    assert (kept.text, [rewrite.key for rewrite in kept.rewrites]) == ("FROM a\nRUN one\nRUN 2\n", [second.key])
    assert [(refused.pass_name, refused.line, refused.fault) for refused in kept.refusals] == [("ones", 2, False)]


def test_one_of_several_rewrites_of_a_pass_is_left_out() -> None:
    passes = [substitute("xs", "x", "y")]
    source = "FROM a\nRUN x\n"
    (only,) = run(source, None, Options(), passes).rewrites
    assert not run(source, None, Options(drop=frozenset({only.key})), passes).changed
    assert run(source, None, Options(drop=frozenset({("xs", (9, 9), only.summary)})), passes).changed


@pytest.mark.parametrize(
    ("limit", "text"), [(0, SOURCE), (1, "FROM a\nRUN 1\nRUN two\n"), (2, "FROM a\nRUN 1\nRUN 2\n"), (9, "FROM a\nRUN 1\nRUN 2\n")]
)
def test_a_limit_makes_the_first_rewrites(limit: int, text: str) -> None:
    passes = [substitute("ones", "one", "1"), substitute("twos", "two", "2")]
    whole = run(SOURCE, None, Options(), passes)
    part = run(SOURCE, None, Options(limit=limit), passes)
    assert (part.text, part.rewrites) == (text, whole.rewrites[:limit])
