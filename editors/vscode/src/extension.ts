/** Starts `dopt lsp` for Dockerfiles, and adds the commands that people call by name. */

import * as vscode from "vscode";
import { DocumentFormattingRequest, ExecuteCommandRequest } from "vscode-languageclient/node";
import { TextDocument } from "vscode-languageserver-textdocument";

import { Client } from "./client";
import { Previews, SCHEME } from "./preview";
import { findServer, type Server } from "./server";

const RESTARTING = ["dopt.enable", "dopt.path", "dopt.interpreter"];
const INSTALL = "https://pypi.org/project/dockerfile-optimizer/";

let client: Client | undefined;
let output: vscode.LogOutputChannel;
let pending: Promise<void> = Promise.resolve();

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  output = vscode.window.createOutputChannel("dopt", { log: true });
  const previews = new Previews(rewritten);
  context.subscriptions.push(
    output,
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, previews),
    vscode.commands.registerCommand("dopt.restart", restart),
    vscode.commands.registerCommand("dopt.showLog", () => output.show()),
    vscode.commands.registerCommand("dopt.rewrite", () => withDockerfile(rewrite)),
    vscode.commands.registerCommand("dopt.showDiff", () => withDockerfile((document) => showDiff(previews, document))),
    vscode.workspace.onDidGrantWorkspaceTrust(restart),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (RESTARTING.some((each) => event.affectsConfiguration(each))) await restart();
    }),
  );
  await restart();
}

export async function deactivate(): Promise<void> {
  await pending;
  await stop();
}

/** Stop the server if it runs, and start it as the settings say; one after the other. */
function restart(): Promise<void> {
  pending = pending.then(stop).then(start);
  return pending;
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  // One that never came up cannot be shut down.
  await running?.dispose().catch((error: unknown) => output.warn(`stopping: ${String(error)}`));
}

async function start(): Promise<void> {
  const settings = vscode.workspace.getConfiguration("dopt");
  if (!settings.get("enable", true)) {
    output.info("switched off by dopt.enable");
    return;
  }
  const server = await found(settings);
  if (server === undefined) {
    output.error("no dopt found: not in dopt.path, dopt.interpreter, the Python environment, .venv or PATH");
    void offerHelp("dopt was not found. Install it with: pip install 'dockerfile-optimizer[lsp]'", "How to install");
    return;
  }
  output.info(`starting ${server.command} ${server.args.join(" ")} (from ${server.origin})`);
  const next = new Client(
    { command: server.command, args: server.args },
    {
      documentSelector: ["file", "untitled"].map((scheme) => ({ scheme, language: "dockerfile" })),
      outputChannel: output,
      synchronize: { configurationSection: "dopt" },
    },
  );
  try {
    await next.start();
    client = next;
    output.info(`dopt ${next.initializeResult?.serverInfo?.version ?? ""} is ready`);
  } catch (error) {
    output.error(`${server.command}: ${String(error)}`);
    void offerHelp("dopt's server did not start. It needs the extra 'lsp': pip install 'dockerfile-optimizer[lsp]'", "Show the log");
  }
}

async function found(settings: vscode.WorkspaceConfiguration): Promise<Server | undefined> {
  return findServer({
    path: settings.get("path", []),
    interpreter: settings.get("interpreter", []),
    selected: await selectedInterpreter(),
    folder: vscode.workspace.workspaceFolders?.[0]?.uri.fsPath,
    trusted: vscode.workspace.isTrusted,
    environment: process.env,
    platform: process.platform,
  });
}

/** The interpreter that the Python extension has selected, where there is that extension. */
async function selectedInterpreter(): Promise<string | undefined> {
  const extension = vscode.extensions.getExtension("ms-python.python");
  if (extension === undefined) return undefined;
  try {
    const python = await extension.activate();
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    return python.environments.getActiveEnvironmentPath(folder)?.path;
  } catch (error) {
    output.warn(`the Python extension did not say which interpreter is selected: ${String(error)}`);
    return undefined;
  }
}

async function offerHelp(message: string, choice: "How to install" | "Show the log"): Promise<void> {
  const chosen = await vscode.window.showErrorMessage(message, choice);
  if (chosen === "Show the log") output.show();
  if (chosen === "How to install") await vscode.env.openExternal(vscode.Uri.parse(INSTALL));
}

async function withDockerfile(action: (document: vscode.TextDocument) => Promise<void>): Promise<void> {
  const document = vscode.window.activeTextEditor?.document;
  if (document?.languageId !== "dockerfile") {
    void vscode.window.showInformationMessage("dopt: open a Dockerfile first");
  } else if (client === undefined) {
    void offerHelp("dopt's server is not running", "Show the log");
  } else {
    await action(document);
  }
}

/** Make every rewrite, that of the ignore file included. */
async function rewrite(document: vscode.TextDocument): Promise<void> {
  await client?.sendRequest(ExecuteCommandRequest.type, { command: "dopt.fixAll", arguments: [document.uri.toString()] });
}

async function showDiff(previews: Previews, document: vscode.TextDocument): Promise<void> {
  if ((await rewritten(document)) === document.getText()) {
    void vscode.window.showInformationMessage("dopt: nothing to rewrite");
  } else {
    await previews.show(document);
  }
}

/** A document's text with every rewrite of it made. */
async function rewritten(document: vscode.TextDocument): Promise<string> {
  const text = document.getText();
  const params = { textDocument: { uri: document.uri.toString() }, options: { tabSize: 4, insertSpaces: true } };
  const edits = (await client?.sendRequest(DocumentFormattingRequest.type, params)) ?? [];
  return TextDocument.applyEdits(TextDocument.create(params.textDocument.uri, document.languageId, document.version, text), edits);
}
