/** Runs the benchmarks (plugin/bench/<suite>/*.ts, nvim/bench/*.lua) one after another and prints their rows. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { Row } from "./row.ts";

const ROOT = join(import.meta.dir, "../..");
const json = process.argv.includes("--json");
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));

interface Bench {
  suite: string;
  name: string;
  run: () => Promise<Row[]>;
}

function benches(): Bench[] {
  const found: Bench[] = [];
  const plugin = join(ROOT, "plugin/bench");
  for (const suite of readdirSync(plugin, { withFileTypes: true })) {
    if (!suite.isDirectory()) continue;
    for (const file of readdirSync(join(plugin, suite.name)).sort()) {
      if (!file.endsWith(".ts")) continue;
      const run = async () => {
        const module = (await import(join(plugin, suite.name, file))) as { run?: () => Promise<Row[]> };
        return module.run === undefined ? [] : module.run();
      };
      found.push({ suite: suite.name, name: basename(file, ".ts"), run });
    }
  }
  const nvim = join(ROOT, "nvim/bench");
  for (const file of existsSync(nvim) ? readdirSync(nvim).sort() : []) {
    if (file.endsWith(".lua"))
      found.push({ suite: "nvim", name: basename(file, ".lua"), run: async () => lua(join(nvim, file)) });
  }
  return found;
}

/** A Lua benchmark prints one JSON row a line. */
function lua(file: string): Row[] {
  const result = spawnSync("nvim", ["--clean", "--headless", "-l", file], {
    encoding: "utf8",
    timeout: 600_000,
    cwd: ROOT,
  });
  if (result.status !== 0) throw new Error(`${file} failed: ${result.stderr.slice(-2000)}`);
  return `${result.stdout}\n${result.stderr}`
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Row);
}

const shown = (value: number, unit: string): string => `${value.toPrecision(3)} ${unit}`;

let failed = 0;
const header = ["suite", "what", "ours", "against", "ratio", "goal"];
if (!json) process.stdout.write(`${header.join(" | ")}\n`);
for (const bench of benches()) {
  if (wanted.length > 0 && !wanted.includes(bench.suite) && !wanted.includes(bench.name)) continue;
  process.stderr.write(`bench: ${bench.suite}/${bench.name}\n`);
  try {
    for (const row of await bench.run()) {
      process.stdout.write(
        json
          ? `${JSON.stringify(row)}\n`
          : `${row.suite} | ${row.name} | ${shown(row.ours, row.unit)} | ${shown(row.against, row.unit)} | ${row.ratio.toFixed(2)}x | ${row.goal}\n`,
      );
    }
  } catch (error) {
    failed++;
    process.stderr.write(`bench: ${bench.suite}/${bench.name} failed: ${(error as Error).message}\n`);
  }
}
process.exit(failed === 0 ? 0 : 1);
