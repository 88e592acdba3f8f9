import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Hunk } from "../../src/protocol/model.ts";
import { type Client, connect } from "./client.ts";
import { AgentRepository, Place, until } from "./place.ts";

setDefaultTimeout(30_000);

interface Review {
  at: Place;
  repository: AgentRepository;
  client: Client;
  id: string;
  hunks: Hunk[];
}

/** A server of its own with one suggestion and a client, for a test that decides. */
async function openReview(): Promise<Review> {
  const at = await Place.open();
  const repository = await AgentRepository.add(at);
  const { id, hunks } = await repository.publish();
  return { at, repository, client: await connect(at), id, hunks };
}

// For the tests that only read, and for commands that are refused: no test decides here or publishes.
let at: Place;
let client: Client;
let id: string;
let hunks: Hunk[];
beforeAll(async () => {
  ({ at, client, id, hunks } = await openReview());
});
afterAll(() => at.stop());

describe("reading and deciding", () => {
  test("list answers suggestion.list", async () => {
    const answer = await client.command({ type: "list", id: 42 });
    expect(answer).toMatchObject({
      type: "response",
      id: 42,
      success: true,
      data: { type: "suggestion.list", total: 1 },
    });
    expect(answer.data.suggestions[0]).toMatchObject({
      id,
      hunk_count: 4,
      reviewed_count: 0,
      status: "pending",
    });
  });

  test("get answers the suggestion with its hunks", async () => {
    const { data } = await client.command({ type: "get", suggestionId: id });
    expect(data.hunks.map((hunk: Hunk) => hunk.id)).toEqual(hunks.map((hunk) => hunk.id));
  });

  test("feedback: the event comes before the answer, to every client that never subscribed", async () => {
    const { at, client, id, hunks } = await openReview();
    const hunkId = hunks[1]?.id;
    const other = await connect(at, at.agent);
    const order: string[] = [];
    client.socket.addEventListener("message", ({ data }) => void order.push(JSON.parse(String(data)).type));
    const answer = await client.command({
      type: "feedback",
      suggestionId: id,
      hunkId,
      action: "accept",
    });
    expect(answer).toMatchObject({ success: true, data: { success: true, remaining_hunks: 3 } });
    expect(order[0]).toBe("suggestion.hunk_applied");
    expect(order.at(-1)).toBe("response");
    await until(() => other.events.length >= 1, "the event at the other client");
    const told = JSON.parse(other.events[0] ?? "{}");
    expect(told).toMatchObject({
      type: "suggestion.hunk_applied",
      hunk_id: hunkId,
      action: "accepted",
      by: "developer",
    });
    expect(at.journal()).toContain(other.events[0] ?? "");
    other.close();
    await at.stop();
  });

  test("modify without a diff names the field in this door's spelling", async () => {
    const answer = await client.command({
      type: "feedback",
      suggestionId: id,
      hunkId: hunks[1]?.id,
      action: "modify",
    });
    expect(answer).toMatchObject({
      success: false,
      code: "invalid_request",
      details: { field: "modifiedDiff" },
    });
  });

  test("unknown ids, unknown fields and unknown commands are told apart", async () => {
    const answers = [
      await client.command({ type: "get", suggestionId: "nothing" }),
      await client.command({ type: "get", suggestionId: id, extra: 1 }),
      await client.command({ type: "gte" }),
    ];
    expect(answers.map(({ code }) => code)).toEqual(["not_found", "invalid_request", "invalid_request"]);
    expect(answers[1]?.details.field).toBe("extra");
  });

  test("complete discards", async () => {
    const { at, repository, client, id } = await openReview();
    const more = await repository.publishAsItIs("again").catch(() => null);
    expect(more).toBeNull();
    const answer = await client.command({ type: "complete", suggestionId: id, action: "discard" });
    expect(answer).toMatchObject({ success: true, data: { action: "discarded" } });
    await at.stop();
  });

  test("A10: undo takes a discard back, over the socket and over HTTP", async () => {
    const { at, client, id } = await openReview();
    await client.command({ type: "complete", suggestionId: id, action: "discard" });
    const heard = () => client.events.map((text) => JSON.parse(text).type);
    const undone = await client.command({ type: "undo", request: { suggestion_id: id } });
    expect(undone).toMatchObject({ success: true, data: { state: "open", changed: 0 } });
    await until(() => heard().includes("suggestion.reopened"), "the event");
    expect(
      (await client.command({ type: "list" })).data.suggestions.map((one: { id: string }) => one.id),
    ).toEqual([id]);
    const done = await at.ask("/redo", { body: { suggestion_id: id } });
    expect(done).toMatchObject({ status: 200, body: { state: "discarded" } });
    const again = await at.ask("/undo", { body: { suggestion_id: id } });
    expect(again).toMatchObject({ status: 200, body: { state: "open" } });
    await at.stop();
  });
});

describe("commands that carry a request", () => {
  test("carry the REST request as it is", async () => {
    const { at, client, id, hunks } = await openReview();
    const scope = { action: "reject", comment: "not this" };
    const batch = await client.command({ type: "batch", request: { suggestion_id: id, scope } });
    expect(batch).toMatchObject({ success: true, data: { remaining_hunks: 0 } });
    const undone = await client.command({ type: "undo", request: { suggestion_id: id } });
    expect(undone.data.remaining_hunks).toBe(hunks.length);
    const page = await client.command({ type: "hunks", suggestionId: id, limit: 1 });
    expect(page.data.hunks).toHaveLength(1);
    const content = { type: "content", suggestionId: id, file: "keep.txt", side: "base" };
    expect(atob((await client.command(content)).data.base64)).toBe("stays\n");
    expect((await client.command({ type: "status", request: { message: "Working" } })).success).toBe(true);
    await at.stop();
  });

  test("the agent's socket may report but not decide", async () => {
    const agent = await connect(at, at.agent);
    const decide = { type: "feedback", suggestionId: id, hunkId: hunks[0]?.id, action: "accept" };
    expect((await agent.command(decide)).code).toBe("forbidden");
    const scope = { action: "accept" };
    expect((await agent.command({ type: "batch", request: { suggestion_id: id, scope } })).code).toBe(
      "forbidden",
    );
    expect((await agent.command({ type: "complete", suggestionId: id, action: "finalize" })).code).toBe(
      "forbidden",
    );
    expect((await agent.command({ type: "list" })).success).toBe(true);
    agent.close();
  });

  test("commands beyond the limit are refused with the time to wait", async () => {
    const other = await Place.open({ limits: { requestsPerSecond: 1, requestBurst: 3 } });
    const quick = await connect(other);
    const refused = new Promise<Record<string, unknown>>((resolve) =>
      quick.socket.addEventListener("message", ({ data }) => {
        const message = JSON.parse(String(data));
        if (!message.success) resolve(message);
      }),
    );
    for (let i = 0; i < 5; i++) quick.socket.send(JSON.stringify({ type: "ping", id: i }));
    expect(await refused).toMatchObject({ code: "rate_limited", details: { retry_after: 1 } });
    quick.close();
    await other.stop();
  });

  test("an answer over the message limit is refused with a way out, not sent", async () => {
    const other = await Place.open({ limits: { messageBytes: 2500 } });
    const published = await (await AgentRepository.add(other)).publish();
    const small = await connect(other);
    const answer = await small.command({ type: "get", suggestionId: published.id });
    expect(answer).toMatchObject({ success: false, code: "payload_too_large" });
    expect((await small.command({ type: "hunks", suggestionId: published.id, limit: 1 })).success).toBe(true);
    small.close();
    await other.stop();
  });
});
