/**
 * The server is killed within finalize, again and again: who asks again under the same request id gets the answer that
 * the first would have had, and the hub holds the commit once.
 *
 *     SUGGESTION_LONG=1 bun test plugin/tests/e2e-engine/finalize-kill.test.ts     100 kills
 */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { numbered, repoWith } from "../support/repo.ts";
import { type Answer, Served } from "../support/served.ts";

const KILLS = Number(process.env.SUGGESTION_KILLS ?? (process.env.SUGGESTION_LONG === "1" ? 100 : 10));

test(
  `E3: after ${KILLS} kills within finalize each retry gets the answer of the first`,
  async () => {
    const agent = await repoWith({ file0: numbered(40) });
    let served = await Served.start(agent);
    const [hubName = ""] = readdirSync(join(served.state, "git"));
    const hub = join(served.state, "git", hubName);
    const git = (...args: string[]) =>
      Bun.spawnSync(["git", "--git-dir", hub, ...args])
        .stdout.toString()
        .trim();
    // As long as a whole finalize takes here and now: kills fall everywhere in it.
    let took = 0;
    let within = 0;
    for (let n = 0; n <= KILLS; n++) {
      agent.edit("file0", { [n === 0 ? "line 5" : `edit ${n - 1}`]: `edit ${n}` });
      const { body: made } = await served.post(
        "/suggestions",
        { description: `Edit ${n}`, project: agent.dir },
        "agent",
      );
      const id: string = made.suggestion_id;
      await served.post("/feedback/batch", { suggestion_id: id, scope: { action: "accept" } });
      const request = { suggestion_id: id, action: "finalize", request_id: `finalize-${n}` };
      const started = performance.now();
      const asking: Promise<Answer | null> = served.post("/complete", request).catch(() => null);
      if (n > 0) {
        await Bun.sleep(Math.random() * took * 1.1);
        await served.kill("SIGKILL");
      }
      const first = await asking;
      if (n === 0) took = performance.now() - started;
      else served = await Served.start(agent);
      const again = await served.post("/complete", request);
      if (again.status !== 200) throw new Error(`kill ${n}: ${again.status} ${JSON.stringify(again.body)}`);
      if (first === null) within += 1;
      else expect(again.body).toEqual(first.body);
      expect(again.body).toMatchObject({
        success: true,
        suggestion_id: id,
        action: "finalized",
        files: ["file0"],
      });
      expect((await served.post("/complete", request)).body).toEqual(again.body);
      expect(git("rev-parse", `refs/heads/${again.body.ref}`)).toBe(again.body.commit);
      const other = await served.post("/complete", { ...request, request_id: `other-${n}` });
      expect(other.body.error.code).toBe("suggestion_closed");
      await served.post("/settle", { project: agent.dir }, "agent");
      if (n % 20 === 19) process.stdout.write(`${n + 1} kills, ${within} without an answer\n`);
    }
    await served.kill("SIGTERM");
    // Otherwise nothing was killed within it, and this has shown nothing.
    expect(within).toBeGreaterThan(KILLS / 4);
  },
  30_000 + KILLS * 6_000,
);
