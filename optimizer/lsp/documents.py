"""What dopt has to say of one open document. No protocol here but for its values."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from lsprotocol.types import (
    CreateFile,
    Diagnostic,
    DiagnosticSeverity,
    OptionalVersionedTextDocumentIdentifier,
    Position,
    PositionEncodingKind,
    Range,
    TextDocumentEdit,
    TextEdit,
    WorkspaceEdit,
)
from msgspec import Struct

import optimizer
from optimizer.engine import Options, Result, Rewrite
from optimizer.engine.result import Finding
from optimizer.engine.single import alone
from optimizer.lsp.positions import Positions
from optimizer.outcome import Outcome, outcome_of
from optimizer.passes.base import IgnoreFile
from optimizer.request import Request
from optimizer.syntax import encode, parse

SOURCE = "dopt"


class Document(Struct, frozen=True, dict=True):
    """One version of a document and what came of it.

    Args:
        uri: As the editor names it.
        path: Where it lies; for a text without a file, a name in the folder that it would be saved in.
        text: Its text, saved or not.
        outcome: What ``dopt fix`` would do with it.
        request: How it was asked.
        encoding: What the editor counts characters in.
    """

    uri: str
    path: Path
    text: str
    outcome: Outcome
    request: Request
    encoding: str = PositionEncodingKind.Utf16

    @cached_property
    def positions(self) -> Positions:
        """Where the editor sees what lies at an offset or on a line."""
        return Positions(self.text, self.encoding)

    @property
    def result(self) -> Result | None:
        """The rewrites, None where the text cannot be done."""
        return self.outcome.result


def read_document(uri: str, path: Path, text: str, request: Request, encoding: str = PositionEncodingKind.Utf16) -> Document:
    """Find out what there is to do in a text. What goes wrong is part of the outcome; in an excluded file there is nothing."""
    outcome = Outcome(path) if request.excludes(path) else outcome_of(path, encode(text), request)
    return Document(uri, path, text, outcome, request, encoding)


def diagnostics_of(document: Document) -> list[Diagnostic]:
    """Errors as BuildKit says them; without any, a hint for each rewrite and each finding, and what keeps dopt from working."""
    lines, result = document.positions.lines, document.result
    if result is None and document.outcome.errors:
        problems = parse(document.text).problems
        if problems:
            return [_diagnostic(lines(p.line, p.line), p.message, DiagnosticSeverity.Error, "syntax") for p in problems]
        return [_diagnostic(lines(1, 1), str(error), DiagnosticSeverity.Warning, "dopt") for error in document.outcome.errors]
    if result is None:
        return []
    kind = DiagnosticSeverity.Information
    rewrites = [_diagnostic(lines(*each.lines), each.summary, kind, each.pass_name) for each in result.rewrites]
    return rewrites + [_diagnostic(lines(f.line, f.line), f.message, kind, f.check) for f in result.findings]


def _diagnostic(where: Range, message: str, severity: DiagnosticSeverity, code: str) -> Diagnostic:
    return Diagnostic(where, message, severity=severity, code=code, source=SOURCE)


def rewrites_at(document: Document, where: Range) -> list[Rewrite]:
    """The rewrites whose lines a range touches."""
    found = document.result.rewrites if document.result is not None else ()
    return [each for each in found if _touch(document.positions.lines(*each.lines), where)]


def findings_at(document: Document, where: Range) -> list[Finding]:
    """The findings on the lines of a range."""
    found = document.result.findings if document.result is not None else ()
    return [each for each in found if _touch(document.positions.lines(each.line, each.line), where)]


def _touch(one: Range, other: Range) -> bool:
    return one.start.line <= other.end.line and other.start.line <= one.end.line


def fix_all(document: Document) -> WorkspaceEdit | None:
    """Every rewrite, None when there is none."""
    return None if document.result is None or not document.result.rewrites else _edit(document, document.result)


def fix_one(document: Document, rewrite: Rewrite) -> WorkspaceEdit | None:
    """One rewrite by itself; None where it is possible only behind another."""
    options = document.request.options(document.path)
    result = alone(rewrite, lambda each: _rewritten(document, each), options)
    return None if result is None else _edit(document, result)


def _rewritten(document: Document, options: Options) -> Result:
    from optimizer.context.folder import BuildContext

    folder = document.outcome.folder
    context = None if folder is None else BuildContext.open(folder, document.path)
    return optimizer.optimize(document.text, context=context, config=options)


def keep(document: Document, name: str, line: int) -> WorkspaceEdit:
    """A comment above a line that keeps it from a pass or a check. ``line``: from 1."""
    start = document.positions.lines(line, line).start.line
    text = document.text.split("\n")[line - 1]
    indent, newline = text[: len(text) - len(text.lstrip(" \t"))], "\r\n" if text.endswith("\r") else "\n"
    comment = TextEdit(Range(Position(start, 0), Position(start, 0)), f"{indent}# dopt: ignore[{name}]{newline}")
    return WorkspaceEdit(document_changes=[TextDocumentEdit(OptionalVersionedTextDocumentIdentifier(document.uri), [comment])])


def format_edits(document: Document) -> list[TextEdit]:
    """Every rewrite of the Dockerfile's own text."""
    return [] if document.result is None else document.positions.edits(document.result.text)


def _edit(document: Document, result: Result) -> WorkspaceEdit:
    own = TextDocumentEdit(OptionalVersionedTextDocumentIdentifier(document.uri), document.positions.edits(result.text))
    changes: list[TextDocumentEdit | CreateFile] = [own] if result.changed else []
    if result.ignore_file is not None and document.outcome.folder is not None:
        changes += _ignore_file_edits(document.outcome.folder / result.ignore_file.path, result.ignore_file, document.encoding)
    return WorkspaceEdit(document_changes=list(changes))


def _ignore_file_edits(path: Path, new: IgnoreFile, encoding: str) -> list[TextDocumentEdit | CreateFile]:
    uri = path.resolve().as_uri()
    edit = TextDocumentEdit(OptionalVersionedTextDocumentIdentifier(uri), Positions(new.before or "", encoding).edits(new.text))
    return [CreateFile(uri), edit] if new.before is None else [edit]


def hover_text(rewrites: list[Rewrite], findings: list[Finding]) -> str:
    """What rewrites do, why they are right and how safe they are, and why findings are not mended, in Markdown."""
    parts = []
    for rewrite in rewrites:
        lines = [f"**{rewrite.pass_name}**: {rewrite.summary} ({rewrite.safety.value})", *(f"- {each}" for each in rewrite.evidence)]
        parts.append("\n".join([*lines, *([f"- only if {rewrite.assumption}"] if rewrite.assumption else [])]))
    for finding in findings:
        parts.append(f"**{finding.check}**: {finding.message}\n- not mended: {finding.reason}")
    return "\n\n".join(parts)
