/** Finalizing and pushing, beside a plain git push of the same commit. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../../../scripts/bench/row.ts";
import { loadConfig } from "../../src/config.ts";
import { Desk } from "../../src/review/desk.ts";
import { benchPlace, interleaved, row, spawned, timed, writeFiles } from "./place.ts";

export async function run(): Promise<Row[]> {
  const place = await benchPlace();
  const bare = (name: string) => join(place.root, name);
  const git = (...args: string[]) => spawned(["git", ...args], place.root);
  let desk: Desk | undefined;
  try {
    writeFiles(place.dir, 60, 20, 10, 0);
    place.jj("commit", "-m", "base");
    place.jj("bookmark", "set", "main", "-r", "@-");
    // The same remote twice: one that finalize pushes to, one that git pushes the same commit to.
    for (const name of ["ours.git", "theirs.git"]) {
      await git("init", "--quiet", "--bare", bare(name));
      await git(
        "--git-dir",
        join(place.dir, ".git"),
        "push",
        "--quiet",
        bare(name),
        "refs/heads/main:refs/heads/main",
      );
    }
    desk = new Desk(
      loadConfig({
        state_dir: join(place.root, "pushing"),
        feedback_log: join(place.root, "f.jsonl"),
        sync: { remote: bare("ours.git") },
      }),
    );
    await desk.addProject(place.dir);
    let commit = "";
    const measured = await interleaved(
      17,
      async (round) => {
        place.jj("new", "main");
        writeFiles(place.dir, 10, 20, 10, round + 1);
        writeFileSync(join(place.dir, `round${round}.txt`), "round\n");
        const { suggestion_id: id } = await (desk as Desk).publish(
          { description: `Round ${round}`, project: place.dir },
          "agent",
        );
        (desk as Desk).decideMany(
          { suggestion_id: id, scope: { action: "accept", include: "remaining" } },
          "developer",
        );
        return timed(async () => {
          const done = await (desk as Desk).complete({ suggestion_id: id, action: "finalize" }, "developer");
          commit = done.action === "finalized" ? (done.commit ?? "") : "";
        });
      },
      (round) => {
        const hub = (desk as Desk).hubRoot();
        const dir = [...new Bun.Glob("*.git/HEAD").scanSync({ cwd: hub })][0]?.replace(/\/HEAD$/, "") ?? "";
        return timed(() =>
          git(
            "--git-dir",
            join(hub, dir),
            "push",
            "--quiet",
            bare("theirs.git"),
            `${commit}:refs/heads/round-${round}`,
          ),
        );
      },
    );
    return [row("finalize and push / git push of the same commit", measured, "<= 1.5")];
  } finally {
    desk?.close();
    place.close();
  }
}
