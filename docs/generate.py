"""Writes the pages of passes, checks and rules, the manual page and the table in README.md out of the code itself.

``python docs/generate.py`` writes them; with ``--check`` it writes nothing and exits with 1 when one is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that it documents this tree, installed or not

from optimizer.checks import CHECKS  # noqa: E402
from optimizer.cli import main as dopt  # noqa: E402
from optimizer.context.folder import BuildContext  # noqa: E402
from optimizer.engine import Options, run  # noqa: E402
from optimizer.passes import PASSES, Pass, Rewrites  # noqa: E402
from optimizer.report.manual import manual  # noqa: E402
from optimizer.report.page import as_markdown, as_table, check_as_markdown, page_of  # noqa: E402

MARKED = re.compile(r"(<!-- passes -->\n)(.*?)(<!-- /passes -->)", re.DOTALL)
INDEX = """# Passes

In the order in which they run. `dopt explain PASS` prints a page, `--select` and `--ignore` take the names.

"""
CHECKS_HEAD = """# Checks

What `dopt check` tells and does not mend, with the reason. `dopt fix -v`, the language server and `Result.findings` tell it, too.
`--select` and `--ignore` take the names, and so does a comment above the instruction: `# dopt: ignore[no-healthcheck]`.
"""
RULES_HEAD = """# Rules

What other tools ask of a Dockerfile, and what dopt does about it: a pass mends it, a check tells it, or it is left alone.
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
    files[root / "docs" / "checks.md"] = "\n".join([CHECKS_HEAD, *map(check_as_markdown, CHECKS)])
    files[root / "docs" / "dopt.1"] = manual(dopt)
    files[root / "docs" / "rules.md"] = rules_page((ROOT / "docs" / "rules.toml").read_text(encoding="utf-8"))
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    table = as_table(pages, "docs/passes/")
    new, count = MARKED.subn(lambda match: match[1] + table + match[3], text)
    if count != 1:
        raise Stale("README.md: one <!-- passes --> with a <!-- /passes --> below is needed, each on a line of its own")
    return {**files, readme: new}


def rules_page(source: str) -> str:
    """The page of rules, out of the text of rules.toml. Stale when a rule has no answer, or one that is no longer true."""
    makers = [(each.name, f"[{each.name}](passes/{each.name}.md) mends it ({_safety(each)})", each.mends) for each in PASSES]
    makers += [(each.name, f"[{each.name}](checks.md#{each.name}) tells it", each.rules) for each in CHECKS]
    by_name = {name: text for name, text, _ in makers}
    tables = tomllib.loads(source)
    listed = {rule for table in tables.values() for rule in table["rules"]}
    unknown = sorted({rule for *_, rules in makers for rule in rules} - listed)
    if unknown:
        raise Stale(f"docs/rules.toml: {', '.join(unknown)} is missing")
    parts = [RULES_HEAD]
    for table in tables.values():
        rows = ["| Rule | What it asks | What dopt does |", "| --- | --- | --- |"]
        for rule, said in table["rules"].items():
            answers = [text for _, text, rules in makers if rule in rules] or [by_name[said["by"]] if "by" in said else ""]
            if any(answers) == ("left" in said):
                raise Stale(f"docs/rules.toml: {rule} must have a reason just where no pass mends it and no check tells it")
            rows.append(f"| {rule} | {said['asks']} | {'; '.join(answers) if any(answers) else 'left alone: ' + said['left']} |")
        parts.append(f"## {table['title']}\n\n{table['intro']}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _safety(rewriter: Pass) -> str:
    """The first word of what a pass says of its safety: safe (where evidence reaches) or unsafe."""
    word = page_of(rewriter).safety.split()[0].lower().rstrip(",")
    if word not in ("safe", "unsafe"):
        raise Stale(f"{rewriter.name}: the section on safety must begin with safe or unsafe")
    return word


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
            options = Options(select=frozenset({rewriter.name}), unsafe=unsafe, digests=dict(example.digests))
            made = run(example.before, context, options, (rewriter,))
            if made.text == example.after and (made.ignore_file.text if made.ignore_file else None) == example.ignore_file:
                return example.after, unsafe
    raise Stale(f"{rewriter.name}: the pass does not make of this example what it says:\n{example.before}")


if __name__ == "__main__":
    sys.exit(main())
