"""The documentation site builds without a warning and needs nothing from elsewhere. Skipped without the extra ``docs``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import optimizer

ROOT = Path(__file__).parents[1]
pytest.importorskip("mkdocs", reason="no mkdocs here")
pytest.importorskip("mkdocstrings", reason="no mkdocstrings here")
LOADED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^"'\s>]+""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    assert {str(page): LOADED.findall(page.read_text()) for page in pages if LOADED.search(page.read_text())} == {}


def test_projects_are_shown_with_their_rewrites(site: Path) -> None:
    gallery = (site / "gallery" / "index.html").read_text()
    assert "rewrite:" not in gallery
    assert gallery.count('class="gi"') > 50


def test_the_reference_has_every_public_name_with_its_parameters(site: Path) -> None:
    page = (site / "library" / "index.html").read_text()
    explained = {name for name in optimizer.__all__ if f'id="optimizer.{name}"' in page}
    assert set(optimizer.__all__) - explained == {"PASSES"}  # a tuple, which the page tells in a sentence
    assert "unsafe: bool = False" in " ".join(re.sub(r"<[^>]+>", "", page).split())
