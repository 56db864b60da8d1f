"""The report: table, JSON and page say the same, and the page needs nothing else."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

from optimizer.engine import Rewrite
from optimizer.passes import Safety
from optimizer.report import Paint
from optimizer.report.proof import Checked, proof_lines, proof_values, rows
from optimizer.report.proof_page import bars, proof_page
from optimizer.verify import Difference, Dropped, Figures, Verdict

REWRITE = Rewrite("split-stages", "split <it>", ("because",), Safety.SAFE, "", (1, 4))
VERDICT = Verdict(
    "docker", Figures(800_000_000, 12, 60.0, 30.0), Figures(200_000_000, 8, 50.0, None), smoke="start: before up, after up",
    differences=(Difference("files", "usr/bin/gcc", "removed", expected="not needed"), Difference("config", "Cmd", "changed", "a", "<b>")),
    problems=("unexpected: Cmd changed: a → <b>",),
)  # fmt: skip
CHECKED = Checked("Dockerfile", VERDICT, (REWRITE,), (Dropped(REWRITE, "it breaks & burns"),), "a note", "-a\n+b\n")


def test_the_table() -> None:
    text = "\n".join(proof_lines(CHECKED, Paint()))
    assert "Dockerfile: NOT proved with docker" in text
    assert "dropped split-stages, lines 1-4: split <it>: it breaks & burns" in text
    assert re.search(r"size \(MB\) +800\.0 +200\.0  -75%", text)
    assert re.search(r"build after an edit \(s\) +30\.0 +-$", text, re.M)
    assert "1 unexpected and 1 expected differences" in text
    assert "not needed: /usr/bin/gcc removed" in text
    assert "/usr/bin/gcc removed (not needed)" in "\n".join(proof_lines(CHECKED, Paint(), verbose=True))


def test_nothing_left() -> None:
    assert "nothing left to prove" in "\n".join(proof_lines(Checked("D", None), Paint()))
    assert json.loads(json.dumps(proof_values([Checked("D", None)])))["proofs"][0]["proved"] is None


def test_json_has_everything() -> None:
    (proof,) = json.loads(json.dumps(proof_values([CHECKED])))["proofs"]
    assert proof["proved"] is False
    assert proof["verdict"]["after"]["size"] == 200_000_000
    assert proof["dropped"][0]["reason"] == "it breaks & burns"
    assert len(proof["verdict"]["differences"]) == 2


def test_the_page_stands_alone_and_escapes() -> None:
    page = proof_page([CHECKED])
    assert not re.search(r"<(script|link|img|iframe)|src=|@import|url\(", page)
    assert "split &lt;it&gt;" in page
    assert "<b>" not in page
    assert page.count("<svg") == 4
    for svg in re.findall(r"<svg.*?</svg>", page):
        ElementTree.fromstring(svg)


def test_bars_are_in_proportion() -> None:
    widths = [float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', bars(rows(VERDICT)[0]))]
    assert widths[1] / widths[0] == 0.25
