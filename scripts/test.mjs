// @ts-check
// npm test [-- <suite> …]: sets up, then runs every check and every test, and closes with "N passed, N failed, N skipped".
import { bootstrap, build, progress } from "./lib/bootstrap.mjs";
import { openRecord, reportDoors } from "./test/doors/doors.mjs";
import { ORDER, problem } from "./test/order.mjs";
import { QUICK, runSuites, SUITES } from "./test/suites.mjs";

const wanted = process.argv.slice(2);
const names = [...SUITES, QUICK].map((suite) => suite.name);
// Answered before anything is set up.
if (wanted.includes("--help") || wanted.includes("-h")) {
  process.stdout.write(`usage: npm test [-- <suite> ...]

Sets up, then runs the suites named, or all but ${QUICK.name}: ${names.join(", ")}.
How to run a single test: CONTRIBUTING.md.

  CI=1                 a skipped test fails the run
  SUGGESTION_ORDER=N   the tests of a file in the order of a run that named N; random: in one by chance
`);
  process.exit(0);
}
if (problem !== null) {
  progress(`npm test: ${problem}`);
  process.exit(2);
}
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  progress(`npm test: no suite ${unknown.join(", ")}; there are ${names.join(", ")}`);
  process.exit(2);
}
const env = await bootstrap(["all"]);
await build(env);
const record = openRecord();
process.stdout.write(`the tests in the order of SUGGESTION_ORDER=${ORDER}\n`);
const result = await runSuites({ ...env, SUGGESTION_DOORS: record }, wanted);
const doors = reportDoors(record, env, wanted.length > 0 ? wanted : SUITES.map(({ name }) => name));
const { skipped } = result;
const passed = result.passed + doors.passed;
const failed = result.failed + doors.failed;
// Where nobody looks at the lines above, a test that was not run must not pass for one that passed.
const skipsFail = Boolean(process.env.CI);
if (skipsFail && skipped > 0)
  progress(`npm test: ${skipped} tests were skipped, which fails where CI is set`);
if (failed > 0) process.stdout.write(`in the same order again: SUGGESTION_ORDER=${ORDER}\n`);
for (const failure of result.failures) process.stdout.write(`failed: ${failure}\n`);
process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exit(failed === 0 && !(skipsFail && skipped > 0) ? 0 : 1);
