"""What keeps a rewrite or a finding away: comments of dopt's and of hadolint's, BuildKit's directive, switched-off rules."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from optimizer.syntax import Comment, Directive, Dockerfile

_OWN = re.compile(r"#\s*dopt:\s*ignore(-file)?(?![\w-])\s*(?:\[([^\]]*)\])?", re.I)
# Source: "Inline ignores" in the README of hadolint.
_HADOLINT = re.compile(r"#\s*hadolint\s+(global\s+)?ignore\s*=\s*([\w,\t ]+)")


def why_ignored(file: Dockerfile, name: str, rules: Iterable[str], touched: Collection[int], off: frozenset[str]) -> str | None:
    """Why something is ignored, None when nothing keeps it.

    Args:
        file: The Dockerfile.
        name: The name of the pass or check.
        rules: The rules of hadolint and BuildKit that ask for it.
        touched: Indices of the nodes that it is about.
        off: Rules that a configuration switches off.
    """
    asking = frozenset(rules)
    if not asking.isdisjoint(off):
        return f"ignored by the configuration, which switches off {min(asking & off)}"
    text = file.text.lower()
    if "ignore" not in text and "check" not in text:
        return None
    for position, node in enumerate(file.nodes):
        if isinstance(node, Directive) and node.name.lower() == "check":
            if _skipped(node.value, asking):
                return "ignored by the directive above, which skips the check that asks for this"
            continue
        if not isinstance(node, Comment) or "ignore" not in node.text.lower():
            continue
        own, linter = _OWN.search(node.text), _HADOLINT.search(node.text)
        match = own or linter
        if match is None:
            continue
        names = frozenset(part.strip() for part in (match[2] or "").split(",") if part.strip())
        meant = (not names or name in names) if own else not names.isdisjoint(asking)
        target = next((p for p in file.positions if p > position), -1)
        if meant and (match[1] or target in touched):
            return "ignored by a comment" + ("" if own else ", which switches off the check that asks for this")
    return None


def _skipped(value: str, asking: frozenset[str]) -> bool:
    """Whether ``# check=skip=…`` names a rule or all of them. Source: "check" among the parser directives of the reference.

    ``all`` skips BuildKit's own checks; what asks only as a rule of hadolint goes on.
    """
    for part in value.split(";"):
        key, _, names = part.partition("=")
        if key.strip().lower() != "skip":
            continue
        skipped = {each.strip().lower() for each in names.split(",")}
        own = {rule.lower() for rule in asking if not rule.startswith("DL")}
        if own & skipped or ("all" in skipped and own):
            return True
    return False
