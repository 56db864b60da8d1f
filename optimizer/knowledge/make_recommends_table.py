"""Makes ``debian_recommends.txt`` from the ``Packages`` indices of Debian's releases.

Usage: ``python -m optimizer.knowledge.make_recommends_table NAMES CODENAME=PACKAGES …``

``NAMES`` is a file with the names of packages that occur in Dockerfiles, one a line; ``PACKAGES`` an uncompressed index. The
result has a line a package and answer: its name, the releases that give the answer, and what is recommended by it or by anything
that it depends on, and is neither depended on nor part of Debian's smallest system.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

TABLE = Path(__file__).parent / "debian_recommends.txt"
Relation = tuple[tuple[str, ...], ...]
Index = dict[str, tuple[Relation, Relation]]


def read_index(text: str) -> tuple[Index, dict[str, set[str]], set[str]]:
    """What each package depends on and recommends, who provides a name, and the packages of the smallest system."""
    index: Index = {}
    providers: dict[str, set[str]] = defaultdict(set)
    smallest = {"apt"}
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(" "))
        if "Package" not in fields:
            continue
        name = fields["Package"]
        hard = [_relation(fields[key]) for key in ("Pre-Depends", "Depends") if key in fields]
        index[name] = (tuple(group for relation in hard for group in relation), _relation(fields.get("Recommends", "")))
        for group in _relation(fields.get("Provides", "")):
            providers[group[0]].add(name)
        if fields.get("Essential") == "yes" or fields.get("Priority") == "required":
            smallest.add(name)
    return index, providers, smallest


def _relation(text: str) -> Relation:
    groups = [re.findall(r"(?:^|\|)\s*([a-z0-9][a-z0-9.+-]*)", group.strip()) for group in text.split(",") if group.strip()]
    return tuple(tuple(group) for group in groups if group)


def closure(names: set[str], index: Index, providers: dict[str, set[str]]) -> set[str]:
    """The packages and what they depend on; of alternatives the first, unless another one is there already."""
    found: set[str] = set()
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in index:
            continue
        found.add(name)
        for group in index[name][0]:
            if not any(one in found or providers.get(one, set()) & found for one in group):
                first = next((one for one in group if one in index), None)
                waiting.extend([first] if first else sorted(providers.get(group[0], set()))[:1])
    return found


def left_out(name: str, index: Index, providers: dict[str, set[str]], smallest: set[str]) -> tuple[str, ...]:
    """What ``--no-install-recommends`` leaves out when a package is installed into the smallest system."""
    new = closure({name}, index, providers)
    there = new | smallest
    found: set[str] = set()
    for package in sorted(new - smallest):
        for group in index[package][1]:
            if any(one in there or providers.get(one, set()) & there for one in group):
                continue
            if any(one in index or one in providers for one in group):
                found.add(next(one for one in group if one in index or one in providers))
    return tuple(sorted(found))


def main(names: list[str], indices: dict[str, str]) -> str:
    """The table's text."""
    answers: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for release, text in indices.items():
        index, providers, required = read_index(text)
        smallest = closure(required, index, providers)
        for name in names:
            if name in index:
                answers[name, left_out(name, index, providers, smallest)].append(release)
    return "".join(f"{name} {','.join(releases)} {' '.join(out)}".rstrip() + "\n" for (name, out), releases in sorted(answers.items()))


if __name__ == "__main__":
    pairs = dict(argument.split("=", 1) for argument in sys.argv[2:])
    texts = {release: Path(path).read_text(encoding="utf-8") for release, path in pairs.items()}
    wanted = sorted(set(Path(sys.argv[1]).read_text(encoding="utf-8").split()))
    TABLE.write_text(main(wanted, texts), encoding="utf-8")
