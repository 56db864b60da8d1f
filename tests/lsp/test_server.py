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
from optimizer.config import Configs
from optimizer.lsp.documents import format_edits, read_document
from optimizer.lsp.positions import Positions
from optimizer.request import Request

SOURCE = "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\nADD a.txt /\n"
Talk = Callable[["Editor"], Awaitable[None]]


class Editor:
    """A client with the diagnostics that it was sent, by document."""

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.diagnostics: dict[str, list[lsp.Diagnostic]] = {}
        self.versions: list[int | None] = []
        self.watched: list[str] = []
        self.said: list[str] = []
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


def talk(folder: Path, what: Talk, settings: dict[str, Any] | None = None, *, able: bool = False, options: Any = None) -> None:
    """Start a server in a folder, let a client talk to it, and shut it down.

    ``settings`` is what the client answers when it is asked, ``options`` what it starts with. One that is ``able`` resolves
    actions, watches files and counts bytes.
    """

    async def session() -> None:
        client = LanguageClient("editor", "1")
        editor = Editor(client, folder)

        @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: lsp.PublishDiagnosticsParams) -> None:
            editor.diagnostics[params.uri] = list(params.diagnostics)
            editor.versions.append(params.version)
            editor.news.set()

        @client.feature(lsp.WORKSPACE_CONFIGURATION)
        def configuration(_params: lsp.ConfigurationParams) -> list[Any]:
            return [settings]

        @client.feature(lsp.CLIENT_REGISTER_CAPABILITY)
        def register(params: lsp.RegistrationParams) -> None:
            editor.watched += [each["globPattern"] for one in params.registrations for each in one.register_options["watchers"]]

        @client.feature(lsp.WINDOW_SHOW_MESSAGE)
        def shown(params: lsp.ShowMessageParams) -> None:
            editor.said.append(params.message)

        root = str(Path(optimizer.__file__).parents[1])
        await client.start_io(sys.executable, "-m", "optimizer", "lsp", cwd=folder, env={**os.environ, "PYTHONPATH": root})
        files = lsp.DidChangeWatchedFilesClientCapabilities(dynamic_registration=able)
        workspace = lsp.WorkspaceClientCapabilities(configuration=settings is not None, did_change_watched_files=files)
        resolving = lsp.CodeActionClientCapabilities(resolve_support=lsp.ClientCodeActionResolveOptions(["edit"]) if able else None)
        general = lsp.GeneralClientCapabilities(position_encodings=["utf-8", "utf-16"] if able else None)
        document = lsp.TextDocumentClientCapabilities(code_action=resolving)
        capabilities = lsp.ClientCapabilities(workspace=workspace, text_document=document, general=general)
        await client.initialize_async(lsp.InitializeParams(capabilities, root_uri=folder.as_uri(), initialization_options=options))
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


def asked(folder: Path) -> Request:
    """What a client without settings asks for."""
    return Request(
        write=False, diff=False, select=None, ignore=None, also=None, unsafe=None, target=None, runtime=None, context=None,
        quiet=True, verbose=False, color="never", configs=Configs(), starts=(folder,),
    )  # fmt: skip


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
        fix, keep = await editor.actions(uri, 3, 3, "quickfix")
        assert (keep.title, [d.code for d in keep.diagnostics or ()]) == (
            "Keep as it is: # dopt: ignore[copy-instead-of-add]",
            ["copy-instead-of-add"],
        )
        kept = applied(SOURCE, of_dockerfile(keep))
        assert kept == SOURCE.replace("ADD", "# dopt: ignore[copy-instead-of-add]\nADD")
        assert [each.pass_name for each in optimizer.optimize(kept, context=tmp_path).rewrites] == ["merge-runs"]
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


@pytest.mark.parametrize("options", [{"ignore": ["merge-runs"]}, {"dopt": {"ignore": ["merge-runs"]}}])
@pytest.mark.parametrize("settings", [None, {}, {"ignore": []}])
def test_settings_that_a_client_starts_with(tmp_path: Path, options: dict[str, Any], settings: dict[str, Any] | None) -> None:
    async def what(editor: Editor) -> None:
        found = await editor.open(editor.uri("Dockerfile"), "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\n")
        assert [each.code for each in found] == ([] if settings is None else ["merge-runs"])

    talk(tmp_path, what, settings, options=options)


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


def test_a_client_that_resolves_gets_edits_when_it_asks(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")

    async def what(editor: Editor) -> None:
        uri = editor.uri("Dockerfile")
        await editor.open(uri, SOURCE)
        fix, _ = await editor.actions(uri, 3, 3, "quickfix")
        assert fix.edit is None
        resolved = await editor.client.code_action_resolve_async(fix)
        assert applied(SOURCE, of_dockerfile(resolved)) == SOURCE.replace("ADD", "COPY")
        await editor.change(uri, 2, "FROM debian:bookworm\n")  # what it was about is gone
        assert (await editor.client.code_action_resolve_async(fix)).edit is None
        assert len(editor.said) == 1

    talk(tmp_path, what, able=True)


def test_a_finding_says_why_it_is_not_mended(tmp_path: Path) -> None:
    async def what(editor: Editor) -> None:
        uri = editor.uri("Dockerfile")
        found = await editor.open(uri, "FROM debian\n")
        assert [d.code for d in found] == ["unpinned-base"]
        shown = await editor.client.text_document_hover_async(lsp.HoverParams(lsp.TextDocumentIdentifier(uri), lsp.Position(0, 0)))
        assert shown is not None
        assert "not mended: " in shown.contents.value
        (keep,) = await editor.actions(uri, 0, 0, "quickfix")
        assert applied("FROM debian\n", of_dockerfile(keep)) == "# dopt: ignore[unpinned-base]\nFROM debian\n"

    talk(tmp_path, what)


def test_configuration_of_the_workspace_holds_and_may_change(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "dopt.toml").write_text('ignore = ["merge-runs"]\nexclude = ["vendor/**"]\n')

    async def what(editor: Editor) -> None:
        uri = editor.uri("Dockerfile")
        assert [d.code for d in await editor.open(uri, SOURCE)] == ["copy-instead-of-add"]
        assert await editor.open(editor.uri("vendor/Dockerfile"), SOURCE) == []
        await editor.client.text_document_formatting_async(
            lsp.DocumentFormattingParams(lsp.TextDocumentIdentifier(uri), lsp.FormattingOptions(4, True))
        )
        assert "**/dopt.toml" in editor.watched
        (tmp_path / "dopt.toml").write_text('ignore = ["copy-instead-of-ad"]\n')
        editor.news.clear()
        event = lsp.FileEvent(editor.uri("dopt.toml"), lsp.FileChangeType.Changed)
        editor.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([event]))
        (told,) = await editor.next(uri)
        assert told.severity == lsp.DiagnosticSeverity.Warning
        assert "did you mean 'copy-instead-of-add'?" in told.message

    talk(tmp_path, what, able=True)


def test_a_thousand_lines_are_looked_at_when_the_author_pauses(tmp_path: Path) -> None:
    text = "FROM debian:bookworm\n" + "".join(f"COPY --chown=app a{n} /srv/{n}/\n" for n in range(1000))

    async def what(editor: Editor) -> None:
        uri = editor.uri("Dockerfile")
        assert await editor.open(uri, text) == []
        typed = "RUN mkdir /a\nADD"
        last = len(typed) + 1
        for version in range(2, last + 1):
            await editor.change(uri, version, text + typed[: version - 1])
        while editor.versions[-1] != last:
            found = await editor.next(uri)
        assert [d.code for d in found] == ["syntax"]  # an ADD of nothing yet
        assert editor.versions == sorted(set(editor.versions))
        assert len(editor.versions) < last  # not every one on the way

    talk(tmp_path, what)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(("encoding", "width"), [("utf-8", 10), ("utf-16", 8), ("utf-32", 7)])
def test_positions(line_end: str, encoding: str, width: int) -> None:
    text = line_end.join(["FROM a", "RUN 😀 b", "RUN c", ""])
    positions = Positions(text, encoding)
    where = positions.lines(2, 2)
    assert (where.start, where.end) == (lsp.Position(1, 0), lsp.Position(1, width))
    assert positions.lines(3, 3).end == lsp.Position(2, 5)
    assert positions.at(len(text)) == lsp.Position(3, 0)
    edits = positions.edits(text.replace("RUN c", "RUN d"))
    assert [(e.range.start, e.range.end, e.new_text) for e in edits] == [(lsp.Position(2, 0), lsp.Position(3, 0), f"RUN d{line_end}")]


@pytest.mark.parametrize(("able", "width"), [(True, 18), (False, 15)])
def test_a_client_is_told_positions_in_its_own_units(able: bool, width: int, tmp_path: Path) -> None:
    async def what(editor: Editor) -> None:
        (told,) = await editor.open(editor.uri("Dockerfile"), "FROM debian:bookworm\nLABEL owner 😀é")
        assert told.range.end == lsp.Position(1, width)

    talk(tmp_path, what, able=able)


def test_edits_count_in_the_units_of_the_client(tmp_path: Path) -> None:
    """The last line has no end, so that its edit ends at a character."""
    text = "FROM debian:bookworm\nLABEL owner 😀é"
    request = asked(tmp_path)
    ends = {
        encoding: format_edits(read_document("file:///Dockerfile", tmp_path / "Dockerfile", text, request, encoding))[
            -1
        ].range.end.character
        for encoding in ("utf-8", "utf-16", "utf-32")
    }
    assert ends == {"utf-8": 18, "utf-16": 15, "utf-32": 14}


def test_the_open_corpus_reads_the_same(corpus: list[Path], tmp_path: Path) -> None:
    """The first 200 files: what the server makes of each is what ``dopt fix`` writes."""
    from click.testing import CliRunner

    from optimizer.cli import main

    request = asked(tmp_path)
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
