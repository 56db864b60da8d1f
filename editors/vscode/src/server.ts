/** How the server is started: which of the programs that settings, environments and PATH offer. */

import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";

/** What may name the server, best first. */
export interface Sources {
  /** `dopt.path`. */
  path: readonly string[];
  /** `dopt.interpreter`. */
  interpreter: readonly string[];
  /** The interpreter that the Python extension has selected. */
  selected?: string;
  /** The workspace's first folder. */
  folder?: string;
  /** Whether programs that lie in the workspace may be started. */
  trusted: boolean;
  /** Environment variables. */
  environment: NodeJS.ProcessEnv;
  platform: NodeJS.Platform;
}

export interface Server {
  command: string;
  args: string[];
  /** Where it comes from, for the log. */
  origin: string;
}

/** The program to start, undefined where there is none. */
export function findServer(sources: Sources): Server | undefined {
  const { folder, selected, trusted, environment, platform } = sources;
  const first = (names: readonly string[]): string | undefined =>
    names.map((each) => onPath(substituted(each, folder, environment), sources)).find((each) => each !== undefined);

  const path = first(sources.path);
  if (path !== undefined) return program(path, "dopt.path");
  const interpreter = first(sources.interpreter);
  // -P: modules of the folder that it is started in are not dopt's.
  if (interpreter !== undefined) return { command: interpreter, args: ["-P", "-m", "optimizer", "lsp"], origin: "dopt.interpreter" };
  const beside = trusted && selected !== undefined ? inFolder(dirname(selected), platform) : undefined;
  if (beside !== undefined) return program(beside, "the selected Python environment");
  const own = trusted && folder !== undefined ? inFolder(join(folder, ".venv", platform === "win32" ? "Scripts" : "bin"), platform) : undefined;
  if (own !== undefined) return program(own, "the workspace's .venv");
  const found = onPath("dopt", sources);
  return found === undefined ? undefined : program(found, "PATH");
}

function program(command: string, origin: string): Server {
  return { command, args: ["lsp"], origin };
}

/** A setting with its variables replaced, as VS Code does in its own settings. */
export function substituted(text: string, folder: string | undefined, environment: NodeJS.ProcessEnv): string {
  return text
    .replace(/^~(?=$|[\\/])/, homedir())
    .replaceAll("${userHome}", homedir())
    .replaceAll("${workspaceFolder}", folder ?? "")
    .replace(/\$\{env:([^}]+)\}/g, (_, name: string) => environment[name] ?? "");
}

/** A program by its path (in the workspace, if relative), or by its name in the folders of PATH; undefined where there is none. */
function onPath(name: string, { folder, environment, platform }: Sources): string | undefined {
  if (/[\\/]/.test(name)) {
    const path = resolve(folder ?? "", name);
    return runs(path) ? path : undefined;
  }
  const folders = (environment["PATH"] ?? environment["Path"] ?? "").split(delimiter).filter((each) => each !== "");
  return folders.map((each) => inFolder(each, platform, name)).find((each) => each !== undefined);
}

function inFolder(folder: string, platform: NodeJS.Platform, name = "dopt"): string | undefined {
  return [join(folder, name), ...(platform === "win32" ? [join(folder, `${name}.exe`)] : [])].find(runs);
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
