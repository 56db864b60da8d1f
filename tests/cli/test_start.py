"""What a small file makes the command import: start-up time is spent there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = (
    "csv", "dataclasses", "dockerfile_parse", "e2b_dockerfile_utils", "json", "libcst", "logging", "packaging", "subprocess",
    "tree_sitter_javascript", "tree_sitter_typescript", "unidiff", "urllib.request", "xml.etree", "yaml",
    "optimizer.context.javascript_source", "optimizer.context.python_source", "optimizer.model.application",
    "optimizer.passes.account.steps", "optimizer.passes.split.native", "optimizer.passes.split.python", "optimizer.pool",
    "optimizer.report.formats", "optimizer.since", "optimizer.verify",
)  # fmt: skip
PROGRAM = f"""
import sys
sys.argv = ["dopt", "fix", "--diff", "Dockerfile"]
from optimizer.cli import main
try:
    main()
except SystemExit as stopped:
    print("exit", stopped.code, *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
"""


def test_nothing_heavy_is_imported_for_a_file_that_does_not_need_it(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian:bookworm\nRUN apt-get update\nRUN apt-get install -y curl\n")
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "rm -rf /var/lib/apt/lists/*" in done.stdout
    assert done.stderr.splitlines()[-1] == "exit 0"
