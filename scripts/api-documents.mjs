// @ts-check
// npm run api-documents: sets up, then writes the published API documents below docs/ anew.
import { bootstrap, ROOT, runForeground } from "./lib/bootstrap.mjs";

const env = await bootstrap(["runtime"]);
process.exit(await runForeground("bun", ["scripts/lib/write-api-documents.ts"], { cwd: ROOT, env }));
