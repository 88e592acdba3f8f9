/** A real host that knows nothing of the plugin and has the review as one of its MCP servers: opencode, as it comes. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ScriptedModel, startScriptedModel } from "../../../demo/scripted-model.ts";
import { freePort } from "../../../scripts/start/ports.ts";
import { AgentRepository, Place } from "../server/place.ts";
import { configuration, environment, missingOpencode, until } from "./opencode.ts";

setDefaultTimeout(120_000);

const call = (tool: string, args: object = {}) => ({
  calls: [{ tool: `review_${tool}`, args: { ...args } }],
});
const PUBLISHED = "{{tool:review_publish_suggestion:/suggestion ([0-9a-f-]+)/}}";

// Skipped where opencode is not provisioned; where CI is set that fails the run.
describe.skipIf(missingOpencode() !== null)("a host with the review among its MCP servers", () => {
  let root: string;
  let place: Place;
  let repository: AgentRepository;
  let model: ScriptedModel;
  let host: ReturnType<typeof Bun.spawn>;
  let url: string;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "sm-mcp-"));
    place = await Place.open();
    repository = await AgentRepository.add(place);
    model = await startScriptedModel({
      script: {
        conversations: [
          {
            when: "^make it better$",
            turns: [
              call("publish_suggestion", { description: "A line" }),
              call("wait_for_feedback", { seconds: 50 }),
              call("get_suggestion", { suggestion_id: PUBLISHED }),
              { text: "All done." },
            ],
          },
        ],
      },
    });
    const home = join(root, "home");
    mkdirSync(join(home, ".config/opencode"), { recursive: true });
    writeFileSync(
      join(home, ".config/opencode/opencode.json"),
      JSON.stringify(
        configuration(
          model.url,
          { "*": "allow" },
          {
            mcp: {
              review: {
                type: "remote",
                url: `${place.url}/mcp`,
                oauth: false,
                timeout: 60_000,
                headers: { Authorization: `Bearer ${place.agent}` },
              },
            },
          },
        ),
      ),
    );
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    host = Bun.spawn(["opencode", "serve", "--port", String(port), "--print-logs"], {
      cwd: repository.dir,
      env: environment(home),
      stdout: "ignore",
      stderr: Bun.file(join(root, "opencode.log")),
    });
    await until(
      "opencode answers",
      async () => (await fetch(`${url}/global/health`, { signal: AbortSignal.timeout(2000) })).ok,
    );
  });
  afterAll(async () => {
    host?.kill("SIGKILL");
    await host?.exited;
    await model?.stop();
    await place?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  async function ask<Answer>(path: string, body?: object): Promise<Answer> {
    const response = await fetch(`${url}${path}?directory=${encodeURIComponent(repository.dir)}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return (await response.json()) as Answer;
  }

  test("publishes, and hears the developer's reason in its own conversation", async () => {
    repository.edit("src/a.ts", (text) => text.replace("line 9\n", "line nine\n"));
    const session = (await ask<{ id: string }>("/session", {})).id;
    const turn = ask(`/session/${session}/message`, { parts: [{ type: "text", text: "make it better" }] });
    await until(
      "there is a suggestion",
      () => place.desk.list({ status: "open", limit: 10, offset: 0 }).total === 1,
    );
    const [suggestion] = place.desk.list({ status: "open", limit: 10, offset: 0 }).suggestions;
    const [hunk] = place.desk.hunks(suggestion?.id ?? "", { limit: 10, offset: 0 }).hunks;
    const decided = await place.ask("/feedback", {
      body: {
        suggestion_id: suggestion?.id,
        hunk_id: hunk?.id,
        action: "reject",
        comment: "Nine is fine as it is",
      },
    });
    expect(decided.status).toBe(200);
    await turn;
    const messages = await ask<
      { parts: { type: string; tool?: string; state?: { status: string; output?: string } }[] }[]
    >(`/session/${session}/message`);
    const results = messages
      .flatMap(({ parts }) => parts)
      .filter(({ type }) => type === "tool")
      .map(({ tool, state }) => [tool, state?.status, state?.output] as const);
    expect(results.map(([tool, status]) => [tool, status])).toEqual([
      ["review_publish_suggestion", "completed"],
      ["review_wait_for_feedback", "completed"],
      ["review_get_suggestion", "completed"],
    ]);
    expect(results[1]?.[2]).toContain("Nine is fine as it is");
    expect(results[2]?.[2]).toContain("rejected");
  });
});
