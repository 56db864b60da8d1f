// Bundles the extension into dist/, or with --tests the tests into out/, where the editor's own module is test/vscode.ts.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const tests = process.argv.includes("--tests");
const options = { bundle: true, platform: "node", target: "node20", format: "cjs", logLevel: "warning" };

if (tests) {
  rmSync("out", { recursive: true, force: true });
  const entryPoints = readdirSync("test").filter((name) => name.endsWith(".test.ts")).map((name) => `test/${name}`);
  await build({ ...options, entryPoints, outdir: "out", sourcemap: "inline", alias: { vscode: "./test/vscode.ts" } });
} else {
  const entry = { entryPoints: ["src/extension.ts"], outfile: "dist/extension.js", minify: true, external: ["vscode"], metafile: true };
  const { metafile } = await build({ ...options, ...entry });
  const folders = Object.keys(metafile.inputs).map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  const bundled = [...new Set(folders)].filter((folder) => folder !== undefined).sort();
  writeFileSync("dist/LICENSES.txt", bundled.map((folder) => `${folder.replace(/^.*node_modules\//, "")}\n\n${license(folder)}\n`).join("\n\n"));
}

/** The license of a package that is bundled, which asks to go along. */
function license(folder) {
  const name = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  if (name === undefined) throw new Error(`${folder} has no license`);
  return readFileSync(`${folder}/${name}`, "utf8").trim();
}
