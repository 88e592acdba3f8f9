/** The start of the agent's side, opencode with the review server until it answers: in its rings, and without them. */
import type { Row } from "../../../scripts/bench/row.ts";
import { Launcher } from "../../../test-harness/support/launcher.ts";
import { quantile } from "../server/parts/numbers.ts";

const ROUNDS = 5;

export async function run(): Promise<Row[]> {
  const launcher = new Launcher("bench");
  try {
    const project = launcher.repository();
    const times: { caged: number[]; open: number[] } = { caged: [], open: [] };
    const timed = async (into: number[], ...args: string[]) => {
      const started = await launcher.start([project, ...args]);
      await launcher.stop(started);
      const told = /started opencode with the plugin \(([\d.]+) s\)/.exec(started.running.err)?.[1];
      if (told !== undefined) into.push(Number(told));
    };
    // The first start makes everything.
    await timed([]);
    for (let round = 0; round < ROUNDS; round++) {
      await timed(times.caged);
      await timed(times.open, "--no-cage");
    }
    const [ours, against] = [quantile(times.caged, 0.5), quantile(times.open, 0.5)];
    const name = "start of opencode with the review server, in its rings / without them";
    return [{ suite: "sandbox", name, ours, against, ratio: ours / against, goal: "<= 1.3", unit: "s" }];
  } finally {
    await launcher.scene.close();
  }
}
