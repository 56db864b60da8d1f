"""One HTML page that needs nothing else: it loads nothing, and is dark or light as the reader's system is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from optimizer.engine import Finding, Refused, Rewrite
from optimizer.passes import Safety
from optimizer.report.formats import Entry, Report
from optimizer.report.summary import counted, finding_lines, place, reasons, refused_line

_STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --dim: #59636e; --page: #fff; --box: #f6f8fa; --line: #d1d9e0; --link: #0969da;
  --good: #1a7f37; --warn: #9a6700; --bad: #c0272d; --added: #dafbe1; --removed: #ffebe9; --place: #ddf4ff; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --dim: #9198a1; --page: #0d1117; --box: #151b23; --line: #3d444d;
  --link: #4493f8; --good: #3fb950; --warn: #d29922; --bad: #f85149; --added: #12361f; --removed: #3f1d1e; --place: #11243a; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); margin: 0 auto; max-width: 68rem;
  padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .8rem; overflow-wrap: anywhere; }
h1 small { color: var(--dim); font-weight: normal; font-size: .9rem; } a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; } .dim { color: var(--dim); } code, pre, h2, nav a { font-family: ui-monospace, Consolas, monospace; }
nav ul, .rewrites, .errors { list-style: none; padding: 0; margin: 1rem 0; }
nav li { display: flex; gap: .8rem; justify-content: space-between; padding: .3rem .8rem; border: 1px solid var(--line); }
nav li + li { border-top-width: 0; }
nav li:first-child { border-radius: 6px 6px 0 0; } nav li:last-child { border-radius: 0 0 6px 6px; }
nav a { font-size: .85rem; overflow-wrap: anywhere; } nav span { white-space: nowrap; }
.errors li { border-left: 4px solid var(--bad); background: var(--box); padding: .4rem .8rem; margin: .4rem 0; overflow-wrap: anywhere; }
.rewrites > li { border: 1px solid var(--line); border-radius: 6px; background: var(--box); padding: .6rem .9rem; margin: .5rem 0; }
.rewrites p { margin: 0; } .rewrites ul { margin: .3rem 0 0; padding-left: 1.2rem; color: var(--dim); font-size: .9rem; }
.rewrites b { font-weight: 600; } .place { color: var(--dim); float: right; padding-left: 1rem; font-size: .85rem; }
.badge { border: 1px solid currentColor; border-radius: 1rem; padding: 0 .5rem; font-size: .75rem; margin-left: .4rem; }
.safe { color: var(--good); } .unsafe { color: var(--warn); } .fault { color: var(--bad); }
details { margin: .8rem 0; } summary { cursor: pointer; color: var(--dim); }
.diff { border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; margin: .6rem 0; }
.diff table { border-collapse: collapse; width: 100%; font: 12.5px/1.55 ui-monospace, Consolas, monospace; tab-size: 4; }
.diff td { padding: 0 .7rem; white-space: pre; } .diff td.number { color: var(--dim); text-align: right; user-select: none; width: 1%; }
.added { background: var(--added); } .removed { background: var(--removed); } .at { background: var(--place); color: var(--dim); }
.names td { color: var(--dim); border-bottom: 1px solid var(--line); }
"""


def render(report: Report) -> str:
    """The page: counts, what could not be done, then each Dockerfile with rewrites, evidence, diff and refusals."""
    told = [entry for entry in report.entries if entry.tells]
    body = ["<h1>dopt <small>what an expert would write</small></h1>", f'<p class="dim">{_text(report.summary)}</p>']
    if report.errors:
        body.append(f'<ul class="errors">{"".join(f"<li>{_text(str(error))}</li>" for error in report.errors)}</ul>')
    if len(told) > 1:
        body.append(f"<nav><ul>{''.join(_link(number, entry) for number, entry in enumerate(told))}</ul></nav>")
    body += ["\n".join(_entry(number, entry)) for number, entry in enumerate(told)]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>dopt</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"


def _link(number: int, entry: Entry) -> str:
    result = entry.result
    numbers = {"rewrite": len(result.rewrites), "finding": len(result.findings), "refusal": len(result.refusals)}
    counts = ", ".join(counted(number, noun) for noun, number in numbers.items() if number)
    return f'<li><a href="#file-{number}">{_text(entry.name)}</a><span class="dim">{counts}</span></li>'


def _entry(number: int, entry: Entry) -> Iterator[str]:
    yield f'<section><h2 id="file-{number}">{_text(entry.name)}</h2>'
    if entry.note:
        yield f'<p class="dim">{_text(entry.note)}</p>'
    if entry.result.rewrites:
        yield f'<ul class="rewrites">{"".join(map(_rewrite, entry.result.rewrites))}</ul>'
    if entry.result.findings:
        yield f'<p>To mend by hand:</p><ul class="rewrites">{"".join(map(_finding, entry.result.findings))}</ul>'
    if entry.changed:
        yield f'<div class="diff"><table>{"".join(_diff(entry.diff()))}</table></div>'
    refusals = entry.result.refusals
    if refusals:
        opened = " open" if any(refused.fault for refused in refusals) else ""
        items = "".join(map(_refusal, refusals))
        yield f'<details{opened}><summary>Not done: {len(refusals)}</summary><ul class="rewrites">{items}</ul></details>'
    yield "</section>"


def _rewrite(rewrite: Rewrite) -> str:
    kind = "safe" if rewrite.safety is Safety.SAFE else "unsafe"
    said = f'<b>{rewrite.pass_name}</b> {_text(rewrite.summary)}<span class="badge {kind}">{kind}</span>'
    facts = "".join(f"<li>{_text(reason)}</li>" for reason in reasons(rewrite))
    return f'<li><p><span class="place">{place(rewrite)}</span>{said}</p>{f"<ul>{facts}</ul>" if facts else ""}</li>'


def _finding(finding: Finding) -> str:
    message, reason = map(_text, finding_lines(finding))
    said = f'<p><span class="place">line {finding.line}</span><b>{finding.check}</b> {message}</p>'
    return f"<li>{said}<ul><li>{reason}</li></ul></li>"


def _refusal(refused: Refused) -> str:
    kind = ' class="fault"' if refused.fault else ""
    return f'<li{kind}><p><span class="place">line {refused.line}</span><b>{refused.pass_name}</b> {_text(refused_line(refused))}</p></li>'


def _diff(text: str) -> Iterable[str]:
    """The rows of a unified diff with the numbers of lines before and after."""
    before = after = left = right = 0  # numbers of the next lines, and how many of the hunk are to come
    for line in text.removesuffix("\n").split("\n"):
        mark, numbers, kind = line[:1], ("", ""), ""
        if not left and not right and mark != "\\":
            kind = "names"
            if line.startswith("@@ "):
                kind = "at"
                (before, left), (after, right) = (_span(word) for word in line.split()[1:3])
        elif mark == "+":
            numbers, kind, after, right = ("", str(after)), "added", after + 1, right - 1
        elif mark == "-":
            numbers, kind, before, left = (str(before), ""), "removed", before + 1, left - 1
        elif mark == " ":
            numbers, before, after, left, right = (str(before), str(after)), before + 1, after + 1, left - 1, right - 1
        line = line.rstrip("\r")  # a browser would begin a line with it
        cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
        yield f'<tr class="{kind}">{cells}<td>{_text(line)}</td></tr>'


def _span(word: str) -> tuple[int, int]:
    """First line and count out of one half of a hunk's head, such as ``-3,2``; without a count it is 1."""
    first, _, count = word[1:].partition(",")
    return int(first), int(count or 1)


def _text(text: str) -> str:
    """Text for the page; bytes that are no UTF-8 become a question mark in a box."""
    return escape(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
