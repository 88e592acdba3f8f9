/**
 * Runs a client under plain Node, whatever it was started with: bundles it into the ignored dist folder and hands
 * over. Bun replaces the `ws` package by a shim of its own, which would not be an independent implementation.
 */
import { spawnSync } from "node:child_process";
import { basename, join } from "node:path";

/** @param main the client's own file; returns only under Node */
export function underNode(main: string): void {
  if (process.versions.bun === undefined) return;
  const bundle = join(import.meta.dirname, "../dist", `${basename(main, ".ts")}.mjs`);
  const built = spawnSync(
    process.execPath,
    ["build", main, "--target=node", "--format=esm", `--outfile=${bundle}`],
    { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, BUN_BE_BUN: "1" } },
  );
  if (built.status !== 0) process.exit(1);
  const done = spawnSync("node", [bundle, ...process.argv.slice(2)], { stdio: "inherit" });
  process.exit(done.status ?? 1);
}
