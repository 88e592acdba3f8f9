/** A repository with one big change, and a desk over it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Row } from "../../../scripts/bench/row.ts";
import { loadConfig } from "../../src/config.ts";
import { Desk } from "../../src/review/desk.ts";

export interface BenchPlace {
  root: string;
  dir: string;
  desk: Desk;
  jj(...args: string[]): void;
  text(...args: string[]): string;
  close(): void;
}

export async function benchPlace(): Promise<BenchPlace> {
  const root = mkdtempSync(join(tmpdir(), "sm-bench-"));
  const config = join(root, "jj.toml");
  writeFileSync(config, '[user]\nname = "Agent"\nemail = "agent@example.org"\n');
  process.env.JJ_CONFIG = config;
  const dir = join(root, "agent");
  mkdirSync(dir);
  const text = (...args: string[]) => {
    const done = Bun.spawnSync(["jj", "--no-pager", "--color=never", "--quiet", ...args], {
      cwd: dir,
      env: process.env,
    });
    if (done.exitCode !== 0) throw new Error(`jj ${args.join(" ")}: ${done.stderr}`);
    return done.stdout.toString();
  };
  text("git", "init", "--colocate", ".");
  writeFileSync(join(dir, "README"), "bench\n");
  text("commit", "-m", "first");
  text("bookmark", "create", "main", "-r", "@-");
  const desk = new Desk(
    loadConfig({ state_dir: join(root, "state"), feedback_log: join(root, "feedback.jsonl") }),
  );
  await desk.addProject(dir);
  const close = () => {
    desk.close();
    rmSync(root, { recursive: true, force: true });
  };
  return { root, dir, desk, jj: (...args) => void text(...args), text, close };
}

/**
 * Writes `files` files of `hunks` places each, `block` lines apart, as they were and as they are now. Each hunk replaces
 * `size` lines.
 */
export function writeFiles(
  dir: string,
  files: number,
  hunks: number,
  block: number,
  changed: number,
  size = 1,
): void {
  for (let file = 0; file < files; file++) {
    const lines: string[] = [];
    for (let hunk = 0; hunk < hunks; hunk++) {
      for (let line = 0; line < block; line++) {
        const isChanged = line < size;
        lines.push(
          `${isChanged ? `version ${changed} of` : "   return"} value(${file}, ${hunk}, ${line}); // as it stands`,
        );
      }
    }
    mkdirSync(join(dir, `src${file % 20}`), { recursive: true });
    writeFileSync(join(dir, `src${file % 20}`, `file${file}.ts`), `${lines.join("\n")}\n`);
  }
}

export const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Both sides in turn, so that what else the machine does falls on both. */
export async function interleaved(
  rounds: number,
  ours: (round: number) => Promise<number>,
  against: (round: number) => Promise<number>,
): Promise<{ ours: number; against: number }> {
  const left: number[] = [];
  const right: number[] = [];
  for (let round = 0; round < rounds; round++) {
    left.push(await ours(round));
    right.push(await against(round));
  }
  return { ours: median(left), against: median(right) };
}

export const row = (
  name: string,
  measured: { ours: number; against: number },
  goal: string,
  unit = "ms",
): Row => ({
  suite: "engine",
  name,
  ours: measured.ours,
  against: measured.against,
  ratio: measured.ours / measured.against,
  goal,
  unit,
});

/** A process to its end, its output read and thrown away. */
export async function spawned(command: string[], cwd: string): Promise<void> {
  const child = Bun.spawn(command, { cwd, env: process.env, stdout: "pipe", stderr: "ignore" });
  await new Response(child.stdout).arrayBuffer();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed`);
}
