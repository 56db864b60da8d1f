"""What dopt has to say of one open document. No protocol here but for its values."""

from __future__ import annotations

from pathlib import Path

from lsprotocol.types import (
    CreateFile,
    Diagnostic,
    DiagnosticSeverity,
    OptionalVersionedTextDocumentIdentifier,
    Range,
    TextDocumentEdit,
    TextEdit,
    WorkspaceEdit,
)
from msgspec import Struct

import optimizer
from optimizer.engine import Options, Result, Rewrite
from optimizer.engine.single import alone
from optimizer.lsp.positions import edits_between, lines_range
from optimizer.outcome import Outcome, outcome_of
from optimizer.passes.base import IgnoreFile
from optimizer.request import Request
from optimizer.syntax import encode, parse

SOURCE = "dopt"


class Document(Struct, frozen=True):
    """One version of a document and what came of it.

    Args:
        uri: As the editor names it.
        path: Where it lies; for a text without a file, a name in the folder that it would be saved in.
        text: Its text, saved or not.
        outcome: What ``dopt fix`` would do with it.
        request: How it was asked.
    """

    uri: str
    path: Path
    text: str
    outcome: Outcome
    request: Request

    @property
    def result(self) -> Result | None:
        """The rewrites, None where the text cannot be done."""
        return self.outcome.result


def read_document(uri: str, path: Path, text: str, request: Request) -> Document:
    """Find out what there is to do in a text. What goes wrong is part of the outcome."""
    return Document(uri, path, text, outcome_of(path, encode(text), request), request)


def diagnostics_of(document: Document) -> list[Diagnostic]:
    """Errors as BuildKit says them; without any, a hint for each rewrite and each finding, and what keeps dopt from working."""
    text = document.text
    problems = parse(text).problems
    if problems:
        return [_diagnostic(lines_range(text, p.line, p.line), p.message, DiagnosticSeverity.Error, "syntax") for p in problems]
    if document.result is None:
        return [_diagnostic(lines_range(text, 1, 1), str(error), DiagnosticSeverity.Warning, "dopt") for error in document.outcome.errors]
    kind = DiagnosticSeverity.Information
    rewrites = [_diagnostic(lines_range(text, *each.lines), each.summary, kind, each.pass_name) for each in document.result.rewrites]
    return rewrites + [_diagnostic(lines_range(text, f.line, f.line), f.message, kind, f.check) for f in document.result.findings]


def _diagnostic(where: Range, message: str, severity: DiagnosticSeverity, code: str) -> Diagnostic:
    return Diagnostic(where, message, severity=severity, code=code, source=SOURCE)


def rewrites_at(document: Document, where: Range) -> list[Rewrite]:
    """The rewrites whose lines a range touches."""
    found = document.result.rewrites if document.result is not None else ()
    ranges = [(rewrite, lines_range(document.text, *rewrite.lines)) for rewrite in found]
    return [rewrite for rewrite, own in ranges if own.start.line <= where.end.line and where.start.line <= own.end.line]


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


def format_edits(document: Document) -> list[TextEdit]:
    """Every rewrite of the Dockerfile's own text."""
    return [] if document.result is None else edits_between(document.text, document.result.text)


def _edit(document: Document, result: Result) -> WorkspaceEdit:
    own = TextDocumentEdit(OptionalVersionedTextDocumentIdentifier(document.uri), edits_between(document.text, result.text))
    changes: list[TextDocumentEdit | CreateFile] = [own] if result.changed else []
    if result.ignore_file is not None and document.outcome.folder is not None:
        changes += _ignore_file_edits(document.outcome.folder / result.ignore_file.path, result.ignore_file)
    return WorkspaceEdit(document_changes=list(changes))


def _ignore_file_edits(path: Path, new: IgnoreFile) -> list[TextDocumentEdit | CreateFile]:
    uri = path.resolve().as_uri()
    edit = TextDocumentEdit(OptionalVersionedTextDocumentIdentifier(uri), edits_between(new.before or "", new.text))
    return [CreateFile(uri), edit] if new.before is None else [edit]


def hover_text(rewrites: list[Rewrite]) -> str:
    """What rewrites do, why they are right and how safe they are, in Markdown."""
    parts = []
    for rewrite in rewrites:
        lines = [f"**{rewrite.pass_name}**: {rewrite.summary} ({rewrite.safety.value})", *(f"- {each}" for each in rewrite.evidence)]
        parts.append("\n".join([*lines, *([f"- only if {rewrite.assumption}"] if rewrite.assumption else [])]))
    return "\n\n".join(parts)
