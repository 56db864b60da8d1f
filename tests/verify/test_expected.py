"""What a rewrite is meant to change is expected, and nothing else."""

from __future__ import annotations

import pytest

from optimizer.model import Model
from optimizer.syntax import parse
from optimizer.verify.elf import Elf
from optimizer.verify.expected import Rewritten, declared_variables, explained, passes_between
from optimizer.verify.prover import base_only
from optimizer.verify.tree import Entry, Tree
from optimizer.verify.verdict import Difference


def file(content: str, owner: int = 0) -> Entry:
    return Entry("file", 0o644, (owner, owner), 1, content)


BEFORE = Tree({"app/a.py": file("a"), "app/b": file("b"), "app/c": file("c"), "usr/src/app/a": file("a"), "app/moved": file("m")})
AFTER = Tree(
    {
        "app/a.py": file("other"),
        "app/b": file("b", owner=9),
        "app/new": file("new"),
        "app/data": Entry("folder", 0o755, (9, 9), 0, ""),
        "app/bin": file("bin"),
        "usr/src/app/a": file("other"),
        "x/moved": file("m"),
    },
    {"app/bin": Elf("EM_X86_64", 64, None)},
)


def removed(path: str) -> Difference:
    return Difference("files", path, "removed")


def changed(path: str) -> Difference:
    return Difference("files", path, "changed", "1", "2")


def added(path: str) -> Difference:
    return Difference("files", path, "added")


def config(name: str, kind: str = "changed") -> Difference:
    return Difference("config", name, kind, "1", "2")


@pytest.mark.parametrize(
    ("passes", "difference", "expected"),
    [
        ("split-stages", removed("usr/bin/gcc"), True),
        ("split-stages", removed("app/c"), True),
        ("split-stages", changed("usr/lib/os-release"), True),
        ("split-stages", changed("app/a.py"), False),
        ("split-stages", changed("usr/src/app/a"), False),
        ("split-stages", changed("app/b"), False),
        ("split-stages", added("opt/venv/bin/python"), True),
        ("split-stages", added("app/node_modules/x"), True),
        ("split-stages", added("x/moved"), True),
        ("split-stages", added("app/bin"), True),
        ("split-stages", added("app/new"), False),
        ("split-stages", config("Env PATH"), True),
        ("split-stages", config("Env PIP_X", "removed"), True),
        ("split-stages", config("Env MINE"), False),
        ("split-stages", config("Cmd"), False),
        ("split-stages", config("WorkingDir"), False),
        ("insert-user", config("User"), True),
        ("insert-user", config("Cmd"), False),
        ("insert-user", changed("etc/passwd"), True),
        ("insert-user", changed("etc/hosts.allow"), False),
        ("insert-user", changed("app/b"), True),
        ("insert-user", changed("app/a.py"), False),
        ("insert-user", added("app/data"), True),
        ("insert-user", added("app/new"), False),
        ("clean-package-caches", removed("usr/share/doc"), True),
        ("clean-package-caches", removed("app/c"), False),
        ("clean-package-caches", changed("var/lib/dpkg/status"), True),
        ("clean-package-caches", changed("etc/passwd"), False),
        ("repair-stages", added("usr/local/bin/gunicorn"), True),
        ("repair-stages", removed("app/c"), False),
        ("merge-runs", removed("app/c"), False),
        ("merge-runs", changed("etc/passwd"), False),
        ("reorder-copies", changed("app/a.py"), False),
        ("install-dependencies-first", added("tmp/requirements.txt"), True),
        ("install-dependencies-first", added("app/requirements.txt"), False),
        ("complete-dockerignore", removed("app/.git"), True),
        ("complete-dockerignore", removed("app/c"), False),
        ("", removed("app/c"), False),
    ],
)
def test_what_is_expected(passes: str, difference: Difference, expected: bool) -> None:
    workdir = "usr/src/app" if difference.name.startswith("usr/src") else "app"
    rewritten = Rewritten((passes,), BEFORE, AFTER, frozenset({".git/config"}), frozenset({"MINE"}), workdir)
    assert bool(explained([difference], rewritten)[0].expected) is expected


def between(before: str, after: str) -> set[str]:
    return set(passes_between(Model(parse(before)), Model(parse(after))))


@pytest.mark.parametrize(
    ("before", "after", "passes"),
    [
        ("FROM a\n", "FROM a AS b\nFROM c\n", {"split-stages"}),
        ("FROM a\n", "FROM a\nUSER x\n", {"insert-user"}),
        ("FROM a\nRUN apt-get install x\n", "FROM a\nRUN apt-get install x && rm -rf /var/lib/apt/lists/*\n", {"clean-package-caches"}),
        ("FROM a\nRUN b\nRUN c\n", "FROM a\nRUN b && c\n", set()),
        ("FROM a\n", "FROM a\n", set()),
    ],
)
def test_kinds_of_change_between_two_files(before: str, after: str, passes: set[str]) -> None:
    assert between(before, after) == passes


def test_variables_of_the_file_itself() -> None:
    model = Model(parse("FROM x AS a\nENV A=1\nFROM a AS b\nENV B=1\nFROM x AS c\nENV C=1\nFROM b\nENV D=1\n"))
    assert declared_variables(model) == {"A", "B", "D"}


@pytest.mark.parametrize(
    ("text", "target", "base"),
    [
        ("ARG V=1\nFROM x:$V AS a\nRUN y\nFROM z\nRUN w\n", None, "ARG V=1\nFROM z\n"),
        ("ARG V=1\nFROM x:$V AS a\nRUN y\nFROM a\nRUN w", None, "ARG V=1\nFROM x:$V AS a\n"),
        ("FROM x AS a\nRUN y\nFROM z\n", "a", "FROM x AS a\n"),
        ("FROM scratch\nCOPY a b\n", None, None),
    ],
)
def test_the_base_image_alone(text: str, target: str | None, base: str | None) -> None:
    assert base_only(parse(text), target) == base
