// @ts-check
// npm run bench [-- <suite> …] [--json]: every benchmark beside its floor or peer, in one run.
import { bootstrap, build, ROOT, runForeground } from "./lib/bootstrap.mjs";

const env = await bootstrap(["all"]);
await build(env);
process.exitCode = await runForeground("bun", ["scripts/bench/main.ts", ...process.argv.slice(2)], {
  env,
  cwd: ROOT,
});
