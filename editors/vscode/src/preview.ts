/** What a Dockerfile would become, as a read-only document to compare it with. */

import * as vscode from "vscode";

export const SCHEME = "dopt";

/** Serves, for the document whose URI is in the query, what `rewritten` makes of it. */
export class Previews implements vscode.TextDocumentContentProvider {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;

  constructor(private readonly rewritten: (document: vscode.TextDocument) => Promise<string>) {}

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    return this.rewritten(await vscode.workspace.openTextDocument(vscode.Uri.parse(uri.query, true)));
  }

  /** Compare a document with what it would become. */
  async show(document: vscode.TextDocument): Promise<void> {
    const uri = vscode.Uri.from({ scheme: SCHEME, path: document.uri.path, query: document.uri.toString() });
    this.changed.fire(uri);
    const name = document.uri.path.split("/").pop() ?? "Dockerfile";
    await vscode.commands.executeCommand("vscode.diff", document.uri, uri, `${name}: rewritten by dopt`);
  }
}
