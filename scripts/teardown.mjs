// @ts-check
// npm run teardown [-- --yes]: stops what runs and removes what `npm start` made, the agent's Unix user included.
import { join } from "node:path";
import { bootstrap, ROOT, runForeground } from "./lib/bootstrap.mjs";

const env = await bootstrap(["runtime"]);
process.exitCode = await runForeground(
  "bun",
  ["--no-env-file", join(ROOT, "scripts/start/teardown.ts"), ...process.argv.slice(2)],
  { env },
);
