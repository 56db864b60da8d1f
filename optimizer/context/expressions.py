"""Expressions of languages with brackets and commas, in code whose comments and string literals are masked."""

from __future__ import annotations


def split_expressions(code: str, start: int, separator: str = ",") -> list[str]:
    """The expressions from `start` to the bracket that closes, parted by a separator outside of inner brackets."""
    parts: list[str] = []
    depth, begin = 0, start
    for position in range(start, len(code)):
        character = code[position]
        if character in "([{":
            depth += 1
        elif character in ")]}" and depth:
            depth -= 1
        elif character in ")]}":
            last = code[begin:position].strip()
            return [*parts, last] if last or parts else []
        elif character == separator and not depth:
            parts.append(code[begin:position].strip())
            begin = position + 1
    return parts
