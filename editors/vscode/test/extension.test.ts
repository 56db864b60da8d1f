/** The extension with its client library and a real `dopt lsp`; only the editor around it is made up. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import * as editor from "vscode";
import { URI } from "vscode-uri";

import manifest from "../package.json";
import { activate, deactivate } from "../src/extension";

// The tests' own editor (test/vscode.ts), which has more than the real one.
const { state, events, open, Document } = editor as unknown as typeof import("./vscode");

const DOPT = process.env["DOPT"] ?? "dopt";
const there = spawnSync(DOPT, ["--version"]).status === 0;
const MINUTE = 60_000;

if (process.env["CI"] && !there) throw new Error(`no ${DOPT} to test with`);

const token = new editor.CancellationTokenSource().token;
const SOURCE = "FROM debian:bookworm\nRUN mkdir /a\nRUN mkdir /b\nADD a.txt /\n";
let folder: string;
let count = 0;

/** A Dockerfile of its own folder, open, with its diagnostics. */
async function dockerfile(text: string, files: Record<string, string> = {}): Promise<InstanceType<typeof Document>> {
  const own = join(folder, String(count++));
  for (const [name, content] of Object.entries({ ...files, Dockerfile: text })) write(join(own, name), content);
  const document = new Document(URI.file(join(own, "Dockerfile")), "dockerfile", text);
  const diagnosed = news(document.uri);
  open(document);
  await diagnosed;
  return document;
}

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** The next diagnostics of a document. */
function news(uri: URI): Promise<void> {
  return new Promise((resolve) => {
    const listening = events["diagnostics"]!.event((of: URI) => {
      if (of.toString() !== uri.toString()) return;
      listening.dispose();
      resolve();
    });
  });
}

function fixed(text: string, name: string): string {
  const path = join(folder, name, "Dockerfile");
  write(path, text);
  write(join(folder, name, "a.txt"), "a\n");
  execFileSync(DOPT, ["fix", "--quiet", path]);
  return readFileSync(path, "utf8");
}

const told = (uri: URI): unknown[] => (state.diagnostics.get(uri.toString()) ?? []).map((each) => each.code);

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "dopt-"));
  state.folder = folder;
  state.settings = { enable: true, path: [DOPT], interpreter: [] };
  if (there) await activate({ subscriptions: [] } as unknown as editor.ExtensionContext);
});
beforeEach(() => {
  state.shown.length = state.executed.length = state.created.length = 0;
});
after(async () => {
  await deactivate();
  rmSync(folder, { recursive: true });
});

const options = { skip: there ? false : "no dopt here", timeout: MINUTE };

test("the manifest names the commands that there are", options, () => {
  const contributed: { command: string }[] = manifest.contributes.commands;
  const registered = Object.keys(state.commands).filter((each) => each !== "dopt.fixAll"); // the server's own, called with a URI
  assert.deepEqual(registered.sort(), contributed.map((each) => each.command).sort());
});

/** The code actions of a kind at a line of a document. */
function actions(document: InstanceType<typeof Document>, kind: string, line: number): Promise<editor.CodeAction[]> {
  const context = { diagnostics: state.diagnostics.get(document.uri.toString()), only: { value: kind }, triggerKind: 1 };
  const range = new editor.Range(new editor.Position(line, 0), new editor.Position(line, 0));
  return state.providers["registerCodeActionsProvider"].provideCodeActions(document, range, context, token);
}

test("rewrites are told, and offered all at once", options, async () => {
  const document = await dockerfile(SOURCE, { "a.txt": "a\n" });
  assert.deepEqual(told(document.uri), ["copy-instead-of-add", "merge-runs"]);
  const [every] = await actions(document, "source.fixAll.dopt", 0);
  assert.equal(every?.title, "Make all of dopt's rewrites");
  await editor.workspace.applyEdit(every?.edit as editor.WorkspaceEdit);
  assert.equal(document.getText(), fixed(SOURCE, "fixed"));
});

test("rewrites are offered one by one", options, async () => {
  const document = await dockerfile(SOURCE, { "a.txt": "a\n" });
  const [one, keep] = await actions(document, "quickfix", 3);
  assert.match(keep?.title ?? "", /^Keep as it is/);
  const resolved = await state.providers["registerCodeActionsProvider"].resolveCodeAction(one, token);
  await editor.workspace.applyEdit(resolved.edit);
  assert.equal(document.getText(), SOURCE.replace("ADD", "COPY"));
});

test("the command rewrites the ignore file, too", options, async () => {
  const files = { "a.py": "print(1)\n", "__pycache__/a.pyc": "x" };
  const document = await dockerfile("FROM debian:bookworm\nCOPY . /srv/\n", files);
  await state.commands["dopt.rewrite"]();
  assert.deepEqual(state.created, [document.uri.toString().replace("Dockerfile", ".dockerignore")]);
});

test("what would be rewritten is shown beside what is", options, async () => {
  const document = await dockerfile(SOURCE, { "a.txt": "a\n" });
  await state.commands["dopt.showDiff"]();
  const [[command, left, right]] = state.executed as [[string, URI, URI]];
  assert.deepEqual([command, left], ["vscode.diff", document.uri]);
  assert.equal(await state.contents["dopt"].provideTextDocumentContent(right), fixed(SOURCE, "shown"));
  assert.equal(document.getText(), SOURCE);
});

test("a Dockerfile that is right is told to be so", options, async () => {
  await dockerfile("FROM debian:bookworm\n");
  await state.commands["dopt.showDiff"]();
  assert.deepEqual([state.shown, state.executed], [["dopt: nothing to rewrite"], []]);
});

test("hovering shows the evidence", options, async () => {
  const document = await dockerfile(SOURCE, { "a.txt": "a\n" });
  const hover = await state.providers["registerHoverProvider"].provideHover(document, new editor.Position(3, 1), token);
  assert.match(JSON.stringify(hover), /copy-instead-of-add/);
});

test("settings reach the server as they change", options, async () => {
  const document = await dockerfile(SOURCE, { "a.txt": "a\n" });
  const diagnosed = news(document.uri);
  state.settings["ignore"] = ["merge-runs"];
  events["onDidChangeConfiguration"]!.fire({ affectsConfiguration: (section: string) => ["dopt", "dopt.ignore"].includes(section) });
  await diagnosed;
  assert.deepEqual(told(document.uri), ["copy-instead-of-add"]);
  delete state.settings["ignore"];
});

test("a server that is switched off, lacking or broken is said to be so", options, async () => {
  const change = (settings: Record<string, unknown>): void => {
    Object.assign(state.settings, settings);
    events["onDidChangeConfiguration"]!.fire({ affectsConfiguration: (section: string) => section.replace("dopt.", "") in settings });
  };
  change({ enable: false });
  await state.commands["dopt.restart"]();
  await state.commands["dopt.rewrite"]();
  assert.deepEqual(state.shown, ["dopt's server is not running"]);

  change({ enable: true, path: [process.execPath] }); // starts, and does not speak the protocol
  await state.commands["dopt.restart"]();
  assert.match(state.shown[1] ?? "", /did not start.*\[lsp\]/);

  const path = process.env["PATH"];
  process.env["PATH"] = "";
  change({ path: [] });
  await state.commands["dopt.restart"]();
  assert.match(state.shown.at(-1) ?? "", /not found.*pip install/);
  process.env["PATH"] = path;

  change({ path: [DOPT] });
  await dockerfile(SOURCE);
});
