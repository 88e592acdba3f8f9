// @ts-check
// npm run sandbox -- allow|deny|list …: what the agent's commands may reach on the network. See --help.
import { join } from "node:path";
import { bootstrap, ROOT, runForeground } from "./lib/bootstrap.mjs";

const env = await bootstrap(["runtime"]);
process.exitCode = await runForeground(
  "bun",
  ["--no-env-file", join(ROOT, "scripts/start/allow.ts"), ...process.argv.slice(2)],
  { env },
);
