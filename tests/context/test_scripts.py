"""Entrypoint scripts."""

from __future__ import annotations

import pytest

from optimizer.context.scripts import script_text, shebang


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
