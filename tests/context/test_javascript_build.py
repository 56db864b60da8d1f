"""What the build scripts of a package.json write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.context.folder import BuildContext
from optimizer.context.javascript_build import build_outputs


@pytest.mark.parametrize(
    ("script", "files", "paths"),
    [
        ("vite build", {}, ("dist",)),
        ("vite build client --outDir ../public", {}, ("public",)),
        ("vite build --mode staging client", {}, ("client",)),
        ("vite build", {"vite.config.ts": "export default { root: 'client', build: { outDir: '../www' } };"}, ("www",)),
        ("vite build", {"vite.config.ts": "export default { root: resolve('client') };"}, None),
        ("vite build client", {"client/vite.config.js": "export default { root: 'pages' };"}, None),
        ("vite build", {"vite.config.js": "export default { plugins: [sveltekit()] };"}, None),
        ("openapi-typescript api.yaml -o src/api.d.ts && esbuild src/main.ts --outfile=out/main.js", {}, ("out",)),
        ("openapi-typescript api.yaml", {}, None),
    ],
)
def test_outputs_of_a_build(tmp_path: Path, script: str, files: dict[str, str], paths: tuple[str, ...] | None) -> None:
    (tmp_path / "client").mkdir()
    (tmp_path / "package.json").write_text(json.dumps({"scripts": {"build": script}}))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = build_outputs(BuildContext.open(tmp_path), ".", "build")
    assert (None if found.unknown else found.paths) == paths


@pytest.mark.parametrize(
    ("script", "reads"),
    [
        ("rimraf dist && vite build client --outDir ../dist", ("client",)),
        ("vite build", None),
        ("vite build client && tsc", None),
        ("cp -r static dist && vite build client", None),
    ],
)
def test_folders_that_a_build_reads(tmp_path: Path, script: str, reads: tuple[str, ...] | None) -> None:
    (tmp_path / "package.json").write_text(json.dumps({"scripts": {"build": script}}))
    assert build_outputs(BuildContext.open(tmp_path), ".", "build").reads == reads
