"""The language server: documents come in, diagnostics, quick fixes and edits go out."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from optimizer import __version__
from optimizer.config import Configs
from optimizer.lsp.documents import Document, diagnostics_of, fix_all, fix_one, format_edits, hover_text, read_document, rewrites_at
from optimizer.request import Request

PATIENCE = 3  # seconds that a client has to answer what its settings are
PAUSE = 0.2  # seconds of silence before a text that is being typed is looked at
FIX_ALL = "source.fixAll.dopt"
COMMAND = "dopt.fixAll"


class DoptServer(LanguageServer):
    """The server with what it knows: the last version of each document that was looked at, and the client's settings."""

    def __init__(self) -> None:
        super().__init__("dopt", __version__)
        self.settings: dict[str, Any] = {}
        self.known: dict[str, tuple[int | None, Document]] = {}
        self.ready = asyncio.Event()

    def request(self) -> Request:
        """How documents are asked for: the client's settings where there are any, else each one's configuration."""
        folders = [to_fs_path(uri) for uri in self.workspace.folders] or [self.workspace.root_path]
        names = {key: frozenset(value) for key in ("select", "ignore", "also") if isinstance(value := self.settings.get(key), list)}
        unsafe, runtime = self.settings.get("unsafe"), self.settings.get("runtime")
        return Request(
            write=False, diff=False, select=names.get("select"), ignore=names.get("ignore"), also=names.get("also"),
            unsafe=unsafe if isinstance(unsafe, bool) else None, target=None, context=None, quiet=True, verbose=False, color="never",
            runtime=runtime if runtime in ("same", "slim", "distroless") else None,
            configs=Configs(), starts=tuple(Path(folder) for folder in folders if folder),
        )  # fmt: skip

    async def document(self, uri: str) -> Document:
        """What there is to say of the text of a document as it is now; read off the event loop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ready.wait(), PATIENCE)
        self.ready.set()
        source = self.workspace.get_text_document(uri)
        version, known = self.known.get(uri, (None, None))
        if known is None or version != source.version or known.text != source.source:
            text, path = source.source, _path_of(uri, self.workspace.root_path)
            known = await asyncio.get_running_loop().run_in_executor(None, read_document, uri, path, text, self.request())
            self.known[uri] = source.version, known
        return known

    async def publish(self, uri: str) -> None:
        """Send the diagnostics of a document, unless it changed again meanwhile."""
        version = self.workspace.get_text_document(uri).version
        document = await self.document(uri)
        if self.workspace.get_text_document(uri).version == version:
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, diagnostics_of(document), version))


def _path_of(uri: str, root: str | None) -> Path:
    """Where a document lies; one that was never saved counts as a Dockerfile of the workspace's folder."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path) if path else Path(root or ".") / "Dockerfile"


server = DoptServer()


@server.feature(lsp.INITIALIZED)
async def initialized(ls: DoptServer, _params: lsp.InitializedParams) -> None:
    """Ask for the client's settings."""
    try:
        await _read_settings(ls)
    finally:
        ls.ready.set()


@server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)
async def configuration_changed(ls: DoptServer, params: lsp.DidChangeConfigurationParams) -> None:
    """Look at every document anew with the new settings."""
    given = params.settings
    if isinstance(given, dict) and isinstance(given.get("dopt"), dict):
        ls.settings = given["dopt"]
    else:
        await _read_settings(ls)
    ls.known.clear()
    for uri in list(ls.workspace.text_documents):
        await ls.publish(uri)


async def _read_settings(ls: DoptServer) -> None:
    workspace = ls.client_capabilities.workspace
    if workspace is not None and workspace.configuration:
        asked = lsp.ConfigurationParams([lsp.ConfigurationItem(section="dopt")])
        found = await ls.workspace_configuration_async(asked)
        ls.settings = found[0] if found and isinstance(found[0], dict) else {}


@server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
async def opened(ls: DoptServer, params: lsp.DidOpenTextDocumentParams) -> None:
    """Look at a document."""
    await ls.publish(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
async def changed(ls: DoptServer, params: lsp.DidChangeTextDocumentParams) -> None:
    """Look at a document when its author pauses."""
    uri, version = params.text_document.uri, params.text_document.version
    await asyncio.sleep(PAUSE)
    if uri in ls.workspace.text_documents and ls.workspace.get_text_document(uri).version == version:
        await ls.publish(uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
async def saved(ls: DoptServer, params: lsp.DidSaveTextDocumentParams) -> None:
    """Look at a document again: files of its build context may be others."""
    ls.known.pop(params.text_document.uri, None)
    await ls.publish(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
def closed(ls: DoptServer, params: lsp.DidCloseTextDocumentParams) -> None:
    """Forget a document."""
    ls.known.pop(params.text_document.uri, None)
    ls.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(params.text_document.uri, []))


@server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix, FIX_ALL]))
async def code_actions(ls: DoptServer, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """A quick fix for each rewrite in a range, and all of them at once."""
    document = await ls.document(params.text_document.uri)
    wanted = [str(getattr(kind, "value", kind)) for kind in params.context.only or ()]
    found: list[lsp.CodeAction] = []
    if not wanted or lsp.CodeActionKind.QuickFix.value in wanted:
        loop = asyncio.get_running_loop()
        for rewrite in rewrites_at(document, params.range):
            edit = await loop.run_in_executor(None, fix_one, document, rewrite)
            if edit is not None:
                said = rewrite.pass_name, rewrite.summary
                mended = [d for d in params.context.diagnostics if (d.code, d.message) == said]
                found.append(lsp.CodeAction(rewrite.summary, kind=lsp.CodeActionKind.QuickFix, diagnostics=mended, edit=edit))
    if not wanted or any(f"{FIX_ALL}.".startswith(f"{kind}.") for kind in wanted):
        edit = fix_all(document)
        if edit is not None:
            found.append(lsp.CodeAction("Make all of dopt's rewrites", kind=FIX_ALL, edit=edit))
    return found


@server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
async def formatting(ls: DoptServer, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
    """Every rewrite of the text."""
    return format_edits(await ls.document(params.text_document.uri))


@server.feature(lsp.TEXT_DOCUMENT_HOVER)
async def hover(ls: DoptServer, params: lsp.HoverParams) -> lsp.Hover | None:
    """The evidence of the rewrites at a place."""
    document = await ls.document(params.text_document.uri)
    found = rewrites_at(document, lsp.Range(params.position, params.position))
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, hover_text(found))) if found else None


@server.command(COMMAND)
async def fix_all_command(ls: DoptServer, uri: str) -> None:
    """Make every rewrite in the document of a URI."""
    edit = fix_all(await ls.document(uri))
    if edit is not None:
        await ls.workspace_apply_edit_async(lsp.ApplyWorkspaceEditParams(edit, label="dopt"))
