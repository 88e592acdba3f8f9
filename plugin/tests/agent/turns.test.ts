/** What the agent's turn is said to be when its host or its provider fails. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Script } from "../../../demo/model/script.ts";
import { prepareField } from "../settle/stress.ts";
import { missingOpencode, type Opencode, startOpencode, until } from "./opencode.ts";

setDefaultTimeout(120_000);

const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

async function host(script: Script): Promise<Opencode> {
  const root = mkdtempSync(join(tmpdir(), "sm-turns-"));
  ends.push(() => rmSync(root, { recursive: true, force: true }));
  const opencode = await startOpencode(root, prepareField(root).dir, script);
  ends.push(() => opencode.stop());
  return opencode;
}

interface Turn {
  type: string;
  session_id: string;
  state: string;
  message: string;
  ts: string;
  retry?: { attempt: number; at: string };
}

async function turnsOf(opencode: Opencode, session: string): Promise<Turn[]> {
  const { body } = await opencode.desk<{ events: Turn[] }>("/events?since=0&limit=1000");
  return body.events.filter((event) => event.type === "agent.turn" && event.session_id === session);
}

async function ask(opencode: Opencode, text: string): Promise<string> {
  const { id } = await opencode.call<{ id: string }>("/session", {});
  await opencode.call(`/session/${id}/prompt_async`, { parts: [{ type: "text", text }] });
  return id;
}

// Skipped where opencode is not provisioned; where CI is set that fails the run.
test.skipIf(missingOpencode() !== null)(
  "D10: a turn that a crash ended is idle after the recovery",
  async () => {
    const slow = { text: "never said", delayMs: 600_000 };
    const opencode = await host({ conversations: [{ when: "^work$", turns: [slow] }] });
    const session = await ask(opencode, "work");
    await until("the agent works", async () => (await turnsOf(opencode, session)).at(-1)?.state === "busy");
    await opencode.kill();
    await opencode.start();
    await until("the turn is over", async () => (await turnsOf(opencode, session)).at(-1)?.state === "idle");
    expect((await turnsOf(opencode, session)).at(-1)?.message).toContain("cut off");
    // Told once: the next start has nothing to tell.
    await opencode.kill();
    await opencode.start();
    expect((await turnsOf(opencode, session)).filter(({ state }) => state === "idle")).toHaveLength(1);
  },
);

// Skipped where opencode is not provisioned; where CI is set that fails the run.
test.skipIf(missingOpencode() !== null)(
  "D10: a provider that refuses is told, with the time of the next attempt",
  async () => {
    const refusal = { error: { status: 429, message: "Too many requests" } };
    const opencode = await host({ conversations: [{ when: "^work$", turns: [refusal] }] });
    const session = await ask(opencode, "work");
    await until("the refusal is told", async () =>
      (await turnsOf(opencode, session)).some(({ retry }) => retry !== undefined),
    );
    const told = (await turnsOf(opencode, session)).find(({ retry }) => retry !== undefined);
    expect(told).toMatchObject({ state: "busy", retry: { attempt: expect.any(Number) } });
    expect(Date.parse(told?.retry?.at ?? "")).toBeGreaterThanOrEqual(Date.parse(told?.ts ?? "") - 1000);
    expect(told?.message).toMatch(/refuses for now .*attempt \d+ at \d\d:\d\d:\d\d/);
    opencode.model.setScript({ conversations: [{ when: "^work$", turns: [{ text: "done" }] }] });
    await until("the turn ends", async () => (await turnsOf(opencode, session)).at(-1)?.state === "idle");
    const states = (await turnsOf(opencode, session)).map(({ state, retry }) => (retry ? "retry" : state));
    expect(states.slice(states.lastIndexOf("retry"))).toEqual(["retry", "busy", "idle"]);
  },
);
