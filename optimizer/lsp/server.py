"""The language server: documents come in, diagnostics, quick fixes and edits go out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from optimizer import __version__
from optimizer.config import Configs
from optimizer.engine.result import RewriteKey
from optimizer.lsp import documents
from optimizer.lsp.documents import Document
from optimizer.request import Request

PATIENCE = 3  # seconds that a client has to answer what its settings are
PAUSE = 0.2  # seconds of silence before a text that is being typed is looked at
FIX_ALL = "source.fixAll.dopt"
COMMAND = "dopt.fixAll"
ALL = "Make all of dopt's rewrites"
KEEP = "Keep as it is: # dopt: ignore[{}]"
WATCHED = ("dopt.toml", "pyproject.toml", "*.dockerignore", ".containerignore", ".hadolint.y{a,}ml")
T = TypeVar("T")


class DoptServer(LanguageServer):
    """The server with what it knows: the last version of each document that was looked at, and the client's settings."""

    def __init__(self) -> None:
        super().__init__("dopt", __version__)
        self.settings: dict[str, Any] = {}
        self.first_settings: dict[str, Any] = {}
        self.known: dict[str, tuple[int | None, Document]] = {}
        self.looking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
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
        async with self.looking[uri]:  # of those who wait here while the text changes, the first looks at the newest one
            source = self.workspace.get_text_document(uri)
            version, known = self.known.get(uri, (None, None))
            if known is None or version != source.version or known.text != source.source:
                text, path, encoding = source.source, _path_of(uri, self.workspace.root_path), self.workspace.position_encoding
                known = await self.off(documents.read_document, uri, path, text, self.request(), encoding or lsp.PositionEncodingKind.Utf16)
                self.known[uri] = source.version, known
        return known

    async def off(self, work: Callable[..., T], *given: Any) -> T:
        """What a function returns, called off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(None, work, *given)

    async def publish(self, uri: str) -> None:
        """Send the diagnostics of a document, unless it changed or was closed meanwhile."""
        version = self.workspace.get_text_document(uri).version
        found = await self.off(documents.diagnostics_of, await self.document(uri))
        if uri in self.workspace.text_documents and self.workspace.get_text_document(uri).version == version:
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, found, version))

    async def look_anew(self) -> None:
        """Publish the diagnostics of all open documents again: settings or files beside them have changed."""
        self.known.clear()
        for uri in list(self.workspace.text_documents):
            await self.publish(uri)


def _path_of(uri: str, root: str | None) -> Path:
    """Where a document lies; one that was never saved counts as a Dockerfile of the workspace's folder."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path) if path else Path(root or ".") / "Dockerfile"


server = DoptServer()


@server.feature(lsp.INITIALIZE)
def initialize(ls: DoptServer, params: lsp.InitializeParams) -> None:
    """Take the settings that a client starts with; they hold until it gives others."""
    given = params.initialization_options
    if isinstance(given, dict):
        ls.settings = ls.first_settings = given["dopt"] if isinstance(given.get("dopt"), dict) else given


@server.feature(lsp.INITIALIZED)
async def initialized(ls: DoptServer, _params: lsp.InitializedParams) -> None:
    """Ask for the client's settings, and to be told when files change that say how documents are done."""
    try:
        await _read_settings(ls)
    finally:
        ls.ready.set()
    watching = ls.client_capabilities.workspace and ls.client_capabilities.workspace.did_change_watched_files
    if watching and watching.dynamic_registration:
        options = lsp.DidChangeWatchedFilesRegistrationOptions([lsp.FileSystemWatcher(f"**/{name}") for name in WATCHED])
        wanted = lsp.Registration("files", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        await ls.client_register_capability_async(lsp.RegistrationParams([wanted]))


@server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
async def files_changed(ls: DoptServer, _params: lsp.DidChangeWatchedFilesParams) -> None:
    """Look at every document anew with the files as they are now."""
    await ls.look_anew()


@server.feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)
async def configuration_changed(ls: DoptServer, params: lsp.DidChangeConfigurationParams) -> None:
    """Look at every document anew with the new settings."""
    given = params.settings
    if isinstance(given, dict) and isinstance(given.get("dopt"), dict):
        ls.settings = given["dopt"]
    else:
        await _read_settings(ls)
    await ls.look_anew()


async def _read_settings(ls: DoptServer) -> None:
    workspace = ls.client_capabilities.workspace
    if workspace is not None and workspace.configuration:
        asked = lsp.ConfigurationParams([lsp.ConfigurationItem(section="dopt")])
        found = await ls.workspace_configuration_async(asked)
        ls.settings = found[0] if found and isinstance(found[0], dict) else ls.first_settings


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
    ls.looking.pop(params.text_document.uri, None)
    ls.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(params.text_document.uri, []))


@server.feature(
    lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix, FIX_ALL], resolve_provider=True)
)
async def code_actions(ls: DoptServer, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """Quick fixes for what is told of a range, to make a rewrite or to keep the lines as they are; and all rewrites at once."""
    document = await ls.document(params.text_document.uri)
    wanted = [str(getattr(kind, "value", kind)) for kind in params.context.only or ()]
    found: list[lsp.CodeAction] = []
    if not wanted or lsp.CodeActionKind.QuickFix.value in wanted:
        found += await _quick_fixes(ls, document, params)
    if not wanted or any(f"{FIX_ALL}.".startswith(f"{kind}.") for kind in wanted):
        edit = documents.fix_all(document)
        if edit is not None:
            found.append(lsp.CodeAction(ALL, kind=FIX_ALL, edit=edit))
    return found


async def _quick_fixes(ls: DoptServer, document: Document, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    def action(title: str, said: tuple[str, str], edit: lsp.WorkspaceEdit | None, key: RewriteKey | None = None) -> lsp.CodeAction:
        mended = [each for each in params.context.diagnostics if (each.code, each.message) == said]
        data = None if key is None else {"uri": document.uri, "key": key}
        return lsp.CodeAction(title, kind=lsp.CodeActionKind.QuickFix, diagnostics=mended, edit=edit, data=data)

    later = _resolves(ls)
    make: list[lsp.CodeAction] = []
    keep: list[lsp.CodeAction] = []
    for rewrite in documents.rewrites_at(document, params.range):
        said = rewrite.pass_name, rewrite.summary
        edit = None if later else await ls.off(documents.fix_one, document, rewrite)
        if later or edit is not None:
            make.append(action(rewrite.summary, said, edit, rewrite.key if later else None))
        keep.append(action(KEEP.format(rewrite.pass_name), said, documents.keep(document, rewrite.pass_name, rewrite.lines[0])))
    for finding in documents.findings_at(document, params.range):
        said = finding.check, finding.message
        keep.append(action(KEEP.format(finding.check), said, documents.keep(document, finding.check, finding.line)))
    return make + keep


def _resolves(ls: DoptServer) -> bool:
    """Whether the client asks for an action's edit only when somebody chooses the action."""
    document = ls.client_capabilities.text_document
    resolve = document and document.code_action and document.code_action.resolve_support
    return bool(resolve and "edit" in resolve.properties)


@server.feature(lsp.CODE_ACTION_RESOLVE)
async def resolve_action(ls: DoptServer, action: lsp.CodeAction) -> lsp.CodeAction:
    """The edit of a quick fix. Where a rewrite is possible only behind another, that is said."""
    if action.edit is None and isinstance(action.data, dict):
        document = await ls.document(action.data["uri"])
        name, lines, summary = action.data["key"]
        rewrites = document.result.rewrites if document.result is not None else ()
        rewrite = next((each for each in rewrites if each.key == (name, tuple(lines), summary)), None)
        action.edit = None if rewrite is None else await ls.off(documents.fix_one, document, rewrite)
        if action.edit is None:
            message = f"dopt: '{summary}' is possible only behind other rewrites; '{ALL}' makes them"
            ls.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Info, message))
    return action


@server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
async def formatting(ls: DoptServer, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
    """Every rewrite of the text."""
    return documents.format_edits(await ls.document(params.text_document.uri))


@server.feature(lsp.TEXT_DOCUMENT_HOVER)
async def hover(ls: DoptServer, params: lsp.HoverParams) -> lsp.Hover | None:
    """The evidence of the rewrites at a place."""
    document = await ls.document(params.text_document.uri)
    here = lsp.Range(params.position, params.position)
    text = documents.hover_text(documents.rewrites_at(document, here), documents.findings_at(document, here))
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text)) if text else None


@server.command(COMMAND)
async def fix_all_command(ls: DoptServer, uri: str) -> None:
    """Make every rewrite in the document of a URI."""
    edit = documents.fix_all(await ls.document(uri))
    if edit is not None:
        await ls.workspace_apply_edit_async(lsp.ApplyWorkspaceEditParams(edit, label="dopt"))
