import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { findServer, substituted, type Sources } from "../src/server";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dopt-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function program(name: string, mode = 0o755): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "");
  chmodSync(path, mode);
  return path;
}

function sources(more: Partial<Sources> = {}): Sources {
  return { path: [], interpreter: [], folder, trusted: true, environment: { PATH: join(folder, "bin") }, platform: "linux", ...more };
}

test("nothing is started where nothing is found", () => {
  program("bin/dopt", 0o644); // not executable
  assert.equal(findServer(sources({ path: [join(folder, "none")], interpreter: ["python3"] })), undefined);
});

test("each source goes before the ones behind it", () => {
  const onPath = program("bin/dopt");
  assert.deepEqual(findServer(sources()), { command: onPath, args: ["lsp"], origin: "PATH" });
  const own = program(".venv/bin/dopt");
  assert.equal(findServer(sources())?.command, own);
  const beside = program("env/bin/dopt");
  const selected = program("env/bin/python");
  assert.equal(findServer(sources({ selected }))?.command, beside);
  const interpreter = ["${workspaceFolder}/env/bin/python"];
  assert.deepEqual(findServer(sources({ selected, interpreter })), {
    command: selected,
    args: ["-P", "-m", "optimizer", "lsp"],
    origin: "dopt.interpreter",
  });
  const path = [join(folder, "none"), "dopt", own];
  assert.deepEqual(findServer(sources({ selected, interpreter, path })), { command: onPath, args: ["lsp"], origin: "dopt.path" });
});

test("a relative path begins at the workspace", () => {
  const command = program("tools/dopt");
  assert.equal(findServer(sources({ path: ["tools/dopt"] }))?.command, command);
});

test("a workspace that is not trusted brings no program along", () => {
  const onPath = program("bin/dopt");
  program(".venv/bin/dopt");
  program("env/bin/dopt");
  const selected = program("env/bin/python");
  assert.equal(findServer(sources({ selected, trusted: false }))?.command, onPath);
});

test("an environment without dopt is passed over", () => {
  const onPath = program("bin/dopt");
  assert.equal(findServer(sources({ selected: program("env/bin/python") }))?.command, onPath);
});

test("programs of Windows", () => {
  const command = program(".venv/Scripts/dopt.exe");
  assert.equal(findServer(sources({ platform: "win32" }))?.command, command);
});

test("variables in settings are replaced", () => {
  const replaced = (text: string): string => substituted(text, "/w", { A: "b" });
  assert.equal(replaced("~/dopt"), `${homedir()}/dopt`);
  assert.equal(replaced("${userHome}/${env:A}/${env:NONE}"), `${homedir()}/b/`);
  assert.equal(replaced("${workspaceFolder}/a~b"), "/w/a~b");
});
