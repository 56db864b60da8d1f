"""Writes the pages of the passes (docs/passes/) and the table in README.md out of the passes themselves.

``python docs/generate.py`` writes them; with ``--check`` it writes nothing and exits with 1 when one is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that it documents this tree, installed or not

from optimizer.context.folder import BuildContext  # noqa: E402
from optimizer.engine import Options, run  # noqa: E402
from optimizer.passes import PASSES, Pass, Rewrites  # noqa: E402
from optimizer.report.page import as_markdown, as_table, page_of  # noqa: E402

MARKED = re.compile(r"(<!-- passes -->\n)(.*?)(<!-- /passes -->)", re.DOTALL)
INDEX = """# Passes

In the order in which they run. `dopt explain PASS` prints a page, `--select` and `--ignore` take the names.

"""


class Stale(Exception):
    """A page cannot be made: an example does not come out as it says, or README.md has no place for the table."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page is out of date")
    check = parser.parse_args().check
    try:
        wanted = generated(ROOT)
    except Stale as error:
        print(error, file=sys.stderr)
        return 1
    stale = out_of_date(ROOT, wanted)
    for path in stale:
        print(path.relative_to(ROOT))
        text = wanted.get(path)
        if check:
            continue
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    return int(check and bool(stale))


def generated(root: Path) -> dict[Path, str]:
    """Every file as it should be. Stale when one cannot be made."""
    folder = root / "docs" / "passes"
    pages = [page_of(each) for each in PASSES]
    files = {folder / f"{each.name}.md": _markdown(each) for each in PASSES}
    files[folder / "index.md"] = INDEX + as_table(pages, "")
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    table = as_table(pages, "docs/passes/")
    new, count = MARKED.subn(lambda match: match[1] + table + match[3], text)
    if count != 1:
        raise Stale("README.md: one <!-- passes --> with a <!-- /passes --> below is needed, each on a line of its own")
    return {**files, readme: new}


def out_of_date(root: Path, wanted: dict[Path, str]) -> list[Path]:
    """The files that are missing, differ, or belong to a pass that is no more."""
    present = set((root / "docs" / "passes").glob("*.md"))
    differing = {path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    return sorted(differing | (present - set(wanted)))


def _markdown(rewriter: Pass) -> str:
    return as_markdown(page_of(rewriter), lambda example: _rewritten(rewriter, example))


def _rewritten(rewriter: Pass, example: Rewrites) -> tuple[str, bool]:
    """What a pass makes of an example, and whether that takes ``--unsafe``."""
    with TemporaryDirectory() as folder:
        for name, content in example.files:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        context = BuildContext.open(Path(folder)) if example.files else None
        for unsafe in (False, True):
            made = run(example.before, context, Options(unsafe=unsafe), (rewriter,))
            if made.text == example.after and (made.ignore_file.text if made.ignore_file else None) == example.ignore_file:
                return example.after, unsafe
    raise Stale(f"{rewriter.name}: the pass does not make of this example what it says:\n{example.before}")


if __name__ == "__main__":
    sys.exit(main())
