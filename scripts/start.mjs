// @ts-check
// npm start [-- <repository>] [options]: everything running, on a demo or on a repository of yours. See --help.
import { join } from "node:path";

const major = Number(process.versions.node.split(".")[0]);
if (major < 20) {
  process.stderr.write(`start: Node 20 or newer is needed, this is ${process.versions.node}.\n`);
  process.exit(1);
}
const { bootstrap, build, ROOT, runForeground } = await import("./lib/bootstrap.mjs");
const args = process.argv.slice(2);
const env = await bootstrap(["runtime"]);
if (!args.includes("--help") && !args.includes("-h")) await build(env);
process.exitCode = await runForeground(
  "bun",
  ["--no-env-file", join(ROOT, "scripts/start/main.ts"), ...args],
  {
    env,
    stdio: ["inherit", "inherit", "inherit", "pipe"],
  },
);
