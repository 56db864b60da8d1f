"""What hadolint finds before and after dopt, and after tally: a measurement, not a test.

    python tests/findings.py FOLDER [--hadolint hadolint] [--tally tally] [--rules 20]

FOLDER is searched for files named Dockerfile; those that BuildKit takes are copied, each into a folder of its own, and given to
``dopt fix``, ``dopt fix --unsafe``, ``tally lint --fix`` and ``tally lint --fix --fix-unsafe``. hadolint then counts what it
finds in each. The first line counts everything. The others count only files that hadolint reads in every column: of one that it
cannot read it tells that alone, which is no improvement.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from optimizer import parse

UNREAD = "DL1000"  # hadolint's word for a file that it cannot read
AT_A_TIME = 200  # files given to a program in one call


def rewriters(tally: str | None) -> dict[str, list[str] | None]:
    """The columns, and the commands that make them."""
    dopt = [sys.executable, "-m", "optimizer", "fix", "--quiet"]
    found: dict[str, list[str] | None] = {"before": None, "dopt": dopt, "dopt --unsafe": [*dopt, "--unsafe"]}
    if tally is not None:
        fix = [tally, "lint", "--fix", "--no-config", "--slow-checks", "off", "--fail-level", "none"]
        found |= {"tally": fix, "tally --fix-unsafe": [*fix, "--fix-unsafe"]}
    return found


def findings(hadolint: str, root: Path, command: list[str] | None, sources: list[bytes]) -> dict[str, Counter[str]]:
    """What hadolint finds in each file behind a command: file to rule to number."""
    paths = []
    for number, data in enumerate(sources):
        folder = root / f"{number:05}"
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_bytes(data)
        paths.append(f"{folder.name}/Dockerfile")
    found: dict[str, Counter[str]] = {path: Counter() for path in paths}
    for start in range(0, len(paths), AT_A_TIME):
        some = paths[start : start + AT_A_TIME]
        if command is not None:
            subprocess.run([*command, *some], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        told = subprocess.run([hadolint, "--no-fail", "--format", "json", *some], cwd=root, stdout=subprocess.PIPE, check=True).stdout
        for each in json.loads(told):
            found[each["file"]][each["code"]] += 1
    if command is not None and all((root / path).read_bytes() == data for path, data in zip(paths, sources, strict=True)):
        raise SystemExit(f"{command[0]} changed nothing")
    return found


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hadolint", default="hadolint")
    parser.add_argument("--tally")
    parser.add_argument("--rules", type=int, default=20, help="how many rules are listed")
    asked = parser.parse_args()
    sources = [path.read_bytes() for path in sorted(asked.folder.rglob("Dockerfile"))]
    sources = [data for data in sources if not parse(data).problems]
    columns: dict[str, dict[str, Counter[str]]] = {}
    for title, command in rewriters(asked.tally).items():
        with tempfile.TemporaryDirectory() as root:
            columns[title] = findings(asked.hadolint, Path(root), command, sources)
    read = [path for path in columns["before"] if not any(UNREAD in column[path] for column in columns.values())]
    totals = {title: sum((column[path] for path in read), Counter()) for title, column in columns.items()}
    row("", *columns)
    row("---", *("---:" for _ in columns))
    row(f"all {len(sources):,} files", *(f"{sum(sum(each.values()) for each in column.values()):,}" for column in columns.values()))
    row("not read", *(f"{sum(UNREAD in each for each in column.values()):,}" for column in columns.values()))
    row(f"**{len(read):,} files that are read in every column**", *(f"**{sum(total.values()):,}**" for total in totals.values()))
    for rule, _ in totals["before"].most_common(asked.rules):
        row(rule, *(f"{total[rule]:,}" for total in totals.values()))


def row(*cells: str) -> None:
    """Print a row of the table."""
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
