"""SARIF 2.1.0, as code scanning and editors take it (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html)."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from optimizer import __version__
from optimizer.checks import CHECKS
from optimizer.engine import Refused, Result, Rewrite
from optimizer.engine.diff import Edit, edits_between
from optimizer.files import InputError
from optimizer.passes import PASSES
from optimizer.report.formats import Entry, Report
from optimizer.report.formats.values import as_json
from optimizer.report.page import Page, described, page_of
from optimizer.report.summary import finding_lines, reasons, refused_line
from optimizer.syntax import encode

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_BOM = "\ufeff"


def render(report: Report) -> str:
    """The report as a SARIF log of one run.

    A rewrite is a result, with a fix as long as it is not written; so is a finding, without one. What went wrong and what
    was refused are notifications of the tool, since code scanning makes an alert of each result. Regions of text are lines,
    columns and offsets in code points, without a byte order mark; files that are no UTF-8 have fixes by bytes.
    """
    results = [result for entry in report.entries for result in _results(entry, written=report.written)]
    refusals = [_refusal(refused, entry) for entry in report.entries for refused in entry.result.refusals]
    used = {each["ruleId"] for each in results} | {each["associatedRule"]["id"] for each in refusals}
    invocation = {
        "executionSuccessful": not report.errors,
        "toolExecutionNotifications": [*(_error(error) for error in report.errors), *refusals],
    }
    run = {
        "tool": {"driver": {"name": "dopt", "version": __version__, "rules": [rule for rule in _rules() if rule["id"] in used]}},
        "invocations": [invocation],
        "originalUriBaseIds": {_ROOT: {"uri": Path.cwd().as_uri().rstrip("/") + "/"}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return as_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rules() -> Iterator[dict[str, Any]]:
    yield from (_rule(page_of(rewriter)) for rewriter in PASSES)
    for check in CHECKS:
        first, rest = described(check)
        yield {"id": check.name, "shortDescription": {"text": first}, "fullDescription": {"text": first}, "help": {"text": rest}}


def _rule(page: Page) -> dict[str, Any]:
    text = "\n\n".join(f"{section.title}\n\n{section.text}" for section in page.sections)
    markdown = "\n\n".join(f"## {section.title}\n\n{section.text}" for section in page.sections)
    return {
        "id": page.name,
        "shortDescription": {"text": page.summary},
        "fullDescription": {"text": " ".join(page.sections[0].text.split())},
        "help": {"text": text, "markdown": markdown},
    }


def _results(entry: Entry, *, written: bool) -> Iterator[dict[str, Any]]:
    rewrites = entry.result.rewrites
    singles = (None,) * len(rewrites) if written else entry.singles()
    for rewrite, single in zip(rewrites, singles, strict=True):
        yield {
            "ruleId": rewrite.pass_name,
            "level": "warning",
            "message": {"text": "\n".join([rewrite.summary, *reasons(rewrite)])},
            "locations": [_location(entry.name, *rewrite.lines)],
            "fixes": [] if written else [_fix(entry, rewrite, single)],
            "properties": {
                "evidence": list(rewrite.evidence), "safety": rewrite.safety.value, "assumption": rewrite.assumption or None,
                "written": written,
            },
        }  # fmt: skip

    for finding in entry.result.findings:
        yield {
            "ruleId": finding.check,
            "level": "note",
            "message": {"text": "\n".join(finding_lines(finding))},
            "locations": [_location(entry.name, finding.line, finding.line)],
            "properties": {"rules": list(finding.rules)},
        }


def _fix(entry: Entry, rewrite: Rewrite, single: Result | None) -> dict[str, Any]:
    """The rewrite by itself; where it is possible only behind others, all of the file's."""
    made = single or entry.result
    all_of_them = f"make all {len(made.rewrites)} rewrites of this file, on some of which this one rests"
    changes = [_change(_artifact(entry.name), made.source, made.text)] if made.changed else []
    if made.ignore_file is not None:
        new = made.ignore_file
        changes.append(_change(_artifact(entry.ignore_path), new.before or "", new.text))
    return {"description": {"text": all_of_them if single is None else rewrite.summary}, "artifactChanges": changes}


def _change(artifact: dict[str, str], source: str, text: str) -> dict[str, Any]:
    edits = edits_between(source, text)
    if any("\ud800" <= character <= "\udfff" for character in source + text):  # bytes that are no UTF-8
        replacements = [_binary(source, edit) for edit in edits]
    else:
        replacements = [_textual(source, edit) for edit in edits]
    return {"artifactLocation": artifact, "replacements": replacements}


def _binary(source: str, edit: Edit) -> dict[str, Any]:
    region = {"byteOffset": len(encode(source[: edit.start])), "byteLength": len(encode(source[edit.start : edit.end]))}
    return {"deletedRegion": region, "insertedContent": {"binary": b64encode(encode(edit.text)).decode()}}


def _textual(source: str, edit: Edit) -> dict[str, Any]:
    mark = len(_BOM) if source.startswith(_BOM) else 0
    start, end = max(edit.start, mark), max(edit.end, mark)
    (line, column), (end_line, end_column) = _place(source, start, mark), _place(source, end, mark)
    region = {
        "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column,
        "charOffset": start - mark, "charLength": end - start,
    }  # fmt: skip
    return {"deletedRegion": region, "insertedContent": {"text": edit.text.removeprefix(_BOM) if edit.start == 0 else edit.text}}


def _place(source: str, offset: int, mark: int) -> tuple[int, int]:
    """Line and column, from 1, of an offset; a byte order mark is ``mark`` characters long and takes no column."""
    return source.count("\n", 0, offset) + 1, offset - max(source.rfind("\n", 0, offset) + 1, mark) + 1


def _error(error: InputError) -> dict[str, Any]:
    place = {} if error.line is None else {"startLine": error.line, **({"startColumn": error.column} if error.column else {})}
    location: dict[str, Any] = {"artifactLocation": _artifact(error.path), **({"region": place} if place else {})}
    return {"level": "error", "message": {"text": error.reason}, "locations": [{"physicalLocation": location}]}


def _refusal(refused: Refused, entry: Entry) -> dict[str, Any]:
    return {
        "level": "error" if refused.fault else "note",
        "message": {"text": refused_line(refused)},
        "locations": [_location(entry.name, refused.line, refused.line)],
        "associatedRule": {"id": refused.pass_name},
    }


def _location(name: str, first: int, last: int) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": _artifact(name), "region": {"startLine": first, "endLine": last}}}


def _artifact(name: str) -> dict[str, str]:
    """A file, relative to the current folder where it lies below."""
    if name.startswith("<"):
        return {"uri": quote(name)}
    relative = os.path.relpath(name)
    if relative.startswith(os.pardir):
        return {"uri": Path(os.path.abspath(name)).as_uri()}
    return {"uri": quote(os.fsencode(relative.replace(os.sep, "/"))), "uriBaseId": _ROOT}
