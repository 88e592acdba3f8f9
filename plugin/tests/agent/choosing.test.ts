/** The agent's sessions, who answers in them and by which model, chosen by the developer through the server's doors. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ActivityEntry } from "../../src/protocol/activity.ts";
import {
  AgentSession,
  type Choices,
  ChoicesAnswer,
  SessionsAnswer,
  type SessionsPage,
} from "../../src/protocol/sessions.ts";
import { type Client, connect } from "../server/client.ts";
import { AgentPlace } from "./agent-place.ts";
import { missingOpencode, until } from "./opencode.ts";

setDefaultTimeout(120_000);

interface Refused {
  error: { code: string; message: string };
}
interface Asked {
  session_id: string;
}

// Skipped where opencode is not provisioned; where CI is set that fails the run.
describe.skipIf(missingOpencode() !== null)("choosing", () => {
  let place: AgentPlace;
  let developer: Client;

  const token = (name: "token" | "agent-token") =>
    readFileSync(join(place.root, "state", name), "utf8").trim();
  const desk = async <Answer>(path: string, body?: unknown): Promise<Answer> => {
    const answer = await place.opencode.desk<Answer>(path, body);
    if (answer.status !== 200) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const sessions = (query = "") => desk<SessionsPage>(`/agent/sessions${query}`);
  const find = async (id: string) => (await sessions()).sessions.find(({ session_id }) => session_id === id);
  const resting = (id: string) => until("the turn ends", async () => (await find(id))?.state === "idle");
  /** Asks, and returns when that is answered. */
  const ask = async (text: string, fields: object = {}): Promise<string> => {
    const before = place.opencode.model.requests.length;
    const { session_id } = await desk<Asked>("/ask", { text, ...fields });
    await until("the model is asked", () => heard(text, before) !== undefined);
    await resting(session_id);
    return session_id;
  };
  /** The request in which the model hears a prompt. */
  const heard = (text: string, since = 0) =>
    place.opencode.model.requests
      .slice(since)
      .find(
        ({ messages, tools }) =>
          tools.length > 0 && JSON.stringify(messages.findLast(({ role }) => role === "user")).includes(text),
      );

  beforeAll(async () => {
    place = await AgentPlace.open();
    place.when("nothing");
    developer = await connect({
      port: Number(new URL(place.opencode.review).port),
      developer: token("token"),
    });
  });
  afterAll(async () => {
    developer?.close();
    await place?.close();
  });

  test("there are the models with their variants, and the agents that one speaks with", async () => {
    const there = ChoicesAnswer.parse(await desk<Choices>("/agent/choices"));
    expect(there.models.map(({ model, variants }) => [model, variants])).toEqual([
      ["scripted/scripted-1", expect.anything()],
      ["scripted/scripted-2", expect.arrayContaining(["high"])],
    ]);
    expect(there.models[1]).toMatchObject({ name: "The other", context: 100_000 });
    expect(there.default_model).toBe("scripted/scripted-1");
    const agents = there.agents.map(({ agent }) => agent);
    expect(agents).toContain("build");
    expect(agents).toContain("plan");
    expect(agents).not.toContain("general");
    expect((await developer.command({ type: "choices" })).data).toEqual(there);
  });

  test("a prompt begins a session, or goes on in the one that is named, or in the last", async () => {
    const first = await ask("begin", { new_session: true });
    const second = await ask("begin again", { new_session: true });
    expect(second).not.toBe(first);
    expect(await ask("go on", { session_id: first })).toBe(first);
    expect(await ask("go on once more")).toBe(first);
    const listed = (await sessions()).sessions.map(({ session_id }) => session_id);
    expect(listed.indexOf(first)).toBe(0);
    expect(listed).toContain(second);
  });

  test("who answers, and by which model and variant, is chosen with a prompt and stays", async () => {
    const session = await ask("plan it", {
      new_session: true,
      agent: "plan",
      model: "scripted/scripted-2",
      variant: "high",
    });
    expect(heard("plan it")).toMatchObject({ model: "scripted-2", reasoning_effort: "high" });
    expect(await find(session)).toMatchObject({
      agent: "plan",
      model: "scripted/scripted-2",
      variant: "high",
    });
    await ask("plan on", { session_id: session });
    expect(heard("plan on")).toMatchObject({ model: "scripted-2", reasoning_effort: "high" });
    // A model that is chosen anew does not take the other's variant along.
    await ask("build it", { session_id: session, agent: "build", model: "scripted/scripted-1" });
    expect(heard("build it")?.model).toBe("scripted-1");
    const now = await find(session);
    expect(now).toMatchObject({ agent: "build", model: "scripted/scripted-1" });
    expect(now?.variant).toBeUndefined();
  });

  test.each([
    [
      { model: "scripted/none" },
      400,
      /model: opencode has no scripted\/none; expected one of scripted\/scripted-1/,
    ],
    [{ model: "none" }, 400, /model: expected provider\/model/],
    [{ agent: "general" }, 400, /agent: opencode has no general; expected one of .*build/],
    [
      { model: "scripted/scripted-2", variant: "odd" },
      400,
      /variant: opencode has no odd; expected one of .*high/,
    ],
    [{ variant: "high" }, 400, /variant: expected a variant only with model/],
    [
      { session_id: "ses_1", new_session: true },
      400,
      /new_session: expected either session_id or new_session/,
    ],
    [{ session_id: "ses_none" }, 404, /session_id: /],
  ])("%j is refused, and nothing begins", async (fields, status, message) => {
    const before = (await sessions()).sessions.length;
    const answer = await place.opencode.desk<Refused>("/ask", { text: "never", ...fields });
    expect(answer.status).toBe(status);
    expect(answer.body.error.message).toMatch(message);
    expect((await sessions()).sessions.length).toBe(before);
    expect(heard("never")).toBeUndefined();
  });

  test("sessions are found by their titles, page by page", async () => {
    for (const title of ["Apples, red", "Apples, green", "Apples, gone"]) {
      const session = await ask(`about ${title}`, { new_session: true });
      const { session: renamed } = await desk<{ session: AgentSession }>(
        `/agent/sessions/${session}/rename`,
        { title },
      );
      expect(AgentSession.parse(renamed)).toMatchObject({ session_id: session, title, state: "idle" });
    }
    const all = SessionsAnswer.parse(await sessions("?search=apples"));
    expect(all.sessions.map(({ title }) => title).sort()).toEqual([
      "Apples, gone",
      "Apples, green",
      "Apples, red",
    ]);
    expect(all.next).toBeNull();
    const pages: string[] = [];
    for (let offset: number | null = 0; offset !== null; ) {
      const page: SessionsPage = await sessions(`?search=apples&limit=2&offset=${offset}`);
      pages.push(...page.sessions.map(({ session_id }) => session_id));
      offset = page.next;
    }
    expect(pages).toEqual(all.sessions.map(({ session_id }) => session_id));
    const { data } = await developer.command({ type: "sessions", search: "apples", limit: 1 });
    expect(data).toMatchObject({ sessions: [{ session_id: pages[0] }], next: 1 });
    const over = await developer.command({
      type: "renameSession",
      request: { session_id: pages[0], title: "Apples\nand more" },
    });
    expect(over.error).toMatch(/title: expected a title on one line/);
    const request = { session_id: pages[0], title: "Pears" };
    expect((await developer.command({ type: "renameSession", request })).data.session.title).toBe("Pears");
  });

  test("a fork has what was said before a message, and goes on by itself", async () => {
    const session = await ask("first words", { new_session: true });
    await ask("second words", { session_id: session });
    const messages = await place.messages(session);
    const second = messages.find(({ parts }) => parts.some(({ text }) => text === "second words"));
    const { session: fork } = await desk<{ session: AgentSession }>(`/agent/sessions/${session}/fork`, {
      message_id: second?.info.id,
    });
    expect(fork.session_id).not.toBe(session);
    await ask("other words", { session_id: fork.session_id });
    const sent = JSON.stringify(heard("other words")?.messages);
    expect(sent).toContain("first words");
    expect(sent).not.toContain("second words");
    expect(JSON.stringify(await place.messages(session))).not.toContain("other words");
    // What it took over is told as its own.
    const { entries } = await desk<{ entries: ActivityEntry[] }>(
      `/agent/activity?session=${fork.session_id}&limit=1000`,
    );
    expect(
      entries.flatMap((one) => (one.type === "agent.message" && one.role === "user" ? [one.text] : [])),
    ).toEqual(["first words", "other words"]);
    const whole = await developer.command({ type: "forkSession", request: { session_id: session } });
    expect((await place.messages(whole.data.session.session_id)).length).toBe(messages.length);
    const odd = await place.opencode.desk<Refused>(`/agent/sessions/${session}/fork`, {
      message_id: "msg_none",
    });
    expect(odd.body.error.message).toMatch(/^message_id: /);
  });

  /** So many summaries. */
  const told = (session: string, times: number) =>
    until("it is told", async () => {
      const path = `/agent/activity?session=${session}&limit=1000`;
      const { entries } = await desk<{ entries: ActivityEntry[] }>(path);
      return (
        entries.filter((one) => one.type === "agent.notice" && one.kind === "compaction").length === times
      );
    });

  test("a session is compacted, which is told", async () => {
    const session = await ask("much to say", { new_session: true });
    await desk(`/agent/sessions/${session}/compact`, {});
    await told(session, 1);
    await resting(session);
    expect(
      (await developer.command({ type: "compactSession", request: { session_id: session } })).success,
    ).toBe(true);
    await told(session, 2);
    await resting(session);
    expect(
      (await developer.command({ type: "compactSession", request: { session_id: "ses_none" } })).error,
    ).toMatch(/^session_id: /);
  });

  test("a session is deleted when nobody works in it, and its suggestions stay", async () => {
    place.when("hold on", { calls: [{ tool: "bash", args: { command: "sleep 60", description: "holds" } }] });
    await place.publish();
    const { session, suggestion } = place;
    await place.begin("hold on", session);
    await until("it works", async () => (await find(session))?.state === "busy");
    const busy = await place.opencode.desk<Refused>(`/agent/sessions/${session}/delete`, {});
    expect(busy).toMatchObject({ status: 409, body: { error: { code: "nothing_to_do" } } });
    expect(busy.body.error.message).toMatch(/works in this session: stop it first/);
    await desk("/abort", { session_id: session });
    await resting(session);
    const { data } = await developer.command({ type: "deleteSession", request: { session_id: session } });
    expect(data).toMatchObject({ success: true, session_id: session });
    expect(await find(session)).toBeUndefined();
    expect((await place.opencode.desk<Refused>(`/agent/sessions/${session}/delete`, {})).status).toBe(404);
    expect(await desk(`/suggestions/${suggestion}`)).toMatchObject({ id: suggestion, state: "open" });
    const other = await ask("soon gone", { new_session: true });
    expect(await desk<object>(`/agent/sessions/${other}/delete`, {})).toEqual({
      success: true,
      session_id: other,
    });
    expect(await find(other)).toBeUndefined();
    // Who asks then speaks with another.
    expect(await ask("who is there?")).not.toBe(session);
  });

  test("a session of another project of the same opencode is left alone", async () => {
    const elsewhere = join(place.root, "elsewhere");
    mkdirSync(elsewhere);
    const response = await fetch(`${place.opencode.url}/session?directory=${encodeURIComponent(elsewhere)}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ title: "Not ours" }),
    });
    const { id } = (await response.json()) as { id: string };
    expect(await find(id)).toBeUndefined();
    for (const [verb, body] of Object.entries({
      rename: { title: "Ours" },
      fork: {},
      compact: {},
      delete: {},
    })) {
      const answer = await place.opencode.desk<Refused>(`/agent/sessions/${id}/${verb}`, body);
      expect([answer.status, answer.body.error.message]).toEqual([
        404,
        expect.stringContaining("session_id: the session is of another project"),
      ]);
    }
    for (const path of ["/ask", "/abort"]) {
      const words = path === "/ask" ? { text: "never there" } : {};
      expect((await place.opencode.desk<Refused>(path, { ...words, session_id: id })).status).toBe(404);
    }
    const kept = await fetch(`${place.opencode.url}/session/${id}`);
    expect(await kept.json()).toMatchObject({ id, title: "Not ours" });
  });

  test("none of it is for the agent's token", async () => {
    const agent = { authorization: `Bearer ${token("agent-token")}` };
    for (const path of ["/agent/sessions", "/agent/choices"])
      expect((await fetch(place.opencode.review + path, { headers: agent })).status).toBe(403);
    for (const verb of ["rename", "fork", "compact", "delete"]) {
      const answer = await fetch(`${place.opencode.review}/agent/sessions/ses_1/${verb}`, {
        method: "POST",
        headers: { ...agent, "content-type": "application/json" },
        body: "{}",
      });
      expect(answer.status).toBe(403);
    }
  });
});
