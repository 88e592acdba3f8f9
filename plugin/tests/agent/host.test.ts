/** What opencode itself makes of a worktree, a session and a model: its instances, its staged reverts, its system text. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { textOf } from "../../../demo/scripted-model.ts";
import { AgentPlace, bash } from "./agent-place.ts";
import { missingOpencode, until } from "./opencode.ts";

setDefaultTimeout(300_000);
// Skipped where opencode is not provisioned; where CI is set that fails the run.
const skip = missingOpencode() !== null;

let place: AgentPlace | undefined;
afterEach(async () => {
  await place?.close();
  place = undefined;
});

test.skipIf(skip)(
  "D11: the model is told what the tools are for, when to publish and how to revise",
  async () => {
    place = await AgentPlace.open();
    place.when("hello");
    place.session = await place.newSession();
    await place.prompt("hello");
    const turn = place.opencode.model.requests.find(({ kind }) => kind === "turn");
    const system = (turn?.messages ?? []).filter(({ role }) => role === "system").map(textOf);
    const text = system.join("\n");
    expect(text).toContain("publish_suggestion");
    expect(text).toMatch(/jj edit/);
    expect(text).toMatch(/when .* complete/i);
    // Short: it is in every request.
    const own = text.slice(text.indexOf("# Review"));
    expect(own.length).toBeLessThan(2_500);
  },
);

test.skipIf(skip)("D4: a settle waits for the tools of every instance of its worktree", async () => {
  place = await AgentPlace.open();
  await place.publish();
  const { root, field } = place;
  place.when(
    "work",
    bash(`touch ${root}/begun; while [ ! -e ${root}/go ]; do sleep 0.05; done; touch ${root}/ended`),
  );
  await place.begin("work");
  await until("the command runs", () => (place as AgentPlace).has("begun"));
  // A second instance of the same worktree.
  mkdirSync(join(field.dir, "sub"), { recursive: true });
  const sub = `?directory=${encodeURIComponent(join(field.dir, "sub"))}`;
  const answer = await fetch(`${place.opencode.url}/session${sub}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const { id: second } = (await answer.json()) as { id: string };
  await fetch(`${place.opencode.url}/session/${second}/message${sub}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ parts: [{ type: "text", text: "nothing" }] }),
  });
  await place.reject("H 0.3", "not this");
  // Whether the command had ended when the settle was done.
  let seen: boolean | undefined;
  const settling = place.opencode.desk("/settle", {}).then(() => {
    seen = place?.has("ended");
  });
  await until("it is told", async () => (await place?.told())?.length === 1);
  // A settle that does not wait is done meanwhile.
  const patience = Date.now() + 5_000;
  await until("time to do it too early", () => seen !== undefined || Date.now() > patience);
  await Bun.write(join(root, "go"), "");
  await settling;
  expect(seen).toBe(true);
  await until("it is settled", async () => ((await place?.statuses("settled")) ?? []).length > 0);
  expect(place.has("ended")).toBe(true);
  await until("the change follows", () => place?.published("p0.txt").includes("line 0.3\n") === true);
  expect((await place.told()).filter((text) => text.includes("not this"))).toHaveLength(1);
});

test.skipIf(skip)(
  "D4: when one instance is disposed of, the agent is still told through the other",
  async () => {
    place = await AgentPlace.open();
    await place.publish();
    const sub = join(place.field.dir, "sub");
    mkdirSync(sub, { recursive: true });
    const query = `?directory=${encodeURIComponent(sub)}`;
    const call = (path: string, method = "POST") =>
      fetch(`${place?.opencode.url}${path}${query}`, {
        method,
        headers: { "content-type": "application/json" },
        ...(method === "POST" ? { body: "{}" } : {}),
      });
    await call("/session");
    await call("/instance/dispose");
    await place.reject("H 0.3", "told after all");
    await until("it is told", async () =>
      ((await place?.told()) ?? []).some((text) => text.includes("told after all")),
    );
    await until("it is settled", () => place?.published("p0.txt").includes("line 0.3\n") === true);
  },
);

test.skipIf(skip)(
  "D14: while a revert is staged the feedback waits; unrevert is exact, and then it is told",
  async () => {
    place = await AgentPlace.open();
    await place.publish();
    place.when("second").when("third");
    await place.prompt("second");
    await place.prompt("third");
    const before = await place.messages();
    const second = before.filter(({ info }) => info.role === "user")[1] as (typeof before)[number];
    await place.opencode.call(`/session/${place.session}/revert`, { messageID: second.info.id });
    await place.reject("H 0.3", "while reverted");
    await until("it is said that it waits", async () =>
      ((await place?.statuses("working")) ?? []).some((message) => /revert/.test(message)),
    );
    // The working copy follows all the same.
    await until("it is settled", () => place?.published("p0.txt").includes("line 0.3\n") === true);
    await place.opencode.call(`/session/${place.session}/unrevert`, {});
    await until("it is told", async () =>
      ((await place?.told()) ?? []).some((text) => text.includes("while reverted")),
    );
    const after = await place.messages();
    const ids = after.map(({ info }) => info.id);
    expect(before.map(({ info }) => info.id).filter((id) => !ids.includes(id))).toEqual([]);
    expect((await place.told()).filter((text) => text.includes("while reverted"))).toHaveLength(1);
    expect((await place.statuses("working")).filter((message) => /revert/.test(message))).toHaveLength(1);
  },
);

test.skipIf(skip)(
  "D14: a revert that the person goes on from stays one, and the feedback comes after it",
  async () => {
    place = await AgentPlace.open();
    await place.publish();
    place.when("second").when("another way");
    await place.prompt("second");
    const second = (await place.messages()).filter(({ info }) => info.role === "user")[1];
    await place.opencode.call(`/session/${place.session}/revert`, { messageID: second?.info.id });
    await place.reject("H 0.3", "while reverted");
    await until("it is said that it waits", async () =>
      ((await place?.statuses("working")) ?? []).some((message) => /revert/.test(message)),
    );
    await place.prompt("another way");
    await until("it is told", async () =>
      ((await place?.told()) ?? []).some((text) => text.includes("while reverted")),
    );
    const texts = (await place.messages()).flatMap(({ parts }) => parts.map((part) => part.text ?? ""));
    expect(texts).not.toContain("second");
    expect(texts).toContain("another way");
  },
);
