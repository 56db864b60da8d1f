// Bundles the extension into dist/, or with --tests the tests into out/, where the editor's own module is test/vscode.ts.
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const tests = process.argv.includes("--tests");
const options = { bundle: true, platform: "node", target: "node20", format: "cjs", logLevel: "warning" };

if (tests) {
  rmSync("out", { recursive: true, force: true });
  const entryPoints = readdirSync("test").filter((name) => name.endsWith(".test.ts")).map((name) => `test/${name}`);
  await build({ ...options, entryPoints, outdir: "out", sourcemap: "inline", alias: { vscode: "./test/vscode.ts" } });
} else {
  await build({ ...options, entryPoints: ["src/extension.ts"], outfile: "dist/extension.js", minify: true, external: ["vscode"] });
}
