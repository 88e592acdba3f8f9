// @ts-check
// npm run serve -- --project <jj repository> [--port N] [--state DIR] [--json]: the server without opencode.
import { resolve } from "node:path";
import { bootstrap, ROOT, runForeground } from "./lib/bootstrap.mjs";

const env = await bootstrap(["runtime"]);
// npm changes into the package's folder; paths are meant from where the user stands.
process.exitCode = await runForeground(
  "bun",
  [resolve(ROOT, "plugin/src/serve.ts"), "--lifeline-fd", "3", ...process.argv.slice(2)],
  {
    env,
    cwd: process.env.INIT_CWD ?? process.cwd(),
    // Nothing is ever written: when this process is gone, however it went, the server reads the end.
    stdio: ["inherit", "inherit", "inherit", "pipe"],
  },
);
