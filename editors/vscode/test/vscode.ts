/**
 * What of the editor's module the extension and its client library need, held in memory: documents that a test opens, the
 * providers, commands and diagnostics that come of it. Events that no test fires, and classes that only have to exist, are made up.
 */
import nodeEvents = require("node:events");
import uris = require("vscode-uri");

const { URI } = uris;
type URI = uris.URI;

type Anything = any; // eslint-disable-line

class Disposable {
  constructor(readonly dispose: () => void = () => {}) {}
}

class EventEmitter<T> {
  private readonly emitter = new nodeEvents.EventEmitter();
  readonly event = (listener: (value: T) => Anything, self?: unknown): Disposable => {
    const bound = listener.bind(self);
    this.emitter.on("event", bound);
    return new Disposable(() => this.emitter.off("event", bound));
  };
  fire(value: T): void {
    this.emitter.emit("event", value);
  }
  dispose(): void {
    this.emitter.removeAllListeners();
  }
}

class Position {
  constructor(readonly line: number, readonly character: number) {}
}

class Range {
  constructor(readonly start: Position, readonly end: Position) {}
}
function rangeOf(a: Anything, b: Anything, c?: number, d?: number): Range {
  return c === undefined ? new Range(a, b) : new Range(new Position(a, b), new Position(c, d as number));
}
const RangeOf = new Proxy(Range, { construct: (_, [a, b, c, d]) => rangeOf(a, b, c, d) });

class Diagnostic {
  source?: string;
  code?: unknown;
  constructor(readonly range: Range, readonly message: string, readonly severity: number) {}
}

class TextEdit {
  constructor(readonly range: Range, readonly newText: string) {}
  static replace = (range: Range, text: string): TextEdit => new TextEdit(range, text);
  static insert = (at: Position, text: string): TextEdit => new TextEdit(new Range(at, at), text);
  static delete = (range: Range): TextEdit => new TextEdit(range, "");
}

class WorkspaceEdit {
  readonly edits: [URI, TextEdit[]][] = [];
  readonly created: URI[] = [];
  set(uri: URI, edits: (TextEdit | [TextEdit, unknown])[]): void {
    this.edits.push([uri, edits.map((each) => (Array.isArray(each) ? each[0] : each))]);
  }
  createFile(uri: URI): void {
    this.created.push(uri);
  }
}

class Document {
  version = 1;
  isClosed = false;
  constructor(readonly uri: URI, readonly languageId: string, private text: string) {}
  readonly getText = (): string => this.text;
  edit(edits: readonly TextEdit[]): void {
    const starts = [0, ...[...this.text.matchAll(/\r\n|\n|\r/g)].map((each) => each.index + each[0].length)];
    const offset = (at: Position): number => (starts[at.line] ?? this.text.length) + at.character;
    for (const each of [...edits].sort((a, b) => offset(b.range.start) - offset(a.range.start))) {
      this.text = this.text.slice(0, offset(each.range.start)) + each.newText + this.text.slice(offset(each.range.end));
    }
    this.version += 1;
    const range = new Range(new Position(0, 0), new Position(starts.length, 0));
    events["onDidChangeTextDocument"]!.fire({ document: this, contentChanges: [{ range, text: this.text }] });
  }
}

/** What a test sets and looks at. */
const state = {
  settings: {} as Record<string, unknown>,
  documents: [] as Document[],
  diagnostics: new Map<string, Diagnostic[]>(),
  providers: {} as Record<string, Anything>,
  contents: {} as Record<string, Anything>,
  commands: {} as Record<string, Anything>,
  executed: [] as [string, ...Anything[]][],
  created: [] as string[],
  shown: [] as string[],
  log: [] as string[],
  folder: undefined as string | undefined,
};

const events: Record<string, EventEmitter<Anything>> = new Proxy({} as Record<string, EventEmitter<Anything>>, {
  get: (known, name: string) => (known[name] ??= new EventEmitter()),
});

/** Open a document, as a person does. */
function open(document: Document): Document {
  state.documents.push(document);
  events["onDidOpenTextDocument"]!.fire(document);
  window.activeTextEditor = { document };
  return document;
}

/** An object with what is given; its events are those above, and anything else that is asked of it can be called and does nothing. */
function namespace<T extends object>(given: T): T & Anything {
  return new Proxy(given as Anything, {
    get: (known, name: string) => {
      if (name in known) return known[name];
      return name.startsWith("on") ? events[name]!.event : () => new Disposable();
    },
  });
}

const say = (level: string) => (...text: unknown[]): void => void state.log.push(`${level} ${text.join(" ")}`);
const shows = (message: string): Promise<undefined> => (state.shown.push(message), Promise.resolve(undefined));

const window = namespace({
  activeTextEditor: undefined as { document: Document } | undefined,
  visibleTextEditors: [],
  tabGroups: namespace({ all: [] }),
  createOutputChannel: () =>
    namespace({ name: "dopt", trace: say("trace"), debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error"), append: say("out"), appendLine: say("out") }),
  showErrorMessage: shows,
  showInformationMessage: shows,
});

const workspace = namespace({
  isTrusted: true,
  notebookDocuments: [],
  get textDocuments() {
    return state.documents;
  },
  get workspaceFolders() {
    return state.folder === undefined ? undefined : [{ uri: URI.file(state.folder), name: "folder", index: 0 }];
  },
  getWorkspaceFolder: () => undefined,
  createFileSystemWatcher: () => namespace({}),
  getConfiguration: (section?: string) => {
    const all = section === undefined || section === "dopt" ? state.settings : {};
    return namespace({ ...all, get: (key: string, or: unknown) => (key === "dopt" ? all : all[key] ?? or), inspect: () => undefined });
  },
  registerTextDocumentContentProvider: (scheme: string, provider: Anything) => ((state.contents[scheme] = provider), new Disposable()),
  openTextDocument: (uri: URI) => Promise.resolve(state.documents.find((each) => each.uri.toString() === uri.toString())),
  applyEdit: (edit: WorkspaceEdit) => {
    state.created.push(...edit.created.map(String));
    for (const [uri, edits] of edit.edits) state.documents.find((each) => each.uri.toString() === uri.toString())?.edit(edits);
    return Promise.resolve(true);
  },
});

const languages = new Proxy({} as Anything, {
  get: (_, name: string) => {
    if (name === "createDiagnosticCollection") {
      return () =>
        namespace({
          set: (uri: URI, found: Diagnostic[]) => (state.diagnostics.set(uri.toString(), found ?? []), events["diagnostics"]!.fire(uri)),
          delete: (uri: URI) => state.diagnostics.delete(uri.toString()),
        });
    }
    if (name === "match") {
      return (selector: Anything, document: Document) =>
        [selector].flat().some((each: Anything) => each.language === document.languageId && each.scheme === document.uri.scheme) ? 10 : 0;
    }
    return (_selector: unknown, provider: Anything) => ((state.providers[name] = provider), new Disposable());
  },
});

const commands = {
  registerCommand: (name: string, run: Anything) => ((state.commands[name] = run), new Disposable(() => delete state.commands[name])),
  executeCommand: (...call: [string, ...Anything[]]) => (state.executed.push(call), Promise.resolve()),
  getCommands: () => Promise.resolve(Object.keys(state.commands)),
};

class CodeActionKind {
  static readonly Empty = new CodeActionKind("");
  static readonly QuickFix = new CodeActionKind("quickfix");
  constructor(readonly value: string) {}
  append(part: string): CodeActionKind {
    return new CodeActionKind(this.value === "" ? part : `${this.value}.${part}`);
  }
}

class CodeAction {
  edit?: WorkspaceEdit;
  constructor(readonly title: string, readonly kind: CodeActionKind) {}
}

class MarkdownString {
  constructor(public value = "") {}
  appendMarkdown(text: string): void {
    this.value += text;
  }
}

class Hover {
  constructor(readonly contents: unknown) {}
}

class CancellationTokenSource {
  token = { isCancellationRequested: false, onCancellationRequested: () => new Disposable() };
  cancel(): void {}
  dispose(): void {}
}

const known = {
  Disposable, EventEmitter, Position, Range: RangeOf, Diagnostic, TextEdit, WorkspaceEdit, CodeAction, CodeActionKind,
  MarkdownString, Hover, CancellationTokenSource,
  Uri: URI, window, workspace, languages, commands, version: "1.91.0", state, events, open, Document,
  env: namespace({ language: "en", appName: "test", isTelemetryEnabled: false }),
  extensions: namespace({ all: [], getExtension: () => undefined }),
  DiagnosticSeverity: { Error: 0, Warning: 1, Information: 2, Hint: 3 },
};

export = new Proxy<typeof known>(known, { get: (all: Anything, name: string) => (all[name] ??= class {}), has: () => true });
