"""How fast dopt is, and beside tally: a benchmark, not a test.

    python tests/benchmark.py FOLDER [--files 1000] [--tally tally] [--rounds 3]

FOLDER is searched for files named Dockerfile; those that BuildKit takes are copied, each into a folder of its own, and
given to ``dopt fix`` and ``tally lint --fix`` as a user would give them: one command, all files, rewritten in place. dopt also
runs with ``--jobs 1``, in one process. All run on fresh copies, in turns, ``--rounds`` times; the smallest time of each counts.
It also prints the time of one small file from start to exit, and how many of the rewritten files BuildKit's parser and its
rules for instructions still take.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from optimizer import parse
from optimizer.engine.many import cores

SMALL = b"FROM debian:bookworm\nRUN apt-get update\nRUN apt-get install -y curl\n"


def timed(command: list[str], folder: Path) -> float:
    """Seconds that a command takes in a folder."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def lay_out(sources: list[bytes], root: Path) -> Path:
    """A folder a file, so that each has a build context of its own."""
    for number, data in enumerate(sources):
        folder = root / f"{number:05}"
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_bytes(data)
    return root


def rewritten(root: Path, sources: list[bytes]) -> int:
    """How many files a tool has changed; a tool that changed none did not run."""
    changed = sum(path.read_bytes() != data for path, data in zip(sorted(root.glob("*/Dockerfile")), sources, strict=True))
    if not changed:
        raise SystemExit(f"nothing was rewritten under {root.name}")
    return changed


def broken(root: Path) -> int:
    """How many files BuildKit would reject now."""
    return sum(bool(parse(path.read_bytes()).problems) for path in root.glob("*/Dockerfile"))


def main() -> None:
    """Run the benchmark and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tally", default=shutil.which("tally"))
    arguments = parser.parse_args()
    sources = [p.read_bytes() for p in sorted(arguments.folder.rglob("Dockerfile"))]
    sources = [data for data in sources if not parse(data).problems][: arguments.files]
    command = [sys.executable, "-m", "optimizer", "fix", "--quiet", "."]
    tools = {"dopt": command, "dopt -j1": [*command, "--jobs", "1"]}
    if arguments.tally:
        tools["tally"] = [arguments.tally, "lint", "--fix", "--slow-checks", "off", "."]
    best: dict[str, float] = {}
    rejected: dict[str, int] = {}
    changed: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(arguments.rounds):
            for name, command in tools.items():
                root = lay_out(sources, Path(scratch) / f"{name}-{number}")
                best[name] = min(best.get(name, 1e9), timed(command, root))
                changed[name] = rewritten(root, sources)
                rejected[name] = broken(root)
                shutil.rmtree(root)
        small = Path(scratch) / "small"
        small.mkdir()
        times = []
        for _ in range(10):
            (small / "Dockerfile").write_bytes(SMALL)
            times.append(timed([sys.executable, "-m", "optimizer", "fix", "--quiet", "Dockerfile"], small))
    for name, seconds in best.items():
        each = seconds / len(sources) * 1000
        outcome = f"{changed[name]} rewritten, BuildKit rejects {rejected[name]} of the results"
        print(f"{name:8} {len(sources)} files in {seconds:6.2f} s, {each:6.2f} ms a file; {outcome}")
    print(f"a process for each of {cores()} cores is {best['dopt -j1'] / best['dopt']:.2f} times as fast as one")
    if "tally" in best:
        print(f"dopt is {best['tally'] / best['dopt']:.1f} times as fast")
    print(f"one small file from start to exit: {min(times):.3f} s at best, {sorted(times)[len(times) // 2]:.3f} s in the middle")


if __name__ == "__main__":
    main()
