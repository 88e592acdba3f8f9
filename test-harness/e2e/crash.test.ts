/** kill -9 of everything between two decisions, on real opencode: none is lost, and the review goes on. */
import { afterAll, expect, test } from "bun:test";
import { DEMO_PROMPT } from "../../demo/script.ts";
import type { Hunk } from "../../plugin/src/protocol/model.ts";
import { fetchHub, treeOf } from "../support/expected-tree.ts";
import { Host, wordsOf } from "../support/opencode.ts";
import { Repository } from "../support/repository.ts";
import { Scene, until } from "../support/scene.ts";

const scene = new Scene("crash");
afterAll(() => scene.close());

const states = (hunks: Hunk[]) => Object.fromEntries(hunks.map((hunk) => [hunk.id, hunk.state]));

test("three times killed in the middle of a review, nothing is lost", async () => {
  const agent = Repository.agent(scene);
  let host = await Host.start(scene, agent.dir);
  const session = await host.newSession();
  await host.prompt(session, DEMO_PROMPT);
  const [listed] = host.curl.list();
  if (listed === undefined) throw new Error("nothing was published");
  const { id } = listed;
  const hunks = host.curl.hunks(id).filter(({ file }) => file !== "README.md");
  scene.say(`published ${listed.hunk_count} hunks`);

  const comment = "killed right after this was said";
  const decided: Hunk[] = [];
  const plan = [
    { action: "accept", more: {} },
    { action: "reject", more: { comment } },
    { action: "accept", more: {} },
  ] as const;
  for (const [index, { action, more }] of plan.entries()) {
    const hunk = hunks[index];
    if (hunk === undefined) throw new Error("too few hunks");
    const answer = host.curl.decide(hunk, action, more);
    decided.push(hunk);
    // The answer is here: the decision is durable, whatever happens now.
    await host.running.killEverything();
    expect(await fetch(`${host.curl.url}/health`).catch(() => "gone")).toBe("gone");
    host = await Host.start(scene, agent.dir, { model: host.model, reviewPort: host.reviewPort });
    const now = states(host.curl.hunks(id));
    expect(decided.map((one) => now[one.id])).toEqual(
      plan.slice(0, index + 1).map((one) => (one.action === "accept" ? "accepted" : "rejected")),
    );
    expect(Object.values(now).filter((state) => state !== "pending").length).toBe(index + 1);
    expect(host.curl.lastSeq()).toBeGreaterThanOrEqual(answer.seq);
    scene.say(`killed after decision ${index + 1} (${action}), started again: it is there`);
  }
  const seqs = host.curl.events().map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.map((_, index) => index + 1));

  const [accepted, rejected, also] = decided;
  if (accepted === undefined || rejected === undefined || also === undefined) throw new Error("unreachable");
  const before = host.lastRequest;
  await until("the feedback arrives after the restart", async () => {
    await host.prompt(session, "Go on.");
    return host.requestsAfter(before).some((request) => wordsOf(request).includes(comment));
  });
  const last = host.requestsAfter(before).at(-1);
  expect(wordsOf(last ?? { messages: [] }).split(comment).length - 1).toBe(1);
  scene.say("the agent heard of the rejection, once");

  const result = host.curl.finalize(id);
  const { hub: hubPath } = host.curl.suggestion(id);
  const hub = fetchHub(scene, `${host.curl.url}/git/${hubPath.replace(/^\/?(git\/)?/, "")}`, host.curl.token);
  const expected = treeOf(scene, hub.dir, result.base_commit, [accepted, also]);
  expect(hub.git("rev-parse", `${result.ref}^{tree}`)).toBe(expected);
  scene.say("finalized: exactly what was accepted before and after the crashes");
}, 90_000);
