"""The language server as an editor meets it: a client on its standard input and output."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

import optimizer

SOURCE = "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\nADD a.txt /\n"
Talk = Callable[["Editor"], Awaitable[None]]


class Editor:
    """A client with the diagnostics that it was sent, by document."""

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.diagnostics: dict[str, list[lsp.Diagnostic]] = {}
        self.news = asyncio.Event()

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    async def open(self, uri: str, text: str) -> list[lsp.Diagnostic]:
        self.news.clear()
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "dockerfile", 1, text)))
        return await self.next(uri)

    async def change(self, uri: str, version: int, text: str) -> None:
        document = lsp.VersionedTextDocumentIdentifier(version, uri)
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, [lsp.TextDocumentContentChangeWholeDocument(text)]))

    async def next(self, uri: str) -> list[lsp.Diagnostic]:
        await asyncio.wait_for(self.news.wait(), 30)
        self.news.clear()
        return self.diagnostics[uri]

    async def actions(self, uri: str, first: int, last: int, *only: str) -> list[lsp.CodeAction]:
        where = lsp.Range(lsp.Position(first, 0), lsp.Position(last, 0))
        kinds = list(only) or None
        context = lsp.CodeActionContext(self.diagnostics.get(uri, []), only=kinds)
        found = await self.client.text_document_code_action_async(lsp.CodeActionParams(lsp.TextDocumentIdentifier(uri), where, context))
        return [each for each in found or () if isinstance(each, lsp.CodeAction)]


def talk(folder: Path, what: Talk, settings: dict[str, Any] | None = None) -> None:
    """Start a server in a folder, let a client talk to it, and shut it down."""

    async def session() -> None:
        client = LanguageClient("editor", "1")
        editor = Editor(client, folder)

        @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: lsp.PublishDiagnosticsParams) -> None:
            editor.diagnostics[params.uri] = list(params.diagnostics)
            editor.news.set()

        @client.feature(lsp.WORKSPACE_CONFIGURATION)
        def configuration(_params: lsp.ConfigurationParams) -> list[Any]:
            return [settings]

        root = str(Path(optimizer.__file__).parents[1])
        await client.start_io(sys.executable, "-m", "optimizer", "lsp", cwd=folder, env={**os.environ, "PYTHONPATH": root})
        workspace = lsp.WorkspaceClientCapabilities(configuration=settings is not None)
        await client.initialize_async(
            lsp.InitializeParams(lsp.ClientCapabilities(workspace=workspace), root_uri=folder.as_uri(), process_id=os.getpid())
        )
        client.initialized(lsp.InitializedParams())
        try:
            await asyncio.wait_for(what(editor), 60)
        finally:
            await client.shutdown_async(None)
            client.exit(None)
            await client.stop()

    asyncio.run(session())


def applied(text: str, edits: list[Any]) -> str:
    """A text after edits of the protocol; for texts whose characters are one UTF-16 unit each."""
    lines = text.splitlines(keepends=True)
    starts = [sum(map(len, lines[:n])) for n in range(len(lines) + 1)]

    def offset(position: lsp.Position) -> int:
        return starts[position.line] + position.character

    for edit in sorted(edits, key=lambda each: offset(each.range.start), reverse=True):
        text = text[: offset(edit.range.start)] + edit.new_text + text[offset(edit.range.end) :]
    return text


def of_dockerfile(action: lsp.CodeAction) -> list[Any]:
    """The edits of the document itself."""
    assert action.edit is not None
    changes = [c for c in action.edit.document_changes or () if isinstance(c, lsp.TextDocumentEdit)]
    return list(changes[0].edits)


def test_what_an_editor_is_told_equals_what_fix_does(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    wanted = optimizer.optimize(SOURCE, context=tmp_path)
    assert len(wanted.rewrites) == 2

    async def what(editor: Editor) -> None:
        uri = editor.uri("Dockerfile")
        found = await editor.open(uri, SOURCE)
        expected = [(r.pass_name, r.summary, r.lines[0] - 1) for r in wanted.rewrites]
        assert [(d.code, d.message, d.range.start.line) for d in found] == expected
        (every,) = await editor.actions(uri, 0, 0, "source.fixAll")
        assert applied(SOURCE, of_dockerfile(every)) == wanted.text
        document = lsp.TextDocumentIdentifier(uri)
        edits = await editor.client.text_document_formatting_async(lsp.DocumentFormattingParams(document, lsp.FormattingOptions(4, True)))
        assert applied(SOURCE, list(edits or ())) == wanted.text

    talk(tmp_path, what)


def test_a_quick_fix_makes_one_rewrite(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")

    async def what(editor: Editor) -> None:
        uri = editor.uri("Dockerfile")
        await editor.open(uri, SOURCE)
        (fix,) = await editor.actions(uri, 3, 3, "quickfix")
        assert applied(SOURCE, of_dockerfile(fix)) == SOURCE.replace("ADD", "COPY")
        assert [d.code for d in fix.diagnostics or ()] == ["copy-instead-of-add"]
        shown = await editor.client.text_document_hover_async(lsp.HoverParams(lsp.TextDocumentIdentifier(uri), lsp.Position(1, 2)))
        assert shown is not None
        assert isinstance(shown.contents, lsp.MarkupContent)
        assert "**merge-runs**" in shown.contents.value
        assert "(safe)" in shown.contents.value

    talk(tmp_path, what)


def test_errors_while_typing_and_settings(tmp_path: Path) -> None:
    async def what(editor: Editor) -> None:
        uri = editor.uri("Dockerfile")
        assert await editor.open(uri, "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n") == []  # the settings leave the pass out
        await editor.change(uri, 2, "FROM debian:bookworm\nRU")
        await editor.change(uri, 3, "FROM debian:bookworm\nRUN mkdir /ü😀\nUNKNOWN x")
        found = await editor.next(uri)
        assert [(d.severity, d.range.start.line) for d in found] == [(lsp.DiagnosticSeverity.Error, 2)]
        assert "unknown instruction: UNKNOWN" in found[0].message
        assert await editor.actions(uri, 0, 3) == []

    talk(tmp_path, what, settings={"ignore": ["merge-runs"]})


def test_an_ignore_file_is_made_beside(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"x")
    (tmp_path / "a.py").write_text("print(1)\n")
    text = "FROM debian:bookworm\nCOPY . /srv/\n"

    async def what(editor: Editor) -> None:
        uri = editor.uri("Dockerfile")
        await editor.open(uri, text)
        (every,) = await editor.actions(uri, 0, 3, "source.fixAll.dopt")
        assert every.edit is not None
        kinds = [type(change).__name__ for change in every.edit.document_changes or ()]
        assert kinds == ["CreateFile", "TextDocumentEdit"]
        assert of_dockerfile(every)[0].new_text == "**/__pycache__\n"

    talk(tmp_path, what)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_positions(line_end: str) -> None:
    from optimizer.lsp.positions import edits_between, lines_range, position_at

    text = line_end.join(["FROM a", "RUN 😀 b", "RUN c", ""])
    where = lines_range(text, 2, 2)
    assert (where.start, where.end) == (lsp.Position(1, 0), lsp.Position(1, 8))
    assert lines_range(text, 3, 3).end == lsp.Position(2, 5)
    assert position_at(text, len(text)) == lsp.Position(3, 0)
    edits = edits_between(text, text.replace("RUN c", "RUN d"))
    assert [(e.range.start, e.range.end, e.new_text) for e in edits] == [(lsp.Position(2, 0), lsp.Position(3, 0), f"RUN d{line_end}")]


def test_the_open_corpus_reads_the_same(corpus: list[Path], tmp_path: Path) -> None:
    """The first 200 files: what the server makes of each is what ``dopt fix`` writes."""
    from click.testing import CliRunner

    from optimizer.cli import main
    from optimizer.config import Configs
    from optimizer.lsp.documents import format_edits, read_document
    from optimizer.request import Request

    request = Request(
        write=False, diff=False, select=None, ignore=None, also=None, unsafe=None, target=None, runtime=None, context=None, quiet=True,
        verbose=False, color="never", configs=Configs(), starts=(tmp_path,),
    )  # fmt: skip
    told: dict[Path, str] = {}
    for number, path in enumerate(corpus[:200]):
        file = tmp_path / str(number) / "Dockerfile"
        file.parent.mkdir()
        file.write_bytes(path.read_bytes())
        text = optimizer.decode(path.read_bytes())
        document = read_document(file.as_uri(), file, text, request)
        told[file] = text if document.result is None else document.result.text
        plain = "\r" not in text and all(ord(c) < 0x10000 for c in text) and text.count("\n") == len(text.splitlines())
        if plain:
            assert applied(text, format_edits(document)) == told[file]
    CliRunner().invoke(main, ["fix", "--quiet", str(tmp_path)])
    assert [str(file) for file, text in told.items() if optimizer.decode(file.read_bytes()) != text] == []
