/** Permissions and questions of a real opencode, answered through the server's doors. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Turn } from "../../../../demo/model/script.ts";
import type { ActivityEntry, PermissionEntry, QuestionEntry } from "../../../src/protocol/activity.ts";
import { type Client, connect, type Message } from "../../server/client.ts";
import { AgentPlace, bash } from "../agent-place.ts";
import { missingOpencode, until } from "../opencode.ts";
import { View } from "./view.ts";

setDefaultTimeout(180_000);

const missing = missingOpencode() !== null;
const calls = (tool: string, args: Record<string, unknown>): Turn => ({ calls: [{ tool, args }] });
const QUESTION = {
  questions: [
    {
      question: "Which way?",
      header: "Way",
      options: [
        { label: "Left", description: "to the left" },
        { label: "Right", description: "to the right" },
      ],
    },
  ],
};

let place: AgentPlace;
const token = (name: "token" | "agent-token") => readFileSync(join(place.root, "state", name), "utf8").trim();
const client = (name: "token" | "agent-token" = "token"): Promise<Client> =>
  connect({ port: Number(new URL(place.opencode.review).port), developer: token(name) });

// Everything is asked that changes something.
const ASKS = { edit: "ask", bash: { "*": "ask", "true*": "allow" }, external_directory: "allow" };

const permissions = async () =>
  (await place.opencode.desk<{ permissions: PermissionEntry[] }>("/agent/permissions")).body.permissions;
const questions = async () =>
  (await place.opencode.desk<{ questions: QuestionEntry[] }>("/agent/questions")).body.questions;

async function first<Entry>(read: () => Promise<Entry[]>): Promise<Entry> {
  let found: Entry | undefined;
  await until("the agent asks", async () => {
    [found] = await read();
    return found !== undefined;
  });
  return found as Entry;
}

/** The whole activity, page by page. */
async function activity(session: string, limit = 7): Promise<ActivityEntry[]> {
  const entries: ActivityEntry[] = [];
  for (let since: number | null = 0; since !== null; ) {
    const path: string = `/agent/activity?session=${session}&since=${since}&limit=${limit}`;
    const { body } = await place.opencode.desk<{ entries: ActivityEntry[]; next: number | null }>(path);
    entries.push(...body.entries);
    since = body.next;
  }
  return entries;
}

const lines = async (session: string) => View.of(await activity(session)).lines;

async function begun(words: string, ...turns: Turn[]): Promise<string> {
  place.when(words, ...turns);
  const session = await place.newSession();
  await place.begin(words, session);
  return session;
}

const ended = (session: string) =>
  until("the turn ends", async () => (await lines(session)).some((line) => line.startsWith("turn ended")));

// Skipped where opencode is not provisioned; where CI is set that fails the run.
describe.skipIf(missing)("what the agent asks", () => {
  beforeAll(async () => {
    place = await AgentPlace.open(ASKS);
    await place.publish();
  });
  afterAll(() => place?.close());

  test("a permission answered once over HTTP runs; a second answer is told who was first", async () => {
    const session = await begun("touch it", bash("touch once-done && echo made"));
    const asked = await first(permissions);
    expect(asked).toMatchObject({
      permission: "bash",
      command: "touch once-done && echo made",
      state: "asked",
    });
    expect(existsSync(join(place.field.dir, "once-done"))).toBe(false);
    // Either may come first; what was asked runs once.
    const answer = () => place.opencode.desk<Message>(`/agent/permissions/${asked.id}`, { reply: "once" });
    const answers = await Promise.all([answer(), answer()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    await ended(session);
    expect(existsSync(join(place.field.dir, "once-done"))).toBe(true);
    const later = await place.opencode.desk<Message>(`/agent/permissions/${asked.id}`, { reply: "always" });
    expect(later.status).toBe(409);
    expect(later.body.error).toMatchObject({
      code: "not_waiting",
      details: { state: "answered", by: "developer", reply: "once" },
    });
    expect(await lines(session)).toContain(
      "permission bash touch once-done && echo made: answered once by developer",
    );
  });

  test("a rejection with words goes back to the model over the WebSocket, and what was asked does not run", async () => {
    const developer = await client();
    const session = await begun("spoil it", bash("touch spoiled"));
    const asked = await first(permissions);
    const listed = await developer.command({ type: "permissions" });
    expect(listed.data.permissions).toEqual([asked]);
    const request = { permission_id: asked.id, reply: "reject", message: "Rather not" };
    const answer = await developer.command({ type: "permission", request });
    expect(answer.data).toMatchObject({ success: true, permission: { state: "answered", by: "developer" } });
    expect((await developer.command({ type: "permission", request })).code).toBe("not_waiting");
    await ended(session);
    expect(existsSync(join(place.field.dir, "spoiled"))).toBe(false);
    expect(JSON.stringify(await place.messages(session))).toContain("Rather not");
    const unclear = await developer.command({
      type: "permission",
      request: { permission_id: asked.id, reply: "once", message: "x" },
    });
    expect(unclear.error).toContain("expected a message only when reply is reject");
    developer.close();
  });

  test("a question is answered, over HTTP and over the WebSocket", async () => {
    const developer = await client();
    for (const answered of ["HTTP", "WebSocket"]) {
      const session = await begun(`which ${answered}`, calls("question", QUESTION));
      const asked = await first(questions);
      expect((await developer.command({ type: "questions" })).data.questions).toEqual([asked]);
      const two = await place.opencode.desk<Message>(`/agent/questions/${asked.id}`, {
        answers: [["a"], ["b"]],
      });
      expect([two.status, two.body.error.message]).toEqual([
        400,
        "answers: expected one for each of 1 questions, got 2",
      ]);
      const answer =
        answered === "HTTP"
          ? (await place.opencode.desk<Message>(`/agent/questions/${asked.id}`, { answers: [["Left"]] })).body
          : (
              await developer.command({
                type: "question",
                request: { question_id: asked.id, answers: [["Left"]] },
              })
            ).data;
      expect(answer).toMatchObject({ success: true, question: { state: "answered", answers: [["Left"]] } });
      const again = await place.opencode.desk<Message>(`/agent/questions/${asked.id}`, { reject: true });
      expect([again.status, again.body.error.details.answers]).toEqual([409, [["Left"]]]);
      await ended(session);
      expect(await lines(session)).toContain('question Which way?: answered [["Left"]]');
    }
    developer.close();
  });

  test("the agent's token reads nothing of it and answers nothing", async () => {
    const session = await begun("wait for it", bash("touch waited"));
    const asked = await first(permissions);
    const agent = await client("agent-token");
    const heard: string[] = [];
    agent.socket.addEventListener("message", ({ data }) => heard.push(String(data)));
    for (const command of [
      { type: "watch", since: 0 },
      { type: "activity" },
      { type: "permissions" },
      { type: "questions" },
      { type: "permission", request: { permission_id: asked.id, reply: "once" } },
      { type: "question", request: { question_id: asked.id, reject: true } },
    ])
      expect([command.type, (await agent.command(command)).code]).toEqual([command.type, "forbidden"]);
    const headers = { authorization: `Bearer ${token("agent-token")}`, "content-type": "application/json" };
    const body = JSON.stringify({ reply: "once" });
    for (const [path, init] of [
      ["/agent/activity", {}],
      ["/agent/activity/stream", {}],
      ["/agent/permissions", {}],
      ["/agent/questions", {}],
      [`/agent/permissions/${asked.id}`, { method: "POST", body }],
      [`/agent/questions/${asked.id}`, { method: "POST", body: JSON.stringify({ reject: true }) }],
    ] as const)
      expect([path, (await fetch(`${place.opencode.review}${path}`, { headers, ...init })).status]).toEqual([
        path,
        403,
      ]);
    await place.opencode.desk(`/agent/permissions/${asked.id}`, { reply: "reject" });
    await ended(session);
    expect(heard.filter((text) => text.includes("agent.activity"))).toEqual([]);
    agent.close();
  });

  test("a stopped turn approves nothing, however late the answer", async () => {
    const late = { filePath: join(place.field.dir, "late.txt"), content: "late\n" };
    const session = await begun("write late", calls("write", late));
    const asked = await first(permissions);
    await place.opencode.desk("/abort", { session_id: session });
    await until("it is gone", async () => (await permissions()).length === 0);
    const answer = await place.opencode.desk<Message>(`/agent/permissions/${asked.id}`, { reply: "once" });
    expect([answer.status, answer.body.error.details.state]).toEqual([409, "gone"]);
    // Neither does the host's own door.
    await place.opencode.call(`/permission/${asked.id}/reply`, { reply: "once" }).catch(() => undefined);
    // By the end of another turn the write would long be done.
    await ended(await begun("something else", bash("true")));
    expect(existsSync(late.filePath)).toBe(false);
    expect((await lines(session)).filter((line) => line.startsWith("permission edit"))).toEqual([
      expect.stringContaining(": gone"),
    ]);
  });

  test("what waits for an answer holds up no settle, no decision, no other session", async () => {
    const waiting = await begun("hold on", bash("touch held"));
    const asked = await first(permissions);
    const other = await begun("go on", bash("true"));
    await ended(other);
    await place.reject((await proposedLine()) ?? "");
    const settled = await place.opencode.desk<Message>("/settle", {});
    expect(settled.body).toMatchObject({ settled: true });
    expect((await permissions()).map(({ id }) => id)).toEqual([asked.id]);
    await place.opencode.desk(`/agent/permissions/${asked.id}`, { reply: "once" });
    await ended(waiting);
    expect(existsSync(join(place.field.dir, "held"))).toBe(true);
  });

  test("who watched and who reads later see the same, over WebSocket, event stream and pages", async () => {
    const developer = await client();
    const live: ActivityEntry[] = [];
    developer.socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(String(data)) as { type: string; entry: ActivityEntry };
      if (message.type === "agent.activity") live.push(message.entry);
    });
    const watched = await developer.command({ type: "watch" });
    expect(watched.data.last).toBeGreaterThan(0);
    const stop = new AbortController();
    const stream = await fetch(`${place.opencode.review}/agent/activity/stream?since=${watched.data.last}`, {
      headers: { authorization: `Bearer ${token("token")}` },
      signal: stop.signal,
    });
    const streamed: ActivityEntry[] = [];
    const reading = (async () => {
      let text = "";
      for await (const piece of stream.body ?? []) {
        text += new TextDecoder().decode(piece);
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
          text = text.slice(end + 2);
          if (data !== undefined) streamed.push(JSON.parse(data).entry);
        }
      }
    })().catch(() => undefined);
    const todos = { todos: [{ content: "look", status: "in_progress", priority: "high" }] };
    const words = Array.from({ length: 30 }, (_, index) => `word ${index} `);
    const session = await begun(
      "everything",
      { reasoning: "Hm.", text: words, pieceDelayMs: 10, ...calls("todowrite", todos) },
      bash("echo one; echo two"),
      calls("question", QUESTION),
    );
    const permission = await first(permissions);
    await place.opencode.desk(`/agent/permissions/${permission.id}`, { reply: "once" });
    const question = await first(questions);
    await place.opencode.desk(`/agent/questions/${question.id}`, { answers: [["Right"]] });
    await ended(session);
    const replayed = await activity(session);
    const last = Math.max(...replayed.map(({ number }) => number));
    await until("all is heard", () => [live, streamed].every((heard) => heard.at(-1)?.number === last));
    const expected = View.of(replayed);
    const ofSession = (entries: ActivityEntry[]) =>
      entries.filter(({ root_session_id }) => root_session_id === session);
    expect(View.of(ofSession(live)).entries).toEqual(expected.entries);
    expect(View.of(ofSession(streamed)).entries).toEqual(expected.entries);
    expect((await developer.command({ type: "activity", session, limit: 1000 })).data.entries).toEqual(
      await activity(session, 1000),
    );
    expect(expected.lines).toEqual([
      "user text: everything",
      "turn ended done: everything",
      "assistant reasoning: Hm.",
      `assistant text: ${words.join("")}`,
      "todowrite completed: ]",
      "todo look=in_progress",
      "usage some",
      "bash completed: two",
      "permission bash echo one; echo two: answered once by developer",
      "usage some",
      expect.stringMatching(/^question completed: /),
      'question Which way?: answered [["Right"]]',
      "usage some",
      "assistant text: done",
      "usage some",
    ]);
    const ahead = await developer.command({ type: "watch", since: last + 1000 });
    expect([ahead.code, ahead.details.last]).toEqual(["invalid_request", last]);
    stop.abort();
    await reading;
    developer.close();
  });

  test("an opencode that is killed while something waits approves nothing; it is told as gone", async () => {
    const session = await begun("be killed", bash("touch after-kill"));
    const asked = await first(permissions);
    await place.opencode.kill();
    await place.opencode.start();
    expect(await permissions()).toEqual([]);
    const answer = await place.opencode.desk<Message>(`/agent/permissions/${asked.id}`, { reply: "once" });
    expect([answer.status, answer.body.error.details.state]).toEqual([409, "gone"]);
    const seen = await lines(session);
    expect(seen).toContain("permission bash touch after-kill: gone");
    expect(seen).toContain("turn ended cut_off: be killed");
    expect(seen).toContain("bash failed");
    expect(existsSync(join(place.field.dir, "after-kill"))).toBe(false);
  });
});

/** A line that the change under review adds. */
async function proposedLine(): Promise<string | undefined> {
  for (const { diff } of await place.hunks()) {
    const line = /^\+(.+)$/m.exec(diff)?.[1];
    if (line !== undefined) return line;
  }
  return undefined;
}
