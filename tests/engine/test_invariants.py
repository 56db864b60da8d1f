"""What must hold after a change, where only what is new is looked at: the answer is that of looking at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.engine.invariants import reads_back
from optimizer.syntax import Blank, Comment, Dockerfile, Instruction, parse

LINES = [
    "FROM a\n", "RUN a\n", "RUN a \\\n", "  b\n", "\n", " \n", "# c\n", "# escape=`\n", "# syntax=x\n", "RUN <<E\n", "E\n",
    "COPY <<E <<F /\n", "F\n", "RUN a `\n", "ENV A=1", "RUN a && \\\n# c\n  b\n", "CMD [\"a\"]\n", "\r\n", "RUN a \\\r\n",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(LINES), max_size=8).map("".join)
NODES = st.lists(
    st.sampled_from(LINES).map(lambda line: Comment(line) if line.startswith("#") else Instruction(line) if line.strip() else Blank(line)),
    max_size=3,
)


@given(text=TEXTS, start=st.integers(0, 8), length=st.integers(0, 3), nodes=NODES)
@settings(max_examples=400, deadline=None)
def test_reads_back_is_parsing_all(text: str, start: int, length: int, nodes: list[Instruction | Comment | Blank]) -> None:
    before = parse(text)
    after = Dockerfile((*before.nodes[:start], *nodes, *before.nodes[start + length :]), before.escape, before.bom)
    again = parse(after.text)
    same = [node.text for node in again.nodes] == [node.text for node in after.nodes] and again.escape == after.escape
    assert reads_back(before, after) == same
