// @ts-check
// npm start [-- <repository>] [options]: everything running, on a demo or on a repository of yours. See --help.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const major = Number(process.versions.node.split(".")[0]);
if (major < 20) {
  process.stderr.write(`start: Node 20 or newer is needed, this is ${process.versions.node}.\n`);
  process.exit(1);
}
const { bootstrap, build, ROOT, runForeground } = await import("./lib/bootstrap.mjs");
const args = process.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  // Answered before anything is set up, from the text that `npm run api-documents` wrote.
  process.stdout.write(readFileSync(join(ROOT, "docs/npm-start.txt"), "utf8"));
  process.exit(0);
}
const env = await bootstrap(["runtime"]);
await build(env);
process.exitCode = await runForeground(
  "bun",
  ["--no-env-file", join(ROOT, "scripts/start/main.ts"), ...args],
  {
    env,
    stdio: ["inherit", "inherit", "inherit", "pipe"],
  },
);
