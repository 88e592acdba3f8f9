/**
 * Watches a user's processes: prints the environment of each it catches, a JSON line `{pid, command, environment}`, for
 * as long as it runs. Looks as often as it can, for processes that live for milliseconds.
 *
 *   bun environment-watch.ts UID
 */
import { readdirSync, readFileSync, statSync } from "node:fs";

const uid = Number(process.argv[2]);
const seen = new Set<string>();
process.stdout.write('{"watching": true}\n');
for (;;) {
  // All of them: process ids start again from low numbers.
  for (const pid of readdirSync("/proc").map(Number).filter(Number.isInteger)) {
    try {
      if (statSync(`/proc/${pid}`).uid !== uid) continue;
      const environment = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").filter(Boolean);
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim();
      const key = `${pid} ${command}`;
      if (environment.length === 0 || seen.has(key)) continue;
      seen.add(key);
      process.stdout.write(`${JSON.stringify({ pid, command, environment })}\n`);
    } catch {
      // Gone already.
    }
  }
}
