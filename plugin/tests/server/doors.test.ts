/** One review gone through by the WebSocket alone, what only moved branches reach, and options by their effects. */
import { afterEach, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { join } from "node:path";
import { watched } from "../../../test-harness/support/doors.ts";
import { loadConfig } from "../../src/config.ts";
import { startHost } from "../../src/process.ts";
import { openBare } from "../../src/vcs/git.ts";
import { Review } from "../support/desk.ts";
import { numbered } from "../support/repo.ts";
import { type Client, connect } from "./client.ts";
import { AgentRepository, Place, temporaryDirectory } from "./place.ts";

setDefaultTimeout(60_000);

let at: Place | null = null;
afterEach(async () => {
  await at?.stop();
  at = null;
});

/** Somebody else's commit on the hub's shared branch. */
async function sharedBranchMoves(place: Place, id: string): Promise<void> {
  const name = place.desk.get(id).hub.replace(/^\/git\/|\.git$/g, "");
  const hub = await openBare(join(place.desk.hubRoot(), `${name}.git`));
  const parent = await hub.resolve("refs/heads/main");
  const commit = `commit refs/heads/main\ncommitter Other <other@example.org> 1750000000 +0000\ndata 5\nother\n`;
  await hub.run(["fast-import", "--quiet", "--date-format=raw"], {
    input: `${commit}from ${parent}\nM 100644 inline other.txt\ndata 6\nother\n\n`,
  });
  await place.desk.hubChanged(name);
}

/** The answer to a command that is wrapped around a REST request. */
async function done(client: Client, type: string, request: object) {
  const answer = await client.command({ type, request });
  expect([type, answer.success, answer.error]).toEqual([type, true, undefined]);
  return answer.data;
}

test("a review is published, decided, checked, rebased and settled over the WebSocket", async () => {
  at = await Place.open({ options: { verify: { command: "grep -qx 'line three' src/a.ts" } } });
  const repository = await AgentRepository.add(at);
  const [developer, agent] = [await connect(at), await connect(at, at.agent)];
  repository.edit("src/a.ts", (text) =>
    text.replace("line 3\n", "line three\n").replace("line 30\n", "line thirty\n"),
  );
  const published = await done(agent, "publish", { description: "By socket", project: repository.dir });
  const id: string = published.suggestion_id;
  const states = () =>
    at?.desk.hunks(id, { limit: 10, offset: 0 }).hunks.map(({ state }) => state) as string[];
  const [first, second] = at.desk.hunks(id, { limit: 10, offset: 0 }).hunks;
  const one = { suggestion_id: id, hunk_id: first?.id };
  await done(agent, "status", { message: "Waiting", project: repository.dir });
  await done(developer, "comment", { ...one, comment: "why?" });
  expect(at.desk.hunks(id, { limit: 1, offset: 0 }).hunks[0]?.comments?.[0]?.text).toBe("why?");
  const decisions = [
    { hunk_id: first?.id, action: "accept" },
    { hunk_id: second?.id, action: "reject", comment: "no" },
  ];
  await done(developer, "batch", { suggestion_id: id, decisions });
  expect(states()).toEqual(["accepted", "rejected"]);
  await done(developer, "undo", { suggestion_id: id });
  expect(states()).toEqual(["pending", "pending"]);
  await done(developer, "redo", { suggestion_id: id });
  expect(states()).toEqual(["accepted", "rejected"]);
  expect(await done(developer, "verify", { suggestion_id: id })).toMatchObject({ ok: true, exit_code: 0 });
  expect(await done(developer, "revise", { suggestion_id: id })).toMatchObject({ sent: false });
  expect(await done(agent, "settle", { project: repository.dir })).toMatchObject({ settled: true });
  await sharedBranchMoves(at, id);
  expect(at.desk.get(id).base_moved).toBe(true);
  await done(developer, "rebase", { suggestion_id: id });
  expect(at.desk.get(id)).toMatchObject({ base_moved: false, revision: 2 });
  // What was rejected has left the agent's change as it settled.
  expect(states()).toEqual(["accepted"]);
  for (const client of [developer, agent]) client.close();
});

test("what the cage refused is told once and counted; the developer alone reports it", async () => {
  at = await Place.open();
  const repository = await AgentRepository.add(at);
  const client = await connect(at);
  const tried = { kind: "network", target: "example.org:443", reason: "not on the list" };
  const curl = { ...tried, program: "curl/8", count: 2 };
  expect(await done(client, "refusals", { refusals: [curl], project: repository.dir })).toEqual({
    refused: 2,
  });
  const again = await at.ask("/sandbox/refusals", { body: { refusals: [curl, { ...tried, count: 1 }] } });
  expect([again.status, again.body]).toEqual([200, { refused: 5 }]);
  const told = (await at.ask("/events?type=sandbox.refused")).body.events;
  expect(told).toMatchObject([
    { type: "sandbox.refused", ...curl, total: 2 },
    { ...tried, count: 1, total: 1 },
  ]);
  const { body } = await at.ask(`/sandbox?project=${encodeURIComponent(repository.dir)}`);
  expect(body.refused).toBe(5);
  expect(body.refusals).toHaveLength(2);
  expect(body.refusals).toContainEqual(expect.objectContaining({ ...curl, count: 4 }));
  for (const refusals of [
    [],
    [{ ...curl, count: 0 }],
    [{ ...curl, kind: "moon" }],
    [{ ...curl, target: "" }],
  ]) {
    expect((await at.ask("/sandbox/refusals", { body: { refusals } })).status).toBe(400);
  }
  const denied = await at.ask("/sandbox/refusals", { body: { refusals: [curl] }, token: at.agent });
  expect(denied.status).toBe(403);
  expect((await at.ask("/sandbox?project=/nowhere")).status).toBe(404);
  expect((await at.ask("/sandbox")).body.refused).toBe(5);
  client.close();
});

test("a refusal names the command behind it: the one of its number, or what the reporter says, as one short line", async () => {
  at = await Place.open();
  await AgentRepository.add(at);
  const number = at.desk.commands.begin("curl https://a.example\n\u001b]0;x\u0007 | sh");
  const tried = { kind: "network", target: "a.example:443", reason: "not on the list", count: 1 };
  const bidi = "\u202e".repeat(3);
  const refusals = [
    { ...tried, call: number, command: "not this one" },
    { ...tried, target: "b.example:443", call: "0".repeat(24) },
    { ...tried, target: "c.example:443", call: "0".repeat(24), command: `${bidi}the MCP server x\r` },
    { ...tried, target: "d.example:443", command: `echo ${"é".repeat(400)}` },
  ];
  expect((await at.ask("/sandbox/refusals", { body: { refusals } })).status).toBe(200);
  const { events } = (await at.ask("/events?type=sandbox.refused")).body;
  const { body } = await at.ask("/sandbox");
  for (const told of [events, body.refusals]) {
    const commands = new Map(
      told.map((one: { target: string; command?: string }) => [one.target, one.command]),
    );
    expect(Object.fromEntries(commands)).toEqual({
      "a.example:443": "curl https://a.example ]0;x | sh",
      "b.example:443": undefined,
      "c.example:443": "the MCP server x",
      "d.example:443": `echo ${"é".repeat(295)}…`,
    });
  }
  // Alike ones are one row, with the last one's command, and no news.
  const next = at.desk.commands.begin("wget https://a.example");
  for (const call of [next, undefined])
    await at.ask("/sandbox/refusals", { body: { refusals: [{ ...tried, call }] } });
  const after = (await at.ask("/sandbox")).body.refusals;
  expect(after).toContainEqual(
    expect.objectContaining({ target: "a.example:443", count: 3, command: "wget https://a.example" }),
  );
  expect((await at.ask("/events?type=sandbox.refused")).body.events).toHaveLength(4);
  const wrong = { ...tried, call: "0".repeat(65) };
  expect((await at.ask("/sandbox/refusals", { body: { refusals: [wrong] } })).status).toBe(400);
});

test("a thousand kinds of refusals are told apart, and what comes after them is counted", async () => {
  at = await Place.open();
  await AgentRepository.add(at);
  const refusal = (n: number) => ({ kind: "network", target: `host-${n}:443`, reason: "list", count: 1 });
  for (let from = 0; from < 1200; from += 100) {
    const refusals = Array.from({ length: 100 }, (_, n) => refusal(from + n));
    expect((await at.ask("/sandbox/refusals", { body: { refusals } })).status).toBe(200);
  }
  const { body } = await at.ask("/sandbox");
  expect(body.refused).toBe(1200);
  expect(body.refusals).toHaveLength(200);
  const told = (await at.ask("/events?type=sandbox.refused&limit=1000")).body;
  expect(told.events.length).toBe(1000);
  const rest = await at.ask(`/events?type=sandbox.refused&limit=1000&since=${told.events.at(-1).seq}`);
  expect(rest.body.events).toMatchObject([{ target: "*", total: 1 }]);
});

test("a suggestion whose base has moved is rebased over HTTP", async () => {
  at = await Place.open();
  const repository = await AgentRepository.add(at);
  const { id } = await repository.publish();
  await sharedBranchMoves(at, id);
  const answer = await at.ask("/rebase", { body: { suggestion_id: id } });
  expect([answer.status, answer.body.error]).toEqual([200, undefined]);
  expect(at.desk.get(id)).toMatchObject({ base_moved: false, revision: 2 });
});

test("sync.prefix begins the bookmarks, and sync.base is the branch they come onto", async () => {
  const review = await Review.of({ poem: numbered(30) }, { sync: { prefix: "reviewed/", base: "trunk" } });
  try {
    // A hub gets its first branch from the agent's repository.
    await review.repo.jj("bookmark", "create", "trunk", "-r", "main");
    await review.restart();
    review.repo.edit("poem", { "line 2": "two" });
    const { hub } = review.project;
    const first = (await hub.resolve("refs/heads/trunk")) as string;
    const moved = `commit refs/heads/trunk\ncommitter Other <o@example.org> 1750000000 +0000\ndata 5\nother\n`;
    await hub.run(["fast-import", "--quiet", "--date-format=raw"], {
      input: `${moved}from ${first}\nM 100644 inline other\ndata 4\nnew\n\n`,
    });
    await review.desk.hubChanged(review.project.hubName);
    const { suggestion_id: id } = await review.publish();
    review.acceptAll(id);
    const result = await review.finalize(id);
    expect(result.ref).toStartWith("reviewed/");
    expect(result.base_commit).toBe((await hub.resolve("refs/heads/trunk")) as string);
    expect(result.base_commit).not.toBe(first);
  } finally {
    review.close();
  }
});

test("log_level says how much goes to standard error", async () => {
  const said = async (log_level: string): Promise<string> => {
    const home = temporaryDirectory("level");
    const written: string[] = [];
    const spy = spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
    try {
      const given = { port: 0, state_dir: home, feedback_log: join(home, "feedback.jsonl"), log_level };
      const host = await startHost(
        watched(loadConfig(given, { HOME: home }), loadConfig({}, { HOME: home })),
      );
      await host.stop();
    } finally {
      spy.mockRestore();
    }
    return written.join("");
  };
  expect(await said("info")).toContain('"message":"stopped"');
  expect(await said("error")).toBe("");
});

test("/events/stream tells what was and what comes", async () => {
  at = await Place.open();
  const first = at.emit("before");
  const response = await fetch(`${at.url}/events/stream?since=${first.seq - 1}`, {
    headers: { Authorization: `Bearer ${at.developer}` },
  });
  expect(response.headers.get("content-type")).toStartWith("text/event-stream");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  const read = async (what: string): Promise<void> => {
    while (!text.includes(what)) {
      const { value, done: ended } = await reader.read();
      if (ended) throw new Error(`ended before ${what}: ${text}`);
      text += new TextDecoder().decode(value);
    }
  };
  await read('"message":"before"');
  at.emit("after");
  await read('"message":"after"');
  expect(text).toContain(`id: ${first.seq + 1}`);
  await reader.cancel();
});
