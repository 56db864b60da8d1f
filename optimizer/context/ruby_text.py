"""Ruby source with its comments taken out and its literals set apart."""

from __future__ import annotations

import re

from optimizer.context.expressions import split_expressions

_TOKEN = re.compile(
    r'(?P<comment>^=begin\b.*?^=end\b[^\n]*|(?<![\w\x27"?$&:{#])#(?!\{)[^\n]*)|(?P<char>(?<![\w)\]?])\?[\x27"`#](?!\w))'
    r'|(?P<double>"(?:\\.|#\{(?:[^{}]|\{[^{}]*\})*+\}|[^"\\])*+")|(?P<single>\x27(?:\\.|[^\x27\\])*\x27)|(?P<shell>`(?:\\.|[^`\\])*`)'
    r"|(?P<percent>%[rxwWiIqQ]?(?:\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\]|\{[^{}]*\}))"
    r"|(?P<here><<[~-](?P<quote>[\x27\"]?)(?P<tag>[A-Z_]\w*)(?P=quote)(?P<line>[^\n]*)\n(?P<body>.*?)^[ \t]*(?P=tag)\b)"
    r"|(?P<regexp>(?<=[(,=~!&|\[])\s*/(?![\s=])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+/[a-z]*"
    r"|(?<=if )/(?:\\.|[^/\\\n])+/|(?<=when )/(?:\\.|[^/\\\n])+/)",
    re.S | re.M,
)
MARK = re.compile("\x01(\\d+)\x02")
"""What stands for a literal in the code; its number."""


class RubyText:
    """A file: `code` without comments, in which a mark stands for each literal text."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.literals: list[tuple[str, str]] = []
        self.code = _TOKEN.sub(self._mark, text.partition("\n__END__\n")[0])

    def _mark(self, match: re.Match[str]) -> str:
        lines = "\n" * match[0].count("\n")
        kind = match.lastgroup
        if match["comment"] is not None:
            return lines
        if match["regexp"] is not None or match["char"] is not None:
            return f" nil{lines}"
        if match["here"] is not None:
            self.literals.append(("double" if match["quote"] != "'" else "single", match["body"]))
            return f"\x01{len(self.literals) - 1}\x02{_TOKEN.sub(self._mark, match['line'])}{lines}"
        kind = next(name for name in ("double", "single", "shell", "percent") if match[name] is not None)
        text = match[0][1:-1]
        if kind == "percent":
            letter = text[0] if text[:1].isalpha() else ""
            if letter == "r":
                return f" nil{lines}"
            text = text[2:] if letter else text[1:]
            kind = {"x": "shell", "q": "single", "w": "list", "W": "list", "i": "list", "I": "list"}.get(letter, "double")
        self.literals.append((kind, text))
        return f"\x01{len(self.literals) - 1}\x02{lines}"

    def given(self, name: str) -> str | None:
        """The expression that a variable or constant stands for: that of its only assignment."""
        values = re.findall(rf"(?<![\w.@$]){re.escape(name)}\s*(?:\|\|)?=(?![=~>])\s*([^\n]+)", self.code)
        parameter = re.search(rf"\|[^|\n]*\b{re.escape(name)}\b[^|\n]*\||\bdef\s+[\w.?!]+[\s(][^\n]*\b{re.escape(name)}\b", self.code)
        return values[0].strip() if len(values) == 1 and parameter is None else None

    def arguments(self, at: int) -> list[str]:
        """The arguments of a call whose name ends at an offset, with or without brackets."""
        match = re.compile(r"[ \t]*").match(self.code, at)
        start = match.end() if match else at
        if self.code[start : start + 1] == "(":
            return split_expressions(self.code, start + 1)
        end = re.compile(r"[^\n;]*?(?=\n|;|\s+do\b|\s+(?:if|unless|rescue|and|or)\s|$|\s\{)").match(self.code, start)
        text = end[0] if end else ""
        return split_expressions(f"{text})", 0)
