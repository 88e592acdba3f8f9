/** `list` is remembered between changes: it must never show what is no longer so, whoever changed it. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Hunk } from "../../src/protocol/model.ts";
import { Desk } from "../../src/review/desk.ts";
import { type Client, connect } from "./client.ts";
import { AgentRepository, Place } from "./place.ts";

setDefaultTimeout(30_000);

let at: Place;
let repository: AgentRepository;
let client: Client;
let id: string;
let hunks: Hunk[];
// Each test decides, and so has a server of its own.
beforeEach(async () => {
  at = await Place.open();
  repository = await AgentRepository.add(at);
  ({ id, hunks } = await repository.publish());
  client = await connect(at);
});
afterEach(async () => {
  client.close();
  await at.stop();
});

/** The first suggestion's counts over both doors, which must agree with each other and with the desk. */
async function shown(): Promise<{ reviewed: number; total: number }> {
  const overHttp = (await at.ask("/suggestions?status=all")).body;
  const overSocket = (await client.command({ type: "list", status: "all" })).data;
  const fresh = at.desk.list({ status: "all", limit: 100, offset: 0 });
  expect(overHttp.suggestions).toEqual(fresh.suggestions);
  expect(overSocket).toMatchObject({ suggestions: fresh.suggestions, total: fresh.total });
  return { reviewed: overHttp.suggestions[0].reviewed_count, total: overHttp.total };
}

const accept = (index: number) => ({
  suggestion_id: id,
  hunk_id: hunks[index]?.id ?? "",
  action: "accept" as const,
});

describe("the list is as it is now", () => {
  test("after status messages, decisions, undo, a new suggestion and a discard", async () => {
    expect(await shown()).toEqual({ reviewed: 0, total: 1 });
    at.emit("still working");
    expect(await shown()).toEqual({ reviewed: 0, total: 1 });
    await at.ask("/feedback", { body: accept(0) });
    expect(await shown()).toEqual({ reviewed: 1, total: 1 });
    await at.ask("/undo", { body: { suggestion_id: id } });
    expect(await shown()).toEqual({ reviewed: 0, total: 1 });
    repository.edit("keep.txt", (text) => `${text}more\n`);
    const other = await repository.publishAsItIs("Another");
    expect(await shown()).toEqual({ reviewed: 0, total: 2 });
    await at.ask("/complete", { body: { suggestion_id: other.id, action: "discard" } });
    expect((await at.ask("/suggestions")).body.total).toBe(1);
    await shown();
  });

  test("after a decision that another process of the same ledger made, before this one is told of it", async () => {
    await shown();
    const elsewhere = new Desk(at.config);
    await elsewhere.addProject(repository.dir);
    elsewhere.decide(accept(1), "developer");
    expect((await at.ask("/suggestions?status=all")).body.suggestions[0].reviewed_count).toBe(1);
    at.desk.decide(accept(2), "developer");
    expect((await shown()).reviewed).toBe(2);
    elsewhere.close();
  });
});
