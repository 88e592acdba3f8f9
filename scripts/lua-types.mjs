// @ts-check
// npm run lua-types: sets up, then writes the client's types of the protocol anew.
import { bootstrap, ROOT, runForeground } from "./bootstrap.mjs";

const env = await bootstrap(["runtime"]);
process.exit(await runForeground("bun", ["scripts/write-lua-types.ts"], { cwd: ROOT, env }));
