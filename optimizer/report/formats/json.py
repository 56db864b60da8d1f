"""Everything as JSON."""

from __future__ import annotations

from typing import Any

from optimizer import __version__
from optimizer.engine import Finding, Refused, Rewrite
from optimizer.report.formats import Entry, Report
from optimizer.report.formats.values import as_json


def render(report: Report) -> str:
    """The report as JSON; ``version`` counts up when a key changes its meaning or goes."""
    return as_json({
        "version": 1,
        "dopt": __version__,
        "written": report.written,
        "files": [_entry(entry) for entry in report.entries],
        "errors": [{"path": e.path, "line": e.line, "column": e.column, "reason": e.reason} for e in report.errors],
    })  # fmt: skip


def _entry(entry: Entry) -> dict[str, Any]:
    result, ignore_file = entry.result, entry.result.ignore_file
    return {
        "path": entry.name,
        "changed": entry.changed,
        "note": entry.note,
        "rewrites": [_rewrite(rewrite) for rewrite in result.rewrites],
        "refusals": [_refusal(refused) for refused in result.refusals],
        "findings": [_finding(finding) for finding in result.findings],
        "text": result.text if result.changed else None,
        "ignore_file": None if ignore_file is None else {"path": entry.ignore_path, "text": ignore_file.text},
        "diff": entry.diff(),
    }


def _rewrite(rewrite: Rewrite) -> dict[str, Any]:
    return {
        "pass": rewrite.pass_name,
        "lines": list(rewrite.lines),
        "summary": rewrite.summary,
        "evidence": list(rewrite.evidence),
        "safety": rewrite.safety.value,
        "assumption": rewrite.assumption or None,
    }


def _refusal(refused: Refused) -> dict[str, Any]:
    return {
        "pass": refused.pass_name,
        "line": refused.line,
        "reason": refused.reason,
        "available": refused.available,
        "fault": refused.fault,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "line": finding.line,
        "message": finding.message,
        "reason": finding.reason,
        "rules": list(finding.rules),
    }
