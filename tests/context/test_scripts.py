"""Entrypoint scripts."""

from __future__ import annotations

import pytest

from optimizer.context.scripts import placed_script, script_text, shebang, unrolled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh\nset -e\n", ("/bin/sh",)),
        ("#! /bin/bash -e\n", ("/bin/bash", "-e")),
        ("#!/usr/bin/env -S a b\n", ("/usr/bin/env", "-S a b")),
        ("#!/usr/bin/env\tpython3", ("/usr/bin/env", "python3")),
        ("#!/bin/sh\r\nexit", ("/bin/sh\r",)),
        ("#!\n", None),
        ("", None),
        ("# !/bin/sh\n", None),
        ("echo\n#!/bin/sh\n", None),
    ],
)
def test_shebang(text, words):
    assert shebang(text) == words


def test_script_text(make_context):
    context = make_context(
        {"run.sh": "#!/bin/sh\r\n", "program": b"\x7fELF\0", "folder/x": "", "hidden.sh": "", ".dockerignore": "hidden.sh"}
    )
    assert script_text(context, "/run.sh") == "#!/bin/sh\r\n"
    assert [script_text(context, path) for path in ("program", "folder", "hidden.sh", "absent")] == [None] * 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("for c in a b; do go build -o bin/$c ./cmd/$c; done\n", "go build -o bin/a ./cmd/a\ngo build -o bin/b ./cmd/b\n"),
        ("set -e\nfor c in a; do\n  x ${c}s\ndone; y", "set -e\nx as; y"),
        ("ALL='a b'\nfor c in $ALL; do x $c; done", "ALL='a b'\nx a\nx b"),
        ('for d in cmd/a cmd/b; do x "$(basename "$d")"; done', 'x "a"\nx "b"'),
        ("for d in cmd/a; do x $(basename $d); done", "x a"),
        ("ALL=a\nALL=b\nfor c in $ALL; do x $c; done", None),
        ("for c in $(ls); do x $c; done", None),
        ("for c in *.c; do x $c; done", None),
        ("for c in a b; do for d in 1 2; do x $c$d; done; done", None),
        ("for c in a b; do test $c && break; done", None),
    ],
)
def test_unrolled(text, found):
    assert unrolled(text) == (text if found is None else found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('here=$(dirname "$0")\n', "here=/opt/x\n"),
        ('here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"', 'here="/opt/x"'),
        ("cd ${0%/*}/.. && ./run", "cd /opt/x/.. && ./run"),
        ('exec "$(dirname "$(readlink -f "$0")")/count"', 'exec "/opt/x/count"'),
        ('here=$(dirname "$1")', 'here=$(dirname "$1")'),
        ('echo "$0"', 'echo "$0"'),
    ],
)
def test_placed_script(text, found):
    assert placed_script(text, "/opt/x") == found
