"""Traps that build: Dockerfiles whose image must stay the same, file by file, or that must be left alone.

Each folder of fixtures/images is a build context with a Dockerfile and a ``case.toml``: ``expect`` (rewritten or left-alone),
``passes`` (what the case is about) and ``why``. Where an engine and its bench are at hand (``DOPT_LAB``), both Dockerfiles
are built and the images compared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import optimizer

IMAGES = Path(__file__).parent.parent / "fixtures" / "images"
CASES = sorted(p.parent for p in IMAGES.glob("*/case.toml"))
LAB = os.environ.get("DOPT_LAB")


def load(case: Path) -> dict[str, object]:
    found = tomllib.loads((case / "case.toml").read_text())
    assert set(found) == {"expect", "passes", "why"}
    return found


def test_half_of_the_cases_are_left_alone() -> None:
    alone = [case for case in CASES if load(case)["expect"] == "left-alone"]
    assert len(alone) * 2 >= len(CASES) - 10
    assert len(CASES) >= 80


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_rewritten_or_left_alone(case: Path) -> None:
    expect = load(case)["expect"]
    source = (case / "Dockerfile").read_bytes()
    result = optimizer.optimize(source, context=case)
    assert not [refused for refused in result.refusals if refused.fault]
    assert result.changed == (expect == "rewritten"), result.rewrites
    assert not optimizer.optimize(result.text, context=case).changed


@pytest.mark.skipif(LAB is None, reason="no engine: DOPT_LAB is not set, so no image is built")
@pytest.mark.parametrize("case", [c for c in CASES if load(c)["expect"] == "rewritten"], ids=lambda p: p.name)
def test_same_image(case: Path, tmp_path: Path) -> None:
    assert LAB is not None
    bases = {line.split()[1] for line in (case / "Dockerfile").read_text("utf-8-sig").splitlines() if line.lower().startswith("from ")}
    for base in sorted(b for b in bases if ":" in b and "$" not in b):
        subprocess.run([f"{LAB}/base", base], check=True, capture_output=True)
    command = [sys.executable, f"{LAB}/same-image", "--fix", f"{sys.executable} -m optimizer fix --quiet", str(case)]
    # A folder of its own for each: engines mix up Dockerfiles that two builds send from one folder at the same time.
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
