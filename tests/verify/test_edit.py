"""The edit between two builds: a source file that is copied last, in a copy of what reaches the builder."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.context.folder import BuildContext
from optimizer.model import Model
from optimizer.syntax import parse
from optimizer.verify.edit import edited_copy, file_to_edit


def context(folder: Path, *files: str, ignore: str = "") -> BuildContext:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    if ignore:
        (folder / ".dockerignore").write_text(ignore)
    return BuildContext.open(folder)


@pytest.mark.parametrize(
    ("dockerfile", "files", "chosen"),
    [
        ("COPY . .", ("app.py", "requirements.txt", "setup.py", "deep/b.py"), "app.py"),
        ("COPY a.py .\nCOPY b.py .", ("a.py", "b.py"), "b.py"),
        ("COPY a.py .\nCOPY data.json .", ("a.py", "data.json"), "a.py"),
        ("COPY . .", ("index.html", "logo.png"), "index.html"),
        ("COPY . .", ("package.json", "vite.config.js"), None),
        ("RUN ls", ("a.py",), None),
        ("COPY src src\nFROM b\nCOPY --from=0 /x /x", ("src/a.go",), "src/a.go"),
    ],
)
def test_which_file(tmp_path: Path, dockerfile: str, files: tuple[str, ...], chosen: str | None) -> None:
    model = Model(parse(f"FROM a\nWORKDIR /app\n{dockerfile}\n"), context(tmp_path, *files))
    assert file_to_edit(model) == chosen


def test_the_copy_is_edited_and_the_original_is_not(tmp_path: Path) -> None:
    original = context(tmp_path / "a", "app.py", "keep/x", "drop/y", "drop/z", ignore="drop\n!drop/z\n")
    (tmp_path / "a" / "link").symlink_to("app.py")
    copy = edited_copy(original, "app.py", tmp_path / "b")
    assert (copy / "app.py").read_text() == "x\n# edited\n"
    assert (tmp_path / "a" / "app.py").read_text() == "x"
    copied = sorted(p.relative_to(copy).as_posix() for p in copy.rglob("*") if not p.is_dir())
    assert copied == [".dockerignore", "app.py", "drop/z", "keep/x", "link"]
    assert (copy / "link").is_symlink()
