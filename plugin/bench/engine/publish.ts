/** Publishing 10,000 hunks, beside jj's and git's own diff of the same change; and what it weighs while it waits. */

import { heapStats } from "bun:jsc";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../../../scripts/bench/row.ts";
import { findChanges } from "../../src/vcs/find-changes.ts";
import { Git } from "../../src/vcs/git.ts";
import { benchPlace, interleaved, row, spawned, timed, writeFiles } from "./place.ts";

const ROUNDS = 5;

export async function run(): Promise<Row[]> {
  const place = await benchPlace();
  try {
    // 10,000 hunks of 5 lines out and 5 in: 100,000 changed lines.
    writeFiles(place.dir, 200, 50, 16, 0, 5);
    place.jj("commit", "-m", "base");
    place.jj("bookmark", "set", "main", "-r", "@-");
    let published = { suggestion_id: "", hunk_count: 0 };
    // What the program itself needs is there before the big change comes.
    writeFileSync(join(place.dir, "small.txt"), "small\n");
    await place.desk.publish({ description: "Small", project: place.dir }, "agent");
    place.jj("new", "main");
    const before = await weight();
    let after = before;
    const whole = await interleaved(
      ROUNDS,
      async (round) => {
        if (round > 0) place.jj("new", "main");
        writeFiles(place.dir, 200, 50, 16, round + 1, 5);
        const took = await timed(async () => {
          published = await place.desk.publish(
            { description: `Round ${round}`, project: place.dir },
            "agent",
          );
        });
        if (round === 0) after = await weight();
        return took;
      },
      () => timed(() => spawned(["jj", "diff", "--git", "-r", "@-"], place.dir)),
    );
    if (published.hunk_count !== 10_000)
      throw new Error(`expected 10,000 hunks, published ${published.hunk_count}`);
    const git = new Git(join(place.dir, ".git"));
    const [from, to] = await Promise.all([
      git.treeOf("main"),
      git.treeOf(place.text("log", "--no-graph", "-r", "@-", "-T", "commit_id")),
    ]);
    const found = await interleaved(
      5 * ROUNDS,
      () => timed(() => findChanges(git, from, to)),
      () => timed(() => spawned(["git", "diff-tree", "-r", "-p", from, to], place.dir)),
    );
    const diff = (await git.run(["diff-tree", "-r", "-p", from, to])).stdout.length;
    return [
      row("publish 10,000 hunks, whole / jj diff --git", whole, "<= 0.7"),
      row("pinned commits to 10,000 hunks / git diff-tree -p", found, "<= 1.5"),
      row(
        "live memory of a pending 10,000-hunk suggestion / its diff text",
        { ours: after.live - before.live, against: diff },
        "<= 4",
        "bytes",
      ),
      row(
        "resident memory of a pending 10,000-hunk suggestion / its diff text",
        { ours: after.resident - before.resident, against: diff },
        "<= 4",
        "bytes",
      ),
    ];
  } finally {
    place.close();
  }
}

/** Once everything is at rest: the heap and the buffers it holds, and what the whole process occupies. */
async function weight(): Promise<{ live: number; resident: number }> {
  // Freed memory goes back to the system some time after it was collected.
  Bun.gc(true);
  await Bun.sleep(1500);
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return { live: heapSize + extraMemorySize, resident: process.memoryUsage().rss };
}
