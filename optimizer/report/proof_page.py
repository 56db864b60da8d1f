"""A proof as one HTML page that needs nothing else: pictures are drawn in it, and it loads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from optimizer.report.proof import Checked, Row, dropped_line, rows
from optimizer.verify.verdict import Verdict

_STYLE = """
:root { color-scheme: light dark; --old: #8a94a6; --new: #2f7fd1; --bad: #c0392b; --good: #1e8449; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid #8886; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
svg { display: block; max-width: 100%; margin: 1rem 0; } svg text { font: 13px system-ui, sans-serif; fill: currentColor; }
pre { overflow: auto; padding: .8rem; border: 1px solid #8884; } .bad { color: var(--bad); } .good { color: var(--good); }
.old { fill: var(--old); } .new { fill: var(--new); } summary { cursor: pointer; }
"""
_LABEL, _BAR, _HEIGHT = 230, 420, 18  # pixels


def proof_page(all_checked: Iterable[Checked]) -> str:
    """The page."""
    body = "\n".join(_section(each) for each in all_checked)
    head = f'<meta charset="utf-8"><title>dopt: proof</title><style>{_STYLE}</style>'
    title = "<h1>Before and after, built and compared</h1>"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{title}\n{body}\n</body></html>\n'


def _section(checked: Checked) -> str:
    parts = [f"<h2>{escape(checked.name)}</h2>"]
    verdict = checked.verdict
    if verdict is None:
        parts.append("<p>Nothing left to prove.</p>")
    else:
        said = '<span class="good">Proved</span>' if verdict.proved else '<span class="bad">Not proved</span>'
        parts.append(f"<p>{said} with {escape(verdict.engine)}.</p>")
    parts.append(_list([f"Dropped: {dropped_line(each)}" for each in checked.dropped] + ([checked.note] if checked.note else [])))
    if verdict is not None:
        parts += [_list(list(verdict.problems), "bad"), *_figures(verdict), *_details(verdict)]
    if checked.rewrites:
        parts.append("<h3>Rewrites</h3>" + _list([f"{each.pass_name}: {each.summary}" for each in checked.rewrites]))
    if checked.diff:
        parts.append(f"<details><summary>Diff</summary><pre>{escape(checked.diff)}</pre></details>")
    return "\n".join(part for part in parts if part)


def _figures(verdict: Verdict) -> list[str]:
    table = rows(verdict)
    body = "".join(
        f'<tr><td>{escape(row.title)}</td><td class="number">{row.before}</td><td class="number">{row.after}</td>'
        f'<td class="number">{"" if row.ratio is None else f"{(row.ratio - 1) * 100:+.0f}%"}</td></tr>'
        for row in table
    )
    head = '<tr><th></th><th class="number">before</th><th class="number">after</th><th class="number">change</th></tr>'
    return [*(bars(row) for row in table if row.values[0] is not None), f"<table>{head}{body}</table>"]


def bars(row: Row) -> str:
    """A figure before and after as two bars over each other, as SVG."""
    longest = max(value for value in row.values if value is not None) or 1.0
    lines = []
    for index, (value, text, name) in enumerate(zip(row.values, (row.before, row.after), ("before", "after"), strict=True)):
        if value is None:
            continue
        top, width = index * (_HEIGHT + 4), max(1.0, value / longest * _BAR)
        kind = "old" if name == "before" else "new"
        lines.append(f'<rect class="{kind}" x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_HEIGHT}"/>')
        label = f"{row.title}, before" if index == 0 else "after"
        lines.append(f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>')
        lines.append(f'<text x="{_LABEL + width + 6:.1f}" y="{top + 14}">{escape(text)}</text>')
    said = f"{row.title}: before {row.before}, after {row.after}"
    size = f'width="{_LABEL + _BAR + 80}" height="{2 * _HEIGHT + 6}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(said)}" {size}>{"".join(lines)}</svg>'


def _details(verdict: Verdict) -> list[str]:
    said = [f"Smoke test: {verdict.smoke}"] if verdict.smoke else []
    said += [f"Edited for the second build: {verdict.edited}"] if verdict.edited else []
    found = [_list([*said, *verdict.notes])]
    unexpected = [str(each) for each in verdict.differences if not each.expected]
    expected = [f"{each} ({each.expected})" for each in verdict.differences if each.expected]
    found.append(f"<p>{len(unexpected)} unexpected and {len(expected)} expected differences of configuration and files.</p>")
    found.append(_list(unexpected, "bad"))
    if expected:
        found.append(f"<details><summary>Expected differences</summary>{_list(expected)}</details>")
    return found


def _list(items: list[str], kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f"<ul{name}>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>" if items else ""
