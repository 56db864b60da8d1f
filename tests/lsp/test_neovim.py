"""Neovim, set up as docs/editors.md says, rewrites a project as ``dopt fix`` does. Skipped where there is no Neovim."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEOVIM = shutil.which("nvim")
DRIVE = """
vim.wait(60000, function() return #vim.diagnostic.get(0) > 0 end, 50)
local told = {}
for _, each in ipairs(vim.diagnostic.get(0)) do table.insert(told, { each.lnum, each.code, each.message }) end
vim.cmd("write")
vim.cmd("wall")
local file = io.open("told.json", "w")
file:write(vim.fn.json_encode(told))
file:close()
vim.cmd("qall!")
"""

pytestmark = pytest.mark.skipif(NEOVIM is None, reason="no Neovim here")


def lua_below(heading: str) -> str:
    """The Lua that docs/editors.md shows below a heading."""
    page = (ROOT / "docs" / "editors.md").read_text(encoding="utf-8")
    section = page.partition(f"### {heading}\n")[2].partition("\n#")[0]
    return "\n".join(re.findall(r"^```lua\n(.*?)^```", section, re.DOTALL | re.MULTILINE))


def version() -> tuple[int, ...]:
    said = subprocess.run([str(NEOVIM), "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.split()[1].lstrip("v").split("-")[0].split("."))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home without settings, and this tree's dopt on the PATH."""
    program = tmp_path / "bin" / "dopt"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m optimizer "$@"\n')
    program.chmod(0o755)
    home = {name: str(tmp_path / "home") for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
    return {**os.environ, **home, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("project", ["django", "node-typescript"])
def test_writing_rewrites_as_fix_does(project: str, environment: dict[str, str], tmp_path: Path) -> None:
    fixed, edited = tmp_path / "fixed", tmp_path / "edited"
    for copy in (fixed, edited):
        shutil.copytree(ROOT / "fixtures" / "projects" / project / "context", copy)
    before = (edited / "Dockerfile").read_text()
    subprocess.run(["dopt", "fix", "--quiet", fixed], env=environment, check=True)

    setup = "Neovim 0.11 and later" if version() >= (0, 11) else "Neovim 0.7 to 0.10"
    settings, drive = tmp_path / "init.lua", tmp_path / "drive.lua"
    settings.write_text("\n".join([lua_below(setup), lua_below("Rewrite on save in Neovim")]))
    drive.write_text(DRIVE)
    command = [str(NEOVIM), "--headless", "-n", "-i", "NONE", "-u", str(settings), "Dockerfile", "-c", f"luafile {drive}"]
    ran = subprocess.run(command, cwd=edited, env=environment, capture_output=True, text=True, timeout=120, check=False)

    told = edited / "told.json"
    assert told.exists(), ran.stderr
    diagnostics = json.loads(told.read_text())
    assert "split-stages" in {code for _, code, _ in diagnostics}
    assert all(line <= before.count("\n") for line, _, _ in diagnostics)
    told.unlink()
    after = {path.relative_to(edited): path.read_bytes() for path in edited.rglob("*") if path.is_file()}
    assert after == {path.relative_to(fixed): path.read_bytes() for path in fixed.rglob("*") if path.is_file()}
    assert after[Path("Dockerfile")].decode() != before
