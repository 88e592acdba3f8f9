// @ts-check
// npm run sandbox -- <command>: the agent's sandbox of a repository, and what it may reach on the network. See --help.
import { join } from "node:path";
import { bootstrap, build, ROOT, runForeground } from "./lib/bootstrap.mjs";

const args = process.argv.slice(2);
const env = await bootstrap(["runtime"]);
// What is set up holds a copy of the plugin.
if (args[0] === "up" && !args.includes("--help")) await build(env);
const program = ["allow", "deny", "list"].includes(args[0] ?? "") ? "allow.ts" : "sandbox.ts";
process.exitCode = await runForeground(
  "bun",
  ["--no-env-file", join(ROOT, "scripts/start", program), ...args],
  { env },
);
