/** Every tool of the agent's and every word to it, in a real opencode whose settings let the agent decide. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Turn } from "../../../demo/model/script.ts";
import { type Client, connect } from "../server/client.ts";
import { prepareField } from "../settle/stress.ts";
import { missingOpencode, type Opencode, startOpencode, until } from "./opencode.ts";

setDefaultTimeout(120_000);

const call = (tool: string, args: object = {}): Turn => ({ calls: [{ tool, args: { ...args } }] });
const ID = "{{tool:publish_suggestion:/suggestion ([0-9a-f-]+)/}}";
const HUNK = "{{tool:get_suggestion:/- (\\S+:tool\\.txt:\\d+)/}}";

// Skipped where opencode is not provisioned; where CI is set that fails the run.
describe.skipIf(missingOpencode() !== null)("the agent's tools", () => {
  let root: string;
  let dir: string;
  let opencode: Opencode;
  let client: Client;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "sm-tools-"));
    dir = prepareField(root).dir;
    const turns = [
      call("suggestion_status", { message: "Writing a line" }),
      call("publish_suggestion", { description: "A line" }),
      call("list_suggestions"),
      call("get_suggestion", { suggestion_id: ID }),
      call("suggestion_feedback", { suggestion_id: ID, hunk_id: HUNK, action: "accept", comment: "Why not" }),
      call("recall_feedback", { text: "why" }),
      call("complete_suggestion", { suggestion_id: ID, action: "finalize" }),
      { text: "All done." },
    ];
    const slowly: Turn = { text: Array(300).fill("word "), pieceDelayMs: 200 };
    opencode = await startOpencode(
      root,
      dir,
      {
        conversations: [
          { when: "^go through all tools$", turns },
          { when: "take your time", turns: [slowly] },
        ],
      },
      { agent_may_approve: true },
    );
    const token = (await Bun.file(join(root, "state/token")).text()).trim();
    client = await connect({ port: Number(new URL(opencode.review).port), developer: token });
  });
  afterAll(async () => {
    client?.close();
    await opencode?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  test("publish, list, show, decide and finalize", async () => {
    writeFileSync(join(dir, "tool.txt"), "a line\n");
    const session = (await opencode.call<{ id: string }>("/session", {})).id;
    await opencode.call(`/session/${session}/message`, {
      parts: [{ type: "text", text: "go through all tools" }],
    });
    const messages = await opencode.call<
      { parts: { type: string; tool?: string; state?: { status: string; output?: string } }[] }[]
    >(`/session/${session}/message`);
    const results = messages
      .flatMap(({ parts }) => parts)
      .filter(({ type }) => type === "tool")
      .map(({ tool, state }) => [tool, state?.status, state?.output?.split(/[ .:]/, 1)[0]]);
    expect(results).toEqual([
      ["suggestion_status", "completed", "Sent"],
      ["publish_suggestion", "completed", "Published"],
      ["list_suggestions", "completed", expect.any(String)],
      ["get_suggestion", "completed", expect.any(String)],
      ["suggestion_feedback", "completed", "Recorded"],
      ["recall_feedback", "completed", "-"],
      ["complete_suggestion", "completed", "Finalized"],
    ]);
    const { body } = await opencode.desk<{ suggestions: { state: string }[] }>(
      "/suggestions?status=finalized",
    );
    expect(body.suggestions.map(({ state }) => state)).toEqual(["finalized"]);
  });

  test("the agent is asked and stopped over the WebSocket", async () => {
    const asked = await client.command({ type: "ask", request: { text: "take your time" } });
    expect([asked.success, asked.error]).toEqual([true, undefined]);
    const busy = async () =>
      Object.keys(await opencode.call<Record<string, unknown>>("/session/status")).includes(
        asked.data.session_id,
      );
    await until("the agent works", busy);
    const stopped = await client.command({ type: "abort", request: {} });
    expect([stopped.success, stopped.error]).toEqual([true, undefined]);
    await until("the agent has stopped", async () => !(await busy()));
  });
});
