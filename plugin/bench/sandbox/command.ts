/**
 * A command that does nothing: in the cage with its network, in a bare bubblewrap, by itself, and, where it is installed
 * (`@anthropic-ai/sandbox-runtime`, its program named in BENCH_SRT), in the peer. In turn, each as often first.
 */
import { existsSync } from "node:fs";
import type { Row } from "../../../scripts/bench/row.ts";
import { makeCage } from "./parts/cage.ts";

const ROUNDS = 60;
const PEER_ROUNDS = 8;
const BARE = [
  ...["--unshare-user", "--unshare-pid", "--unshare-net", "--die-with-parent", "--ro-bind", "/", "/"],
  ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--"],
];

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

export async function run(): Promise<Row[]> {
  const cage = makeCage({ allow: [], deny: [] });
  const ways: Record<string, string[]> = {
    caged: [cage.shell, "-c", "true"],
    bubblewrap: [cage.bwrap, ...BARE, "bash", "-c", "true"],
    plain: ["bash", "-c", "true"],
  };
  const peer = process.env.BENCH_SRT ?? "";
  try {
    const times = await inNetwork(cage.within, cage.dir, ways, ROUNDS);
    const row = (name: string, against: string, goal: string): Row => ({
      suite: "sandbox",
      ...{ name, goal, unit: "ms" },
      ours: times.caged ?? 0,
      against: times[against] ?? 0,
      ratio: (times.caged ?? 0) / (times[against] ?? 1),
    });
    const rows = [
      row("a caged command beside the plain shell", "plain", "at most 10 ms more"),
      row("a caged command beside a bare bubblewrap", "bubblewrap", "<= 3"),
    ];
    if (!existsSync(peer)) return rows;
    const both = { caged: ways.caged ?? [], peer: ["bun", peer, "true"] };
    Object.assign(times, await inNetwork(cage.within, cage.dir, both, PEER_ROUNDS));
    return [...rows, row("a caged command beside sandbox-runtime's program", "peer", "<= 0.1")];
  } finally {
    cage.end();
  }
}

/** Medians in milliseconds, of commands that are started by a process in the network, as opencode starts them. */
async function inNetwork(
  within: string[],
  cwd: string,
  ways: Record<string, string[]>,
  rounds: number,
): Promise<Record<string, number>> {
  const child = Bun.spawn([...within, "bun", import.meta.path, JSON.stringify(ways), String(rounds)], {
    cwd,
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error("the commands could not be run");
  return JSON.parse(text) as Record<string, number>;
}

function measure(ways: Record<string, string[]>, rounds: number): Record<string, number> {
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (let round = -3; round < rounds; round++) {
    const order = Object.entries(ways);
    if (round % 2 === 0) order.reverse();
    for (const [name, command] of order) {
      const from = performance.now();
      const { exitCode, stderr } = Bun.spawnSync(command);
      if (exitCode !== 0) throw new Error(`${name}: ${stderr}`);
      if (round >= 0) times[name]?.push(performance.now() - from);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]));
}

if (import.meta.main) {
  const [ways = "{}", rounds = "1"] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(measure(JSON.parse(ways) as Record<string, string[]>, Number(rounds))));
}
