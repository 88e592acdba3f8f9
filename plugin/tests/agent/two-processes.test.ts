/** Two opencode processes on one project, over one ledger and one session store: the agent hears everything once. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { AgentPlace } from "./agent-place.ts";
import { missingOpencode, type Opencode, startOpencode, until } from "./opencode.ts";

setDefaultTimeout(300_000);
// Skipped where opencode is not provisioned; where CI is set that fails the run.
const skip = missingOpencode() !== null;
const DECISIONS = process.env.SUGGESTION_LONG === "1" ? 40 : 12;

let place: AgentPlace | undefined;
let other: Opencode | undefined;
afterEach(async () => {
  await other?.stop();
  await place?.close();
  other = place = undefined;
});

async function both(): Promise<AgentPlace> {
  place = await AgentPlace.open();
  await place.publish();
  other = await startOpencode(place.root, place.field.dir, { conversations: [] });
  return place;
}

const counts = async (from: AgentPlace, said: string[]) => {
  const told = await from.told();
  return said.map((mark) => told.filter((text) => text.includes(mark)).length);
};

test.skipIf(skip)("D3: no decision is told twice, whichever process it was made in", async () => {
  const first = await both();
  const said: string[] = [];
  const hunks = (await first.hunks()).filter(({ state }) => state === "pending");
  for (let index = 0; index < DECISIONS; index++) {
    const mark = `reason-${index}.`;
    const { desk } = index % 2 === 0 ? first.opencode : (other as Opencode);
    const { status } = await desk("/feedback", {
      suggestion_id: first.suggestion,
      hunk_id: hunks[index]?.id,
      action: "reject",
      comment: mark,
    });
    expect(status).toBe(200);
    said.push(mark);
    // Around the half second after which a process notices what another wrote.
    await Bun.sleep(90 * (index % 8));
  }
  await until("everything is told", async () => (await counts(first, said)).every((count) => count > 0));
  // Both couriers have come to rest when a later decision has arrived.
  await first.reject("H 3.11", "the last");
  await until("the last is told", async () => ((await counts(first, ["the last"]))[0] ?? 0) > 0);
  expect(await counts(first, [...said, "the last"])).toEqual([...said.map(() => 1), 1]);
});

test.skipIf(skip)("D3: what a killed process was about to tell is told by the other, once", async () => {
  const first = await both();
  const said: string[] = [];
  for (let index = 0; index < 4; index++) {
    await first.reject(`H 1.${index}`, `reason-${index}.`);
    said.push(`reason-${index}.`);
    await Bun.sleep(70);
  }
  await first.opencode.kill();
  const survivor = other as Opencode;
  const told = async () => {
    const messages = await survivor.call<
      { parts: { text?: string; metadata?: Record<string, unknown> }[] }[]
    >(`/session/${first.session}/message`);
    return messages.flatMap(({ parts }) =>
      parts.flatMap((part) =>
        part.metadata?.suggestion_manager_delivery === undefined ? [] : [part.text ?? ""],
      ),
    );
  };
  const once = async () => {
    const texts = await told();
    return said.map((mark) => texts.filter((text) => text.includes(mark)).length);
  };
  await until("everything is told", async () => (await once()).every((count) => count > 0));
  expect(await once()).toEqual(said.map(() => 1));
});
