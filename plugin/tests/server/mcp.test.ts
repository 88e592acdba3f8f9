/** An agent that speaks the Model Context Protocol, by the protocol's own client: over HTTP and by the program on standard input and output. */
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { noteDoor, noteFlags } from "../../../test-harness/support/doors.ts";
import { rotate } from "../../src/server/tokens/tokens.ts";
import { AgentRepository, Place, until } from "./place.ts";

setDefaultTimeout(60_000);

const ROOT = join(import.meta.dir, "../../..");
const SUGGESTION = /suggestion ([0-9a-f-]{36})/;

interface Agent {
  client: Client;
  /** What the model sees. */
  call(name: string, args?: object): Promise<string>;
  /** What it sees of a refusal. */
  refused(name: string, args?: object): Promise<string>;
}

async function agentOf(transport: Parameters<Client["connect"]>[0]): Promise<Agent> {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(transport);
  async function call(name: string, args: object, isError: boolean): Promise<string> {
    const result = await client.callTool({ name, arguments: { ...args } });
    const [part] = result.content as { type: string; text: string }[];
    if ((result.isError === true) !== isError) throw new Error(part?.text);
    if (!isError) noteDoor(`mcp ${name}`);
    return part?.text ?? "";
  }
  return {
    client,
    call: (name, args = {}) => call(name, args, false),
    refused: (name, args = {}) => call(name, args, true),
  };
}

const overHttp = (place: Place, token: string, query = ""): Promise<Agent> =>
  agentOf(
    new StreamableHTTPClientTransport(new URL(`${place.url}/mcp${query}`), {
      requestInit: { headers: { Authorization: `Bearer ${token}` } },
    }),
  );

async function overStdio(place: Place, project: string): Promise<Agent> {
  const args = [
    "--token-file",
    join(place.stateDir, "agent-token"),
    "--url",
    place.url,
    "--project",
    project,
  ];
  const command = ["node", join(ROOT, "scripts/mcp.mjs"), ...args];
  const agent = await agentOf(
    new StdioClientTransport({
      command: command[0] as string,
      args: command.slice(1),
      env: { PATH: process.env.PATH ?? "", HOME: place.stateDir },
    }),
  );
  noteFlags(command);
  return agent;
}

const WAYS = {
  "over HTTP": (place: Place, repository: AgentRepository) =>
    overHttp(place, place.agent, `?project=${encodeURIComponent(repository.dir)}`),
  "by the program on standard input and output": (place: Place, repository: AgentRepository) =>
    overStdio(place, repository.dir),
};

for (const [way, connect] of Object.entries(WAYS)) {
  describe(`an agent that speaks MCP ${way}`, () => {
    let place: Place;
    let repository: AgentRepository;
    let agent: Agent;
    beforeAll(async () => {
      place = await Place.open();
      repository = await AgentRepository.add(place);
      agent = await connect(place, repository);
    });
    afterAll(async () => {
      await agent.client.close();
      await place.stop();
    });

    test("is told of the review, and of the tools that it may call", async () => {
      expect(agent.client.getInstructions()).toContain("wait_for_feedback");
      const { tools } = await agent.client.listTools();
      expect(tools.map(({ name }) => name).sort()).toEqual([
        "get_suggestion",
        "list_suggestions",
        "publish_suggestion",
        "recall_feedback",
        "suggestion_status",
        "wait_for_feedback",
      ]);
      const publish = tools.find(({ name }) => name === "publish_suggestion");
      expect(publish?.inputSchema).toMatchObject({ type: "object", required: ["description"] });
    });

    test("publishes, waits, hears the reason, revises and publishes again", async () => {
      expect(await agent.call("suggestion_status", { message: "Trying" })).toStartWith("Sent.");
      repository.edit("src/a.ts", (text) =>
        text.replace("line 5\n", "line five\n").replace("line 35\n", "a mistake\n"),
      );
      const published = await agent.call("publish_suggestion", { description: "Two lines" });
      const id = SUGGESTION.exec(published)?.[1] ?? "";
      expect(published).toContain("revision 1: 2 hunks in 1 files");
      expect(await agent.call("list_suggestions")).toContain(id);
      expect(await agent.call("wait_for_feedback", { seconds: 0 })).toBe("Nothing was decided within 0 s.");

      const waits = agent.call("wait_for_feedback", { seconds: 50 });
      const [first, second] = place.desk.hunks(id, { limit: 10, offset: 0 }).hunks;
      for (const [hunk, action] of [
        [first, "accept"],
        [second, "reject"],
      ] as const) {
        const body = {
          suggestion_id: id,
          hunk_id: hunk?.id,
          digest: hunk?.digest,
          action,
          ...(action === "reject" ? { comment: "Not this one" } : {}),
        };
        expect((await place.ask("/feedback", { body })).status).toBe(200);
      }
      // The second decision comes while it is waited for the developer to finish, if not on a machine that is slow.
      let heard = await waits;
      if (!heard.includes("Not this one")) heard += await agent.call("wait_for_feedback", { seconds: 50 });
      expect(heard).toContain("accepted");
      expect(heard).toContain("Not this one");
      // Taken out before it was told.
      const text = readFileSync(join(repository.dir, "src/a.ts"), "utf8");
      expect(text).toContain("line five\n");
      expect(text).toContain("line 35\n");
      expect(await agent.call("wait_for_feedback", { seconds: 0 })).toStartWith("Nothing was decided");

      const recalled = await agent.call("recall_feedback", { file: "src" });
      expect(recalled).toContain('src/a.ts rejected: "Not this one"');
      expect(await agent.call("recall_feedback", { text: "nowhere" })).toStartWith("Nothing like that");

      const change = place.desk.get(id).jj_change_id;
      repository.jj("edit", change);
      repository.edit("src/a.ts", (now) => now.replace("line 20\n", "line twenty\n"));
      const again = await agent.call("publish_suggestion", { description: "Two lines", change_id: change });
      expect(again).toContain(`${id}, revision 2`);
      const shown = await agent.call("get_suggestion", { suggestion_id: id });
      expect(shown).toContain("line twenty");
    });

    test("hears what is wrong with a call, by the argument's name, and nothing changed", async () => {
      expect(await agent.refused("publish_suggestion", {})).toStartWith("description: ");
      expect(await agent.refused("get_suggestion", { suggestion_id: 7 })).toStartWith("suggestion_id: ");
      expect(await agent.refused("wait_for_feedback", { seconds: 10_000 })).toStartWith("seconds: ");
      expect(await agent.refused("complete_suggestion", {})).toContain("no such tool here; there are");
      expect(await agent.refused("recall", {})).toContain("no such tool");
    });
  });
}

describe("the door for MCP", () => {
  let place: Place;
  let repository: AgentRepository;
  beforeEach(async () => {
    place = await Place.open({ options: { agent_may_approve: true } });
    repository = await AgentRepository.add(place);
  });
  afterEach(() => place.stop());

  test("lets the agent decide where the settings do", async () => {
    const agent = await overHttp(place, place.agent);
    repository.edit("src/a.ts", (text) => text.replace("line 8\n", "line eight\n"));
    const id = SUGGESTION.exec(await agent.call("publish_suggestion", { description: "A line" }))?.[1] ?? "";
    const hunk = place.desk.hunks(id, { limit: 1, offset: 0 }).hunks[0]?.id;
    await agent.call("suggestion_feedback", { suggestion_id: id, hunk_id: hunk, action: "accept" });
    await agent.call("complete_suggestion", { suggestion_id: id, action: "finalize" });
    expect(place.desk.get(id).state).toBe("finalized");
    await agent.client.close();
  });

  test("takes whoever comes for the agent, with the developer's token too", async () => {
    const agent = await overHttp(place, place.developer);
    await agent.call("suggestion_status", { message: "By whom?" });
    repository.edit("src/a.ts", (text) => text.replace("line 12\n", "line twelve\n"));
    const id = SUGGESTION.exec(await agent.call("publish_suggestion", { description: "A line" }))?.[1] ?? "";
    const hunk = place.desk.hunks(id, { limit: 1, offset: 0 }).hunks[0]?.id;
    await agent.call("suggestion_feedback", { suggestion_id: id, hunk_id: hunk, action: "accept" });
    expect(place.desk.hunks(id, { limit: 1, offset: 0 }).hunks[0]?.decision).toMatchObject({ by: "agent" });
    await agent.client.close();
  });

  test("is for who has a token, speaks POST and JSON, and names a project that is here", async () => {
    const hello = { jsonrpc: "2.0", id: 1, method: "ping" };
    const headers = { Accept: "application/json, text/event-stream" };
    expect((await place.ask("/mcp", { body: hello, token: null, headers })).status).toBe(401);
    expect((await place.ask("/mcp")).status).toBe(405);
    expect((await place.ask("/mcp", { body: hello, headers })).body).toEqual({
      jsonrpc: "2.0",
      id: 1,
      result: {},
    });
    expect((await place.ask("/mcp", { body: "{", headers })).status).toBe(400);
    expect((await place.ask("/mcp?projekt=x", { body: hello, headers })).status).toBe(400);
    expect((await place.ask("/mcp", { body: { any: "thing" }, headers })).status).toBe(400);
    const several = await place.ask("/mcp", { body: [hello, hello], headers });
    expect(several.status).toBe(400);
    expect(several.body.error.message).toContain("expected one message");
    const elsewhere = await place.ask("/mcp?project=/nowhere", { body: hello, headers });
    expect(elsewhere.status).toBe(404);
    expect(elsewhere.body.error.message).toStartWith("project: /nowhere is not a project of this server");
  });

  test("forgets who has gone: what is decided then is for the next call", async () => {
    const agent = await overHttp(place, place.agent);
    repository.edit("src/a.ts", (text) => text.replace("line 25\n", "line twenty-five\n"));
    const id = SUGGESTION.exec(await agent.call("publish_suggestion", { description: "A line" }))?.[1] ?? "";
    const gone = new AbortController();
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "wait_for_feedback", arguments: { seconds: 30 } },
    });
    const waits = fetch(`${place.url}/mcp`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${place.agent}`,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
      },
      body,
      signal: gone.signal,
    });
    await Bun.sleep(300);
    gone.abort();
    expect(
      await waits.then(
        () => "answered",
        (error: Error) => error.name,
      ),
    ).toBe("AbortError");
    const hunk = place.desk.hunks(id, { limit: 1, offset: 0 }).hunks[0];
    await place.ask("/feedback", {
      body: {
        suggestion_id: id,
        hunk_id: hunk?.id,
        digest: hunk?.digest,
        action: "reject",
        comment: "For you",
      },
    });
    expect(await agent.call("wait_for_feedback", { seconds: 50 })).toContain("For you");
    await agent.client.close();
  });

  test("tells nothing to a token that was withdrawn while it waited", async () => {
    const agent = await overHttp(place, place.agent);
    repository.edit("src/a.ts", (text) => text.replace("line 6\n", "line six\n"));
    const id = SUGGESTION.exec(await agent.call("publish_suggestion", { description: "A line" }))?.[1] ?? "";
    const waits = agent.call("wait_for_feedback", { seconds: 5 }).catch((error: Error) => error.message);
    await until(async () => (await place.ask("/health")).body.eventStreams > 0, "it waits", 20_000);
    rotate(place.stateDir, "agent");
    const hunk = place.desk.hunks(id, { limit: 1, offset: 0 }).hunks[0];
    const body = { suggestion_id: id, hunk_id: hunk?.id, action: "reject", comment: "For the next" };
    expect((await place.ask("/feedback", { body })).status).toBe(200);
    expect(await waits).not.toContain("For the next");
    const next = await overHttp(place, readFileSync(join(place.stateDir, "agent-token"), "utf8").trim());
    expect(await next.call("wait_for_feedback", { seconds: 50 })).toContain("For the next");
    await next.client.close();
  });

  test("has room for as many calls that wait as for streams, and says so beyond", async () => {
    const agent = await overHttp(place, place.agent);
    const { eventStreams } = (await place.ask("/health")).body;
    const gone = new AbortController();
    const ask = (id: number) =>
      fetch(`${place.url}/mcp`, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${place.agent}`,
          "Content-Type": "application/json",
          Accept: "application/json, text/event-stream",
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id,
          method: "tools/call",
          params: { name: "wait_for_feedback", arguments: { seconds: 50 } },
        }),
        signal: gone.signal,
      });
    const limit = 16;
    const waiting = Array.from({ length: limit - eventStreams }, (_, id) =>
      ask(id).catch((error: Error) => error.name),
    );
    await until(
      async () => (await place.ask("/health")).body.eventStreams === limit,
      "the calls wait",
      20_000,
    );
    const refused = await ask(99);
    expect(refused.status).toBe(503);
    expect(await refused.text()).toContain("Too many event streams");
    gone.abort();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["AbortError"]));
    await until(
      async () => (await place.ask("/health")).body.eventStreams === eventStreams,
      "their room is free again",
      20_000,
    );
    expect(await agent.call("suggestion_status", { message: "Still here" })).toStartWith("Sent.");
    await agent.client.close();
  });

  test("has a program that refuses the developer's token, and says which flag is wrong", async () => {
    const run = (...args: string[]) => {
      const done = Bun.spawnSync(["node", join(ROOT, "scripts/mcp.mjs"), ...args], { stdin: "ignore" });
      return [done.exitCode, done.stderr.toString()] as const;
    };
    const [code, said] = run("--token-file", join(place.stateDir, "token"));
    expect(code).toBe(2);
    expect(said).toContain("does not hold an agent's token");
    expect(said).not.toContain(place.developer);
    expect(run("--token-file", "/nowhere")[1]).toContain("--token-file: ");
    expect(run()[1]).toContain("--token-file: expected");
    expect(run("--tokn", "x")[1]).toContain("--tokn");
    const help = Bun.spawnSync(["node", join(ROOT, "scripts/mcp.mjs"), "--help"]);
    expect(help.stdout.toString()).toContain("usage: ");
    noteDoor("flag mcp --help");
  });
});
