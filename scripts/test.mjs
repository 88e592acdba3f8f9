// @ts-check
// npm test [-- <suite> …]: sets up, then runs every check and every test, and closes with "N passed, N failed".
import { bootstrap, build, progress } from "./bootstrap.mjs";
import { runSuites, SUITES } from "./test/suites.mjs";

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !SUITES.some((suite) => suite.name === name));
if (unknown.length > 0) {
  progress(
    `npm test: no suite ${unknown.join(", ")}; there are ${SUITES.map((suite) => suite.name).join(", ")}`,
  );
  process.exit(2);
}
const env = await bootstrap(["all"]);
await build(env);
const { passed, failed } = await runSuites(env, wanted);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
